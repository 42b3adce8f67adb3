package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// Main is the command: it starts the servers, runs args with their addresses in the environment, stops the servers and
// returns the exit code of args.
func Main(args []string) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: go run arus/testdata/servers/cmd -- COMMAND [ARGUMENT...]")
		return 2
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go watchParent(signals)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var set *Set
	var err error
	started := make(chan struct{})
	go func() {
		defer close(started)
		set, err = Start(ctx, os.Stderr)
	}()
	code := 0
	select {
	case <-started:
	case s := <-signals:
		cancel()
		<-started
		code = exitCode(s)
	}
	switch {
	case code != 0: // interrupted before there was anything to run
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "servers:", err)
		code = 1
	default:
		code = execute(args, set.Environ(), signals)
	}
	if set != nil {
		if err := set.Stop(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "servers:", err)
		}
	}
	return code
}

// execute runs args to its end and passes signals on. What has not ended within the grace period is killed.
func execute(args, env []string, signals <-chan os.Signal) int {
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // signals are passed on instead
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	// At a terminal everything stays in the one group that may read from it, and that a Ctrl-C reaches at once.
	terminal := isTerminal(os.Stdin)
	if !terminal {
		separate(cmd)
	}
	if err := cmd.Start(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "servers:", err)
		return 127
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var grace <-chan time.Time
	for {
		select {
		case err := <-ended:
			if grace != nil && !terminal {
				signalGroup(cmd, syscall.SIGKILL) // what it started may have outlived it
			}
			return resultCode(err)
		case s := <-signals:
			switch {
			case !terminal:
				signalGroup(cmd, s.(syscall.Signal))
			case s != os.Interrupt:
				_ = cmd.Process.Signal(s)
			}
			if grace == nil {
				grace = time.After(stopTimeout)
			}
		case <-grace:
			_ = cmd.Process.Kill()
		}
	}
}

func resultCode(err error) int {
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case failed:
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return exitCode(status.Signal())
		}
		return exit.ExitCode()
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "servers:", err)
		return 1
	default:
		return 0
	}
}

func exitCode(s os.Signal) int {
	if number, ok := s.(syscall.Signal); ok {
		return 128 + int(number)
	}
	return 1
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// watchParent makes the end of the parent a SIGTERM: "go run" dies of one without passing it on, and the servers must
// not outlive it.
func watchParent(signals chan<- os.Signal) {
	parent := os.Getppid()
	for range time.Tick(500 * time.Millisecond) {
		if os.Getppid() != parent {
			signals <- syscall.SIGTERM
			return
		}
	}
}
