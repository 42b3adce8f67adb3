package control

import (
	"context"
	"fmt"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// Retained is how many rows Retain removed.
type Retained = store.Retained

// Retain removes what the settings no longer keep, and gives the space back.
func (s *Service) Retain(ctx context.Context) (Retained, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return Retained{}, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return Retained{}, err
	}
	since := func(days int) time.Time {
		if days <= 0 {
			return time.Time{}
		}
		return s.Now().UTC().AddDate(0, 0, -days)
	}
	before := since(settings.RetentionDeadLetters)
	letters, keep := s.retainLetters(ctx, before)
	n, err := s.Store.Retain(ctx, store.Retention{
		Runs: since(settings.RetentionRuns), Logs: since(settings.RetentionLogs), Audit: since(settings.RetentionAudit), Letters: before, KeepRunsOf: keep,
	})
	n.Letters = letters
	if err != nil {
		return n, err
	}
	return n, s.Store.Compact(ctx)
}

// retainLetters removes the dead letters from before a time from the destinations, of the pipelines that have had any, and gives
// how many. A destination that does not answer is tried again the next time: its pipelines are returned, whose runs are to be
// kept until then because they say that there are letters.
func (s *Service) retainLetters(ctx context.Context, before time.Time) (removed int64, later []string) {
	if before.IsZero() {
		return 0, nil
	}
	ids, err := s.Store.PipelinesWithLetters(ctx, before)
	if err != nil {
		s.Log.ErrorContext(ctx, "find dead letters that are no longer kept", "error", err)
		return 0, nil
	}
	down := map[string]bool{} // destinations
	for _, id := range ids {
		p, err := s.Store.GetPipeline(ctx, id)
		if IsNotFound(err) {
			continue
		}
		var n int64
		if err == nil && down[p.DestinationID] {
			later = append(later, id)
			continue
		}
		if err == nil {
			n, err = s.dropLettersBefore(ctx, id, before)
		}
		removed += n
		if err != nil {
			down[p.DestinationID] = true
			later = append(later, id)
			s.Log.WarnContext(ctx, "remove dead letters that are no longer kept; it is tried again", "pipeline", p.Name, "error", err)
		}
	}
	return removed, later
}

// RotateKey seals every stored secret with a new key, all at once, and gives how
// many there were. A crash in between leaves both keys in the ring, which opens
// everything; then rotate again.
func (s *Service) RotateKey(ctx context.Context) (int, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return 0, err
	}
	finish, err := s.Ring.Rotate()
	if err != nil {
		return 0, err
	}
	n, err := s.Store.Reseal(ctx, func(sealed string) (string, error) {
		text, err := s.Ring.Open(sealed)
		if err != nil {
			return "", err
		}
		return s.Ring.Seal(text)
	})
	if err != nil {
		return 0, err
	}
	if err := s.audit(ctx, s.Store, Change{Action: "key.rotate", Name: fmt.Sprintf("%d secrets", n)}); err != nil {
		return n, err
	}
	return n, finish()
}

// Ready says whether the program can do its work: nil when its state file can
// be read and written and its key opens what is sealed.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.Store.Ping(ctx); err != nil {
		return err
	}
	_, err := s.jwt(ctx)
	return err
}

// Vitals are the figures for those who watch the program itself.
type Vitals struct {
	FileBytes, LogBytes int64
	Waiting, Running    int
	Pipelines           []PipelineVitals
}

// PipelineVitals are the figures of one pipeline.
type PipelineVitals struct {
	ID, Name    string
	Status      model.PipelineStatus
	LastSuccess time.Time // zero: never
}

// StateSize gives the figures that need no look into the state file: its size,
// and how many runs wait and go on.
func (s *Service) StateSize(ctx context.Context) (Vitals, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return Vitals{}, err
	}
	var v Vitals
	v.FileBytes, v.LogBytes = s.Store.Size()
	v.Waiting, v.Running = s.runs.counts()
	return v, nil
}

// Vitals gives the figures for those who watch the program itself.
func (s *Service) Vitals(ctx context.Context) (Vitals, error) {
	v, err := s.StateSize(ctx)
	if err != nil {
		return v, err
	}
	figures, err := s.Store.PipelineFigures(ctx)
	if err != nil {
		return v, err
	}
	list, err := all(func(page store.Page) ([]model.Pipeline, int, error) {
		return s.Store.ListPipelines(ctx, store.PipelineFilter{Page: page})
	})
	for _, p := range list {
		v.Pipelines = append(v.Pipelines, PipelineVitals{ID: p.ID, Name: p.Name, Status: p.Status, LastSuccess: figures[p.ID].LastSuccess})
	}
	return v, err
}
