package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// SyncRequest is a one-line sync: two connections and what to copy.
type SyncRequest struct {
	From, To     connectors.Config
	Tables       []string // globs
	Exclude      []string
	SourceSchema string
	TargetSchema string
	Mode         model.SyncMethod
	LoadMode     model.LoadMode
	Key          []string
	Watermark    string
	LookbackSecs int
	Parallel     int
	FullRefresh  bool // read everything once more, whatever the mode
	Policies     model.Policies
	Views        bool // views and materialised views too
	Progress     func(engine.Event)
}

// Sync copies tables from one database to another. The sync is stored as an
// ordinary pipeline and found again by its endpoints, so that the next one is
// incremental. Nothing is stored before both ends have answered once.
func (s *Service) Sync(ctx context.Context, req SyncRequest) (engine.Report, error) {
	for _, p := range []auth.Permission{auth.EditSources, auth.EditDestinations, auth.EditPipelines, auth.RunPipelines} {
		if err := s.may(ctx, p); err != nil {
			return engine.Report{}, err
		}
	}
	key := syncKey(req)
	p, err := s.Store.FindPipelineBySyncKey(ctx, key)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return engine.Report{}, err
	}
	source, destination, err := s.openFirst(ctx, req, p, known)
	if err == nil {
		var report engine.Report
		report, err = s.syncOpened(ctx, req, key, p, source, destination)
		if err == nil || report.RunID != "" {
			return report, err
		}
		err = errors.Join(err, source.Close(), destination.Close())
	}
	if !known || ctx.Err() != nil || isInvalid(err) {
		return engine.Report{}, err
	}
	// An existing pipeline that cannot run leaves a failed run behind, so that its history tells.
	p.MaxRetries = 0
	return s.engine(req.Progress).Run(ctx, engine.Job{
		Pipeline: p, Trigger: model.TriggerManual,
		Open: func(context.Context) (connectors.Source, connectors.Destination, error) { return nil, nil, err },
	})
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[*InvalidError](err)
	return ok
}

// openFirst connects to both ends, again and again as a run does.
func (s *Service) openFirst(ctx context.Context, req SyncRequest, p model.Pipeline, known bool) (source connectors.Source, destination connectors.Destination, err error) {
	settings, err := s.settings(ctx)
	if err != nil {
		return nil, nil, err
	}
	tries := settings.MaxRetries
	if known {
		tries = p.MaxRetries
	}
	err = s.engine(req.Progress).Again(ctx, tries, max(settings.InitialBackoff, 1), func() error {
		source, destination, err = s.openBoth(ctx, req)
		return err
	})
	return source, destination, err
}

func (s *Service) openBoth(ctx context.Context, req SyncRequest) (connectors.Source, connectors.Destination, error) {
	source, err := s.openSource(ctx, req.From)
	if err != nil {
		return nil, nil, err
	}
	destination, err := s.openDestination(ctx, req.To)
	if err != nil {
		return nil, nil, errors.Join(err, source.Close())
	}
	return source, destination, nil
}

// syncOpened selects the tables, stores the pipeline and runs it. When it
// returns without a run, the caller closes the connections.
func (s *Service) syncOpened(ctx context.Context, req SyncRequest, key string, p model.Pipeline, source connectors.Source, destination connectors.Destination) (engine.Report, error) {
	sel := selection{Include: req.Tables, Exclude: req.Exclude, Views: req.Views}
	if req.SourceSchema != "" {
		sel.Schemas = []string{req.SourceSchema}
	}
	found, err := sel.tables(ctx, source)
	if err != nil {
		return engine.Report{}, err
	}
	src, dst, err := s.endpoints(ctx, req)
	if err != nil {
		return engine.Report{}, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return engine.Report{}, err
	}
	before := p
	p.Tables = slices.Clone(p.Tables)
	if p.ID == "" {
		p = model.NewPipeline(freeName(src.Name+" to "+dst.Name, func(n string) bool { _, err := s.Store.FindPipeline(ctx, n); return err == nil }), src.ID, dst.ID)
		p.SyncKey, p.TimeoutSeconds, p.MaxRetries = key, 0, settings.MaxRetries
	}
	var only []string
	for _, t := range found {
		pt := pipelineTable(t)
		at := slices.IndexFunc(p.Tables, func(o model.PipelineTable) bool { return o.Key() == pt.Key() })
		if at < 0 {
			p.Tables = append(p.Tables, pt)
			at = len(p.Tables) - 1
		}
		req.configure(&p.Tables[at])
		only = append(only, pt.Key())
	}
	p.Options.Parallel, p.Options.LookbackSeconds, p.LoadMode = req.Parallel, req.LookbackSecs, req.LoadMode
	p.Options.Policies = req.Policies
	if req.TargetSchema != "" {
		p.TargetSchema = req.TargetSchema
	}
	err = s.change(ctx, func(tx *store.Store) (Change, error) {
		if p.CreatedAt.IsZero() {
			return s.createPipeline(ctx, tx, &p, dst, found)
		}
		return s.savePipeline(ctx, tx, before, &p, found)
	})
	if err != nil {
		return engine.Report{}, err
	}
	opened := true // the first attempt goes on with the connections that found the tables
	job := engine.Job{
		Pipeline: p, Only: only, Trigger: model.TriggerManual, SourceName: src.Name, SyncMethod: req.Mode,
		Open: func(ctx context.Context) (connectors.Source, connectors.Destination, error) {
			if opened {
				opened = false
				return source, destination, nil
			}
			return s.openBoth(ctx, req)
		},
		Discovered: found, Names: s.names(p, dst), FullRefresh: req.FullRefresh,
	}
	if err := s.prepare(ctx, &job, RunRequest{Force: true}, dst, settings); err != nil {
		return engine.Report{}, err
	}
	return s.engine(req.Progress).Run(ctx, job)
}

// configure writes what the command line said of every table.
func (r SyncRequest) configure(t *model.PipelineTable) {
	t.Enabled, t.LoadMode, t.KeyColumns, t.WatermarkColumn = true, r.LoadMode, r.Key, r.Watermark
	t.SyncMode = model.ModeIncremental
	if r.Mode == model.SyncFullRefresh {
		t.SyncMode = model.ModeFullRefresh
	}
}

// syncKey is the identity of a one-line sync: its two ends and schemas, without
// passwords.
func syncKey(req SyncRequest) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{req.From.URL(), req.To.URL(), req.SourceSchema, req.TargetSchema}, "\n")))
	return hex.EncodeToString(sum[:16])
}

// endpoints finds or stores the two ends of a sync. A password given now
// replaces the stored one.
func (s *Service) endpoints(ctx context.Context, req SyncRequest) (model.Source, model.Destination, error) {
	src, dst := sourceOf(req.From), destinationOf(req.To)
	fail := func(err error) (model.Source, model.Destination, error) {
		return model.Source{}, model.Destination{}, err
	}
	sources, err := all(func(page store.Page) ([]model.Source, int, error) { return s.Store.ListSources(ctx, page) })
	if err != nil {
		return fail(err)
	}
	sealed, err := s.seal(req.From.Password)
	if err != nil {
		return fail(err)
	}
	url := sourceConfig(src).URL()
	if at := slices.IndexFunc(sources, func(o model.Source) bool { return sourceConfig(o).URL() == url }); at >= 0 {
		before := sources[at]
		src = before
		if src.PasswordEnc, err = s.fresher(src.PasswordEnc, sealed, req.From.Password); err != nil {
			return fail(err)
		}
		err = s.change(ctx, func(tx *store.Store) (Change, error) {
			err := tx.UpdateSource(ctx, &src)
			return Change{Action: "source.update", ID: src.ID, Name: src.Name, Before: sourceAudit{Source: before}, After: sourceAudit{src, changedSecret(src.PasswordEnc != before.PasswordEnc)}}, err
		})
	} else {
		src.Name, src.PasswordEnc = freeName(endpointName(req.From), func(n string) bool { _, err := s.Store.FindSource(ctx, n); return err == nil }), sealed
		if err = invalid("the source", src.Validate()); err == nil {
			err = s.change(ctx, func(tx *store.Store) (Change, error) {
				err := tx.CreateSource(ctx, &src)
				return Change{Action: "source.create", ID: src.ID, Name: src.Name, After: src}, err
			})
		}
	}
	if err != nil {
		return fail(err)
	}
	destinations, err := all(func(page store.Page) ([]model.Destination, int, error) { return s.Store.ListDestinations(ctx, page) })
	if err != nil {
		return fail(err)
	}
	if sealed, err = s.seal(req.To.Password); err != nil {
		return fail(err)
	}
	url = destinationConfig(dst).URL()
	if at := slices.IndexFunc(destinations, func(o model.Destination) bool { return destinationConfig(o).URL() == url }); at >= 0 {
		before := destinations[at]
		dst = before
		if dst.PasswordEnc, err = s.fresher(dst.PasswordEnc, sealed, req.To.Password); err != nil {
			return fail(err)
		}
		err = s.change(ctx, func(tx *store.Store) (Change, error) {
			err := tx.UpdateDestination(ctx, &dst)
			return Change{Action: "destination.update", ID: dst.ID, Name: dst.Name, Before: destinationAudit{Destination: before}, After: destinationAudit{dst, changedSecret(dst.PasswordEnc != before.PasswordEnc)}}, err
		})
	} else {
		dst.Name, dst.PasswordEnc = freeName(endpointName(req.To), func(n string) bool { _, err := s.Store.FindDestination(ctx, n); return err == nil }), sealed
		if err = invalid("the destination", dst.Validate()); err == nil {
			err = s.change(ctx, func(tx *store.Store) (Change, error) {
				err := tx.CreateDestination(ctx, &dst)
				return Change{Action: "destination.create", ID: dst.ID, Name: dst.Name, After: dst}, err
			})
		}
	}
	if err != nil {
		return fail(err)
	}
	return src, dst, nil
}

// fresher keeps the stored sealed password unless another one was given.
func (s *Service) fresher(stored, sealed string, given connectors.Secret) (string, error) {
	if given == "" {
		return stored, nil
	}
	if old, err := s.unseal(stored); err == nil && old == given {
		return stored, nil
	}
	return sealed, nil
}

// endpointName is what a person would call a database: its own name.
func endpointName(cfg connectors.Config) string {
	name := cfg.Database
	if cfg.Host == "" {
		name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
		if cfg.Database == "" {
			name = "warehouse"
		}
	}
	if strings.Trim(model.Slug(name), "_") == "" {
		name = cfg.Type
	}
	return name
}

// freeName appends a number to a name that is taken.
func freeName(name string, taken func(string) bool) string {
	free := name
	for i := 2; taken(free); i++ {
		free = fmt.Sprintf("%s %d", name, i)
	}
	return free
}
