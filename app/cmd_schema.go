package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/declare"
	"arus/connectors/warehouse/schema"
)

func (env *environment) schemaCommand() *cobra.Command {
	return group("schema", "The tables of the built-in warehouse, as they are and as they are desired",
		env.schemaList(), env.schemaShow(), env.schemaDiff(), env.schemaPlan(), env.schemaApply(), env.schemaDrop())
}

func (env *environment) schemaList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the tables", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				names, err := d.WarehouseTables(cmd.Context())
				if err != nil || env.flags.json {
					return env.printList(err, "tables", append([]string{}, names...), len(names))
				}
				t := newTable(env.Out, "TABLE", "KIND", "COLUMNS", "VERSION")
				for _, name := range names {
					s, err := d.WarehouseTable(cmd.Context(), name)
					if err != nil {
						return err
					}
					columns := 0
					for _, c := range s.Columns {
						if !c.Deleted {
							columns++
						}
					}
					kind := "dimension"
					if s.IsFactTable {
						kind = "fact"
					}
					t.row(name, kind, columns, s.Version)
				}
				return env.endList(t, len(names), len(names), "tables", "arus schema apply FILE makes some")
			})
		},
	}
}

func (env *environment) schemaShow() *cobra.Command {
	return &cobra.Command{
		Use: "show TABLE", Short: "Show a table's schema as a file that apply takes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				t, err := d.WarehouseTable(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if env.flags.json {
					return writeJSON(env.Out, t)
				}
				cases, err := d.warehouseCases(cmd.Context(), t)
				if err != nil {
					return err
				}
				text, err := declare.Write(t, cases)
				if err == nil {
					_, err = env.Out.Write(text)
				}
				return err
			})
		},
	}
}

// planned is what applying a file does to one table.
type planned struct {
	Table   string          `json:"table"`
	Changes []schema.Change `json:"changes"`
	Refused string          `json:"refused,omitempty"`

	declared declare.Table
	isNew    bool
}

// warehouseCases are the enum cases of a table's columns.
func (d *data) warehouseCases(ctx context.Context, t *schema.Table) (map[string][]string, error) {
	all := map[string][]string{}
	for id, c := range t.Columns {
		if c.Deleted || !t.DataType(id).IsEnum() {
			continue
		}
		cases, err := d.WarehouseCases(ctx, t.Name, c.Name)
		if err != nil {
			return nil, err
		}
		all[c.Name] = cases
	}
	return all, nil
}

// planCases says which enum cases a table gets, and refuses a list that does not
// begin with those it has.
func (d *data) planCases(ctx context.Context, p *planned, next *schema.Table) error {
	for _, c := range p.declared.Cases {
		have := []string{}
		if id := next.ColumnID(c.Column); !p.isNew && !slices.ContainsFunc(p.Changes, func(x schema.Change) bool { return x.Kind == schema.ColumnAdded && x.ID == id }) {
			var err error
			if have, err = d.WarehouseCases(ctx, p.Table, c.Column); err != nil {
				return err
			}
		}
		if len(have) > len(c.Names) || !slices.Equal(have, c.Names[:len(have)]) {
			p.Refused = fmt.Sprintf("the enum cases of column %s are (%s), and cases are only appended", c.Column, strings.Join(have, ", "))
			return nil
		}
		if more := c.Names[len(have):]; len(more) > 0 {
			p.Changes = append(p.Changes, schema.Change{Kind: casesAdded, Column: c.Column, ID: next.ColumnID(c.Column), Detail: strings.Join(more, ", ")})
		}
	}
	return nil
}

const casesAdded schema.ChangeKind = "add enum cases"

// readDeclared reads a file, "-" is standard input.
func (env *environment) readDeclared(file string) ([]declare.Table, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(env.In)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, &environmentError{fmt.Errorf("read the tables: %w", err)}
	}
	tables, err := declare.Read(text)
	if err != nil {
		return nil, &usageError{fmt.Errorf("read %s: %w", file, err)}
	}
	return tables, nil
}

// planTables says what applying the tables does, refusals included.
func (d *data) planTables(ctx context.Context, tables []declare.Table) ([]planned, error) {
	out := make([]planned, 0, len(tables))
	for _, t := range tables {
		p := planned{Table: t.Name, declared: t}
		u, err := d.PlanWarehouseTable(ctx, t.Name, t.Next)
		if e, ok := errors.AsType[*schema.Error](err); ok && e.Message == schema.MsgTableMissing {
			p.isNew = true
			var next *schema.Table
			if next, err = t.New(); err == nil {
				u, err = control.PlanCreate(next)
			}
		}
		if e, ok := errors.AsType[*schema.Error](err); ok {
			p.Refused, err = e.Error(), nil
		}
		if err != nil {
			return nil, err
		}
		p.Changes = append([]schema.Change{}, u.Changes...)
		if p.Refused == "" {
			if err := d.planCases(ctx, &p, u.Next); err != nil {
				return nil, err
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// printTablePlan shows a plan; differs says whether there is anything in it.
func (env *environment) printTablePlan(plan []planned) (differs bool, err error) {
	for _, p := range plan {
		differs = differs || len(p.Changes) > 0 || p.Refused != ""
	}
	if env.flags.json {
		return differs, writeJSON(env.Out, map[string]any{"tables": plan})
	}
	t := newTable(env.Out, "TABLE", "CHANGE", "COLUMN", "DETAIL")
	for _, p := range plan {
		if p.Refused != "" {
			t.row(p.Table, "REFUSED", "-", p.Refused)
		}
		for _, c := range p.Changes {
			t.row(p.Table, c.Kind, dash(c.Column), c.Detail)
		}
	}
	if !differs {
		env.say("nothing to change")
		return false, nil
	}
	return true, t.flush()
}

func refusedError(plan []planned) error {
	for _, p := range plan {
		if p.Refused != "" {
			return &usageError{fmt.Errorf("nothing was changed: the table %s cannot become what the file says: %s", p.Table, p.Refused)}
		}
	}
	return nil
}

// forFile is a command that reads a file and looks at its plan: for the built-in
// warehouse, or pushed for the destination that is named.
func (env *environment) forFile(use, short string, pushed func(context.Context, *data, push) error, do func(ctx context.Context, d *data, plan []planned) error) *cobra.Command {
	var p push
	cmd := &cobra.Command{
		Use: use + " FILE", Short: short, Args: cobra.ExactArgs(1),
		Long: short + ".\n\nWithout --destination the tables are those of the built-in warehouse.",
		RunE: func(cmd *cobra.Command, args []string) error {
			tables, err := env.readDeclared(args[0])
			if err != nil {
				return err
			}
			if p.destination == "" && p.drop {
				return &usageError{errors.New("--drop-columns goes with --destination: the built-in warehouse drops what a file says is deleted")}
			}
			return env.with(cmd.Context(), func(d *data) error {
				if p.destination != "" {
					if p.tables, err = declarations(args[0], tables); err != nil {
						return err
					}
					return pushed(cmd.Context(), d, p)
				}
				plan, err := d.planTables(cmd.Context(), tables)
				if err != nil {
					return err
				}
				return do(cmd.Context(), d, plan)
			})
		},
	}
	cmd.Flags().StringVar(&p.destination, "destination", "", "name or id of the destination whose tables are meant")
	cmd.Flags().BoolVar(&p.drop, "drop-columns", false, "columns that the file says are deleted may go with their data")
	return cmd
}

func (env *environment) schemaDiff() *cobra.Command {
	return env.forFile("diff", "Show where tables differ from a file; the exit code is 1 where they do", env.diffPushed, func(_ context.Context, _ *data, plan []planned) error {
		differs, err := env.printTablePlan(plan)
		if err == nil && differs {
			return &codeError{exitFailed}
		}
		return err
	})
}

func (env *environment) schemaPlan() *cobra.Command {
	return env.forFile("plan", "Show what applying a file would do, and do nothing", env.planPushed, func(_ context.Context, _ *data, plan []planned) error {
		if _, err := env.printTablePlan(plan); err != nil {
			return err
		}
		return refusedError(plan)
	})
}

func (env *environment) schemaApply() *cobra.Command {
	return env.forFile("apply", "Make tables what a file says; where one of them cannot be, none is changed", env.applyPushed, func(ctx context.Context, d *data, plan []planned) error {
		if err := refusedError(plan); err != nil {
			return err
		}
		for _, p := range plan {
			var err error
			switch {
			case p.isNew:
				var t *schema.Table
				if t, err = p.declared.New(); err == nil {
					_, err = d.AddWarehouseTable(ctx, t)
				}
			case slices.ContainsFunc(p.Changes, func(c schema.Change) bool { return c.Kind != casesAdded }):
				_, err = d.PushWarehouseTable(ctx, p.Table, p.declared.Next)
			}
			for _, c := range p.declared.Cases {
				if err == nil && slices.ContainsFunc(p.Changes, func(x schema.Change) bool { return x.Kind == casesAdded && x.Column == c.Column }) {
					_, err = d.AddWarehouseCases(ctx, p.Table, c.Column, c.Names)
				}
			}
			if err != nil {
				return fmt.Errorf("apply the table %s: %w", p.Table, err)
			}
		}
		_, err := env.printTablePlan(plan)
		return err
	})
}

func (env *environment) schemaDrop() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "drop TABLE", Short: "Remove a table with its data", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return &usageError{fmt.Errorf("the data of %s goes for good: give --yes", args[0])}
			}
			return env.with(cmd.Context(), func(d *data) error { return d.DropWarehouseTable(cmd.Context(), args[0]) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "the data may go")
	return cmd
}
