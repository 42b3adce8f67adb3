package store

import (
	"context"
	"time"

	"arus/app/model"
)

// PipelineBrief is a pipeline in short, with the end of its latest success.
type PipelineBrief struct {
	ID, Name    string
	Status      model.PipelineStatus
	Schedule    string
	LastSuccess time.Time // zero: never
}

// PipelineNames returns the names of all pipelines by id.
func (s *Store) PipelineNames(ctx context.Context) (map[string]string, error) {
	list, err := collect(ctx, s.reader, func(row scanner) (p [2]string, err error) {
		err = row.Scan(&p[0], &p[1])
		return p, err
	}, `SELECT id, name FROM arus_config_pipelines`)
	names := make(map[string]string, len(list))
	for _, p := range list {
		names[p[0]] = p[1]
	}
	return names, fail(err, "list the names of the pipelines")
}

// PipelineBriefs returns every pipeline in short, by name.
func (s *Store) PipelineBriefs(ctx context.Context) ([]PipelineBrief, error) {
	list, err := collect(ctx, s.reader, func(row scanner) (b PipelineBrief, err error) {
		err = row.Scan(&b.ID, &b.Name, null(&b.Status, model.PipelineActive), null(&b.Schedule, ""), timeScanner{&b.LastSuccess})
		return b, err
	}, `SELECT p.id, p.name, p.status, p.schedule, (SELECT r.finished_at FROM arus_run_logs_runs r WHERE r.pipeline_id = p.id
		AND r.status = 'success' ORDER BY r.started_at DESC LIMIT 1) FROM arus_config_pipelines p ORDER BY p.name`)
	return list, fail(err, "list the pipelines in short")
}

// RecentRuns returns the newest runs.
func (s *Store) RecentRuns(ctx context.Context, limit int) ([]model.Run, error) {
	list, err := collect(ctx, s.reader, scanRun, `SELECT `+runColumns+` FROM arus_run_logs_runs ORDER BY started_at DESC, id DESC LIMIT ?`, limit)
	return list, fail(err, "list the newest runs")
}
