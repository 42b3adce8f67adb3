package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
)

func (env *environment) rebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rebuild PIPELINE [TABLE...]", Short: "Build typed tables anew from their raw rows, without the source", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				r, err := d.Rebuild(cmd.Context(), args[0], args[1:])
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				return env.finish(r)
			})
		},
	}
}

func (env *environment) driftCommand() *cobra.Command {
	return group("drift", "Changes in the schemas of sources", env.driftList(),
		env.driftDecide("apply", "Follow a change with the next run; a changed type or key has its table read anew", true),
		env.driftDecide("ignore", "Go on with what the target has, and say no more", false))
}

func (env *environment) driftList() *cobra.Command {
	var f control.ChangeFilter
	var page pageFlags
	var everything bool
	cmd := &cobra.Command{
		Use: "list [PIPELINE]", Short: "List the changes that no run has followed", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Pipeline, f.Open, f.Page = strings.Join(args, ""), !everything, control.Page{Limit: page.limit, Offset: page.offset}
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListSchemaChanges(cmd.Context(), f)
				if err != nil || env.flags.json {
					return env.printList(named(err, "pipeline", f.Pipeline), "changes", list, total)
				}
				t := newTable(env.Out, "FOUND", "TABLE", "CHANGE", "COLUMN", "FROM", "TO", "STATUS", "DONE", "ID")
				for _, c := range list {
					t.row(when(c.DetectedAt), c.SourceTable, c.Kind, dash(c.Column), dash(c.From), dash(c.To), c.Status, yes(c.DoneRunID != ""), c.ID)
				}
				return env.endList(t, len(list), total, "changes", "")
			})
		},
	}
	cmd.Flags().BoolVar(&everything, "all", false, "those that were followed, too")
	cmd.Flags().StringVar(&f.Table, "table", "", "only those of this `table`")
	page.add(cmd)
	return cmd
}

func (env *environment) driftDecide(use, short string, apply bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " CHANGE...", Short: short, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				for _, id := range args {
					c, err := d.DecideSchemaChange(cmd.Context(), id, apply)
					if control.IsNotFound(err) {
						return fmt.Errorf("there is no open change %q, see 'arus drift list': %w", id, control.ErrNotFound)
					}
					if err != nil {
						return err
					}
					if env.flags.json {
						if err := writeJSON(env.Out, c); err != nil {
							return err
						}
					}
				}
				return nil
			})
		},
	}
}

func (env *environment) qualityCommand() *cobra.Command {
	return group("quality", "What checks found at the destinations", env.qualityList())
}

func (env *environment) qualityList() *cobra.Command {
	var f control.QualityFilter
	var page pageFlags
	var status string
	cmd := &cobra.Command{
		Use: "list [PIPELINE]", Short: "List the quality checks, newest first", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Pipeline, f.Status, f.Page = strings.Join(args, ""), model.CheckStatus(status), control.Page{Limit: page.limit, Offset: page.offset}
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListQuality(cmd.Context(), f)
				if err != nil || env.flags.json {
					return env.printList(named(err, "pipeline", f.Pipeline), "checks", list, total)
				}
				t := newTable(env.Out, "CHECKED", "TABLE", "CHECK", "STATUS", "SENT", "HELD", "OFF", "MESSAGE")
				for _, q := range list {
					t.row(when(q.CheckedAt), q.TableName, q.Type, q.Status, count(q.RowsExtracted), count(q.RowsLoaded), fmt.Sprintf("%.4g %%", q.DiscrepancyPct), dash(q.Message))
				}
				return env.endList(t, len(list), total, "checks", "arus run PIPELINE")
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.RunID, "run", "", "only those of this `run`")
	flags.StringVar(&f.Table, "table", "", "only those of this `table`")
	flags.StringVar(&status, "status", "", "only passed, warning or failed ones")
	page.add(cmd)
	return cmd
}
