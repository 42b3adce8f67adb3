package app

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"arus/app/model"
)

func (env *environment) scheduleCommand() *cobra.Command {
	return group("schedule", "When pipelines run by themselves, while 'arus serve' runs",
		env.scheduleList(), env.scheduleNext(),
		env.schedulePause("pause-all", "Let no schedule start a run; what comes due meanwhile is left out", true),
		env.schedulePause("resume-all", "Let the schedules start runs again", false))
}

func (env *environment) scheduleList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the pipelines that run by themselves, and when they are due", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, paused, err := d.ListSchedules(cmd.Context())
				if err != nil {
					return err
				}
				if env.flags.json {
					return writeJSON(env.Out, map[string]any{"schedules": list, "paused": paused})
				}
				t := newTable(env.Out, "PIPELINE", "STATUS", "SCHEDULE", "ZONE", "AFTER", "LAST DUE", "NEXT")
				for _, v := range list {
					t.row(v.PipelineName, v.Status, dash(v.Schedule), v.Timezone, dash(v.After), when(v.LastDueAt), when(v.NextAt))
				}
				if err := env.endList(t, len(list), len(list), "schedules", "arus pipeline edit NAME --schedule '0 * * * *'"); err != nil || !paused {
					return err
				}
				_, err = fmt.Fprintln(env.Err, "all schedules are paused: arus schedule resume-all")
				return err
			})
		},
	}
}

func (env *environment) scheduleNext() *cobra.Command {
	var zone string
	var n int
	cmd := &cobra.Command{
		Use: "next SCHEDULE", Short: "Say when a schedule is due next", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := time.LoadLocation(zone)
			if err != nil {
				return &usageError{fmt.Errorf("%q is no zone: write it as UTC or Europe/Berlin", zone)}
			}
			times, err := model.ParseSchedule(args[0], at)
			if err != nil {
				return &usageError{err}
			}
			list := times.NextTimes(env.Now(), n)
			if env.flags.json {
				return writeJSON(env.Out, map[string]any{"next": list})
			}
			for _, due := range list {
				if _, err := fmt.Fprintln(env.Out, due.Format("Mon 2006-01-02 15:04:05 -07:00 MST")); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&zone, "timezone", "UTC", "the `zone` in which it is read")
	cmd.Flags().IntVar(&n, "count", 5, "how many times")
	return cmd
}

func (env *environment) schedulePause(use, short string, paused bool) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error { return d.PauseSchedule(cmd.Context(), paused) })
		},
	}
}

// pipelineStatus pauses a pipeline, or takes it up again.
func (env *environment) pipelineStatus(verb, short string, set func(*data, *cobra.Command, string) (model.Pipeline, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				p, err := set(d, cmd, args[0])
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				return env.printOne(p, string(p.Status))
			})
		},
	}
}

func (env *environment) pipelinePause() *cobra.Command {
	return env.pipelineStatus("pause", "Let a pipeline's schedule rest; it can still be run", func(d *data, cmd *cobra.Command, name string) (model.Pipeline, error) {
		return d.PausePipeline(cmd.Context(), name)
	})
}

func (env *environment) pipelineResume() *cobra.Command {
	return env.pipelineStatus("resume", "Take up a pipeline's schedule again", func(d *data, cmd *cobra.Command, name string) (model.Pipeline, error) {
		return d.ResumePipeline(cmd.Context(), name)
	})
}
