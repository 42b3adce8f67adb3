package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/secret"
	"arus/app/store"
)

func (env *environment) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look at everything that Arus needs, and say what is wrong",
		Long: `Look at the data directory, the disk, the clock, the key, the state file, the server's port, the script
runtime and every connection. Nothing is changed or upgraded, and no secret is shown. Connections are
tested when no server runs on the data directory. The exit code is 0 when nothing failed, 3 when
something did; warnings do not count.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := env.examine(cmd.Context())
			if err != nil {
				return err
			}
			failed := false
			t := newTable(env.Out, "CHECK", "STATUS", "DETAIL", "WHAT TO DO")
			for _, f := range findings {
				failed = failed || f.Status == control.FindingFailed
				t.row(f.Name, f.Status, f.Detail, f.Hint)
			}
			if env.flags.json {
				err = writeJSON(env.Out, map[string]any{"ok": !failed, "version": version, "checks": findings})
			} else {
				err = t.flush()
			}
			if err == nil && failed {
				return &codeError{exitEnvironment}
			}
			return err
		},
	}
}

func (env *environment) examine(ctx context.Context) ([]control.Finding, error) {
	dir, err := env.dataDir()
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	findings := []control.Finding{{Name: "version", Status: control.FindingOK, Detail: fmt.Sprintf("arus %s, %s, %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)}}
	more, usable := control.ExamineDir(ctx, dir, env.Getenv(secret.KeyEnv), env.Now())
	findings = append(append(findings, more...), env.examinePort(ctx, dir), env.examineCrashes(dir))
	if !usable {
		return append(findings, control.Finding{Name: "connections", Status: control.FindingSkipped, Detail: "the state file cannot be opened as it is"}), nil
	}
	err = env.with(ctx, func(d *data) error {
		more, err := d.ExamineConnections(ctx)
		findings = append(findings, more...)
		return err
	})
	if errors.Is(err, store.ErrLocked) {
		findings = append(findings, control.Finding{Name: "connections", Status: control.FindingSkipped, Detail: err.Error(), Hint: "test them in the running server"})
		err = nil
	}
	return findings, err
}

// examinePort says whether the server's address is free, or the server's.
func (env *environment) examinePort(ctx context.Context, dir string) control.Finding {
	within, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if running, err := findRunning(dir); err == nil {
		if answer, err := running.ready(within); err == nil {
			return control.Finding{Name: "port", Status: control.FindingOK, Detail: running.URL + " answers: " + answer}
		}
	}
	address := env.serverAddress()
	f := control.Finding{Name: "port", Status: control.FindingOK, Detail: address + " is free"}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		_ = listener.Close()
		return f
	}
	if answer, rerr := (runningServer{URL: "http://" + address}).ready(within); rerr == nil {
		f.Status, f.Detail, f.Hint = control.FindingWarning, address+" answers "+answer+", from another data directory", "a server of this one needs another address: --listen or "+envListen
		return f
	}
	f.Status, f.Detail, f.Hint = control.FindingFailed, fmt.Sprintf("%s cannot be listened on: %v", address, err), "stop what listens there, or choose another address with --listen or "+envListen
	return f
}

// examineCrashes says whether the program has crashed.
func (env *environment) examineCrashes(dir string) control.Finding {
	f := control.Finding{Name: "crashes", Status: control.FindingOK, Detail: "none"}
	found, err := filepath.Glob(filepath.Join(dir, "crash-*.txt"))
	if info, perr := os.Stat(filepath.Join(dir, crashPending)); perr == nil && info.Size() > 0 {
		found = append(found, filepath.Join(dir, crashPending))
	}
	if err == nil && len(found) > 0 {
		f.Status, f.Detail, f.Hint = control.FindingWarning, fmt.Sprintf("%d reports, the last is %s", len(found), found[len(found)-1]), "send it along with a fault report, then delete it"
	}
	return f
}
