package control

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/connectors"
)

// CacheDir is where the data directory keeps what can be found out again.
const CacheDir = "cache"

// catalogueForm changes when what is kept of a table changes its meaning.
const catalogueForm = "1"

// keptCatalogues is how many catalogues stay in memory.
const keptCatalogues = 4

// known is what the service knows of sources and destinations beside the state file.
type known struct {
	probes probes

	mu         sync.Mutex // of the files and of what follows
	catalogues map[string]catalogueFile
	order      []string // of their ids, the latest last
	sampling   sync.Mutex
}

// Catalogue is what a source or destination held when somebody last looked for
// its tables; At is zero when nobody has since its settings were changed. It is
// shared: leave the tables as they are.
type Catalogue struct {
	At     time.Time
	Tables []connectors.Table
}

// catalogueFile is a catalogue in its file.
type catalogueFile struct {
	Of     string // what was looked at: address, user and selection
	At     time.Time
	Tables []connectors.Table
}

// Catalogue says what tables a source had when they were last discovered. It
// does not connect.
func (s *Service) Catalogue(ctx context.Context, idOrName string) (Catalogue, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return Catalogue{}, err
	}
	src, err := s.Store.FindSource(ctx, idOrName)
	if err != nil {
		return Catalogue{}, err
	}
	return s.catalogue(src.ID, fingerprint(sourceConfig(src), selectionOf(src)))
}

// DestinationCatalogue says what tables a destination had when they were last
// discovered.
func (s *Service) DestinationCatalogue(ctx context.Context, idOrName string) (Catalogue, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return Catalogue{}, err
	}
	dst, err := s.Store.FindDestination(ctx, idOrName)
	if err != nil {
		return Catalogue{}, err
	}
	return s.catalogue(dst.ID, destinationPrint(dst))
}

func destinationPrint(dst model.Destination) string {
	return fingerprint(destinationConfig(dst), selection{Schemas: []string{dst.TargetSchema, dst.RawSchema}})
}

// fingerprint changes with whatever decides which tables are found.
func fingerprint(cfg connectors.Config, sel selection) string {
	text, _ := json.Marshal(sel) // plain texts
	sum := sha256.Sum256([]byte(strings.Join([]string{catalogueForm, cfg.URL(), string(text)}, "\n")))
	return hex.EncodeToString(sum[:12])
}

func (s *Service) catalogue(id, of string) (Catalogue, error) {
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	kept, ok := s.known.catalogues[id]
	if !ok {
		err := s.readCache(catalogueName(id), &kept)
		if err != nil {
			return Catalogue{}, err
		}
		s.known.remember(id, kept)
	}
	if kept.Of != of {
		return Catalogue{}, nil
	}
	return Catalogue{At: kept.At, Tables: kept.Tables}, nil
}

// keepCatalogue remembers what was found. That it cannot be written is no reason
// to withhold it.
func (s *Service) keepCatalogue(ctx context.Context, id, of string, tables []connectors.Table) {
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	kept := catalogueFile{Of: of, At: s.Now().UTC(), Tables: tables}
	s.known.remember(id, kept)
	if err := s.writeCache(catalogueName(id), kept); err != nil {
		s.Log.WarnContext(ctx, "keep the tables that were found", "error", err)
	}
}

// forgetEnd forgets what is known of a source or destination that is gone.
func (s *Service) forgetEnd(id string) {
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	delete(s.known.catalogues, id)
	_ = os.Remove(filepath.Join(s.Store.Dir(), CacheDir, catalogueName(id))) // it can be found out again, and is overwritten by nothing
}

// remember keeps a catalogue in memory instead of the oldest one there.
func (e *known) remember(id string, kept catalogueFile) {
	if e.catalogues == nil {
		e.catalogues = map[string]catalogueFile{}
	}
	if _, there := e.catalogues[id]; !there {
		if e.order = append(e.order, id); len(e.order) > keptCatalogues {
			delete(e.catalogues, e.order[0])
			e.order = e.order[1:]
		}
	}
	e.catalogues[id] = kept
}

func catalogueName(id string) string { return "tables-" + id + ".json.gz" }

// readCache reads a file of the cache; v stays as it is when there is none or it
// cannot be read, since it can be made again.
func (s *Service) readCache(name string, v any) error {
	f, err := os.Open(filepath.Join(s.Store.Dir(), CacheDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the cache: %w", err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(v)
	}
	if err != nil {
		s.Log.Warn("a file of the cache is damaged and is made anew", "file", name, "error", err)
	}
	return nil
}

// writeCache writes a file of the cache, whole or not at all.
func (s *Service) writeCache(name string, v any) error {
	dir := filepath.Join(s.Store.Dir(), CacheDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return err
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed) // the level is valid
	err = errors.Join(json.NewEncoder(z).Encode(v), z.Close(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
