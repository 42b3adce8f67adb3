// Package control holds the use cases: the only door to the state file for the
// command line, the API, the console and the schedule.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/script"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors"
)

// Parts are what a Service is made of.
type Parts struct {
	Store     *store.Store
	Ring      *secret.Ring
	Registry  connectors.Registry
	Now       func() time.Time
	Log       *slog.Logger
	Getenv    func(string) string  // for passwords given as ${env:NAME}
	Passwords *auth.Passwords      // nil: bcrypt at its default cost
	Overrides []model.SettingLayer // the settings' flags, environment and file, the strongest first
	Sender    Sender               // of notifications; nil: none are tried
	Python    *script.Runtime      // of transform scripts; nil: there are none
	Pace      *engine.Pace         // of runs beside requests; nil: there are none
	// Screen is asked before a query of the built-in warehouse runs, with who asks
	// in the context; its error refuses the query. nil: none is refused.
	Screen func(ctx context.Context, sql string) error
}

// Service performs the use cases. Each takes the actor from its context, checks
// the permission, validates, writes in one transaction with its audit line, and
// tells the listeners.
type Service struct {
	Parts
	Events *Bus
	Setup  *auth.SetupToken
	Links  *auth.Links

	// OnRestore ends the program's work, puts a backup in the place of the state and begins again; nil: the program is no server.
	OnRestore func(*LiveRestore)

	limit    *auth.LoginLimit
	runs     *runner
	house    house
	signer   signerCache
	touched  touches
	restores restores

	beat atomic.Int64 // when the schedule last looked, in Unix nanoseconds

	identities remembered[identity]
	resolved   remembered[resolvedSettings]
	known      known
}

// New returns a Service. Before anything else call Rescue, at the end Stop.
func New(p Parts) *Service {
	if p.Passwords == nil {
		p.Passwords = auth.NewPasswords(0)
	}
	s := &Service{Parts: p, Events: NewBus(p.Now), Setup: &auth.SetupToken{}, Links: &auth.Links{}, limit: auth.NewLoginLimit(p.Now)}
	s.runs = newRunner(s)
	return s
}

// InvalidError is a request that cannot be taken, with all its faults by field.
type InvalidError struct {
	What   string
	Faults []model.FieldError
}

func (e *InvalidError) Error() string {
	faults := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		faults[i] = f.Error()
	}
	return e.What + " is not valid: " + strings.Join(faults, "; ")
}

// invalid is nil without faults.
func invalid(what string, faults []model.FieldError) error {
	if len(faults) == 0 {
		return nil
	}
	return &InvalidError{What: what, Faults: faults}
}

// fault is an InvalidError of one field.
func fault(what, field, format string, args ...any) error {
	return &InvalidError{What: what, Faults: []model.FieldError{{Field: field, Message: fmt.Sprintf(format, args...)}}}
}

// WarehouseDir is where the data directory's built-in warehouse lies.
func WarehouseDir(dataDir string) string { return filepath.Join(dataDir, "warehouse") }

// Rescue ends what a killed process left running. Call it once at the start,
// before anything runs.
func (s *Service) Rescue(ctx context.Context) error {
	runs, err := s.Store.RescueRuns(ctx, "the program ended while the run was going on; the next run continues from the last checkpoint")
	for _, r := range runs {
		s.Log.WarnContext(ctx, "rescued an abandoned run", "run", r.ID, "pipeline", r.PipelineID, "started", r.StartedAt)
	}
	return err
}

// engine makes the engine for one run.
func (s *Service) engine(progress func(engine.Event)) *engine.Engine {
	return &engine.Engine{State: state{s.Store}, Now: s.Now, Log: s.Log, Progress: progress, Pace: s.Pace}
}

// state gives the engine the store in the words the engine declares.
type state struct{ *store.Store }

// Watermark is the zero Watermark before a table's first load.
func (s state) Watermark(ctx context.Context, pipelineID, sourceTable string) (model.Watermark, error) {
	w, err := s.GetWatermark(ctx, pipelineID, sourceTable)
	if errors.Is(err, store.ErrNotFound) {
		return model.Watermark{}, nil
	}
	return w, err
}

// all gathers every page of a list.
func all[T any](list func(store.Page) ([]T, int, error)) ([]T, error) {
	var items []T
	for {
		page, total, err := list(store.Page{Limit: 1000, Offset: len(items)})
		if err != nil {
			return nil, err
		}
		if items = append(items, page...); len(page) == 0 || len(items) >= total {
			return items, nil
		}
	}
}
