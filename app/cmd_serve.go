package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"arus/app/engine"
	"arus/app/model"
	"arus/app/notify"
	"arus/app/schedule"
)

const (
	envListen     = "ARUS_LISTEN"
	defaultListen = "127.0.0.1:8082"

	// stopTime is how long everything together may take to end.
	stopTime = 30 * time.Second
	// retainEvery is how often what is no longer kept is removed; the first time
	// is a little after the start.
	retainEvery = 6 * time.Hour
	retainFirst = 2 * time.Minute
	// tendEvery is how often the warehouse's tables are looked at for due jobs.
	tendEvery = time.Minute
)

func (env *environment) serveCommand() *cobra.Command {
	var listen, logTo string
	settings := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: API, schedule and console",
		Long: `Run the server on one data directory, until SIGINT or SIGTERM. It listens on this machine alone unless
--listen says otherwise; beyond it nothing is served before there is an admin. The first start prints a
link with which the first admin makes an account. The settings may be given as flags; see
'arus settings list' for all of them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			env.set = map[string]string{}
			for key, value := range settings {
				if s, _ := model.FindSetting(key); cmd.Flags().Changed(s.Flag()) {
					env.set[key] = *value
				}
			}
			closeLog, err := env.logHere(logTo)
			if err != nil {
				return err
			}
			return errors.Join(env.serveAs(cmd.Context(), serveOptions{listen: listen}), closeLog())
		},
	}
	address := env.Getenv(envListen)
	if address == "" {
		address = defaultListen
	}
	cmd.Flags().StringVar(&listen, "listen", address, "`address` to listen on, host:port (default "+envListen+", else "+defaultListen+")")
	cmd.Flags().StringVar(&logTo, "log-file", "", "write the log to this `file`, which makes room at 8 MB, instead of standard error")
	for _, s := range model.SettingList() {
		settings[s.Key] = new(string)
		cmd.Flags().StringVar(settings[s.Key], s.Flag(), "", s.Doc+" (default "+s.Env()+", else the settings)")
	}
	return cmd
}

// services starts what works beside the requests, until ctx ends.
func (env *environment) services(ctx context.Context, d *data) *sync.WaitGroup {
	if settings, err := d.Settings(ctx); err == nil {
		allowRuns(settings.MaxConcurrentRuns)
	}
	d.Pace = engine.NewPace(env.Now)
	starter := &schedule.Scheduler{Control: d.Service, Log: d.log, Now: env.Now}
	courier := &notify.Worker{Queue: d.Service, Sender: d.sender, Log: d.log, Now: env.Now}
	d.Events.Observe(starter.Observe)
	d.Events.Observe(courier.Observe)
	if err := d.ResumeQueue(ctx); err != nil { // what waits stays written down
		d.log.ErrorContext(ctx, "take up the runs that waited when the program ended", "error", err)
	}
	var services sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{
		"schedule": starter.Run, "notifications": courier.Run, "retention": func(ctx context.Context) error { d.retain(ctx); return nil },
		"warehouse": func(ctx context.Context) error { d.tend(ctx); return nil },
		"backups":   func(ctx context.Context) error { d.backups(ctx, env.Now); return nil },
		"memory":    func(ctx context.Context) error { rest(ctx); return nil },
		"watchdog":  func(ctx context.Context) error { return env.watchdog(ctx, d) },
	} {
		services.Go(func() {
			if err := run(ctx); err != nil {
				d.log.ErrorContext(ctx, "a service ended", "service", name, "error", err)
			}
		})
	}
	return &services
}

// tend does the due jobs of the warehouse's tables, again and again.
func (d *data) tend(ctx context.Context) {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	d.TendWarehouse(ctx, ticker.C)
}

// retain removes what is no longer kept, again and again.
func (d *data) retain(ctx context.Context) {
	timer := time.NewTimer(retainFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if n, err := d.Retain(ctx); err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "remove what is no longer kept", "error", err)
		} else {
			d.log.DebugContext(ctx, "removed what is no longer kept", slog.Int64("runs", n.Runs), slog.Int64("log_lines", n.Logs), slog.Int64("audit_entries", n.Audit))
		}
		timer.Reset(retainEvery)
	}
}
