package control

import (
	"context"

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
	src := sourceOf(in.Connection)
	src.Name, src.SchemaInclude, src.TableInclude, src.TableExclude = in.Name, in.Schemas, in.Include, in.Exclude
	src.Options.Views = in.Views
	if in.SyncMethod != "" {
		src.SyncMethod = in.SyncMethod
	}
	if err := invalid("the source", src.Validate()); err != nil {
		return model.Source{}, err
	}
	var err error
	if src.PasswordEnc, err = s.seal(in.Connection.Password); err != nil {
		return model.Source{}, err
	}
	err = s.Store.CreateSource(ctx, &src)
	return src, err
}

// ListSources gives one page of the sources and how many there are.
func (s *Service) ListSources(ctx context.Context, limit, offset int) ([]model.Source, int, error) {
	return s.Store.ListSources(ctx, store.Page{Limit: limit, Offset: offset})
}

// Source finds a source by id or name.
func (s *Service) Source(ctx context.Context, idOrName string) (model.Source, error) {
	return s.Store.FindSource(ctx, idOrName)
}

// DeleteSource removes a source with its pipelines and their history. What was
// loaded stays at the destinations.
func (s *Service) DeleteSource(ctx context.Context, idOrName string) error {
	src, err := s.Store.FindSource(ctx, idOrName)
	if err != nil {
		return err
	}
	return s.Store.DeleteSource(ctx, src.ID)
}

// Discover lists the tables of a stored source that its filters admit.
func (s *Service) Discover(ctx context.Context, idOrName string) ([]connectors.Table, error) {
	src, err := s.Store.FindSource(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	tables, err := s.discover(ctx, src)
	status, message := model.ConnectionConnected, ""
	if err != nil {
		status, message = model.ConnectionError, err.Error()
	}
	if serr := s.Store.SetSourceStatus(ctx, src.ID, status, message); err == nil {
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
