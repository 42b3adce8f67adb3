package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// TestResult is the outcome of a connection test.
type TestResult struct {
	Connected     bool               `json:"connected"` // no stage failed
	LatencyMS     int64              `json:"latency_ms"`
	ServerVersion string             `json:"server_version,omitempty"`
	Error         string             `json:"error,omitempty"`
	Stages        []connectors.Stage `json:"stages"`
	Err           error              `json:"-"`
}

// resultOf sums up the stages of one test.
func resultOf(stages []connectors.Stage, took time.Duration) TestResult {
	r := TestResult{Connected: true, LatencyMS: took.Round(time.Millisecond).Milliseconds(), Stages: stages}
	for _, s := range stages {
		if r.ServerVersion == "" {
			r.ServerVersion = s.Version
		}
	}
	if failed, ok := connectors.FailedStage(stages); ok {
		r.Connected, r.Err = false, failed.Err
		r.Error = failed.Name + ": " + failed.Detail
		if failed.Hint != "" {
			r.Error += " (" + failed.Hint + ")"
		}
	}
	return r
}

// Check tests a connection in stages. Only a request that makes no sense is an
// error: a connection that does not work is a result.
func (s *Service) Check(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) (TestResult, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return TestResult{}, err
	}
	conn, ok := s.Registry[cfg.Type]
	switch {
	case !ok || opts.Source && conn.OpenSource == nil:
		return TestResult{}, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "read from", Object: cfg.Type, Err: errors.New("it is no kind of source"),
			Hint: "sources are " + strings.Join(s.Registry.Types(true, false), ", "),
		}
	case opts.Destination && conn.OpenDestination == nil:
		return TestResult{}, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "load into", Object: cfg.Type, Err: errors.New("it is no kind of destination"),
			Hint: "destinations are " + strings.Join(s.Registry.Types(false, true), ", "),
		}
	}
	opts.Now = s.Now
	started := s.Now()
	var err error
	if cfg.Password, err = s.resolve(cfg.Password); err != nil {
		stages := connectors.NewStages(cfg, opts)
		stages.Settings(err)
		return resultOf(stages.List(), 0), nil
	}
	try := conn.Check
	if try == nil {
		try = openOnly(conn)
	}
	stages := try(ctx, s.located(cfg), opts)
	if err := ctx.Err(); err != nil {
		return TestResult{}, err
	}
	return resultOf(stages, s.Now().Sub(started)), nil
}

// CheckNew tests a connection that somebody asks for over the network.
func (s *Service) CheckNew(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) (TestResult, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return TestResult{}, err
	}
	if err := invalid("the connection", s.guard(ctx, cfg)); err != nil {
		return TestResult{}, err
	}
	return s.Check(ctx, cfg, opts)
}

// openOnly is the test of a connector that has none of its own.
func openOnly(conn connectors.Connector) connectors.CheckFunc {
	return func(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
		t := connectors.NewStages(cfg, opts)
		ctx, cancel := t.Bound(ctx)
		defer cancel()
		if opts.Source {
			t.Run(ctx, connectors.Stage{Name: connectors.StageOpen, As: connectors.AsSource}, func(ctx context.Context, _ *connectors.Stage) error {
				source, err := conn.OpenSource(ctx, cfg)
				if err != nil {
					return err
				}
				_, err = source.Tables(ctx, opts.Tables)
				return errors.Join(err, source.Close())
			})
		}
		if opts.Destination {
			t.Run(ctx, connectors.Stage{Name: connectors.StageOpen, As: connectors.AsDestination}, func(ctx context.Context, _ *connectors.Stage) error {
				destination, err := conn.OpenDestination(ctx, cfg)
				if err != nil {
					return err
				}
				return destination.Close()
			})
		}
		return t.List()
	}
}

// TestSource tests whether a stored source can be read, and keeps the outcome with it.
func (s *Service) TestSource(ctx context.Context, idOrName string) (TestResult, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return TestResult{}, err
	}
	src, err := s.Store.FindSource(ctx, idOrName)
	if err != nil {
		return TestResult{}, err
	}
	return s.testSource(ctx, src, selectionOf(src).filter(), nil)
}

// testSource tells each, where it is not nil, of every stage as it ends.
func (s *Service) testSource(ctx context.Context, src model.Source, tables connectors.TableFilter, each func(connectors.Stage)) (TestResult, error) {
	cfg := sourceConfig(src)
	var err error
	if cfg.Password, err = s.unseal(src.PasswordEnc); err != nil {
		return TestResult{}, fmt.Errorf("open the password of source %q: %w", src.Name, err)
	}
	r, err := s.Check(ctx, cfg, connectors.CheckOptions{Source: true, Tables: tables, Each: each})
	if err != nil {
		return r, err
	}
	status := model.ConnectionConnected
	if !r.Connected {
		status = model.ConnectionError
	}
	return r, s.Store.SetSourceStatus(ctx, src.ID, status, r.Error)
}

// TestDestination tests whether a stored destination can be written, and keeps
// the outcome with it.
func (s *Service) TestDestination(ctx context.Context, idOrName string) (TestResult, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return TestResult{}, err
	}
	dst, err := s.Store.FindDestination(ctx, idOrName)
	if err != nil {
		return TestResult{}, err
	}
	pipelines, err := s.pipelinesInto(ctx, dst)
	if err != nil {
		return TestResult{}, err
	}
	return s.testDestination(ctx, dst, pipelines, nil)
}

func (s *Service) pipelinesInto(ctx context.Context, dst model.Destination) ([]model.Pipeline, error) {
	return all(func(page store.Page) ([]model.Pipeline, int, error) {
		return s.Store.ListPipelines(ctx, store.PipelineFilter{DestinationID: dst.ID, Page: page})
	})
}

// testDestination tries the schemas that the pipelines load into; without any
// pipeline, the destination's own. each as in testSource.
func (s *Service) testDestination(ctx context.Context, dst model.Destination, pipelines []model.Pipeline, each func(connectors.Stage)) (TestResult, error) {
	targets := []string{}
	add := func(schema string) {
		if schema != "" && !slices.Contains(targets, schema) {
			targets = append(targets, schema)
		}
	}
	for _, p := range pipelines {
		names := s.names(p, dst)
		for _, t := range p.Tables {
			if !t.Enabled {
				continue
			}
			add(names.Target(configuredTable(t), t).Schema)
			if t.LoadMode == model.LoadRaw {
				add(dst.RawSchema)
			}
		}
	}
	if len(targets) == 0 {
		add(dst.TargetSchema)
	}
	cfg := destinationConfig(dst)
	var err error
	if cfg.Password, err = s.unseal(dst.PasswordEnc); err != nil {
		return TestResult{}, fmt.Errorf("open the password of destination %q: %w", dst.Name, err)
	}
	r, err := s.Check(ctx, cfg, connectors.CheckOptions{Destination: true, Targets: targets, Each: each})
	if err != nil {
		return r, err
	}
	status := model.ConnectionConnected
	if !r.Connected {
		status = model.ConnectionError
	}
	return r, s.Store.SetDestinationStatus(ctx, dst.ID, status, r.Error)
}

// TestPipeline tests both ends of a pipeline for the tables it copies.
func (s *Service) TestPipeline(ctx context.Context, idOrName string) (TestResult, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return TestResult{}, err
	}
	p, src, dst, err := s.whole(ctx, idOrName)
	if err != nil {
		return TestResult{}, err
	}
	from, err := s.testSource(ctx, src, tablesOf(src, p), nil)
	if err != nil {
		return from, err
	}
	to, err := s.testDestination(ctx, dst, []model.Pipeline{p}, nil)
	if err != nil {
		return to, err
	}
	both := from
	if from.Connected {
		both = to
	}
	both.LatencyMS, both.ServerVersion = from.LatencyMS+to.LatencyMS, "" // there are two servers
	both.Stages = slices.Concat(labelled(from.Stages, connectors.AsSource), labelled(to.Stages, connectors.AsDestination))
	return both, nil
}

// labelled says of every stage which end it is about.
func labelled(stages []connectors.Stage, as string) []connectors.Stage {
	for i := range stages {
		stages[i].As = as
	}
	return stages
}

// tablesOf admits the tables that a pipeline copies.
func tablesOf(src model.Source, p model.Pipeline) connectors.TableFilter {
	var f connectors.TableFilter
	named := false
	for _, t := range p.Tables {
		if !t.Enabled {
			continue
		}
		schema := t.SourceSchema
		named = named || schema != model.UnsetSchema
		if schema == model.UnsetSchema && src.Type != model.SourcePostgreSQL {
			schema = src.Database // elsewhere the default schema has the database's name
		}
		if !slices.Contains(f.Schemas, schema) {
			f.Schemas = append(f.Schemas, schema)
		}
		f.Names = append(f.Names, t.SourceTable)
	}
	if !named {
		f.Schemas = nil
	}
	return f
}
