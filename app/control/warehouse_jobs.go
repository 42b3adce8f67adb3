package control

import (
	"context"
	"errors"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/connectors"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// TendWarehouse does the jobs of the warehouse's tables that are due at every
// tick, until ctx ends: archiving, backfill, snapshots, retention, compaction.
func (s *Service) TendWarehouse(ctx context.Context, ticks <-chan time.Time) {
	swept := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		if !s.hasTables() {
			continue
		}
		store, err := s.tables()
		if err == nil && !swept {
			err = store.Sweep()
			swept = err == nil
		}
		var done []warehouse.Done
		if err == nil {
			done, err = store.RunJobs(ctx, s.Now())
		}
		for _, d := range done {
			s.jobDone(ctx, d)
		}
		if err != nil && ctx.Err() == nil {
			s.jobsFailed(ctx, err)
		}
	}
}

func (s *Service) jobDone(ctx context.Context, d warehouse.Done) {
	s.Log.InfoContext(ctx, "warehouse job done", "table", d.Table, "job", d.Job, "rows", d.Rows, "files", d.Files, "detail", d.Detail)
	s.jobLine(ctx, model.TableJob{Table: d.Table, Job: d.Job, Rows: d.Rows, Files: d.Files, Detail: d.Detail})
}

// jobsFailed writes down what went wrong with each table.
func (s *Service) jobsFailed(ctx context.Context, err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			s.jobsFailed(ctx, e)
		}
		return
	}
	s.Log.ErrorContext(ctx, "a job of the warehouse failed", "error", err)
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Object != "" {
		s.jobLine(ctx, model.TableJob{Table: e.Object, Job: e.Op, Error: err.Error()})
	}
}

// jobLine adds a line to the log of a table's jobs.
func (s *Service) jobLine(ctx context.Context, j model.TableJob) {
	j.Actor = auth.ActorOf(ctx).Name
	if err := s.Store.AppendTableJob(context.WithoutCancel(ctx), j); err != nil {
		s.Log.WarnContext(ctx, "write the log of a table's jobs", "error", err)
	}
}

// WarehouseStats gives figures about a table's rows and files.
func (s *Service) WarehouseStats(ctx context.Context, table string) (warehouse.Stats, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return warehouse.Stats{}, err
	}
	store, err := s.tables()
	if err != nil {
		return warehouse.Stats{}, err
	}
	return store.Stats(ctx, table)
}

// ArchiveWarehouse moves the rows of a table from before cutoff, in seconds, into
// the archive; 0 is the present less the table's archiving delay.
func (s *Service) ArchiveWarehouse(ctx context.Context, table string, cutoff int64) (warehouse.Done, error) {
	return s.tableJob(ctx, table, func(store *warehouse.Store) (warehouse.Done, error) {
		if cutoff == 0 {
			t, _, err := store.Schema(ctx, table)
			if err != nil {
				return warehouse.Done{}, err
			}
			cutoff = s.Now().Unix() - int64(t.Config.ArchivingDelayMinutes)*60
		}
		return store.Archive(ctx, table, cutoff)
	})
}

// BackfillWarehouse moves late rows of a table into their days.
func (s *Service) BackfillWarehouse(ctx context.Context, table string) (warehouse.Done, error) {
	return s.tableJob(ctx, table, func(store *warehouse.Store) (warehouse.Done, error) { return store.Backfill(ctx, table) })
}

// SnapshotWarehouse moves the live rows of a dimension table into a file.
func (s *Service) SnapshotWarehouse(ctx context.Context, table string) (warehouse.Done, error) {
	return s.tableJob(ctx, table, func(store *warehouse.Store) (warehouse.Done, error) { return store.Snapshot(ctx, table) })
}

// CompactWarehouse rewrites files of a table that hold what is not read any more.
func (s *Service) CompactWarehouse(ctx context.Context, table string) (warehouse.Done, error) {
	return s.tableJob(ctx, table, func(store *warehouse.Store) (warehouse.Done, error) { return store.Compact(ctx, table) })
}

// PurgeWarehouse removes days of a table, counted from 1970, to not included;
// retained removes those that its retention does not keep.
func (s *Service) PurgeWarehouse(ctx context.Context, table string, from, to int64, retained bool) (warehouse.Done, error) {
	return s.tableJob(ctx, table, func(store *warehouse.Store) (warehouse.Done, error) {
		if retained {
			t, _, err := store.Schema(ctx, table)
			if err != nil {
				return warehouse.Done{}, err
			}
			if t.Config.RecordRetentionInDays == 0 {
				return warehouse.Done{}, &schema.Error{Class: schema.Conflict, Message: "The table keeps its rows for ever: recordRetentionInDays is 0"}
			}
			from, to = 0, s.Now().Unix()/86400-int64(t.Config.RecordRetentionInDays)
		}
		return store.Purge(ctx, table, from, to)
	})
}

// tableJob does one job that somebody asks for.
func (s *Service) tableJob(ctx context.Context, table string, do func(*warehouse.Store) (warehouse.Done, error)) (warehouse.Done, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return warehouse.Done{}, err
	}
	store, err := s.tables()
	if err != nil {
		return warehouse.Done{}, err
	}
	done, err := do(store)
	if err != nil {
		s.jobsFailed(ctx, err)
		return done, err
	}
	s.jobDone(ctx, done)
	return done, s.told(ctx, Change{Action: "table." + done.Job, Name: table, After: done})
}
