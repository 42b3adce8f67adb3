package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform"
	"arus/connectors"
)

// batchRows is how many rows a worker gets at a time: their Python objects take about 2 KB each.
const batchRows = 8192

// setup is what a worker is told of its script.
type setup struct {
	Name    string     `json:"name"`
	Source  string     `json:"source"`
	Memory  uint64     `json:"memory"` // bytes of address space
	Columns []inColumn `json:"columns"`
}

func (r *Runtime) setup(p Program, in []connectors.Column) setup {
	s := setup{Name: p.Name, Source: p.Source, Memory: r.limits.Memory, Columns: make([]inColumn, len(in))}
	for i, c := range in {
		s.Columns[i] = inColumn{Name: c.Name, Encoding: sent(c.Type.Kind)}
	}
	return s
}

// Check starts a script without rows: its syntax, its functions and its declared columns.
func (r *Runtime) Check(ctx context.Context, p Program) error {
	w, ready, err := r.start(ctx, p, r.setup(p, nil), nil)
	if err != nil {
		return err
	}
	if _, err = w.declared(nil, ready); errors.Is(err, errRemoved) {
		err = nil // which columns there are, only a table says
	}
	return errors.Join(err, w.close())
}

var errRemoved = errors.New("removed")

// declared are the columns by the script's own declaration; nil without one.
func (w *worker) declared(in []connectors.Column, ready []byte) ([]connectors.Column, error) {
	var said struct{ Declared [][2]*string }
	if err := json.Unmarshal(ready, &said); err != nil {
		return nil, w.fault(errFrame, "run it again; if it persists, report it")
	}
	if said.Declared == nil {
		return nil, nil
	}
	if in == nil { // only the types can be looked at
		said.Declared = slices.DeleteFunc(said.Declared, func(d [2]*string) bool { return d[1] == nil })
	}
	out, err := declared(in, said.Declared)
	if err != nil {
		return nil, w.fault(err, `columns is a dict of names and types, such as {"total": "decimal(12,2)", "old": None}`)
	}
	return out, nil
}

// Scripts gives a transform its scripts: lookup finds one by name, log receives what they print, line by line, from other
// goroutines; it may be nil.
func (r *Runtime) Scripts(lookup func(ctx context.Context, name string) (Program, error), log func(script, line string)) transform.Scripts {
	return scripts{r, lookup, log}
}

type scripts struct {
	runtime *Runtime
	lookup  func(ctx context.Context, name string) (Program, error)
	log     func(script, line string)
}

// Open finds the script and starts it.
func (s scripts) Open(ctx context.Context, name string, in []connectors.Column) (transform.Script, error) {
	p, err := s.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	var log func(string)
	if s.log != nil {
		log = func(line string) { s.log(name, line) }
	}
	opened, err := s.runtime.Open(ctx, p, in, log)
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// Script is a script at work on one table, in a worker of its own.
type Script struct {
	runtime *Runtime
	program Program
	w       *worker
	in, out []connectors.Column
	known   bool
	body    []byte
}

// Open starts a script for batches of the columns in. log receives what it prints, from another goroutine; it may be nil.
// Close ends the worker.
func (r *Runtime) Open(ctx context.Context, p Program, in []connectors.Column, log func(string)) (*Script, error) {
	w, ready, err := r.start(ctx, p, r.setup(p, in), log)
	if err != nil {
		return nil, err
	}
	s := &Script{runtime: r, program: p, w: w, in: in}
	out, err := w.declared(in, ready)
	if out != nil && err == nil {
		err = s.settle(ctx, out)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return s, nil
}

// Columns are what the batches of Run have: known from the start when the script declares them, else from the first batch
// of which a row is left.
func (s *Script) Columns() (columns []connectors.Column, known bool) { return s.out, s.known }

// Fix settles the columns as another worker has learnt them from the table's first rows, before the first Run. Where the
// script has declared them, that goes.
func (s *Script) Fix(ctx context.Context, columns []connectors.Column) error {
	if s.known {
		return nil
	}
	return s.settle(ctx, columns)
}

// settle tells the worker the columns that go out.
func (s *Script) settle(ctx context.Context, out []connectors.Column) error {
	body, err := json.Marshal(outColumns(s.in, out))
	if err != nil {
		return err
	}
	if _, err := s.w.ask(ctx, frameColumns, body, frameReady); err != nil {
		return err
	}
	s.out, s.known = out, true
	return nil
}

// learn settles the columns by a first batch. It runs in a worker of its own, which ends: the script sees every row once.
func (s *Script) learn(ctx context.Context, sample arrow.RecordBatch) (err error) {
	w, _, err := s.runtime.start(ctx, s.program, s.runtime.setup(s.program, s.in), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	sample = sample.NewSlice(0, min(sample.NumRows(), batchRows))
	defer sample.Release()
	answer, err := w.ask(ctx, frameSurvey, appendBatch(nil, sample, s.in), frameFound)
	if err != nil {
		return err
	}
	var seen struct {
		Out     int
		Columns []found
	}
	if err := json.Unmarshal(answer, &seen); err != nil {
		return w.fault(errFrame, "run it again; if it persists, report it")
	}
	if seen.Out == 0 { // every row was dropped or failed: a later batch tells
		err := s.settle(ctx, s.in)
		s.out, s.known = nil, false
		return err
	}
	out, err := inferred(s.in, seen.Columns)
	if err != nil {
		return w.fault(err, "every value of a column has one type, or None")
	}
	return s.settle(ctx, out)
}

// Run runs the script over a batch, which it does not release. An error is of the script as a whole: the batch was not
// transformed, and the script cannot be used any more.
func (s *Script) Run(ctx context.Context, batch arrow.RecordBatch) (transform.ScriptResult, error) {
	var parts []transform.ScriptResult
	defer func() {
		for _, p := range parts {
			if p.Batch != nil {
				p.Batch.Release()
			}
		}
	}()
	for from := int64(0); from < batch.NumRows(); from += batchRows {
		part, err := s.runPart(ctx, batch.NewSlice(from, min(from+batchRows, batch.NumRows())))
		if err != nil {
			return transform.ScriptResult{}, err
		}
		for i := range part.Rows {
			part.Rows[i] += int32(from)
		}
		for i := range part.Failed {
			part.Failed[i].Row += int(from)
		}
		parts = append(parts, part)
	}
	return join(parts)
}

func (s *Script) runPart(ctx context.Context, part arrow.RecordBatch) (transform.ScriptResult, error) {
	defer part.Release()
	if !s.known {
		if err := s.learn(ctx, part); err != nil {
			return transform.ScriptResult{}, err
		}
	}
	s.body = appendBatch(s.body[:0], part, s.in)
	answer, err := s.w.ask(ctx, frameBatch, s.body, frameOut)
	if err != nil {
		return transform.ScriptResult{}, err
	}
	out := s.out
	if !s.known {
		out = s.in
	}
	result, err := decode(answer, part, s.in, out)
	if err != nil {
		return transform.ScriptResult{}, s.w.fault(err, "the script must not write to the worker's own descriptors")
	}
	if !s.known && result.Batch != nil { // a script that answers differently each time
		result.Batch.Release()
		return transform.ScriptResult{}, s.w.fault(errors.New("it dropped or failed every row of a batch, then not"), "declare its columns")
	}
	return result, nil
}

// Close ends the worker and removes its directory.
func (s *Script) Close() error { return s.w.close() }

// join makes one result of those of a batch's parts.
func join(parts []transform.ScriptResult) (transform.ScriptResult, error) {
	var joined transform.ScriptResult
	var batches []arrow.RecordBatch
	for _, p := range parts {
		joined.Rows, joined.Failed = append(joined.Rows, p.Rows...), append(joined.Failed, p.Failed...)
		if p.Batch != nil {
			batches = append(batches, p.Batch)
		}
	}
	switch len(batches) {
	case 0:
		return joined, nil
	case 1:
		batches[0].Retain()
		joined.Batch = batches[0]
		return joined, nil
	}
	columns := make([]arrow.Array, batches[0].NumCols())
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	for c := range columns {
		pieces := make([]arrow.Array, len(batches))
		for i, b := range batches {
			pieces[i] = b.Column(c)
		}
		whole, err := array.Concatenate(pieces, memory.DefaultAllocator)
		if err != nil {
			return transform.ScriptResult{}, fmt.Errorf("join a script's rows: %w", err)
		}
		columns[c] = whole
	}
	joined.Batch = array.NewRecordBatch(batches[0].Schema(), columns, int64(len(joined.Rows)))
	return joined, nil
}
