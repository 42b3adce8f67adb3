package control

import (
	"context"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// TableSchema is what the target of a table holds; zero before its first load.
func (s state) TableSchema(ctx context.Context, pipelineID, sourceTable string) (model.TableSchema, error) {
	return s.GetTableSchema(ctx, pipelineID, sourceTable)
}

// ChangeFilter narrows a list of schema changes. Pipeline is an id or name;
// empty fields do not filter.
type ChangeFilter struct {
	Pipeline string
	Table    string
	Status   model.ChangeStatus
	Open     bool // only those that no run has followed
	Page
}

// ListSchemaChanges gives one page of the changes found at the sources, newest
// first, and how many match.
func (s *Service) ListSchemaChanges(ctx context.Context, f ChangeFilter) ([]model.SchemaChange, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	filter := store.ChangeFilter{Table: f.Table, Status: f.Status, Open: f.Open, Page: f.Page}
	if f.Pipeline != "" {
		p, err := s.Store.FindPipeline(ctx, f.Pipeline)
		if err != nil {
			return nil, 0, err
		}
		filter.PipelineID = p.ID
	}
	return s.Store.ListSchemaChanges(ctx, filter)
}

// DecideSchemaChange says what the next runs do about a change: apply it, or
// ignore it. A change of a type or key that is applied has its table read anew.
func (s *Service) DecideSchemaChange(ctx context.Context, id string, apply bool) (model.SchemaChange, error) {
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return model.SchemaChange{}, err
	}
	status, action := model.ChangeIgnored, "schema_change.ignore"
	if apply {
		status, action = model.ChangeApplied, "schema_change.apply"
	}
	var c model.SchemaChange
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		var err error
		c, err = tx.DecideSchemaChange(ctx, id, status, auth.ActorOf(ctx).Name)
		return Change{Action: action, ID: c.ID, Name: c.SourceTable + " " + c.Column, After: c}, err
	})
	return c, err
}

// QualityFilter narrows a list of quality checks. Pipeline is an id or name;
// empty fields do not filter.
type QualityFilter struct {
	Pipeline string
	RunID    string
	Table    string
	Status   model.CheckStatus
	Page
}

// ListQuality gives one page of the quality checks, newest first, and how many
// match.
func (s *Service) ListQuality(ctx context.Context, f QualityFilter) ([]model.QualityCheck, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	filter := store.QualityFilter{RunID: f.RunID, Table: f.Table, Status: f.Status, Page: f.Page}
	if f.Pipeline != "" {
		p, err := s.Store.FindPipeline(ctx, f.Pipeline)
		if err != nil {
			return nil, 0, err
		}
		filter.PipelineID = p.ID
	}
	return s.Store.ListQuality(ctx, filter)
}
