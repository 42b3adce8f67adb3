package store

import (
	"context"
	"time"
)

// Queued is a run that was asked for and waits for its turn.
type Queued struct {
	RunID      string
	PipelineID string
	UserID     string // "" where no account asked
	Request    string // JSON, of whoever queues
	QueuedAt   time.Time
}

// Enqueued returns the runs that wait, in their order.
func (s *Store) Enqueued(ctx context.Context) ([]Queued, error) {
	list, err := collect(ctx, s.reader, func(row scanner) (q Queued, err error) {
		err = row.Scan(&q.RunID, &q.PipelineID, null(&q.UserID, ""), &q.Request, timeScanner{&q.QueuedAt})
		return q, err
	}, `SELECT run_id, pipeline_id, user_id, request, queued_at FROM arus_state_queue ORDER BY position`)
	return list, fail(err, "list the queue")
}

// EnqueueRun adds a run to the end of the queue.
func (s *Store) EnqueueRun(ctx context.Context, q Queued) error {
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_state_queue (run_id, pipeline_id, user_id, request, queued_at) VALUES (?, ?, ?, ?, ?)`,
		q.RunID, q.PipelineID, orNull(q.UserID), q.Request, stamp(q.QueuedAt))
	return fail(err, "queue a run of pipeline %s", q.PipelineID)
}

// DequeueRun takes a run out of the queue; that it is not there is no error.
func (s *Store) DequeueRun(ctx context.Context, runID string) error {
	_, err := s.writer.ExecContext(ctx, `DELETE FROM arus_state_queue WHERE run_id = ?`, runID)
	return fail(err, "take run %s out of the queue", runID)
}
