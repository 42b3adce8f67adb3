package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// PlanTables says what would make a destination's tables what declarations say,
// and changes nothing. The tables lie in the destination's target schema.
func (s *Service) PlanTables(ctx context.Context, destination string, tables []connectors.Declaration, drop bool) ([]connectors.DeclarationPlan, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return nil, err
	}
	_, plans, err := s.pushTables(ctx, destination, tables, connectors.DeclareOptions{Drop: drop, Now: s.Now()})
	return plans, err
}

// ApplyTables makes a destination's tables what declarations say; where one of
// them cannot be, none is changed.
func (s *Service) ApplyTables(ctx context.Context, destination string, tables []connectors.Declaration, drop bool) ([]connectors.DeclarationPlan, error) {
	if err := s.may(ctx, auth.EditDestinations); err != nil {
		return nil, err
	}
	dst, plans, err := s.pushTables(ctx, destination, tables, connectors.DeclareOptions{Apply: true, Drop: drop, Now: s.Now()})
	if err != nil {
		return nil, err
	}
	var reasons []string
	changed := map[string][]connectors.DeclarationChange{}
	for _, p := range plans {
		for _, why := range p.Refused {
			reasons = append(reasons, p.Table+": "+why)
		}
		if len(p.Changes) > 0 {
			changed[p.Table] = p.Changes
		}
	}
	if len(reasons) > 0 {
		return nil, &connectors.Error{
			Kind: connectors.KindConflict, Op: "declare the tables of", Object: dst.Name, Err: errors.New("nothing was changed: " + strings.Join(reasons, "; ")),
			Hint: "change the declaration so that it follows from the table that is there, or choose another name",
		}
	}
	if len(changed) == 0 {
		return plans, nil
	}
	return plans, s.change(ctx, func(*store.Store) (Change, error) {
		return Change{Action: "destination.declare", ID: dst.ID, Name: dst.Name, After: changed}, nil
	})
}

func (s *Service) pushTables(ctx context.Context, destination string, tables []connectors.Declaration, opts connectors.DeclareOptions) (model.Destination, []connectors.DeclarationPlan, error) {
	dst, err := s.Store.FindDestination(ctx, destination)
	if err != nil {
		return dst, nil, err
	}
	conn, err := s.storedDestination(ctx, dst)
	if err != nil {
		return dst, nil, err
	}
	defer func() { _ = conn.Close() }()
	declarer, ok := conn.(connectors.Declarer)
	if !ok {
		return dst, nil, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "declare the tables of", Object: dst.Name, Err: fmt.Errorf("a %s destination takes no declarations", dst.Type),
			Hint: "tables of the built-in warehouse are declared without naming a destination",
		}
	}
	placed := make([]connectors.Declaration, len(tables))
	for i, t := range tables {
		t.Target.Schema = dst.TargetSchema
		placed[i] = t
	}
	plans, err := declarer.Declare(ctx, placed, opts)
	return dst, plans, err
}
