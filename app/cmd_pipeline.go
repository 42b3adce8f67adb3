package app

import (
	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

func (env *environment) pipelineCommand() *cobra.Command {
	return group("pipeline", "Which tables go where",
		env.pipelineAdd(), env.pipelineEdit(), env.pipelineList(), env.pipelineShow(), env.pipelineVerify(), env.pipelinePause(), env.pipelineResume(),
		env.testCommand("pipeline", (*control.Service).TestPipeline), env.pipelineDiscover(),
		env.removeCommand("pipeline", "Remove a pipeline with its history; what was loaded stays", (*control.Service).DeletePipeline))
}

func (env *environment) pipelineAdd() *cobra.Command {
	var in control.PipelineInput
	var mode, load string
	var policies map[string]string
	var options optionFlags
	cmd := &cobra.Command{
		Use: "add NAME --source S --destination D", Short: "Store a pipeline of the source's tables", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Source == "" {
				return required("source")
			}
			in.Name, in.SyncMode, in.LoadMode = args[0], model.SyncMode(mode), model.LoadMode(load)
			var err error
			if in.Options.Policies, err = readPolicies(policies); err != nil {
				return err
			}
			options.apply(cmd, &in.Options)
			in.MaxRetries, in.TimeoutSeconds = options.limits(cmd)
			in.DependsOn, in.Schedule = options.dependsOn, options.schedule
			return env.with(cmd.Context(), func(d *data) error {
				p, err := d.AddPipeline(cmd.Context(), in)
				if err != nil {
					return err
				}
				return env.printOne(p, p.ID)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Source, "source", "", "name or id of the `source`")
	f.StringVar(&in.Destination, "destination", "", "name or id of the `destination` (default the default one)")
	f.StringSliceVar(&in.Tables, "tables", nil, "tables to take: names or `globs` (default all that the source admits)")
	f.StringVar(&in.TargetSchema, "target-schema", "", "`schema` to load into (default the destination's)")
	f.StringVar(&mode, "sync-mode", string(model.ModeIncremental), "incremental (where a watermark column is found) or full_refresh")
	f.StringVar(&load, "load", string(model.LoadDirect), "direct, or raw: land rows as JSON first")
	policyFlag(cmd, &policies)
	options.add(cmd)
	return cmd
}

func (env *environment) pipelineList() *cobra.Command {
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the pipelines", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListPipelines(cmd.Context(), page.limit, page.offset)
				if err != nil || env.flags.json {
					return env.printList(err, "pipelines", list, total)
				}
				t := newTable(env.Out, "NAME", "STATUS", "TABLES", "LOAD", "ID")
				for _, p := range list {
					t.row(p.Name, p.Status, len(p.Tables), p.LoadMode, p.ID)
				}
				return env.endList(t, len(list), total, "pipelines", "arus pipeline add NAME --source S --destination D")
			})
		},
	}
	page.add(cmd)
	return cmd
}

func (env *environment) pipelineShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a pipeline, its tables and how far they are loaded", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				p, err := d.Pipeline(cmd.Context(), args[0])
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				marks, err := d.Watermarks(cmd.Context(), p.ID)
				if err != nil {
					return err
				}
				return writeJSON(env.Out, struct {
					model.Pipeline
					Watermarks []model.Watermark `json:"watermarks"`
				}{p, marks})
			})
		},
	}
}

func (env *environment) pipelineVerify() *cobra.Command {
	var tables []string
	cmd := &cobra.Command{
		Use: "verify NAME", Short: "Compare every row of the source with the destination", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				results, err := d.Verify(cmd.Context(), args[0], tables...)
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				equal := true
				t := newTable(env.Out, "TABLE", "TARGET", "ROWS", "MISSING", "EXTRA", "CHANGED", "EQUAL")
				for _, v := range results {
					equal = equal && v.Equal
					t.row(v.Table, v.Target, count(v.Rows), count(v.Missing), count(v.Extra), count(v.Changed), yes(v.Equal))
				}
				if env.flags.json {
					err = writeJSON(env.Out, map[string]any{"equal": equal, "tables": results})
				} else {
					err = t.flush()
				}
				if err == nil && !equal {
					return &codeError{exitFailed}
				}
				return err
			})
		},
	}
	cmd.Flags().StringSliceVar(&tables, "table", nil, "compare this table only; may be repeated")
	return cmd
}

func (env *environment) pipelineDiscover() *cobra.Command {
	var add bool
	cmd := &cobra.Command{
		Use: "discover NAME", Short: "List the tables the source has now, and which of them the pipeline copies", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				tables, err := d.DiscoverPipeline(cmd.Context(), args[0], add)
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				if env.flags.json {
					views := []any{}
					for _, x := range tables {
						views = append(views, struct {
							tableView
							Selected bool `json:"selected"`
						}{tableViews([]connectors.Table{x.Table})[0], x.Selected})
					}
					return writeJSON(env.Out, map[string]any{"tables": views})
				}
				t := newTable(env.Out, "SCHEMA", "TABLE", "ROWS (ESTIMATE)", "COPIED")
				for _, x := range tables {
					t.row(dash(x.Schema), x.Name, estimate(x.RowEstimate), yes(x.Selected))
				}
				return env.endList(t, len(tables), len(tables), "tables", "")
			})
		},
	}
	cmd.Flags().BoolVar(&add, "add", false, "take the tables that are new into the pipeline")
	return cmd
}
