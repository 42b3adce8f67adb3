package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
)

// queuedRequest is what somebody asked for, in the form in which a run that waits outlives the program. Exactly one is set.
type queuedRequest struct {
	Run     *RunRequest   `json:"run,omitempty"`
	Letters *LetterFilter `json:"letters,omitempty"`
}

// stored writes down an execution that waits. The caller holds the lock, so it cannot begin meanwhile.
func (x *execution) stored(ctx context.Context, st *store.Store) error {
	if x.request == nil {
		return nil
	}
	text, err := json.Marshal(x.request)
	if err != nil {
		return fmt.Errorf("write down a run that waits: %w", err)
	}
	return st.EnqueueRun(ctx, store.Queued{RunID: x.id, PipelineID: x.pipeline.ID, UserID: x.user, Request: string(text), QueuedAt: x.queued})
}

// forgotten takes an execution that is not to begin any more out of the state.
func (x *execution) forgotten(ctx context.Context, s *Service) {
	if x.request == nil {
		return
	}
	if err := s.Store.DequeueRun(context.WithoutCancel(ctx), x.id); err != nil {
		s.Log.ErrorContext(ctx, "a run that was taken out of the queue may come back at the next start", "run", x.id, "error", err)
	}
}

// ResumeQueue takes up the runs that waited when the program ended, in their order and with their ids. One that can no longer
// begin is recorded as skipped, with the reason. Call it once, after Rescue, where runs are started.
func (s *Service) ResumeQueue(ctx context.Context) error {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return err
	}
	list, err := s.Store.Enqueued(ctx)
	if err != nil {
		return err
	}
	for _, q := range list {
		err := s.resume(ctx, q)
		switch {
		case err == nil:
			s.Log.InfoContext(ctx, "took up a run that waited when the program ended", "run", q.RunID, "pipeline", q.PipelineID)
			continue
		case errors.Is(err, ErrStopping), ctx.Err() != nil:
			return err
		}
		s.Log.WarnContext(ctx, "a run that waited when the program ended cannot begin", "run", q.RunID, "pipeline", q.PipelineID, "error", err)
		skipped := model.Run{
			ID: q.RunID, PipelineID: q.PipelineID, UserID: q.UserID, Status: model.RunSkipped, Trigger: model.TriggerManual,
			ErrorMessage: "the run waited when the program ended, and cannot begin now: " + err.Error(),
		}
		if err := s.Store.Atomically(ctx, func(tx *store.Store) error {
			return errors.Join(tx.StartRun(ctx, &skipped), tx.DequeueRun(ctx, q.RunID))
		}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) resume(ctx context.Context, q store.Queued) error {
	var req queuedRequest
	if err := json.Unmarshal([]byte(q.Request), &req); err != nil {
		return fmt.Errorf("read what was asked for: %w", err)
	}
	var job engine.Job
	var err error
	switch {
	case req.Run != nil:
		job, err = s.job(ctx, *req.Run)
	case req.Letters != nil:
		job, err = s.lettersJob(ctx, *req.Letters)
	default:
		err = errors.New("nothing was asked for")
	}
	if err != nil {
		return err
	}
	x := s.execution(context.WithoutCancel(ctx), job, nil)
	x.id, x.user, x.queued, x.request, x.resumed = q.RunID, q.UserID, q.QueuedAt, &req, true
	if err := s.runs.add(x); err != nil {
		x.cancel(nil)
		return err
	}
	return nil
}
