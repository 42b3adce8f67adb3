package app

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"arus/app/control"
)

func (env *environment) exportCommand() *cobra.Command {
	var schema bool
	var output string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the configuration as a YAML file, without secrets",
		Long: `Write the configuration as YAML: settings, accounts, sources, destinations, notification targets,
pipelines with their tables, transforms and scripts. The same configuration gives the same bytes.
Where a secret belongs stands a reference to it, such as ${env:ARUS_SOURCE_SHOP_PASSWORD}; when
the file is applied where the secret is known, it stays, elsewhere the reference is read when the
secret is needed. 'arus plan' compares a file with the configuration, 'arus apply' makes it so.`,
		Example: `  arus export > arus.config.yaml
  arus export --schema > arus.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if schema {
				text, err := control.DeclarationSchema()
				return errors.Join(err, env.writeOut(output, text))
			}
			return env.with(cmd.Context(), func(d *data) error {
				config, err := d.Export(cmd.Context())
				if err != nil {
					return err
				}
				if env.flags.json {
					return writeJSON(env.Out, config)
				}
				text, err := config.YAML()
				if err != nil {
					return err
				}
				return env.writeOut(output, text)
			})
		},
	}
	cmd.Flags().BoolVar(&schema, "schema", false, "write the JSON Schema of the file instead, for editors")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this `file` instead of standard output")
	return cmd
}

// writeOut writes to a file, or to standard output.
func (env *environment) writeOut(file string, text []byte) error {
	if file == "" {
		_, err := env.Out.Write(text)
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return &environmentError{fmt.Errorf("write %s: %w", file, err)}
	}
	return nil
}
