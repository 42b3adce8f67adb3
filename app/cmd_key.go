package app

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (env *environment) keyCommand() *cobra.Command {
	return group("key", "The key that stored secrets are sealed with", env.keyRotate())
}

func (env *environment) keyRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Seal every stored secret with a new key and let the old one go", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				n, err := d.RotateKey(cmd.Context())
				if err != nil {
					return err
				}
				if env.flags.json {
					return writeJSON(env.Out, map[string]int{"sealed": n})
				}
				_, err = fmt.Fprintf(env.Out, "%d secrets sealed with a new key\n", n)
				return err
			})
		},
	}
}
