package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/model"
)

func (env *environment) settingsCommand() *cobra.Command {
	return group("settings", "How Arus behaves; what is changed takes effect at once", env.settingsList(), env.settingsSet(), env.settingsUnset())
}

func (env *environment) settingsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List every setting with its value and where that came from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				values, err := d.ListSettings(cmd.Context())
				if err != nil || env.flags.json {
					return env.printList(err, "settings", values, len(values))
				}
				t := newTable(env.Out, "SETTING", "VALUE", "FROM", "MEANING")
				for _, v := range values {
					t.row(v.Key, dash(v.Value), v.Origin, v.Doc)
				}
				return t.flush()
			})
		},
	}
}

func (env *environment) settingsSet() *cobra.Command {
	return &cobra.Command{
		Use: "set KEY VALUE", Short: "Give a setting a value", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				if err := d.ChangeSettings(cmd.Context(), map[string]string{args[0]: args[1]}, nil); err != nil {
					return err
				}
				return env.overridden(cmd, d, args[0])
			})
		},
	}
}

func (env *environment) settingsUnset() *cobra.Command {
	return &cobra.Command{
		Use: "unset KEY", Short: "Take a setting back to its default", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				if err := d.ChangeSettings(cmd.Context(), nil, args); err != nil {
					return err
				}
				return env.overridden(cmd, d, args[0])
			})
		},
	}
}

// overridden warns when a stronger origin keeps a value in force.
func (env *environment) overridden(cmd *cobra.Command, d *data, key string) error {
	values, err := d.ListSettings(cmd.Context())
	for _, v := range values {
		if v.Key == key && (v.Origin == model.OriginEnv || v.Origin == model.OriginFile) {
			_, _ = fmt.Fprintf(env.Err, "warning: %s stays %q: the %s sets it\n", key, v.Value, v.Origin)
		}
	}
	return err
}
