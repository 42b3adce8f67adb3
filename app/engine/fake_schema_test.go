package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"arus/app/model"
)

// fakeSchemas is the part of a fake state that keeps schemas and checks.
type fakeSchemas struct {
	schemaMu sync.Mutex
	schemas  map[string]model.TableSchema
	changes  []model.SchemaChange
	quality  []model.QualityCheck
}

func (s *fakeSchemas) TableSchema(_ context.Context, _, table string) (model.TableSchema, error) {
	s.schemaMu.Lock()
	defer s.schemaMu.Unlock()
	t := s.schemas[table]
	t.Open = 0
	for _, c := range s.changes {
		if c.SourceTable == table && c.DoneRunID == "" {
			t.Open++
		}
	}
	return t, nil
}

func (s *fakeSchemas) TableSchemas(ctx context.Context, pipeline string, tables []string) ([]model.TableSchema, error) {
	var list []model.TableSchema
	for _, table := range tables {
		if t, _ := s.TableSchema(ctx, pipeline, table); !t.UpdatedAt.IsZero() {
			list = append(list, t)
		}
	}
	return list, nil
}

func (s *fakeSchemas) SaveTableSchema(_ context.Context, t *model.TableSchema) error {
	s.schemaMu.Lock()
	defer s.schemaMu.Unlock()
	if s.schemas == nil {
		s.schemas = map[string]model.TableSchema{}
	}
	t.UpdatedAt = time.Now()
	s.schemas[t.SourceTable] = *t
	return nil
}

func (s *fakeSchemas) RecordSchemaChanges(_ context.Context, pipeline, table, run string, found []model.SchemaChange) ([]model.SchemaChange, error) {
	s.schemaMu.Lock()
	defer s.schemaMu.Unlock()
	seen := map[string]bool{}
	list := make([]model.SchemaChange, len(found))
	for i, f := range found {
		at := slices.IndexFunc(s.changes, func(c model.SchemaChange) bool {
			return c.SourceTable == table && c.DoneRunID == "" && c.Kind == f.Kind && c.Column == f.Column && c.From == f.From && c.To == f.To
		})
		if at < 0 {
			f.ID, f.PipelineID, f.SourceTable, f.RunID, f.Status = fmt.Sprint("c", len(s.changes)+1), pipeline, table, run, model.ChangePending
			at = len(s.changes)
			s.changes = append(s.changes, f)
		}
		list[i] = s.changes[at]
		seen[list[i].ID] = true
	}
	for i := range s.changes {
		if c := &s.changes[i]; c.SourceTable == table && c.DoneRunID == "" && !seen[c.ID] {
			c.Status, c.DoneRunID = model.ChangeIgnored, run
		}
	}
	return list, nil
}

func (s *fakeSchemas) FollowSchemaChanges(_ context.Context, run string, ids []string) error {
	s.schemaMu.Lock()
	defer s.schemaMu.Unlock()
	for i := range s.changes {
		if slices.Contains(ids, s.changes[i].ID) {
			s.changes[i].Status, s.changes[i].DoneRunID = model.ChangeApplied, run
		}
	}
	return nil
}

func (s *fakeSchemas) SaveQuality(_ context.Context, checks []model.QualityCheck) error {
	s.schemaMu.Lock()
	defer s.schemaMu.Unlock()
	s.quality = append(s.quality, checks...)
	return nil
}

// decide is what a person says of the one open change of a kind.
func (s *fakeSchemas) decide(kind model.ChangeKind, status model.ChangeStatus) error {
	for i := range s.changes {
		if s.changes[i].Kind == kind && s.changes[i].DoneRunID == "" {
			s.changes[i].Status = status
			return nil
		}
	}
	return errors.New("there is no open change " + string(kind))
}
