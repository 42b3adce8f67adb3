package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/engine"
	"arus/app/model"
	"arus/connectors"
)

func (env *environment) sourceCommand() *cobra.Command {
	return group("source", "The databases to read",
		env.sourceAdd(), env.sourceList(), env.sourceShow(), env.sourceTest(), env.sourceDiscover(),
		env.removeCommand("source", "Remove a source with its pipelines; what was loaded stays", (*control.Service).DeleteSource))
}

func (env *environment) sourceAdd() *cobra.Command {
	var in control.SourceInput
	var method string
	var password passwordFlags
	cmd := &cobra.Command{
		Use: "add NAME URL", Short: "Store a source", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.SyncMethod = args[0], model.SyncMethod(method)
			var err error
			if in.Connection, err = env.connection(args[1], password); err != nil {
				return err
			}
			return env.with(cmd.Context(), func(d *data) error {
				src, err := d.AddSource(cmd.Context(), in)
				if err != nil {
					return err
				}
				return env.printOne(src, src.ID)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&method, "sync-method", string(model.SyncAuto), "auto, incremental or full_refresh for all its tables")
	f.StringSliceVar(&in.Schemas, "schemas", nil, "`schemas` to look in (default the source's own)")
	f.StringSliceVar(&in.Include, "include", nil, "tables to take: `globs` (default all)")
	f.StringSliceVar(&in.Exclude, "exclude", nil, "tables to leave out: `globs`")
	f.BoolVar(&in.Views, "views", false, "take views and materialised views too")
	password.add(cmd)
	return cmd
}

func (env *environment) sourceList() *cobra.Command {
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the sources", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListSources(cmd.Context(), page.limit, page.offset)
				if err != nil || env.flags.json {
					return env.printList(err, "sources", list, total)
				}
				t := newTable(env.Out, "NAME", "TYPE", "WHERE", "STATUS", "LAST TESTED", "ID")
				for _, s := range list {
					t.row(s.Name, s.Type, where(s.Host, s.Port, s.Database), s.Status, when(s.LastTested), s.ID)
				}
				return env.endList(t, len(list), total, "sources", "arus source add NAME URL")
			})
		},
	}
	page.add(cmd)
	return cmd
}

func (env *environment) sourceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a source, without its password", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				src, err := d.Source(cmd.Context(), args[0])
				if err != nil {
					return named(err, "source", args[0])
				}
				return writeJSON(env.Out, src)
			})
		},
	}
}

func (env *environment) sourceTest() *cobra.Command {
	return env.testCommand("source", (*control.Service).TestSource)
}

func (env *environment) sourceDiscover() *cobra.Command {
	return env.discoverCommand("source", "List the tables of a source", (*control.Service).Discover)
}

// discoverCommand lists the tables of one noun.
func (env *environment) discoverCommand(noun, short string, discover func(*control.Service, context.Context, string) ([]connectors.Table, error)) *cobra.Command {
	return &cobra.Command{
		Use: "discover NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				tables, err := discover(d.Service, cmd.Context(), args[0])
				if err != nil {
					return named(err, noun, args[0])
				}
				if env.flags.json {
					return writeJSON(env.Out, map[string]any{"tables": tableViews(tables)})
				}
				t := newTable(env.Out, "SCHEMA", "TABLE", "ROWS (ESTIMATE)", "COLUMNS", "KEY", "WATERMARK", "WARNINGS")
				for _, x := range tables {
					t.row(dash(x.Schema), x.Name, estimate(x.RowEstimate), len(x.Columns), dash(strings.Join(x.PrimaryKey, ", ")), dash(engine.Advise(x).Column), dash(strings.Join(engine.Advise(x).Warnings, "; ")))
				}
				return env.endList(t, len(tables), len(tables), "tables", "")
			})
		},
	}
}

// tableView is a discovered table as the command line and scripts see it.
type tableView struct {
	Schema      string       `json:"schema"`
	Name        string       `json:"name"`
	View        bool         `json:"view"`
	RowEstimate int64        `json:"row_count_estimate"`
	PrimaryKey  []string     `json:"primary_key"`
	Columns     []columnView `json:"columns"`

	Watermark engine.Advice `json:"watermark_advice"`
}

type columnView struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Native   string `json:"native_type"`
	Nullable bool   `json:"nullable"`
}

func tableViews(tables []connectors.Table) []tableView {
	views := make([]tableView, len(tables))
	for i, t := range tables {
		v := tableView{Schema: t.Schema, Name: t.Name, View: t.View, RowEstimate: t.RowEstimate, PrimaryKey: append([]string{}, t.PrimaryKey...), Columns: []columnView{}, Watermark: engine.Advise(t)}
		for _, c := range t.Columns {
			v.Columns = append(v.Columns, columnView{Name: c.Name, Type: c.Type.String(), Native: c.Native, Nullable: c.Nullable})
		}
		views[i] = v
	}
	return views
}

func estimate(n int64) string {
	if n < 0 {
		return "?"
	}
	return "~" + count(n)
}

func where(host string, port int, database string) string {
	if host == "" {
		return dash(database)
	}
	return fmt.Sprintf("%s:%d/%s", host, port, database)
}
