package control

import (
	"context"
	"strings"
	"time"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// SourceInput is a new source: a connection, and how its tables are read.
type SourceInput struct {
	Name       string
	Connection connectors.Config
	SyncMethod model.SyncMethod
	Schemas    []string
	Include    []string
	Exclude    []string
	Views      bool // views and materialised views too
}

// AddSource stores a source with its password sealed. It does not connect.
func (s *Service) AddSource(ctx context.Context, in SourceInput) (model.Source, error) {
	if err := s.may(ctx, auth.EditSources); err != nil {
		return model.Source{}, err
	}
	src := sourceOf(in.Connection)
	src.Name, src.SchemaInclude, src.TableInclude, src.TableExclude = in.Name, in.Schemas, in.Include, in.Exclude
	src.Options.Views = in.Views
	if in.SyncMethod != "" {
		src.SyncMethod = in.SyncMethod
	}
	if err := invalid("the source", append(src.Validate(), s.guard(ctx, in.Connection)...)); err != nil {
		return model.Source{}, err
	}
	var err error
	if src.PasswordEnc, err = s.seal(in.Connection.Password); err != nil {
		return model.Source{}, err
	}
	err = s.change(ctx, func(tx *store.Store) (Change, error) {
		err := tx.CreateSource(ctx, &src)
		return Change{Action: "source.create", ID: src.ID, Name: src.Name, After: src}, err
	})
	return src, err
}

// SourceUpdate is what to change of a source; nil leaves a field as it is.
type SourceUpdate struct {
	Name       *string
	Connection func(*connectors.Config) error // changes the connection; the password it finds is empty
	SyncMethod *model.SyncMethod
	Schemas    *[]string
	Include    *[]string
	Exclude    *[]string
	Views      *bool
}

// UpdateSource changes a source. A password is kept unless another one is
// given; one for another server or account has to be given again, so that
// nobody learns a stored one by sending it elsewhere.
func (s *Service) UpdateSource(ctx context.Context, idOrName string, in SourceUpdate) (model.Source, error) {
	if err := s.may(ctx, auth.EditSources); err != nil {
		return model.Source{}, err
	}
	var src model.Source
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.FindSource(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		src = before
		cfg := sourceConfig(before)
		if in.Connection != nil {
			if err := in.Connection(&cfg); err != nil {
				return Change{}, err
			}
			fresh := sourceOf(cfg)
			src.Type, src.Host, src.Port, src.Database, src.Username = fresh.Type, fresh.Host, fresh.Port, fresh.Database, fresh.Username
			src.SSL, src.Options.TLS, src.Options.Params = fresh.SSL, fresh.Options.TLS, fresh.Options.Params
		}
		set(&src.Name, in.Name)
		set(&src.SyncMethod, in.SyncMethod)
		set(&src.SchemaInclude, in.Schemas)
		set(&src.TableInclude, in.Include)
		set(&src.TableExclude, in.Exclude)
		set(&src.Options.Views, in.Views)
		faults := src.Validate()
		if in.Connection != nil {
			faults = append(faults, s.guard(ctx, cfg)...)
		}
		if cfg.Password == "" && before.PasswordEnc != "" && elsewhere(sourceConfig(before), cfg) {
			faults = append(faults, passwordNeeded)
		}
		if err := invalid("the source", faults); err != nil {
			return Change{}, err
		}
		if src.PasswordEnc, err = s.keepOrSeal(before.PasswordEnc, cfg.Password); err != nil {
			return Change{}, err
		}
		err = tx.UpdateSource(ctx, &src)
		return Change{
			Action: "source.update", ID: src.ID, Name: src.Name,
			Before: sourceAudit{Source: before}, After: sourceAudit{src, changedSecret(cfg.Password != "")},
		}, err
	})
	return src, err
}

type sourceAudit struct {
	model.Source
	Password string `json:"password,omitempty"`
}

// passwordNeeded is the fault of a connection that was moved without its password.
var passwordNeeded = model.FieldError{Field: "password", Message: "must be given again where server, account or encryption change"}

// elsewhere says whether a password would go to another place or account than
// it was given for, or there less well protected.
func elsewhere(a, b connectors.Config) bool {
	return a.Type != b.Type || !strings.EqualFold(a.Host, b.Host) || a.Port != b.Port || a.Username != b.Username ||
		a.Options[OptSSLMode] != b.Options[OptSSLMode] || a.Options[OptCAFile] != b.Options[OptCAFile]
}

func (s *Service) keepOrSeal(sealed string, given connectors.Secret) (string, error) {
	if given == "" {
		return sealed, nil
	}
	return s.seal(given)
}

// ListSources gives one page of the sources and how many there are.
func (s *Service) ListSources(ctx context.Context, limit, offset int) ([]model.Source, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	return s.Store.ListSources(ctx, store.Page{Limit: limit, Offset: offset})
}

// EndFilter narrows a list of sources or destinations.
type EndFilter = store.EndFilter

// Use is how many pipelines a source or destination is an end of, and how many
// tables these copy.
type Use = store.Use

// Sources gives one page of the sources that a filter lets through, how many
// these are, and the use of each by its id.
func (s *Service) Sources(ctx context.Context, f EndFilter) (list []model.Source, total int, use map[string]Use, err error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, nil, err
	}
	if list, total, err = s.Store.FilterSources(ctx, f); err != nil {
		return nil, 0, nil, err
	}
	use, err = s.Store.SourceUse(ctx)
	return list, total, use, err
}

// CopiedTables says by how many pipelines each table of a source is copied, by
// its key.
func (s *Service) CopiedTables(ctx context.Context, sourceID string) (map[string]int64, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.CopiedTables(ctx, sourceID)
}

// CloneSource stores a copy of a source, its password included, under a name.
func (s *Service) CloneSource(ctx context.Context, idOrName, name string) (model.Source, error) {
	if err := s.may(ctx, auth.EditSources); err != nil {
		return model.Source{}, err
	}
	var src model.Source
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		var err error
		if src, err = tx.FindSource(ctx, idOrName); err != nil {
			return Change{}, err
		}
		src.ID, src.Name, src.Status, src.LastTested, src.LastError = "", name, model.ConnectionRegistered, time.Time{}, ""
		if err := invalid("the source", src.Validate()); err != nil {
			return Change{}, err
		}
		err = tx.CreateSource(ctx, &src)
		return Change{Action: "source.create", ID: src.ID, Name: src.Name, After: src}, err
	})
	return src, err
}

// SourceTables is how many tables of one source its pipelines know and how many
// of those they copy.
type SourceTables = store.SourceTables

// SourceTables gives the counts by source.
func (s *Service) SourceTables(ctx context.Context) (map[string]SourceTables, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.SourceTables(ctx)
}

// Source finds a source by id or name.
func (s *Service) Source(ctx context.Context, idOrName string) (model.Source, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Source{}, err
	}
	return s.Store.FindSource(ctx, idOrName)
}

// SourceConnection is how a source is reached, without its password.
func SourceConnection(src model.Source) connectors.Config { return sourceConfig(src) }

// DeleteSource removes a source with its pipelines and their history. What was
// loaded stays at the destinations.
func (s *Service) DeleteSource(ctx context.Context, idOrName string) error {
	if err := s.may(ctx, auth.EditSources); err != nil {
		return err
	}
	var gone string
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		src, err := tx.FindSource(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		gone = src.ID
		return Change{Action: "source.delete", ID: src.ID, Name: src.Name, Before: src}, tx.DeleteSource(ctx, src.ID)
	})
	if err == nil {
		s.forgetEnd(gone)
	}
	return err
}

// Discover lists the tables of a stored source that its filters admit, as they
// are now, and keeps them as its catalogue.
func (s *Service) Discover(ctx context.Context, idOrName string) ([]connectors.Table, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return nil, err
	}
	src, err := s.Store.FindSource(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	tables, err := s.discover(ctx, src)
	status, message := model.ConnectionConnected, ""
	if err != nil {
		status, message = model.ConnectionError, err.Error()
	} else {
		s.keepCatalogue(ctx, src.ID, fingerprint(sourceConfig(src), selectionOf(src)), tables)
	}
	if serr := s.Store.SetSourceStatus(context.WithoutCancel(ctx), src.ID, status, message); err == nil {
		err = serr
	}
	return tables, err
}

func (s *Service) discover(ctx context.Context, src model.Source) ([]connectors.Table, error) {
	source, err := s.storedSource(ctx, src)
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }()
	return source.Tables(ctx, selectionOf(src).filter())
}

// TableChoice says of one table of a source whether and how it is copied; nil
// leaves what is there as it is, else the default.
type TableChoice struct {
	Schema           string // empty: the source's default
	Name             string
	TargetSchema     *string
	LoadMode         *model.LoadMode
	SyncMode         *model.SyncMode
	WatermarkColumn  *string
	TargetTable      *string
	KeyColumns       *[]string
	LookbackSeconds  *int
	SoftDeleteColumn *string
	SoftDelete       *model.SoftDelete
	Deletes          *model.DeleteMode
	Transform        *model.JSON
	Enabled          *bool
}

// apply changes the configuration of a table.
func (c TableChoice) apply(t *model.PipelineTable) {
	set(&t.TargetSchema, c.TargetSchema)
	set(&t.LoadMode, c.LoadMode)
	set(&t.SyncMode, c.SyncMode)
	set(&t.WatermarkColumn, c.WatermarkColumn)
	set(&t.TargetTable, c.TargetTable)
	set(&t.KeyColumns, c.KeyColumns)
	set(&t.LookbackSeconds, c.LookbackSeconds)
	set(&t.SoftDeleteColumn, c.SoftDeleteColumn)
	set(&t.SoftDelete, c.SoftDelete)
	set(&t.Deletes, c.Deletes)
	set(&t.TransformConfig, c.Transform)
	set(&t.Enabled, c.Enabled)
}

// chooseTables is the tables of a pipeline after a choice: the chosen ones in
// their order, those it knew already with all that was said of them before.
func chooseTables(known []model.PipelineTable, loadMode model.LoadMode, choices []TableChoice) []model.PipelineTable {
	tables := make([]model.PipelineTable, 0, len(choices))
	for _, c := range choices {
		t := model.NewPipelineTable(c.Schema, c.Name)
		t.LoadMode = loadMode
		if old, ok := knownTable(known, c); ok {
			t = old
		}
		c.apply(&t)
		tables = append(tables, t)
	}
	return tables
}

// knownTable finds the table that a choice means; without a schema, the only one
// of its name.
func knownTable(known []model.PipelineTable, c TableChoice) (found model.PipelineTable, ok bool) {
	key := model.NewPipelineTable(c.Schema, c.Name).Key()
	for _, t := range known {
		if t.Key() == key {
			return t, true
		}
	}
	n := 0
	for _, t := range known {
		if c.Schema == "" && t.SourceTable == c.Name {
			found = t
			n++
		}
	}
	return found, n == 1
}

// Schemas lists the schemas of a stored source, where it has such.
func (s *Service) Schemas(ctx context.Context, idOrName string) ([]string, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return nil, err
	}
	src, err := s.Store.FindSource(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	source, err := s.storedSource(ctx, src)
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }()
	if lister, ok := source.(connectors.SchemaLister); ok {
		return lister.Schemas(ctx)
	}
	return []string{}, nil
}

// ChooseTables makes the chosen tables of a source those of its first pipeline,
// which is made when there is none, into the default destination.
func (s *Service) ChooseTables(ctx context.Context, source string, choices []TableChoice) (p model.Pipeline, created bool, err error) {
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return p, false, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return p, false, err
	}
	found := s.forTransforms(ctx, source, choices)
	err = s.change(ctx, func(tx *store.Store) (Change, error) {
		src, err := tx.FindSource(ctx, source)
		if err != nil {
			return Change{}, err
		}
		list, _, err := tx.ListPipelines(ctx, store.PipelineFilter{SourceID: src.ID, Page: store.Page{Limit: 1}})
		if err != nil {
			return Change{}, err
		}
		if len(list) > 0 {
			before := list[0]
			p = before
			p.Tables = chooseTables(before.Tables, p.LoadMode, choices)
			return s.savePipeline(ctx, tx, before, &p, found)
		}
		dst, err := tx.DefaultDestination(ctx)
		if err != nil {
			return Change{}, err
		}
		name := freeName(settings.PipelineNamePrefix+model.Slug(src.Name), func(n string) bool { _, err := tx.FindPipeline(ctx, n); return err == nil })
		p = model.NewPipeline(name, src.ID, dst.ID)
		p.Schedule, p.MaxRetries = settings.DefaultSchedule, settings.MaxRetries
		p.Tables = chooseTables(nil, p.LoadMode, choices)
		created = true
		return s.createPipeline(ctx, tx, &p, dst, found)
	})
	return p, created, err
}

// Advise says by which column a table would be read incrementally.
func Advise(t connectors.Table) engine.Advice { return engine.Advise(t) }
