package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"
)

const (
	serviceName  = "arus"
	serviceLabel = "Arus"
	serviceAbout = "Copies tables from databases into an analytics destination"
	systemData   = "/var/lib/arus"
)

// serviceFlags say whose service is meant.
type serviceFlags struct {
	own    bool // of the user, not of the machine
	user   string
	listen string
}

func (env *environment) serviceCommand() *cobra.Command {
	return group("service", "Let this machine run Arus by itself: systemd, launchd or a Windows service",
		env.serviceInstall(), env.serviceUninstall(), env.serviceStatus(), env.serviceLogs())
}

func (f *serviceFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.own, "per-user", false, "a service of this user, which runs while they are signed in; needs no administrator (Linux and macOS)")
}

func (env *environment) serviceInstall() *cobra.Command {
	var f serviceFlags
	var show bool
	cmd := &cobra.Command{
		Use: "install", Short: "Make the service and start it",
		Long: `Make the service, start it now and with the machine. It runs 'arus serve' on --data, else on ` + systemData + `
(Linux), /usr/local/var/arus (macOS) or C:\ProgramData\Arus. On Linux it is a systemd unit that tells
when it is ready, is watched, and may write to its data directory alone; the account of --user is made
when it is missing. Its settings stand in the data directory and in /etc/default/arus.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := env.serviceData(f)
			if err != nil {
				return err
			}
			if show {
				u, err := env.serviceUnit(f, dir)
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(env.Out, u.text())
				return err
			}
			s, err := env.service(f, dir)
			if err != nil {
				return err
			}
			if err := env.prepareService(cmd.Context(), f, dir); err != nil {
				return &environmentError{err}
			}
			if err := s.Install(); err != nil {
				return &environmentError{fmt.Errorf("make the service: %w", err)}
			}
			if err := s.Start(); err != nil {
				return &environmentError{fmt.Errorf("the service is there, but does not start: %w; see 'arus service logs'", err)}
			}
			_, err = fmt.Fprintf(env.Out, "Arus runs by itself now.\n  data   %s\n  see    arus service status, arus service logs (there is the link for the first admin)\n", dir)
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.user, "user", serviceName, "account that the service runs as (Linux)")
	cmd.Flags().StringVar(&f.listen, "listen", "", "`address` to listen on, host:port (default "+defaultListen+")")
	cmd.Flags().BoolVar(&show, "print", false, "print the systemd unit and change nothing")
	return cmd
}

func (env *environment) serviceUninstall() *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use: "uninstall", Short: "End the service and remove it; its data stays",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := env.serviceData(f)
			if err != nil {
				return err
			}
			s, err := env.service(f, dir)
			if err != nil {
				return err
			}
			if status, err := s.Status(); err == nil && status == service.StatusRunning {
				if err := s.Stop(); err != nil {
					return &environmentError{fmt.Errorf("end the service: %w", err)}
				}
			}
			if err := s.Uninstall(); err != nil {
				return &environmentError{fmt.Errorf("remove the service: %w", err)}
			}
			_, err = fmt.Fprintf(env.Out, "The service is removed. Its data stays in %s; delete that directory to lose it for good.\n", dir)
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func (env *environment) serviceStatus() *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use: "status", Short: "Say whether the service runs and can do its work",
		Long: `Say whether the service runs and can do its work. The exit code is 0 when it can, 1 when it cannot,
3 when there is no service.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := env.serviceData(f)
			if err != nil {
				return err
			}
			s, err := env.service(f, dir)
			if err != nil {
				return err
			}
			words := map[service.Status]string{service.StatusRunning: "running", service.StatusStopped: "stopped", service.StatusUnknown: "unknown"}
			status, err := s.Status()
			if err != nil {
				return &environmentError{fmt.Errorf("ask for the service: %w", err)}
			}
			out := map[string]any{"service": words[status], "data_dir": dir}
			ready := false
			if status == service.StatusRunning {
				running, err := findRunning(dir)
				if err == nil {
					out["url"] = running.URL
					var answer string
					answer, err = running.ready(cmd.Context())
					out["answer"], ready = answer, err == nil
				}
				if err != nil {
					out["error"] = err.Error()
				}
			}
			if env.flags.json {
				err = writeJSON(env.Out, out)
			} else {
				t := newTable(env.Out)
				for _, key := range []string{"service", "answer", "url", "data_dir", "error"} {
					if v, ok := out[key]; ok {
						t.row(key, v)
					}
				}
				err = t.flush()
			}
			if err == nil && !ready {
				return &codeError{exitFailed}
			}
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func (env *environment) serviceLogs() *cobra.Command {
	var f serviceFlags
	var lines int
	var follow bool
	cmd := &cobra.Command{
		Use: "logs", Short: "Show what the service logs",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := env.serviceData(f)
			if err != nil {
				return err
			}
			name, args := "tail", []string{"-n", fmt.Sprint(lines), filepath.Join(dir, desktopLog)}
			switch runtime.GOOS {
			case "linux":
				name, args = "journalctl", []string{"--unit", serviceName, "--lines", fmt.Sprint(lines), "--no-pager"}
				if f.own {
					args = append(args, "--user")
				}
			case "windows":
				name, args = "powershell", []string{"-NoProfile", "-Command", "Get-Content", "-Tail", fmt.Sprint(lines), "-LiteralPath", filepath.Join(dir, desktopLog)}
				if follow {
					args = append(args, "-Wait")
				}
			}
			if follow && runtime.GOOS != "windows" {
				args = append([]string{"-f"}, args...)
			}
			show := exec.CommandContext(cmd.Context(), name, args...)
			show.Stdin, show.Stdout, show.Stderr = env.In, env.Out, env.Err
			if err := show.Run(); err != nil && cmd.Context().Err() == nil {
				return &environmentError{fmt.Errorf("read the log with %s: %w", name, err)}
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many lines")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come")
	return cmd
}

// serviceData is the data directory of the service.
func (env *environment) serviceData(f serviceFlags) (string, error) {
	if f.own || env.flags.data != "" || env.Getenv(envData) != "" {
		dir, err := env.dataDir()
		if err != nil {
			return "", err
		}
		return filepath.Abs(dir)
	}
	switch runtime.GOOS {
	case "windows":
		if dir := env.Getenv("ProgramData"); dir != "" {
			return filepath.Join(dir, "Arus"), nil
		}
		return `C:\ProgramData\Arus`, nil
	case "darwin":
		return "/usr/local/var/arus", nil
	}
	return systemData, nil
}

func (env *environment) serviceUnit(f serviceFlags, dir string) (unit, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return unit{}, &environmentError{fmt.Errorf("find the program's own file: %w", err)}
	}
	u := unit{Exe: exe, Listen: f.listen, Data: dir, User: f.user, Manager: "multi-user.target"}
	if f.own {
		u.User, u.Manager = "", "default.target"
	}
	if dir == systemData {
		u.StateOf = serviceName
	}
	return u, nil
}

// service is the service as this machine's manager knows it.
func (env *environment) service(f serviceFlags, dir string) (service.Service, error) {
	u, err := env.serviceUnit(f, dir)
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--data", dir, "--log-file", filepath.Join(dir, desktopLog)}
	if f.listen != "" {
		args = append(args, "--listen", f.listen)
	}
	platform := service.Platform()
	switch {
	case f.own && runtime.GOOS == "windows":
		return nil, &usageError{errors.New("--per-user is for Linux and macOS; on Windows put Arus into the Startup folder instead")}
	case runtime.GOOS == "linux" && platform != "linux-systemd":
		return nil, &environmentError{fmt.Errorf("this machine is run by %q, and only systemd is known here: let its service manager run 'arus serve --data %s'", platform, dir)}
	}
	s, err := service.New(&windowsService{}, &service.Config{
		Name: serviceName, DisplayName: serviceLabel, Description: serviceAbout, Executable: u.Exe, Arguments: args,
		Option: service.KeyValue{"SystemdScript": u.text(), "UserService": f.own, "RunAtLoad": true, "KeepAlive": true, "OnFailure": "restart"},
	})
	if err != nil {
		return nil, &environmentError{fmt.Errorf("this machine has no service manager that is known: %w", err)}
	}
	return s, nil
}

// prepareService makes the account and the data directory of a service.
func (env *environment) prepareService(ctx context.Context, f serviceFlags, dir string) error {
	switch {
	case runtime.GOOS == "windows":
		return giveDir(dir, nil)
	case runtime.GOOS != "linux" || f.own:
		return os.MkdirAll(dir, 0o700)
	}
	account, err := user.Lookup(f.user)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		out, uerr := exec.CommandContext(ctx, "useradd", "--system", "--home-dir", dir, "--shell", "/usr/sbin/nologin", f.user).CombinedOutput()
		if uerr != nil {
			return fmt.Errorf("make the account %s: %w: %s", f.user, uerr, out)
		}
		account, err = user.Lookup(f.user)
	}
	if err != nil {
		return fmt.Errorf("find the account %s: %w", f.user, err)
	}
	return giveDir(dir, account)
}

// serveAs serves as what started the program wants it: Windows' service manager
// has a protocol of its own.
func (env *environment) serveAs(ctx context.Context, o serveOptions) error {
	if runtime.GOOS != "windows" || service.Interactive() {
		return env.serve(ctx, o)
	}
	w := &windowsService{serve: func(ctx context.Context) error { return env.serve(ctx, o) }, ctx: ctx}
	s, err := service.New(w, &service.Config{Name: serviceName})
	if err == nil {
		err = s.Run()
	}
	return errors.Join(err, w.err)
}

// windowsService is the server in the hands of Windows' service manager.
type windowsService struct {
	serve func(context.Context) error
	ctx   context.Context
	end   context.CancelFunc
	ended chan struct{}
	err   error
}

// Start begins to serve.
func (w *windowsService) Start(s service.Service) error {
	ctx, end := context.WithCancel(w.ctx)
	w.end, w.ended = end, make(chan struct{})
	go func() {
		defer close(w.ended)
		if w.err = w.serve(ctx); w.err != nil {
			_ = s.Stop() // it failed by itself
		}
	}()
	return nil
}

// Stop ends it.
func (w *windowsService) Stop(service.Service) error {
	w.end()
	<-w.ended
	return nil
}
