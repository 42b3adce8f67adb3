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

	"arus/connectors"
)

// batchRows is how many rows a worker gets at a time: their Python objects take about 2 KB each.
const batchRows = 8192

// setup is what a worker is told of its script.
type setup struct {
	Name    string     `json:"name"`
	Source  string     `json:"source"`
	Columns []inColumn `json:"columns"`
}

func newSetup(p Program, in []connectors.Column) setup {
	s := setup{Name: p.Name, Source: p.Source, Columns: make([]inColumn, len(in))}
	for i, c := range in {
		s.Columns[i] = inColumn{Name: c.Name, Encoding: sent(c.Type.Kind)}
	}
	return s
}

// Check starts a script without rows: its syntax, its functions and its declared columns.
func (r *Runtime) Check(ctx context.Context, p Program) error {
	w, ready, err := r.start(ctx, p, newSetup(p, nil), nil)
	if err != nil {
		return err
	}
	if _, err = w.declared(nil, ready); errors.Is(err, errRemoved) {
		err = nil // which columns there are, only a table says
	}
	return errors.Join(err, w.close())
}

var errRemoved = errors.New("removed")

// Infer gives the columns that a script's rows have: as declared, else as the rows of a first batch come out. It runs the
// script on the sample in a worker of its own, which ends. A script without declared columns needs a sample with a row in it.
func (r *Runtime) Infer(ctx context.Context, p Program, in []connectors.Column, sample arrow.RecordBatch) (out []connectors.Column, err error) {
	w, ready, err := r.start(ctx, p, newSetup(p, in), nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if out, err = w.declared(in, ready); out != nil || err != nil {
		return out, err
	}
	if sample == nil || sample.NumRows() == 0 {
		return slices.Clone(in), nil
	}
	sample = sample.NewSlice(0, min(sample.NumRows(), batchRows))
	defer sample.Release()
	answer, err := w.ask(ctx, frameSurvey, appendBatch(nil, sample, in), frameFound)
	if err != nil {
		return nil, err
	}
	var seen struct {
		Out     int
		Failed  [][2]any
		Columns []found
	}
	if err := json.Unmarshal(answer, &seen); err != nil {
		return nil, w.fault(errFrame, "run it again; if it persists, report it")
	}
	if seen.Out == 0 {
		if len(seen.Failed) > 0 {
			return nil, w.fault(fmt.Errorf("it failed on every row of the first batch, such as: %v", seen.Failed[0][1]), "mend the script, or declare its columns")
		}
		return slices.Clone(in), nil // every row was dropped
	}
	if out, err = inferred(in, seen.Columns); err != nil {
		return nil, w.fault(err, "every value of a column has one type, or None")
	}
	return out, nil
}

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

// Script is a script that runs over one table's batches, in a worker of its own. Its methods are called by one goroutine.
type Script struct {
	w       *worker
	in, out []connectors.Column
	body    []byte
}

// Open starts a script for batches of the columns in; every row it returns is held to out, which Infer gives. log receives
// what the script prints, line by line, from another goroutine; it may be nil. Close ends the worker.
func (r *Runtime) Open(ctx context.Context, p Program, in, out []connectors.Column, log func(string)) (*Script, error) {
	w, _, err := r.start(ctx, p, newSetup(p, in), log)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(outColumns(in, out))
	if err == nil {
		_, err = w.ask(ctx, frameColumns, body, frameReady)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return &Script{w: w, in: in, out: out}, nil
}

// Run runs the script over a batch, which it does not release. An error is of the worker: the batch was not transformed and
// the script cannot be used any more.
func (s *Script) Run(ctx context.Context, batch arrow.RecordBatch) (Result, error) {
	var parts []Result
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
			return Result{}, err
		}
		for i := range part.Origin {
			part.Origin[i] += int(from)
		}
		for i := range part.Failed {
			part.Failed[i].Row += int(from)
		}
		parts = append(parts, part)
	}
	return join(parts)
}

func (s *Script) runPart(ctx context.Context, part arrow.RecordBatch) (Result, error) {
	defer part.Release()
	s.body = appendBatch(s.body[:0], part, s.in)
	answer, err := s.w.ask(ctx, frameBatch, s.body, frameOut)
	if err != nil {
		return Result{}, err
	}
	result, err := decode(answer, part, s.in, s.out)
	if err != nil {
		return Result{}, s.w.fault(err, "the script must not write to the worker's own descriptors")
	}
	return result, nil
}

// Close ends the worker and removes its directory.
func (s *Script) Close() error { return s.w.close() }

// join makes one result of those of a batch's parts.
func join(parts []Result) (Result, error) {
	var joined Result
	var batches []arrow.RecordBatch
	for _, p := range parts {
		joined.Origin, joined.Failed = append(joined.Origin, p.Origin...), append(joined.Failed, p.Failed...)
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
			return Result{}, fmt.Errorf("join a script's rows: %w", err)
		}
		columns[c] = whole
	}
	joined.Batch = array.NewRecordBatch(batches[0].Schema(), columns, int64(len(joined.Origin)))
	return joined, nil
}
