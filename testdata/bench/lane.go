package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/jackc/pgx/v5"
)

// lane is one kind of copy.
type lane struct {
	name    string
	title   string
	prepare func(context.Context, *bench) (*job, error) // makes the data; not measured
}

// job is a prepared lane: floors and Arus take turns at it.
type job struct {
	rows   int64
	bytes  int64 // of the rows as text
	runs   int   // 0 = as many as asked for
	idle   bool  // the point is how little happens: no rows a second
	before func(ctx context.Context, round int) error
	floors []contender
	arus   contender
	facts  []fact // figures of another kind; complete after the runs
	end    func(context.Context) error
}

// contender is one way to do the work. Only run is measured.
type contender struct {
	name  string
	reset func(context.Context) error
	run   func(context.Context) (sample, error)
	check func(context.Context) error
}

type result struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Rows    int64   `json:"rows"`
	Bytes   int64   `json:"text_bytes"`
	Stored  int64   `json:"target_bytes,omitempty"` // what the target takes on its server
	Idle    bool    `json:"idle,omitempty"`
	Floors  []timed `json:"floors"`
	Arus    timed   `json:"arus"`
	Facts   []fact  `json:"facts,omitempty"`
	Skipped string  `json:"skipped,omitempty"`
	Error   string  `json:"error,omitempty"`
}

type timed struct {
	Name    string   `json:"name"`
	Median  sample   `json:"median"`
	Samples []sample `json:"samples"`
}

// measure never fails: what went wrong is in the result, and the other lanes go on.
func (b *bench) measure(ctx context.Context, l lane) result {
	r := result{Name: l.name, Title: l.title, Floors: []timed{}}
	err := b.measureInto(ctx, l, &r)
	switch {
	case errors.Is(err, errSkip):
		r.Skipped = err.Error()
	case err != nil:
		r.Error = err.Error()
		b.say("%s: %v", l.name, err)
	}
	return r
}

func (b *bench) measureInto(ctx context.Context, l lane, r *result) (err error) {
	j, err := l.prepare(ctx, b)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if j.end != nil {
		defer func() { err = errors.Join(err, j.end(context.WithoutCancel(ctx))) }()
	}
	r.Rows, r.Bytes, r.Idle = j.rows, j.bytes, j.idle
	for _, f := range j.floors {
		r.Floors = append(r.Floors, timed{Name: f.name})
	}
	r.Arus.Name = "arus"
	runs := b.options.runs
	if j.runs > 0 {
		runs = j.runs
	}
	for round := range runs {
		if j.before != nil {
			if err := j.before(ctx, round); err != nil {
				return fmt.Errorf("before round %d: %w", round+1, err)
			}
		}
		for i, f := range j.floors {
			if err := b.one(ctx, l, f, &r.Floors[i]); err != nil {
				return fmt.Errorf("floor %s: %w", f.name, err)
			}
		}
		if err := b.one(ctx, l, j.arus, &r.Arus); err != nil {
			return err
		}
	}
	r.Facts = j.facts
	r.Stored, err = b.storedBytes(ctx)
	return err
}

func (b *bench) one(ctx context.Context, l lane, c contender, into *timed) error {
	if c.reset != nil {
		if err := c.reset(ctx); err != nil {
			return fmt.Errorf("reset: %w", err)
		}
	}
	if err := b.calm(ctx); err != nil {
		return err
	}
	runtime.GC()
	s, err := c.run(ctx)
	if err != nil {
		return err
	}
	into.Samples = append(into.Samples, s)
	into.Median = median(into.Samples)
	b.say("%s: %s %.2fs, %.2fs of processor time", l.name, into.Name, s.Seconds, s.CPU)
	if c.check != nil {
		return c.check(ctx)
	}
	return nil
}

// storedBytes is what Arus's tables take in PostgreSQL with their keys; 0 when it loaded something else.
func (b *bench) storedBytes(ctx context.Context) (n int64, err error) {
	if !b.made[b.name("dst")] {
		return 0, nil
	}
	err = b.postgres(ctx, b.name("dst"), func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'analytics' AND c.relkind = 'r'").Scan(&n)
	})
	return n, err
}

// sync is a contender: one `arus sync` with a fresh data directory into targets that are not there yet.
func (b *bench) sync(from, to, mode string, rows int64, reset, check func(context.Context) error, more ...string) contender {
	var data string
	return contender{
		name: "arus",
		reset: func(ctx context.Context) (err error) {
			if reset != nil {
				if err := reset(ctx); err != nil {
					return err
				}
			}
			data, err = b.fresh()
			return err
		},
		run: func(ctx context.Context) (sample, error) {
			s, o, err := b.copy(ctx, data, from, to, mode, more...)
			if err == nil {
				err = o.expect(mode, rows)
			}
			return s, errors.Join(err, os.RemoveAll(data))
		},
		check: check,
	}
}
