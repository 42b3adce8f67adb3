package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"arus/app/declare"
	"arus/connectors"
)

// push is a file's tables on the way to a destination.
type push struct {
	destination string
	drop        bool
	tables      []connectors.Declaration
}

// declarations are the tables of a file as servers are told of them.
func declarations(file string, tables []declare.Table) ([]connectors.Declaration, error) {
	out := make([]connectors.Declaration, len(tables))
	for i, t := range tables {
		var err error
		if out[i], err = t.Declaration(); err != nil {
			return nil, &usageError{fmt.Errorf("read %s: %s: %w", file, t.Name, err)}
		}
	}
	return out, nil
}

func (env *environment) diffPushed(ctx context.Context, d *data, p push) error {
	plans, err := d.PlanTables(ctx, p.destination, p.tables, p.drop)
	if err != nil {
		return err
	}
	differs, err := env.printPushed(p, plans)
	if err == nil && differs {
		return &codeError{exitFailed}
	}
	return err
}

func (env *environment) planPushed(ctx context.Context, d *data, p push) error {
	plans, err := d.PlanTables(ctx, p.destination, p.tables, p.drop)
	if err != nil {
		return err
	}
	if _, err := env.printPushed(p, plans); err != nil {
		return err
	}
	return refusedPush(plans)
}

// applyPushed shows the plan before it is done.
func (env *environment) applyPushed(ctx context.Context, d *data, p push) error {
	if err := env.planPushed(ctx, d, p); err != nil {
		return err
	}
	plans, err := d.ApplyTables(ctx, p.destination, p.tables, p.drop)
	if err != nil {
		return err
	}
	done := 0
	for _, plan := range plans {
		done += len(plan.Statements)
	}
	if done > 0 {
		env.say(fmt.Sprintf("done: %d statements", done))
	}
	return nil
}

func refusedPush(plans []connectors.DeclarationPlan) error {
	var reasons []string
	for _, p := range plans {
		for _, why := range p.Refused {
			reasons = append(reasons, p.Table+": "+why)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &usageError{errors.New("nothing was changed: " + strings.Join(reasons, "; "))}
}

// printPushed shows plans with their statements; differs says whether there is
// anything in them.
func (env *environment) printPushed(p push, plans []connectors.DeclarationPlan) (differs bool, err error) {
	for _, plan := range plans {
		differs = differs || len(plan.Changes)+len(plan.Refused)+len(plan.Drift) > 0
	}
	if env.flags.json {
		return differs, writeJSON(env.Out, map[string]any{"destination": p.destination, "tables": plans})
	}
	t := newTable(env.Out, "TABLE", "CHANGE", "COLUMN", "DETAIL")
	rows := 0
	line := func(table, change, column, detail string) {
		t.row(table, change, dash(column), dash(detail))
		rows++
	}
	for _, plan := range plans {
		for _, why := range plan.Refused {
			line(plan.Table, "REFUSED", "", why)
		}
		for _, c := range plan.Changes {
			line(plan.Table, c.Kind, c.Column, c.Detail)
		}
		for _, what := range plan.Drift {
			line(plan.Table, "drift", "", "the server has beside it: "+what)
		}
		for _, note := range plan.Notes {
			line(plan.Table, "note", "", note)
		}
	}
	if rows > 0 {
		if err := t.flush(); err != nil {
			return differs, err
		}
	}
	if !differs {
		env.say("nothing to change")
	}
	for _, plan := range plans {
		for _, sql := range plan.Statements {
			if _, err := fmt.Fprintf(env.Out, "\n%s;\n", sql); err != nil {
				return differs, err
			}
		}
	}
	return differs, nil
}
