package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// PipelineInput is a new pipeline. Without Tables it takes every table that its
// source's filters admit, as discovered now.
type PipelineInput struct {
	Name         string
	Source       string // id or name
	Destination  string // id or name; empty = the default destination
	Tables       []string
	TargetSchema string
	LoadMode     model.LoadMode
	SyncMode     model.SyncMode
	Schedule     string
	Policies     model.Policies
}

// AddPipeline discovers the source's tables and stores the pipeline.
func (s *Service) AddPipeline(ctx context.Context, in PipelineInput) (model.Pipeline, error) {
	src, err := s.Store.FindSource(ctx, in.Source)
	if err != nil {
		return model.Pipeline{}, err
	}
	var dst model.Destination
	if in.Destination == "" {
		dst, err = s.Store.DefaultDestination(ctx)
	} else {
		dst, err = s.Store.FindDestination(ctx, in.Destination)
	}
	if err != nil {
		return model.Pipeline{}, err
	}
	source, err := s.storedSource(ctx, src)
	if err != nil {
		return model.Pipeline{}, err
	}
	defer func() { _ = source.Close() }()
	sel := selectionOf(src)
	if len(in.Tables) > 0 {
		sel.Include = in.Tables
	}
	found, err := sel.tables(ctx, source)
	if err != nil {
		return model.Pipeline{}, err
	}
	p := model.NewPipeline(in.Name, src.ID, dst.ID)
	p.Schedule, p.Options.Policies = in.Schedule, in.Policies
	if in.TargetSchema != "" {
		p.TargetSchema = in.TargetSchema
	}
	if in.LoadMode != "" {
		p.LoadMode = in.LoadMode
	}
	for _, t := range found {
		pt := pipelineTable(t)
		pt.LoadMode = p.LoadMode
		if in.SyncMode != "" {
			pt.SyncMode = in.SyncMode
		}
		p.Tables = append(p.Tables, pt)
	}
	if err := s.checkPipeline(ctx, p, dst, found); err != nil {
		return model.Pipeline{}, err
	}
	err = s.Store.CreatePipeline(ctx, &p)
	return p, err
}

// pipelineTable configures a discovered table by the defaults.
func pipelineTable(t connectors.Table) model.PipelineTable {
	schema := t.Schema
	if t.DefaultSchema {
		schema = model.UnsetSchema
	}
	return model.NewPipelineTable(schema, t.Name)
}

// ListPipelines gives one page of the pipelines and how many there are.
func (s *Service) ListPipelines(ctx context.Context, limit, offset int) ([]model.Pipeline, int, error) {
	return s.Store.ListPipelines(ctx, store.PipelineFilter{Page: store.Page{Limit: limit, Offset: offset}})
}

// Pipeline finds a pipeline by id or name.
func (s *Service) Pipeline(ctx context.Context, idOrName string) (model.Pipeline, error) {
	return s.Store.FindPipeline(ctx, idOrName)
}

// DiscoveredTable is a table of a pipeline's source.
type DiscoveredTable struct {
	connectors.Table
	Selected bool // the pipeline copies it
}

// DiscoverPipeline lists the tables that the source has now and says which of
// them the pipeline copies. With add, the others are taken into it.
func (s *Service) DiscoverPipeline(ctx context.Context, idOrName string, add bool) ([]DiscoveredTable, error) {
	p, src, dst, err := s.whole(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	found, err := s.discover(ctx, src)
	if err != nil {
		return nil, err
	}
	list := make([]DiscoveredTable, len(found))
	for i, t := range found {
		at := slices.IndexFunc(p.Tables, func(cfg model.PipelineTable) bool { return engine.Matches(cfg, t) })
		list[i] = DiscoveredTable{Table: t, Selected: at >= 0 && p.Tables[at].Enabled}
		if add && at < 0 {
			cfg := pipelineTable(t)
			cfg.LoadMode = p.LoadMode
			p.Tables, list[i].Selected = append(p.Tables, cfg), true
		}
	}
	if !add {
		return list, nil
	}
	if err := s.checkPipeline(ctx, p, dst, found); err != nil {
		return nil, err
	}
	return list, s.Store.UpdatePipeline(ctx, &p)
}

// whole finds a pipeline with its two ends.
func (s *Service) whole(ctx context.Context, idOrName string) (p model.Pipeline, src model.Source, dst model.Destination, err error) {
	if p, err = s.Store.FindPipeline(ctx, idOrName); err != nil {
		return p, src, dst, err
	}
	if src, err = s.Store.GetSource(ctx, p.SourceID); err != nil {
		return p, src, dst, err
	}
	dst, err = s.Store.GetDestination(ctx, p.DestinationID)
	return p, src, dst, err
}

// DeletePipeline removes a pipeline with its history and watermarks. What was
// loaded stays at the destination.
func (s *Service) DeletePipeline(ctx context.Context, idOrName string) error {
	p, err := s.Store.FindPipeline(ctx, idOrName)
	if err != nil {
		return err
	}
	return s.Store.DeletePipeline(ctx, p.ID)
}

// Watermarks lists how far the tables of a pipeline are loaded.
func (s *Service) Watermarks(ctx context.Context, pipelineID string) ([]model.Watermark, error) {
	return s.Store.ListWatermarks(ctx, pipelineID)
}

// names are the naming rules of a pipeline at its destination. The stored
// default "public" of a pipeline means that nobody set its schema.
func (s *Service) names(p model.Pipeline, dst model.Destination) engine.Names {
	n := engine.Names{RawSchema: dst.RawSchema, TargetSchema: dst.TargetSchema, MaxIdentifier: s.Registry[string(dst.Type)].MaxIdentifier}
	if p.TargetSchema != "" && p.TargetSchema != model.UnsetSchema {
		n.TargetSchema = p.TargetSchema
	}
	return n
}

// checkPipeline validates a pipeline and refuses targets that two tables would
// write, within it or together with another pipeline.
func (s *Service) checkPipeline(ctx context.Context, p model.Pipeline, dst model.Destination, found []connectors.Table) error {
	faults := p.Validate()
	if len(p.Tables) == 0 {
		faults = append(faults, model.FieldError{Field: "tables", Message: "the pipeline has none"})
	}
	names := s.names(p, dst)
	taken := map[connectors.TableRef]string{}
	others, err := all(func(page store.Page) ([]model.Pipeline, int, error) {
		return s.Store.ListPipelines(ctx, store.PipelineFilter{DestinationID: p.DestinationID, Page: page})
	})
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.ID == p.ID {
			continue
		}
		otherNames := s.names(other, dst)
		for _, t := range other.Tables {
			if t.Enabled {
				taken[otherNames.Target(configuredTable(t), t)] = fmt.Sprintf("pipeline %q", other.Name)
			}
		}
	}
	for i, t := range p.Tables {
		if !t.Enabled {
			continue
		}
		table := configuredTable(t)
		if at := slices.IndexFunc(found, func(f connectors.Table) bool { return engine.Matches(t, f) }); at >= 0 {
			table = found[at]
		}
		ref := names.Target(table, t)
		if by, ok := taken[ref]; ok {
			faults = append(faults, model.FieldError{
				Field:   fmt.Sprintf("tables[%d].target_table", i),
				Message: fmt.Sprintf("%s is already written by %s: give %s another target schema or table", ref, by, t.Key()),
			})
			continue
		}
		taken[ref] = fmt.Sprintf("table %q of the same pipeline", t.Key())
	}
	return invalid("the pipeline", faults)
}

// configuredTable is what a configuration alone knows of its table.
func configuredTable(t model.PipelineTable) connectors.Table {
	return connectors.Table{TableRef: connectors.TableRef{Schema: t.SourceSchema, Name: t.SourceTable}, DefaultSchema: t.SourceSchema == model.UnsetSchema}
}

// ErrNotFound is the answer for an id or name that nothing has.
var ErrNotFound = store.ErrNotFound

// IsNotFound says whether err is about something that does not exist.
func IsNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
