// The bench measures what a copy takes beside the least that the databases' own clients need for the same rows on the
// same servers, and checks every copy by a checksum:
//
//	go tool task bench                                     all lanes, 1,000,000 rows, 3 runs
//	go tool task bench -- -lanes 'pg-*' -rows 100000       some lanes, fewer rows
//	go tool task bench -- -json bench.json -markdown docs/performance.md
//	go tool task bench -- -of a.json,b.json -markdown docs/performance.md
//
// The rows are a function of their number, so every run has the same ones. Floor and Arus take turns; the table shows
// medians, -json every single measurement. Arus runs as it is shipped: the real binary as a process of its own with a
// fresh data directory. With -profile it is built with a profiler, and each copy leaves a profile of its processor time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

type options struct {
	lanes    string
	rows     int64
	runs     int
	json     string
	markdown string
	arus     string
	profile  string
	keep     bool
	of       string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if len(os.Args) > 1 && os.Args[1] == tripWork {
		err = runTrips(ctx, os.Args[2:])
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.lanes, "lanes", "*", "`globs` of the lanes to run, separated by commas; 'list' lists them")
	f.Int64Var(&o.rows, "rows", 1_000_000, "`rows` of the large table")
	f.IntVar(&o.runs, "runs", 3, "measurements of each, of which the median counts")
	f.StringVar(&o.json, "json", "", "write every measurement and the machine to this `file`")
	f.StringVar(&o.markdown, "markdown", "", "write the table as Markdown to this `file`")
	f.StringVar(&o.arus, "arus", "", "measure this `binary` instead of building one")
	f.StringVar(&o.profile, "profile", "", "leave a CPU profile of each copy in this `directory`")
	f.StringVar(&o.of, "of", "", "measure nothing: write the report of what these JSON `files`, separated by commas, have; of a lane in several the last counts")
	f.BoolVar(&o.keep, "keep", false, "leave the databases and the temporary directory behind")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var wrong []error
	if f.NArg() > 0 {
		wrong = append(wrong, fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	if o.rows < minRows {
		wrong = append(wrong, fmt.Errorf("-rows is at least %d", minRows))
	}
	if o.runs < 1 {
		wrong = append(wrong, errors.New("-runs is at least 1"))
	}
	if o.profile != "" && o.arus != "" {
		wrong = append(wrong, errors.New("-profile needs a binary of its own, so it does not go with -arus"))
	}
	return o, errors.Join(wrong...)
}

func run(ctx context.Context, args []string, out, log io.Writer) (err error) {
	o, err := parse(args, log)
	if err != nil {
		return err
	}
	if o.lanes == "list" {
		for _, l := range lanes() {
			_, _ = fmt.Fprintf(out, "%-18s %s\n", l.name, l.title)
		}
		return nil
	}
	if o.of != "" {
		r, err := joined(strings.Split(o.of, ","))
		if err != nil {
			return err
		}
		r.table(out)
		return errors.Join(r.write(o), r.failure())
	}
	chosen, err := choose(lanes(), o.lanes)
	if err != nil {
		return err
	}
	b, err := open(ctx, o, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()

	r := report{Rows: o.rows, Runs: o.runs, Machine: b.machine(ctx), Arus: b.version(ctx)}
	if o.lanes != "*" {
		r.Only = o.lanes
	}
	for _, l := range chosen {
		result := b.measure(ctx, l)
		r.Lanes = append(r.Lanes, result)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	r.table(out)
	return errors.Join(r.write(o), r.failure())
}

// choose keeps the order of the list. A pattern that fits nothing is a mistake.
func choose(all []lane, patterns string) ([]lane, error) {
	wanted := make([]bool, len(all))
	for pattern := range strings.SplitSeq(patterns, ",") {
		found := false
		for i, l := range all {
			ok, err := filepath.Match(pattern, l.name)
			if err != nil {
				return nil, fmt.Errorf("-lanes %s: %w", pattern, err)
			}
			if ok {
				found, wanted[i] = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no lane is called %q; -lanes list lists them", pattern)
		}
	}
	var chosen []lane
	for i, l := range all {
		if wanted[i] {
			chosen = append(chosen, l)
		}
	}
	return chosen, nil
}
