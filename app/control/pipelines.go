package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// PipelineInput is a new pipeline. Without Tables and Choices it takes every
// table that its source's filters admit, as discovered now.
type PipelineInput struct {
	Name           string
	Source         string // id or name
	Destination    string // id or name; empty = the default destination
	Tables         []string
	Choices        []TableChoice // the tables one by one; the source is not asked
	TargetSchema   string
	LoadMode       model.LoadMode
	SyncMode       model.SyncMode
	Schedule       string // empty: none
	DependsOn      string // id or name of another pipeline
	MaxRetries     *int
	TimeoutSeconds *int
	Options        model.PipelineOptions
}

// AddPipeline stores a pipeline, with the source's tables as they are now unless
// they are given one by one.
func (s *Service) AddPipeline(ctx context.Context, in PipelineInput) (model.Pipeline, error) {
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return model.Pipeline{}, err
	}
	src, dst, err := s.ends(ctx, in.Source, in.Destination)
	if err != nil {
		return model.Pipeline{}, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return model.Pipeline{}, err
	}
	p := model.NewPipeline(in.Name, src.ID, dst.ID)
	p.Schedule, p.Options, p.MaxRetries = in.Schedule, in.Options, settings.MaxRetries
	set(&p.MaxRetries, in.MaxRetries)
	set(&p.TimeoutSeconds, in.TimeoutSeconds)
	if in.TargetSchema != "" {
		p.TargetSchema = in.TargetSchema
	}
	if in.LoadMode != "" {
		p.LoadMode = in.LoadMode
	}
	p.SetDefaults()
	var found []connectors.Table
	if len(in.Choices) > 0 {
		p.Tables = chooseTables(nil, p.LoadMode, in.Choices)
		found = s.forTransforms(ctx, src.ID, in.Choices)
	} else if found, err = s.fillPipeline(ctx, src, in, &p); err != nil {
		return model.Pipeline{}, err
	}
	err = s.change(ctx, func(tx *store.Store) (Change, error) {
		if in.DependsOn != "" {
			upstream, err := tx.FindPipeline(ctx, in.DependsOn)
			if err != nil {
				return Change{}, err
			}
			p.DependsOn = upstream.ID
		}
		return s.createPipeline(ctx, tx, &p, dst, found)
	})
	return p, err
}

// ends finds what a new pipeline is to connect. Both are looked for, so that
// all that is missing is said at once.
func (s *Service) ends(ctx context.Context, source, destination string) (src model.Source, dst model.Destination, err error) {
	var faults []model.FieldError
	if src, err = s.Store.FindSource(ctx, source); IsNotFound(err) {
		faults = append(faults, model.FieldError{Field: "source_id", Message: fmt.Sprintf("there is no source %q", source)})
	} else if err != nil {
		return src, dst, err
	}
	if destination == "" {
		dst, err = s.Store.DefaultDestination(ctx)
	} else {
		dst, err = s.Store.FindDestination(ctx, destination)
	}
	if IsNotFound(err) {
		message := fmt.Sprintf("there is no destination %q", destination)
		if destination == "" {
			message = "is required: no destination is the default one"
		}
		faults = append(faults, model.FieldError{Field: "destination_id", Message: message})
	} else if err != nil {
		return src, dst, err
	}
	return src, dst, invalid("the pipeline", faults)
}

// fillPipeline takes the source's tables into a new pipeline.
func (s *Service) fillPipeline(ctx context.Context, src model.Source, in PipelineInput, p *model.Pipeline) ([]connectors.Table, error) {
	source, err := s.storedSource(ctx, src)
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }()
	sel := selectionOf(src)
	if len(in.Tables) > 0 {
		sel.Include = in.Tables
	}
	found, err := sel.tables(ctx, source)
	if err != nil {
		return nil, err
	}
	for _, t := range found {
		pt := pipelineTable(t)
		pt.LoadMode = p.LoadMode
		if in.SyncMode != "" {
			pt.SyncMode = in.SyncMode
		}
		p.Tables = append(p.Tables, pt)
	}
	return found, nil
}

// createPipeline checks and stores a new pipeline.
func (s *Service) createPipeline(ctx context.Context, tx *store.Store, p *model.Pipeline, dst model.Destination, found []connectors.Table) (Change, error) {
	if err := s.checkPipeline(ctx, tx, *p, dst, found); err != nil {
		return Change{}, err
	}
	err := tx.CreatePipeline(ctx, p)
	return Change{Action: "pipeline.create", ID: p.ID, Name: p.Name, After: *p}, err
}

// savePipeline checks and stores a changed pipeline.
func (s *Service) savePipeline(ctx context.Context, tx *store.Store, before model.Pipeline, p *model.Pipeline, found []connectors.Table) (Change, error) {
	dst, err := tx.GetDestination(ctx, p.DestinationID)
	if err != nil {
		return Change{}, err
	}
	if err := s.checkPipeline(ctx, tx, *p, dst, found); err != nil {
		return Change{}, err
	}
	err = tx.UpdatePipeline(ctx, p)
	return Change{Action: "pipeline.update", ID: p.ID, Name: p.Name, Before: before, After: *p}, err
}

// PipelineUpdate is what to change of a pipeline; nil leaves a field as it is.
// An empty Schedule and an empty DependsOn take them away.
type PipelineUpdate struct {
	Name           *string
	Status         *model.PipelineStatus
	Schedule       *string
	DependsOn      *string
	TargetSchema   *string
	LoadMode       *model.LoadMode
	MaxRetries     *int
	TimeoutSeconds *int
	Options        *model.PipelineOptions
	Choices        *[]TableChoice // these become its tables
}

// UpdatePipeline changes a pipeline.
func (s *Service) UpdatePipeline(ctx context.Context, idOrName string, in PipelineUpdate) (model.Pipeline, error) {
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return model.Pipeline{}, err
	}
	var found []connectors.Table
	if in.Choices != nil {
		if p, err := s.Store.FindPipeline(ctx, idOrName); err == nil {
			found = s.forTransforms(ctx, p.SourceID, *in.Choices)
		}
	}
	var p model.Pipeline
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.FindPipeline(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		p = before
		set(&p.Name, in.Name)
		set(&p.Status, in.Status)
		set(&p.Schedule, in.Schedule)
		set(&p.TargetSchema, in.TargetSchema)
		set(&p.LoadMode, in.LoadMode)
		set(&p.MaxRetries, in.MaxRetries)
		set(&p.TimeoutSeconds, in.TimeoutSeconds)
		set(&p.Options, in.Options)
		p.SetDefaults()
		if in.DependsOn != nil {
			p.DependsOn = ""
			if *in.DependsOn != "" {
				upstream, err := tx.FindPipeline(ctx, *in.DependsOn)
				if IsNotFound(err) {
					return Change{}, fault("the pipeline", "depends_on", "there is no pipeline %q", *in.DependsOn)
				}
				if err != nil {
					return Change{}, err
				}
				p.DependsOn = upstream.ID
			}
		}
		if in.Choices != nil {
			p.Tables = chooseTables(before.Tables, p.LoadMode, *in.Choices)
		}
		return s.savePipeline(ctx, tx, before, &p, found)
	})
	return p, err
}

// PausePipeline keeps a pipeline's schedule for later; ResumePipeline takes it
// up again.
func (s *Service) PausePipeline(ctx context.Context, idOrName string) (model.Pipeline, error) {
	return s.setStatus(ctx, idOrName, model.PipelinePaused, "pipeline.pause")
}

// ResumePipeline takes up the schedule of a pipeline again.
func (s *Service) ResumePipeline(ctx context.Context, idOrName string) (model.Pipeline, error) {
	return s.setStatus(ctx, idOrName, model.PipelineActive, "pipeline.resume")
}

func (s *Service) setStatus(ctx context.Context, idOrName string, status model.PipelineStatus, action string) (model.Pipeline, error) {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return model.Pipeline{}, err
	}
	var p model.Pipeline
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.FindPipeline(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		p = before
		p.Status = status
		return Change{Action: action, ID: p.ID, Name: p.Name, Before: before, After: p}, tx.SetPipelineStatus(ctx, p.ID, status)
	})
	return p, err
}

// PauseAll pauses every active pipeline, ResumeAll makes every paused one active;
// they return the ones that changed. Inactive ones stay as they are.
func (s *Service) PauseAll(ctx context.Context) ([]model.Pipeline, error) {
	return s.setAll(ctx, model.PipelineActive, s.PausePipeline)
}

// ResumeAll makes every paused pipeline active again.
func (s *Service) ResumeAll(ctx context.Context) ([]model.Pipeline, error) {
	return s.setAll(ctx, model.PipelinePaused, s.ResumePipeline)
}

func (s *Service) setAll(ctx context.Context, from model.PipelineStatus, set func(context.Context, string) (model.Pipeline, error)) ([]model.Pipeline, error) {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return nil, err
	}
	list, err := all(func(page store.Page) ([]model.Pipeline, int, error) {
		return s.Store.ListPipelines(ctx, store.PipelineFilter{Status: from, Page: page})
	})
	if err != nil {
		return nil, err
	}
	changed := []model.Pipeline{}
	for _, p := range list {
		p, err := set(ctx, p.ID)
		if err != nil && !IsNotFound(err) { // one that was deleted meanwhile is no concern
			return changed, err
		}
		changed = append(changed, p)
	}
	return changed, nil
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
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	return s.Store.ListPipelines(ctx, store.PipelineFilter{Page: store.Page{Limit: limit, Offset: offset}})
}

// Pipeline finds a pipeline by id or name.
func (s *Service) Pipeline(ctx context.Context, idOrName string) (model.Pipeline, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Pipeline{}, err
	}
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
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return nil, err
	}
	p, src, _, err := s.whole(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	found, err := s.discover(ctx, src)
	if err != nil {
		return nil, err
	}
	before := p
	p.Tables = slices.Clone(p.Tables)
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
	return list, s.change(ctx, func(tx *store.Store) (Change, error) { return s.savePipeline(ctx, tx, before, &p, found) })
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
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		p, err := tx.FindPipeline(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		return Change{Action: "pipeline.delete", ID: p.ID, Name: p.Name, Before: p}, tx.DeletePipeline(ctx, p.ID)
	})
}

// Watermarks lists how far the tables of a pipeline are loaded.
func (s *Service) Watermarks(ctx context.Context, pipelineID string) ([]model.Watermark, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.ListWatermarks(ctx, pipelineID)
}

// ResetWatermark makes the next run of a table start from the beginning; an
// empty table means all of the pipeline.
func (s *Service) ResetWatermark(ctx context.Context, pipeline, table string) error {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		p, err := tx.FindPipeline(ctx, pipeline)
		if err != nil {
			return Change{}, err
		}
		if run, err := tx.LatestRun(ctx, p.ID); err == nil && run.Status == model.RunRunning {
			return Change{}, ErrRunActive
		}
		marks, err := tx.ListWatermarks(ctx, p.ID)
		if err != nil {
			return Change{}, err
		}
		gone := map[string]string{}
		for _, m := range marks {
			if table != "" && m.SourceTable != table {
				continue
			}
			gone[m.SourceTable] = m.Value
			if err := tx.DeleteWatermark(ctx, p.ID, m.SourceTable); err != nil {
				return Change{}, err
			}
		}
		if table != "" && len(gone) == 0 && !slices.ContainsFunc(p.Tables, func(t model.PipelineTable) bool { return t.Key() == table }) {
			return Change{}, ErrNotFound
		}
		return Change{Action: "watermark.reset", ID: p.ID, Name: p.Name, Before: gone}, nil
	})
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
func (s *Service) checkPipeline(ctx context.Context, st *store.Store, p model.Pipeline, dst model.Destination, found []connectors.Table) error {
	faults := p.Validate()
	if len(p.Tables) == 0 {
		faults = append(faults, model.FieldError{Field: "tables", Message: "the pipeline has none"})
	}
	if err := checkSchedule(p.Schedule); err != nil {
		faults = append(faults, model.FieldError{Field: "schedule", Message: err.Error()})
	}
	circle, err := waitsForItself(ctx, st, p)
	if err != nil {
		return err
	}
	if circle != "" {
		faults = append(faults, model.FieldError{Field: "depends_on", Message: circle})
	}
	faults = append(faults, s.transformFaults(ctx, p, found)...)
	names := s.names(p, dst)
	taken := map[connectors.TableRef]string{}
	src, err := st.GetSource(ctx, p.SourceID)
	if err != nil && !IsNotFound(err) {
		return err
	}
	var filled []string
	for _, t := range p.Tables {
		for _, table := range []connectors.Table{configuredTable(t), discovered(t, found)} {
			filled = append(filled, names.Target(table, t).Name, names.Raw(src.Name, table).Name)
		}
	}
	others, err := st.Alike(ctx, p.DestinationID, p.ID, filled)
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
	more, err := s.sharedRaw(ctx, st, p, dst, others)
	if err != nil {
		return err
	}
	faults = append(append(faults, more...), keylessDeletes(p, found)...)
	for i, t := range p.Tables {
		if !t.Enabled {
			continue
		}
		ref := names.Target(discovered(t, found), t)
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

// waitsForItself says in what way a pipeline would wait for itself, "" when it does not.
func waitsForItself(ctx context.Context, st *store.Store, p model.Pipeline) (string, error) {
	path := []string{p.Name}
	for next := p.DependsOn; next != "" && next != p.ID; {
		if len(path) > 1000 {
			return "the pipelines it depends on wait for each other", nil
		}
		upstream, err := st.GetPipeline(ctx, next)
		if IsNotFound(err) {
			return fmt.Sprintf("there is no pipeline %s", next), nil
		}
		if err != nil {
			return "", err
		}
		path = append(path, upstream.Name)
		if next = upstream.DependsOn; next == p.ID && p.ID != "" {
			return "the pipelines would wait for each other: " + strings.Join(append(path, p.Name), " after "), nil
		}
	}
	return "", nil
}

// discovered is a configured table as it was found at the source, or else as it is configured.
func discovered(t model.PipelineTable, found []connectors.Table) connectors.Table {
	if at := slices.IndexFunc(found, func(f connectors.Table) bool { return engine.Matches(t, f) }); at >= 0 {
		return found[at]
	}
	return configuredTable(t)
}

// configuredTable is what a configuration alone knows of its table.
func configuredTable(t model.PipelineTable) connectors.Table { return engine.Configured(t) }
