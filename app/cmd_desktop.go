package app

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"arus/app/store"
)

const (
	// desktopLog is where the log of a program started by a double click goes.
	desktopLog = "arus.log"
	// findFor is how long the running program is looked for: it may be starting.
	findFor   = 10 * time.Second
	findEvery = 100 * time.Millisecond
)

// desktop is the program as a person starts it, by a double click or by its bare
// name: a server for this machine alone, on a port that is free, opened in the
// browser. Where it runs already, that one is opened.
func (env *environment) desktop(ctx context.Context) error {
	detachConsole()
	for until := time.Now().Add(findFor); ; {
		err := env.serve(ctx, serveOptions{listen: "127.0.0.1:0", desktop: true})
		if !errors.Is(err, store.ErrLocked) {
			return err
		}
		dir, derr := env.dataDir()
		if derr != nil {
			return derr
		}
		running, rerr := findRunning(dir)
		if rerr == nil {
			var link string
			if link, rerr = running.link(ctx, env.person()); rerr == nil {
				env.say("Arus is running at %s", running.URL)
				return env.show(ctx, link)
			}
		}
		if time.Now().After(until) {
			return err // a command holds the data directory, or a server that does not answer
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(findEvery):
		}
	}
}

// show opens a link in the browser, or prints it where there is none.
func (env *environment) show(ctx context.Context, link string) error {
	if name, args := env.browser(); name != "" {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), name, append(args, link)...)
		if err := cmd.Start(); err == nil {
			go func() { _ = cmd.Wait() }()
			return nil
		}
	}
	_, err := fmt.Fprintf(env.Out, "Open this link in a browser on this machine; it works once, within ten minutes:\n  %s\n", link)
	return err
}

// browser is the command that opens an address; empty where nobody would see it.
func (env *environment) browser() (name string, args []string) {
	if b := env.Getenv("BROWSER"); b != "" {
		return b, nil
	}
	switch runtime.GOOS {
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler"}
	case "darwin":
		return "open", nil
	}
	if env.Getenv("DISPLAY") == "" && env.Getenv("WAYLAND_DISPLAY") == "" {
		return "", nil
	}
	name, err := exec.LookPath("xdg-open")
	if err != nil {
		return "", nil
	}
	return name, nil
}

// logHere lets the log go into a file: a double click has no terminal.
func (env *environment) logHere(file string) (func() error, error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	log, err := openLogFile(filepath.Clean(file))
	if err != nil {
		return nil, &environmentError{fmt.Errorf("open the log: %w", err)}
	}
	env.logTo = log
	return log.Close, nil
}
