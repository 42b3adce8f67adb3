package control

import (
	"context"
	"fmt"
	"slices"

	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// prepare fills in what the settings, the pipelines it depends on and the
// request say of a job.
func (s *Service) prepare(ctx context.Context, job *engine.Job, req RunRequest, dst model.Destination, settings model.Settings) error {
	job.Drift, job.Threshold, job.Reconcile = model.DriftReport, settings.QualityCheckThreshold, req.Reconcile
	job.Limits = connectors.Limits{Rows: settings.BatchRows, Bytes: settings.BatchBytes}
	job.Backoff = max(settings.InitialBackoff, 1) // 0 would be the engine's own
	if settings.AutoAlterSchema {
		job.Drift = model.DriftEvolve
	}
	policy := job.Pipeline.Options.Drift
	if policy == "" {
		policy = job.Drift
	}
	job.Agreed = policy == model.DriftReport && !settings.SchemaDriftDetection // to evolve and to freeze are to look
	job.OpenDestination = func(ctx context.Context) (connectors.Destination, error) { return s.storedDestination(ctx, dst) }
	job.Readback = func(ctx context.Context) (connectors.Source, error) { return s.readDestination(ctx, dst) }
	job.Scripts = s.scriptsOf(job.Pipeline.ID)
	follows := func(t model.PipelineTable) bool {
		return t.Enabled && job.Pipeline.DeleteMode(t) != model.DeletesIgnore
	}
	if req.Reconcile && !slices.ContainsFunc(job.Pipeline.Tables, follows) {
		return fault("the run", "reconcile", "no table of pipeline %q follows deletions: set options.deletes.mode to delete or mark", job.Pipeline.Name)
	}
	if req.RetryOf != "" {
		failed, err := s.failedTables(ctx, job.Pipeline, req.RetryOf)
		if err != nil {
			return err
		}
		job.Only = failed
	}
	if req.Force || job.Pipeline.DependsOn == "" {
		return nil
	}
	var err error
	job.Skip, err = s.waits(ctx, job.Pipeline)
	return err
}

// failedTables are the tables that a retry of a run has to do; none when it did
// not come to its tables, so that all are to be done.
func (s *Service) failedTables(ctx context.Context, p model.Pipeline, runID string) ([]string, error) {
	run, err := s.Store.GetRun(ctx, runID)
	if err != nil {
		return nil, err
	}
	if run.PipelineID != p.ID {
		return nil, fault("the run", "retry", "run %s is of another pipeline", runID)
	}
	failed, err := s.Store.FailedTables(ctx, runID)
	if err != nil {
		return nil, err
	}
	failed = slices.DeleteFunc(failed, func(key string) bool { return !hasTable(p, key) })
	if len(failed) == 0 && len(run.Tables) > 0 {
		return nil, fault("the run", "retry", "every table of run %s that the pipeline still has succeeded", runID)
	}
	return failed, nil
}

// waits says why a pipeline has to wait for the one it depends on; "" when it
// does not. It runs when the other has succeeded since its own last success
// began: what the other finished later is not in it.
func (s *Service) waits(ctx context.Context, p model.Pipeline) (string, error) {
	upstream, err := s.Store.GetPipeline(ctx, p.DependsOn)
	if err != nil {
		return "", err
	}
	theirs, err := s.Store.LatestSuccess(ctx, upstream.ID)
	if IsNotFound(err) {
		return fmt.Sprintf("pipeline %q, which this one depends on, has not succeeded yet", upstream.Name), nil
	}
	if err != nil {
		return "", err
	}
	mine, err := s.Store.LatestSuccess(ctx, p.ID)
	if IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if theirs.FinishedAt.Before(mine.StartedAt) {
		return fmt.Sprintf("pipeline %q, which this one depends on, has not succeeded since %s", upstream.Name, mine.StartedAt.Format("2006-01-02 15:04:05Z")), nil
	}
	return "", nil
}

// sharedRaw refuses a staging table that two tables would fill: what is built
// from it would be of both. Two sources whose names differ only in signs have
// the same one.
func (s *Service) sharedRaw(ctx context.Context, st *store.Store, p model.Pipeline, dst model.Destination, others []model.Pipeline) ([]model.FieldError, error) {
	names := engine.Names{RawSchema: dst.RawSchema, MaxIdentifier: s.Registry[string(dst.Type)].MaxIdentifier}
	taken := map[connectors.TableRef]string{}
	each := func(q model.Pipeline, visit func(i int, t model.PipelineTable, ref connectors.TableRef)) error {
		if !slices.ContainsFunc(q.Tables, func(t model.PipelineTable) bool { return t.Enabled && t.LoadMode == model.LoadRaw }) {
			return nil
		}
		src, err := st.GetSource(ctx, q.SourceID)
		if err != nil {
			return err
		}
		for i, t := range q.Tables {
			if t.Enabled && t.LoadMode == model.LoadRaw {
				visit(i, t, names.Raw(src.Name, configuredTable(t)))
			}
		}
		return nil
	}
	for _, other := range others {
		if other.ID == p.ID {
			continue
		}
		err := each(other, func(_ int, _ model.PipelineTable, ref connectors.TableRef) {
			taken[ref] = fmt.Sprintf("pipeline %q", other.Name)
		})
		if err != nil {
			return nil, err
		}
	}
	var faults []model.FieldError
	err := each(p, func(i int, t model.PipelineTable, ref connectors.TableRef) {
		if by, ok := taken[ref]; ok {
			faults = append(faults, model.FieldError{
				Field:   fmt.Sprintf("tables[%d].load_mode", i),
				Message: fmt.Sprintf("the raw rows of %s would land in %s, which %s fills: load it directly, or rename the source", t.Key(), ref, by),
			})
			return
		}
		taken[ref] = fmt.Sprintf("table %q of the same pipeline", t.Key())
	})
	return faults, err
}

// keylessDeletes refuses to follow deletions in a table that was named for it
// and has no key. Where the pipeline follows them in all its tables, the run
// warns of those without one.
func keylessDeletes(p model.Pipeline, found []connectors.Table) []model.FieldError {
	var faults []model.FieldError
	for i, t := range p.Tables {
		if t.Deletes == "" || t.Deletes == model.DeletesIgnore || len(t.KeyColumns) > 0 {
			continue
		}
		at := slices.IndexFunc(found, func(f connectors.Table) bool { return engine.Matches(t, f) })
		if at >= 0 && len(found[at].PrimaryKey) == 0 && len(found[at].UniqueKeys) == 0 {
			faults = append(faults, model.FieldError{
				Field: fmt.Sprintf("tables[%d].deletes", i), Message: "the table has no key to compare by: choose key columns",
			})
		}
	}
	return faults
}
