package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot is the whole command line.
func newRoot(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "arus",
		Short: "Copy tables from databases into an analytics destination, exactly and again and again",
		Long: `Arus copies tables from PostgreSQL, MySQL, MariaDB, MongoDB and SQLite into PostgreSQL, MySQL, MariaDB,
ClickHouse or the warehouse built into it, and keeps them fresh: no row lost, none doubled.

Without a command it runs for the person who starts it: it opens its console in the browser and runs
until it is closed there or with Ctrl-C. 'arus serve' is for servers, 'arus service install' for
machines that run it by themselves.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return env.desktop(cmd.Context()) },
	}
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	env.addGlobalFlags(root)
	root.AddCommand(
		env.demoCommand(), env.syncCommand(), env.checkCommand(),
		env.sourceCommand(), env.destinationCommand(), env.pipelineCommand(),
		env.runCommand(), env.runsCommand(), env.rebuildCommand(), env.lettersCommand(), env.driftCommand(), env.qualityCommand(), env.queryCommand(), env.schemaCommand(), env.versionCommand(),
		env.serveCommand(), env.transformCommand(), env.scriptCommand(), env.scheduleCommand(), env.notifyCommand(), env.userCommand(), env.tokenCommand(), env.settingsCommand(), env.keyCommand(),
	)
	root.AddCommand(env.serviceCommand(), env.exportCommand(), env.planCommand(), env.applyCommand(), env.backupCommand(), env.restoreCommand(), env.importCommand(), env.doctorCommand(), env.healthcheckCommand())
	usageArgs(root)
	return root
}

// usageArgs makes wrong arguments usage errors, everywhere.
func usageArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		usageArgs(sub)
	}
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			err = fmt.Errorf("%w, did you mean %s?", err, strings.Join(near, " or "))
		}
		return &usageError{err}
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(subs...)
	return cmd
}

// required is a usage error for a flag that was not given.
func required(flags ...string) error {
	return &usageError{errors.New("--" + strings.Join(flags, " and --") + " must be given")}
}
