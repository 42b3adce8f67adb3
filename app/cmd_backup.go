package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/connectors"
)

// backupEvery is how often it is looked at whether a backup is due.
const backupEvery = time.Minute

func (env *environment) backupCommand() *cobra.Command {
	var withKey, list bool
	var passphrase passwordFlags
	cmd := &cobra.Command{
		Use: "backup [FILE]", Short: "Write the state and the built-in warehouse into one file",
		Long: `Write the state and the built-in warehouse into one archive: FILE, or a new one in the folder backups of
the data directory. A server makes backups itself when the setting backup_schedule says so, or with
POST /api/backup, also while runs go on. The key that opens the stored passwords stays out, unless
--with-key is given: then a passphrase seals it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var opts control.BackupOptions
			if len(args) > 0 {
				opts.File = args[0]
			}
			if withKey {
				var err error
				if opts.Passphrase, err = env.readPassphrase(passphrase); err != nil {
					return err
				}
			}
			return env.with(cmd.Context(), func(d *data) error {
				if list {
					return env.listBackups(cmd.Context(), d)
				}
				info, err := d.Backup(cmd.Context(), opts)
				if err != nil {
					return err
				}
				for _, name := range info.Outside {
					_, _ = fmt.Fprintf(env.Err, "warning: the warehouse of destination %q lies elsewhere and is not in the backup\n", name)
				}
				if env.flags.json {
					return writeJSON(env.Out, info)
				}
				_, err = fmt.Fprintf(env.Out, "%s (%s bytes, %d warehouse tables)\n", info.File, count(info.Bytes), info.Tables)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&withKey, "with-key", false, "put the key into the backup, sealed by a passphrase")
	cmd.Flags().BoolVar(&list, "list", false, "list the backups there are")
	passphrase.add(cmd)
	return cmd
}

// readPassphrase asks where no flag says where the passphrase comes from.
func (env *environment) readPassphrase(p passwordFlags) (connectors.Secret, error) {
	if !p.stdin && p.file == "" {
		p.ask = true
	}
	text, err := env.readPassword(p, "passphrase of the backup: ")
	if err == nil && len(text.Reveal()) < 12 {
		err = &usageError{errors.New("the passphrase needs at least 12 characters: whoever has the backup can try as many as they like")}
	}
	return text, err
}

func (env *environment) listBackups(ctx context.Context, d *data) error {
	list, err := d.ListBackups(ctx)
	if err != nil || env.flags.json {
		return env.printList(err, "backups", list, len(list))
	}
	t := newTable(env.Out, "FILE", "MADE", "BYTES")
	for _, b := range list {
		t.row(b.File, when(b.CreatedAt), count(b.Bytes))
	}
	return env.endList(t, len(list), len(list), "backups", "arus backup")
}

// backups makes the backups that the settings ask for, until ctx ends.
func (d *data) backups(ctx context.Context, now func() time.Time) {
	started := now()
	tick := time.NewTicker(backupEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch made, err := d.BackupIfDue(ctx, started); {
		case err != nil && ctx.Err() == nil:
			d.log.ErrorContext(ctx, "make the backup that is due", "error", err)
		case made != nil:
			d.log.InfoContext(ctx, "made a backup", "file", made.File, "bytes", made.Bytes)
		}
	}
}
