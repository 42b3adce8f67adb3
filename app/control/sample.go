package control

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
	"arus/embed/sample"
)

// SampleFile is where the sample shop lies in a data directory.
func SampleFile(dataDir string) string { return filepath.Join(dataDir, SampleDir, "shop.db") }

// AddSample makes the sample shop of about rows rows, where it is not there yet,
// and a pipeline from it into the built-in warehouse.
func (s *Service) AddSample(ctx context.Context, rows int) (model.Pipeline, error) {
	for _, p := range []auth.Permission{auth.EditSources, auth.EditDestinations, auth.EditPipelines} {
		if err := s.may(ctx, p); err != nil {
			return model.Pipeline{}, err
		}
	}
	s.known.sampling.Lock()
	defer s.known.sampling.Unlock()
	file := SampleFile(s.Store.Dir())
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return model.Pipeline{}, err
	}
	if err := sample.Create(ctx, file, rows); err != nil && !errors.Is(err, fs.ErrExist) {
		return model.Pipeline{}, err
	}
	src, err := s.sampleSource(ctx, file)
	if err != nil {
		return model.Pipeline{}, err
	}
	dst, err := s.AddBuiltIn(ctx)
	if err != nil {
		return model.Pipeline{}, err
	}
	there, _, err := s.Store.ListPipelines(ctx, store.PipelineFilter{SourceID: src.ID, DestinationID: dst.ID, Page: store.Page{Limit: 1}})
	if err != nil {
		return model.Pipeline{}, err
	}
	if len(there) > 0 {
		return there[0], nil
	}
	return s.AddPipeline(ctx, PipelineInput{
		Name: freeName("sample-shop", func(n string) bool { _, err := s.Store.FindPipeline(ctx, n); return err == nil }), Source: src.ID, Destination: dst.ID,
	})
}

// sampleSource finds or stores the sample shop as a source. Its file is the
// program's own, so whoever may add sources may add it.
func (s *Service) sampleSource(ctx context.Context, file string) (model.Source, error) {
	src := sourceOf(connectors.Config{Type: string(model.SourceSQLite), Database: file})
	sources, err := all(func(page store.Page) ([]model.Source, int, error) { return s.Store.ListSources(ctx, page) })
	if err != nil {
		return src, err
	}
	if at := slices.IndexFunc(sources, func(o model.Source) bool { return sourceConfig(o).URL() == sourceConfig(src).URL() }); at >= 0 {
		return sources[at], nil
	}
	src.Name = freeName("sample-shop", func(n string) bool { _, err := s.Store.FindSource(ctx, n); return err == nil })
	err = s.change(ctx, func(tx *store.Store) (Change, error) {
		err := tx.CreateSource(ctx, &src)
		return Change{Action: "source.create", ID: src.ID, Name: src.Name, After: src}, err
	})
	return src, err
}

// AddBuiltIn finds or stores the data directory's own warehouse as a
// destination: the default one where there is none yet.
func (s *Service) AddBuiltIn(ctx context.Context) (model.Destination, error) {
	if err := s.may(ctx, auth.EditDestinations); err != nil {
		return model.Destination{}, err
	}
	dst, found, err := s.builtIn(ctx)
	if err != nil || found {
		return dst, err
	}
	_, err = s.Store.DefaultDestination(ctx)
	if err != nil && !IsNotFound(err) {
		return dst, err
	}
	return s.AddDestination(ctx, DestinationInput{
		Name:       freeName("warehouse", func(n string) bool { _, err := s.Store.FindDestination(ctx, n); return err == nil }),
		Connection: connectors.Config{Type: string(model.DestinationEmbedded)}, IsDefault: IsNotFound(err),
	})
}

// builtIn is the destination that is the data directory's own warehouse.
func (s *Service) builtIn(ctx context.Context) (dst model.Destination, found bool, err error) {
	list, err := all(func(page store.Page) ([]model.Destination, int, error) { return s.Store.ListDestinations(ctx, page) })
	if err != nil {
		return dst, false, err
	}
	own := WarehouseDir(s.Store.Dir())
	at := slices.IndexFunc(list, func(d model.Destination) bool {
		return d.Type == model.DestinationEmbedded && (d.Database == "" || realPath(d.Database) == realPath(own))
	})
	if at < 0 {
		return dst, false, nil
	}
	return list[at], true, nil
}
