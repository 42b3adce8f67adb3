package app

import (
	"github.com/spf13/cobra"
)

func (env *environment) applyCommand() *cobra.Command {
	var prune bool
	cmd := &cobra.Command{
		Use: "apply FILE", Short: "Make the configuration what a file says, all of it or nothing",
		Long: `Make the configuration what the file says, in one step; when anything of it is not valid, nothing is
changed and all that is wrong is said with its line. - reads standard input. What the file does not
name stays, unless --prune is given. Accounts that the file brings have no password until one is
set with 'arus user password' or in the console.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := env.readDeclaration(args[0])
			if err != nil {
				return err
			}
			return env.with(cmd.Context(), func(d *data) error {
				plan, err := d.ApplyDeclaration(cmd.Context(), file, prune)
				if err != nil {
					return err
				}
				return env.printPlan(plan, "nothing to change")
			})
		},
	}
	pruneFlag(cmd, &prune)
	return cmd
}
