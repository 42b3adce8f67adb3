package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/secret"
)

func (env *environment) restoreCommand() *cobra.Command {
	var opts control.RestoreOptions
	var passphrase passwordFlags
	var withKey bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup into a data directory",
		Long: `Put a backup into the data directory, which must be empty unless --force is given; then what is there
goes aside into its folder backups. The backup is checked whole before anything changes. FILE is an
archive of 'arus backup', or a copy of a state file from the folder backups. The key comes from the
backup with --with-key, else it is the one that is in the directory or in ` + secret.KeyEnv + `.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if opts.Dir, err = env.dataDir(); err != nil {
				return err
			}
			if withKey {
				if !passphrase.stdin && passphrase.file == "" {
					passphrase.ask = true
				}
				if opts.Passphrase, err = env.readPassword(passphrase, "passphrase of the backup: "); err != nil {
					return err
				}
			}
			opts.File, opts.KeyEnv, opts.Now = args[0], env.Getenv(secret.KeyEnv), env.Now()
			r, err := control.Restore(cmd.Context(), opts)
			if err != nil {
				return &environmentError{err}
			}
			if env.flags.json {
				return writeJSON(env.Out, r)
			}
			if r.Aside != "" {
				env.say("what was there is now in %s", r.Aside)
			}
			if r.Key == "none" {
				env.say("no key opens stored passwords: enter them again")
			}
			_, err = fmt.Fprintf(env.Out, "restored into %s: state of version %d, %d warehouse tables\n", r.Dir, r.Version, r.Tables)
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&opts.Force, "force", false, "restore over what is there; that goes aside")
	f.BoolVar(&opts.WithoutKey, "without-key", false, "restore although no key opens the stored passwords")
	f.BoolVar(&opts.Pause, "pause", false, "leave every pipeline paused, so that none runs before somebody has looked")
	f.BoolVar(&withKey, "with-key", false, "take the key from the backup, with its passphrase")
	passphrase.add(cmd)
	return cmd
}
