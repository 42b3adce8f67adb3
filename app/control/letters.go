package control

import (
	"context"
	"slices"
	"time"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
)

// LetterFilter selects dead letters of a pipeline. Empty fields do not filter.
type LetterFilter struct {
	Pipeline string // id or name
	Table    string // key
	RunID    string
	IDs      []string
	Page
}

// letters finds the pipeline of a filter and spells the filter for the engine:
// the letters of the pipeline's source and tables.
func (s *Service) letters(ctx context.Context, f LetterFilter) (p model.Pipeline, dst model.Destination, which engine.Letters, err error) {
	p, src, dst, err := s.whole(ctx, f.Pipeline)
	if err != nil {
		return p, dst, which, err
	}
	which = engine.Letters{Source: src.Name, RunID: f.RunID, IDs: f.IDs}
	for _, t := range p.Tables {
		if f.Table == "" || f.Table == t.Key() {
			which.Tables = append(which.Tables, t.Key())
		}
	}
	if len(which.Tables) == 0 {
		return p, dst, which, fault("the dead letters", "table", "pipeline %q has no table %q", p.Name, f.Table)
	}
	return p, dst, which, nil
}

// ListLetters gives one page of the dead letters that a destination keeps, newest
// first, and how many match.
func (s *Service) ListLetters(ctx context.Context, f LetterFilter) ([]engine.Letter, int, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return nil, 0, err
	}
	_, dst, which, err := s.letters(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	limit := f.Limit
	if limit <= 0 || limit > 1000 {
		limit = 100
	}
	offset := max(f.Offset, 0)
	var list []engine.Letter
	total := 0
	cut := func(n int) { // keeps the newest n
		slices.SortStableFunc(list, func(a, b engine.Letter) int { return b.FailedAt.Compare(a.FailedAt) })
		list = list[:min(n, len(list))]
	}
	err = s.readLetters(ctx, dst, which, func(l engine.Letter) error {
		total++
		if list = append(list, l); len(list) >= 2*(offset+limit)+1000 {
			cut(offset + limit)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	cut(offset + limit)
	return append([]engine.Letter{}, list[min(offset, len(list)):]...), total, nil
}

// EachLetter hands over every dead letter that the filter selects, in no order.
func (s *Service) EachLetter(ctx context.Context, f LetterFilter, visit func(engine.Letter) error) error {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return err
	}
	_, dst, which, err := s.letters(ctx, f)
	if err != nil {
		return err
	}
	return s.readLetters(ctx, dst, which, visit)
}

func (s *Service) readLetters(ctx context.Context, dst model.Destination, which engine.Letters, visit func(engine.Letter) error) error {
	back, err := s.readDestination(ctx, dst)
	if err != nil {
		return err
	}
	defer func() { _ = back.Close() }()
	return engine.ReadLetters(ctx, back, dst.RawSchema, which, visit)
}

// Letter gives one dead letter of a pipeline.
func (s *Service) Letter(ctx context.Context, pipeline, id string) (engine.Letter, error) {
	list, _, err := s.ListLetters(ctx, LetterFilter{Pipeline: pipeline, IDs: []string{id}})
	if err != nil {
		return engine.Letter{}, err
	}
	if len(list) == 0 {
		return engine.Letter{}, ErrNotFound
	}
	return list[0], nil
}

// RetryLetters loads dead letters again, as a run of the pipeline. Those that
// come through are gone afterwards.
func (s *Service) RetryLetters(ctx context.Context, f LetterFilter, progress func(engine.Event)) (engine.Report, error) {
	job, err := s.lettersJob(ctx, f)
	if err != nil {
		return engine.Report{}, err
	}
	return s.finish(ctx, job, progress)
}

// StartLetters starts what RetryLetters does and returns at once.
func (s *Service) StartLetters(ctx context.Context, f LetterFilter) (Started, error) {
	job, err := s.lettersJob(ctx, f)
	if err != nil {
		return Started{}, err
	}
	x := s.execution(context.WithoutCancel(ctx), job, nil)
	x.request = &queuedRequest{Letters: &f}
	return s.begin(ctx, x)
}

func (s *Service) lettersJob(ctx context.Context, f LetterFilter) (engine.Job, error) {
	if err := s.may(ctx, auth.EditDeadLetters); err != nil {
		return engine.Job{}, err
	}
	p, _, which, err := s.letters(ctx, f)
	if err != nil {
		return engine.Job{}, err
	}
	job, err := s.job(ctx, RunRequest{Pipeline: p.ID, Force: true})
	if err != nil {
		return engine.Job{}, err
	}
	job.Letters = &which
	return job, nil
}

// finish starts a job and waits for its end; when ctx ends, so does the run.
func (s *Service) finish(ctx context.Context, job engine.Job, progress func(engine.Event)) (engine.Report, error) {
	started, err := s.begin(ctx, s.execution(ctx, job, progress))
	if err != nil {
		return engine.Report{}, err
	}
	return started.Wait(context.WithoutCancel(ctx))
}

// dropLettersBefore deletes the letters of a pipeline from before a time.
func (s *Service) dropLettersBefore(ctx context.Context, pipelineID string, before time.Time) (int64, error) {
	_, dst, which, err := s.letters(ctx, LetterFilter{Pipeline: pipelineID})
	if isInvalid(err) { // it has no tables
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var ids []string
	err = s.readLetters(ctx, dst, which, func(l engine.Letter) error {
		if !l.FailedAt.IsZero() && l.FailedAt.Before(before) {
			ids = append(ids, l.ID)
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	destination, err := s.storedDestination(ctx, dst)
	if err != nil {
		return 0, err
	}
	defer func() { _ = destination.Close() }()
	return engine.DropLetters(ctx, destination, dst.RawSchema, ids, s.Now())
}

// DropLetters deletes dead letters for good and gives how many.
func (s *Service) DropLetters(ctx context.Context, f LetterFilter) (int64, error) {
	if err := s.may(ctx, auth.EditDeadLetters); err != nil {
		return 0, err
	}
	p, dst, which, err := s.letters(ctx, f)
	if err != nil {
		return 0, err
	}
	var ids []string
	if err := s.readLetters(ctx, dst, which, func(l engine.Letter) error { ids = append(ids, l.ID); return nil }); err != nil {
		return 0, err
	}
	destination, err := s.storedDestination(ctx, dst)
	if err != nil {
		return 0, err
	}
	defer func() { _ = destination.Close() }()
	n, err := engine.DropLetters(ctx, destination, dst.RawSchema, ids, s.Now())
	if err != nil {
		return 0, err
	}
	return n, s.change(ctx, func(*store.Store) (Change, error) {
		return Change{Action: "dead_letters.drop", ID: p.ID, Name: p.Name, After: map[string]any{"dropped": n, "table": f.Table, "run_id": f.RunID}}, nil
	})
}

// Rebuild makes the targets of a pipeline's raw tables anew from their raw rows
// alone, as a run of the pipeline. Empty tables are all that have raw rows.
func (s *Service) Rebuild(ctx context.Context, pipeline string, tables []string) (engine.Report, error) {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return engine.Report{}, err
	}
	job, err := s.job(ctx, RunRequest{Pipeline: pipeline, Tables: tables, Force: true})
	if err != nil {
		return engine.Report{}, err
	}
	raw := func(t model.PipelineTable) bool { return t.Enabled && t.LoadMode == model.LoadRaw }
	if !slices.ContainsFunc(job.Pipeline.Tables, raw) {
		return engine.Report{}, fault("the rebuild", "tables", "no table of pipeline %q is loaded by way of raw rows", job.Pipeline.Name)
	}
	job.Rebuild = true
	return s.finish(ctx, job, nil)
}
