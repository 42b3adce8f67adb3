package app

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// notifyManager tells systemd how the service does, where it asks to be told.
// See sd_notify(3).
func (env *environment) notifyManager(ctx context.Context, state string) error {
	socket := env.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	if socket[0] == '@' { // an abstract one
		socket = "\x00" + socket[1:]
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", socket)
	if err != nil {
		return fmt.Errorf("tell the service manager %q: %w", state, err)
	}
	defer func() { _ = conn.Close() }()
	if _, err = conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell the service manager %q: %w", state, err)
	}
	return nil
}

// watchdogEvery is how often systemd wants to hear that the service is well;
// zero where it does not.
func (env *environment) watchdogEvery() time.Duration {
	us, err := strconv.ParseInt(env.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	return time.Duration(us) * time.Microsecond / 3
}

// watchdog says again and again that the service is well, as long as it is: its
// state file answers. When it stays silent, systemd starts it anew.
func (env *environment) watchdog(ctx context.Context, d *data) error {
	every := env.watchdogEvery()
	if every == 0 {
		return nil
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if _, err := d.Settings(ctx); err != nil {
			if ctx.Err() == nil {
				d.log.ErrorContext(ctx, "the state file does not answer", "error", err)
			}
		} else if err := env.notifyManager(ctx, "WATCHDOG=1"); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "the watchdog", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// keepWatchdog keeps systemd patient until the function it gives is called.
func (env *environment) keepWatchdog(ctx context.Context) (end func()) {
	every := env.watchdogEvery()
	if every == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			_ = env.notifyManager(ctx, "WATCHDOG=1")
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		cancel()
		<-over
	}
}
