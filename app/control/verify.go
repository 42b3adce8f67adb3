package control

import (
	"context"
	"errors"
	"slices"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/transform"
	"arus/connectors"
)

// Verification is the comparison of one table with its target.
type Verification struct {
	Table    string   `json:"table"`
	Target   string   `json:"target"`
	Rows     int64    `json:"rows"`
	Missing  int64    `json:"missing"`
	Extra    int64    `json:"extra"`
	Changed  int64    `json:"changed"`
	Equal    bool     `json:"equal"`
	Examples []string `json:"examples"`
}

// Verify compares every enabled table of a pipeline, or only some, with its target, row for
// row and column for column, as they are now.
func (s *Service) Verify(ctx context.Context, idOrName string, only ...string) ([]Verification, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return nil, err
	}
	p, src, dst, err := s.whole(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	for _, want := range only {
		if !hasTable(p, want) {
			return nil, fault("the comparison", "tables", "pipeline %q has no enabled table %q", p.Name, want)
		}
	}
	left, err := s.storedSource(ctx, src)
	if err != nil {
		return nil, err
	}
	defer func() { _ = left.Close() }()
	right, err := s.readDestination(ctx, dst)
	if err != nil {
		return nil, err
	}
	defer func() { _ = right.Close() }()
	var results []Verification
	for _, cfg := range p.Tables {
		if !cfg.Enabled || len(only) > 0 && !slices.Contains(only, cfg.Key()) {
			continue
		}
		v, err := s.verifyTable(ctx, p, dst, cfg, left, right)
		if err != nil {
			return results, err
		}
		results = append(results, v)
	}
	return results, nil
}

// readDestination opens a destination for reading what it holds.
func (s *Service) readDestination(ctx context.Context, dst model.Destination) (connectors.Source, error) {
	cfg := destinationConfig(dst)
	var err error
	if cfg.Password, err = s.unseal(dst.PasswordEnc); err != nil {
		return nil, err
	}
	return s.openSource(ctx, cfg)
}

func (s *Service) verifyTable(ctx context.Context, p model.Pipeline, dst model.Destination, cfg model.PipelineTable, left, right connectors.Source) (Verification, error) {
	lt, err := findTable(ctx, left, cfg.SourceSchema, cfg.SourceTable)
	if err != nil {
		return Verification{}, err
	}
	if settler, ok := left.(connectors.Settler); ok {
		if lt, err = settler.Settle(ctx, lt); err != nil {
			return Verification{}, err
		}
	}
	ref := s.names(p, dst).Target(lt, cfg)
	if steps, faults := transform.Parse(cfg.TransformConfig); len(steps)+len(faults) > 0 {
		return Verification{Table: cfg.Key(), Target: ref.String(), Examples: []string{"not compared: the table's transforms make other rows of it"}}, nil
	}
	rt, err := findTable(ctx, right, ref.Schema, ref.Name)
	if err != nil {
		return Verification{}, err
	}
	key := lt.PrimaryKey
	if len(cfg.KeyColumns) > 0 {
		key = cfg.KeyColumns
	}
	d, err := engine.Compare(ctx, engine.Side{Source: left, Table: lt}, engine.Side{Source: right, Table: rt}, key)
	return Verification{
		Table: cfg.Key(), Target: ref.String(), Rows: d.Rows, Missing: d.Missing, Extra: d.Extra, Changed: d.Changed,
		Equal: d.Equal(), Examples: append([]string{}, d.Examples...),
	}, err
}

func findTable(ctx context.Context, source connectors.Source, schema, name string) (connectors.Table, error) {
	filter := connectors.TableFilter{Names: []string{name}, Views: true}
	if schema != model.UnsetSchema {
		filter.Schemas = []string{schema}
	}
	tables, err := source.Tables(ctx, filter)
	if err != nil {
		return connectors.Table{}, err
	}
	if at := slices.IndexFunc(tables, func(t connectors.Table) bool { return t.Name == name }); at >= 0 {
		return tables[at], nil
	}
	return connectors.Table{}, &connectors.Error{Kind: connectors.KindNotFound, Op: "read table", Object: name, Err: errors.New("there is no such table")}
}
