package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"arus/app/api"
	"arus/app/auth"
	"arus/app/model"
	"arus/app/notify"
	"arus/app/schedule"
	"arus/app/web"
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
	var listen string
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
			env.serving = true
			return env.serve(cmd.Context(), listen)
		},
	}
	address := env.Getenv(envListen)
	if address == "" {
		address = defaultListen
	}
	cmd.Flags().StringVar(&listen, "listen", address, "`address` to listen on, host:port (default "+envListen+", else "+defaultListen+")")
	for _, s := range model.SettingList() {
		settings[s.Key] = new(string)
		cmd.Flags().StringVar(settings[s.Key], s.Flag(), "", s.Doc+" (default "+s.Env()+", else the settings)")
	}
	return cmd
}

// serve runs the server: listen, migrate, rescue, services, ready; and back in
// the other order.
func (env *environment) serve(ctx context.Context, listen string) (err error) {
	if env.flags.logFormat != logText && env.flags.logFormat != logJSON {
		return &usageError{fmt.Errorf("--log-format is text or json, not %q", env.flags.logFormat)}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return &environmentError{fmt.Errorf("listen on %s: %w", listen, err)}
	}
	defer func() { _ = listener.Close() }() // closed already where all went well
	log := env.logger()
	d, err := env.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	server := &web.Server{
		Control: d.Service, Log: log, Now: env.Now, Version: version, Started: env.Now(), Public: !isLocal(listener.Addr()),
	}

	// One deadline for everything that has to end, from the moment the end is asked for.
	var deadline context.Context
	stop := func() (context.Context, context.CancelFunc) {
		log.InfoContext(ctx, "stopping", "at_most", stopTime.String())
		var cancel context.CancelFunc
		deadline, cancel = context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		return deadline, cancel
	}
	work, endWork := context.WithCancel(auth.WithActor(ctx, auth.Schedule()))
	services := env.services(work, d)
	server.SetReady(true)
	if err := env.banner(ctx, d, listener.Addr()); err != nil {
		endWork()
		services.Wait()
		return err
	}
	log.InfoContext(ctx, "ready", "listen", listener.Addr().String(), "data", d.Store.Dir(), "version", version)

	var stopped atomic.Pointer[error]
	err = server.Serve(ctx, listener, func() (context.Context, context.CancelFunc) {
		within, cancel := stop()
		// First what starts runs, so that what a run that ends now was owed stays owed.
		endWork()
		services.Wait()
		// The runs end while the last requests are answered, some of which wait for them.
		over := make(chan struct{})
		go func() {
			defer close(over)
			if err := d.Stop(within); err != nil {
				stopped.Store(&err)
			}
		}()
		return within, func() {
			<-over
			cancel()
		}
	})
	endWork()
	services.Wait()
	if e := stopped.Load(); e != nil {
		err = errors.Join(err, *e)
	}
	if deadline == nil { // the listener failed before anybody asked for the end
		within, cancel := stop()
		err = errors.Join(err, d.Stop(within))
		cancel()
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	log.InfoContext(context.WithoutCancel(ctx), "stopped")
	return err
}

// services starts what works beside the requests, until ctx ends.
func (env *environment) services(ctx context.Context, d *data) *sync.WaitGroup {
	starter := &schedule.Scheduler{Control: d.Service, Log: d.log, Now: env.Now}
	courier := &notify.Worker{Queue: d.Service, Sender: d.sender, Log: d.log, Now: env.Now}
	d.Events.Observe(starter.Observe)
	d.Events.Observe(courier.Observe)
	var services sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{
		"schedule": starter.Run, "notifications": courier.Run, "retention": func(ctx context.Context) error { d.retain(ctx); return nil },
		"warehouse": func(ctx context.Context) error { d.tend(ctx); return nil },
		"backups":   func(ctx context.Context) error { d.backups(ctx, env.Now); return nil },
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

// banner says where the server is, and how to make the first admin.
func (env *environment) banner(ctx context.Context, d *data, addr net.Addr) error {
	settings, err := d.Settings(ctx)
	if err != nil {
		return err
	}
	base := settings.BaseURL
	if base == "" {
		base = "http://" + reachable(addr)
	}
	if !env.flags.quiet {
		_, _ = fmt.Fprintf(env.Err, "Arus %s at %s\n  data   %s\n  API    %s/api/openapi.json\n", version, base, d.Store.Dir(), base)
	}
	needed, err := d.NeedsSetup(ctx)
	if err != nil || !needed {
		return err
	}
	// The link is for this machine: from elsewhere nothing is served before there is an admin.
	link := "http://" + reachable(addr) + "/setup?token=" + url.QueryEscape(d.Setup.Issue().Reveal())
	_, err = fmt.Fprintf(env.Err, "\nThere is no admin yet. Make one with this link, which works once:\n  %s\nor with: arus user add --email E --name N --role admin --password-stdin\n\n", link)
	return err
}

// reachable is the address as a browser on this machine takes it.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func isLocal(addr net.Addr) bool {
	host, _, err := net.SplitHostPort(addr.String())
	return err == nil && api.IsLoopback(host)
}
