package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"

	"arus/app/api"
	"arus/app/auth"
	"arus/app/control"
	"arus/app/web"
)

// serveOptions say how a server is run.
type serveOptions struct {
	listen  string
	desktop bool // for the person who started it: opened in the browser, closed from the console

	restored *control.LiveRestore // for which it ended before
	reopened bool                 // it ran before, with the same accounts: the browser is open
}

// The reasons for which a server ends by itself.
var (
	errClosed  = errors.New("closed from the console")
	errRestore = errors.New("a backup is to be restored")
)

// serve runs the server until it is to end. When a backup is to be restored, it
// ends, restores and starts again.
func (env *environment) serve(ctx context.Context, o serveOptions) error {
	if env.flags.logFormat != logText && env.flags.logFormat != logJSON {
		return &usageError{fmt.Errorf("--log-format is text or json, not %q", env.flags.logFormat)}
	}
	env.serving = true
	for {
		restore, err := env.serveOnce(ctx, &o)
		if err != nil || restore == nil {
			return err
		}
		log := env.logger()
		log.InfoContext(ctx, "restoring a backup", "file", restore.File())
		quiet := env.keepWatchdog(ctx)
		r, err := restore.Do(ctx)
		if err != nil {
			log.ErrorContext(ctx, "restore a backup", "error", err)
		} else {
			log.InfoContext(ctx, "restored a backup", "made", r.CreatedAt, "tables", r.Tables, "aside", r.Aside)
		}
		quiet()
		o.restored, o.reopened = restore, err != nil
	}
}

// serveOnce runs the server: listen, migrate, rescue, services, ready; and back
// in the other order. It gives the backup that is to be restored, if any.
func (env *environment) serveOnce(ctx context.Context, o *serveOptions) (restore *control.LiveRestore, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, &environmentError{fmt.Errorf("listen on %s: %w", o.listen, err)}
	}
	defer func() { _ = listener.Close() }() // closed already where all went well
	d, err := env.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	o.listen = listener.Addr().String() // the same again after a restore
	if o.desktop && env.logTo == nil {
		closeLog, err := env.logHere(filepath.Join(d.Store.Dir(), desktopLog))
		if err != nil {
			return nil, err
		}
		defer func() {
			env.logTo = nil
			err = errors.Join(err, closeLog())
		}()
	}
	log := env.logger()
	d.log, d.Log = log, log
	if o.restored != nil {
		if err := d.TakeUp(ctx, o.restored); err != nil {
			d.log.ErrorContext(ctx, "write down the restore", "error", err)
		}
		o.restored = nil
	}
	running, server, err := env.prepare(ctx, d, listener.Addr())
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var wanted atomic.Pointer[control.LiveRestore]
	d.OnRestore = func(r *control.LiveRestore) {
		wanted.Store(r)
		end(errRestore)
	}
	if o.desktop {
		server.Close = func() { end(errClosed) }
	}
	err = env.run(ctx, d, server, listener, func() error {
		if err := running.save(d.Store.Dir()); err != nil {
			return err
		}
		if o.desktop && !o.reopened {
			return env.openDesktop(ctx, d, running)
		}
		return env.banner(ctx, d, running.URL)
	})
	if rerr := os.Remove(filepath.Join(d.Store.Dir(), runningName)); !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return wanted.Load(), err
}

// prepare makes the server of an open data directory.
func (env *environment) prepare(ctx context.Context, d *data, addr net.Addr) (runningServer, *web.Server, error) {
	settings, err := d.Settings(ctx)
	if err != nil {
		return runningServer{}, nil, err
	}
	encryption, sum, err := env.tlsConfig(d.Store.Dir(), settings)
	if err != nil {
		return runningServer{}, nil, err
	}
	scheme := "http://"
	if encryption != nil {
		scheme = "https://"
	}
	knock := auth.NewToken("")
	return runningServer{URL: scheme + reachable(addr), PID: os.Getpid(), Knock: knock.Reveal(), Certificate: sum}, &web.Server{
		Control: d.Service, Log: d.log, Now: env.Now, Version: version, Started: env.Now(), Public: !isLocal(addr), TLS: encryption, Knock: knock,
	}, nil
}

// run serves until ctx ends. ready is called when the services run.
func (env *environment) run(ctx context.Context, d *data, server *web.Server, listener net.Listener, ready func() error) error {
	log := d.log
	// One deadline for everything that has to end, from the moment the end is asked for.
	var deadline context.Context
	stop := func() (context.Context, context.CancelFunc) {
		log.InfoContext(ctx, "stopping", "at_most", stopTime.String())
		state := "STOPPING=1"
		if errors.Is(context.Cause(ctx), errRestore) {
			state = "RELOADING=1" // it comes back: the manager must not end it
		}
		_ = env.notifyManager(context.WithoutCancel(ctx), state)
		var cancel context.CancelFunc
		deadline, cancel = context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		return deadline, cancel
	}
	work, endWork := context.WithCancel(auth.WithActor(ctx, auth.Schedule()))
	services := env.services(work, d)
	server.SetReady(true)
	err := ready()
	if err == nil {
		err = env.notifyManager(ctx, "READY=1")
	}
	if err != nil {
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
	log.InfoContext(context.WithoutCancel(ctx), "stopped", "why", fmt.Sprint(context.Cause(ctx)))
	return err
}

// openDesktop opens the console in the browser of whoever started the program.
func (env *environment) openDesktop(ctx context.Context, d *data, running runningServer) error {
	token, err := d.IssueLink(ctx, env.person())
	if err != nil {
		return err
	}
	env.say("Arus %s runs at %s until it is closed there (About, Close Arus) or with Ctrl-C.\n  data  %s\n  log   %s", version, running.URL, d.Store.Dir(), filepath.Join(d.Store.Dir(), desktopLog))
	return env.show(ctx, web.Link(running.URL, token))
}

// banner says where the server is, and how to make the first admin.
func (env *environment) banner(ctx context.Context, d *data, local string) error {
	settings, err := d.Settings(ctx)
	if err != nil {
		return err
	}
	base := settings.BaseURL
	if base == "" {
		base = local
	}
	env.say("Arus %s at %s\n  data   %s\n  API    %s/api/openapi.json", version, base, d.Store.Dir(), base)
	needed, err := d.NeedsSetup(ctx)
	if err != nil || !needed {
		return err
	}
	// The link is for this machine: from elsewhere nothing is served before there is an admin.
	link := local + "/setup?token=" + url.QueryEscape(d.Setup.Issue().Reveal())
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
