package app

import (
	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
)

func (env *environment) destinationCommand() *cobra.Command {
	return group("destination", "The databases to load",
		env.destinationAdd(), env.destinationList(), env.destinationShow(), env.testCommand("destination", (*control.Service).TestDestination),
		env.discoverCommand("destination", "List the tables that were loaded", (*control.Service).DiscoverDestination),
		env.removeCommand("destination", "Remove a destination that no pipeline uses; what was loaded stays", (*control.Service).DeleteDestination))
}

func (env *environment) destinationAdd() *cobra.Command {
	var in control.DestinationInput
	var password passwordFlags
	cmd := &cobra.Command{
		Use: "add NAME URL", Short: "Store a destination", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			var err error
			if in.Connection, err = env.connection(args[1], password); err != nil {
				return err
			}
			return env.with(cmd.Context(), func(d *data) error {
				dst, err := d.AddDestination(cmd.Context(), in)
				if err != nil {
					return err
				}
				return env.printOne(dst, dst.ID)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.RawSchema, "raw-schema", model.DefaultRawSchema, "`schema` of the landing tables of raw mode")
	f.StringVar(&in.TargetSchema, "target-schema", model.DefaultTargetSchema, "`schema` of the typed tables")
	f.BoolVar(&in.IsDefault, "default", false, "make it the default destination")
	password.add(cmd)
	return cmd
}

func (env *environment) destinationList() *cobra.Command {
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the destinations", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListDestinations(cmd.Context(), page.limit, page.offset)
				if err != nil || env.flags.json {
					return env.printList(err, "destinations", list, total)
				}
				t := newTable(env.Out, "NAME", "TYPE", "WHERE", "RAW SCHEMA", "TARGET SCHEMA", "STATUS", "ID")
				for _, x := range list {
					t.row(x.Name, x.Type, where(x.Host, x.Port, x.Database), x.RawSchema, x.TargetSchema, x.Status, x.ID)
				}
				return env.endList(t, len(list), total, "destinations", "arus destination add NAME URL")
			})
		},
	}
	page.add(cmd)
	return cmd
}

func (env *environment) destinationShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a destination, without its password", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				dst, err := d.Destination(cmd.Context(), args[0])
				if err != nil {
					return named(err, "destination", args[0])
				}
				return writeJSON(env.Out, dst)
			})
		},
	}
}
