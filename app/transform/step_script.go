package transform

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// Scripts runs a pipeline's scripts.
type Scripts interface {
	// Open prepares the script of that name for rows of the given columns. An
	// unknown name, or a script that cannot work on such rows, is an error that
	// the person who wrote the step can act on.
	Open(ctx context.Context, name string, in []connectors.Column) (Script, error)
}

// Script is one script at work on one table. Its methods are called by one
// goroutine.
type Script interface {
	// Columns are what the batches of Run have. They may be unknown until the
	// first Run; from then on they never change.
	Columns() (columns []connectors.Column, known bool)
	// Fix makes them those that the script had in another plan, before the first
	// Run: all plans over one table hold to the same.
	Fix(ctx context.Context, columns []connectors.Column) error
	// Run gives the script a batch, which stays the caller's. An error is about
	// the script as a whole and ends the table.
	Run(ctx context.Context, batch arrow.RecordBatch) (ScriptResult, error)
	Close() error
}

// ScriptResult is what a script made of a batch. Rows of the batch that are
// neither in Rows nor in Failed are those the script dropped.
type ScriptResult struct {
	Batch   arrow.RecordBatch // nil when no row is left; the caller's to release
	Rows    []int32           // for each row of Batch the row it was made of; no row twice; nil: the same rows
	Failed  []ScriptFailure
	Printed []string
}

// ScriptFailure is a row on which the script failed.
type ScriptFailure struct {
	Row    int
	Reason string
}

// script lets a script change the rows.
type script struct {
	ScriptName string `json:"script_name"`
}

func (s *script) check(f *faults) { f.required("script_name", s.ScriptName) }

func (s *script) compile(c *compilation) runner {
	if c.opts.Scripts == nil {
		c.faults.add("", "scripts are not available here")
		return unchanged{}
	}
	opened, err := c.opts.Scripts.Open(c.ctx, s.ScriptName, plainColumns(c.columns))
	if err != nil {
		c.faults.add(".script_name", "%v", err)
		return unchanged{}
	}
	r := &scripting{name: s.ScriptName, script: opened, in: c.columns, schema: connectors.Schema(plainColumns(c.columns)), keep: c.keep}
	columns, known := opened.Columns()
	if !known {
		c.pending = true
		return r
	}
	r.fix(c, columns)
	return r
}

type scripting struct {
	name   string
	script Script
	in     []column
	schema *arrow.Schema
	out    []connectors.Column
	keep   []int // columns whose values the script must not change
	kept   []int // where they are in what it gives
	first  *ScriptResult
}

// fix takes over the script's columns. One of the same name and type is taken
// for the same column; for those that must stay, every row is compared.
func (s *scripting) fix(c *compilation, columns []connectors.Column) {
	out := make([]column, len(columns))
	for i, col := range columns {
		out[i] = column{col, lineage{source: -1, step: c.number}}
		for _, old := range s.in {
			if old.Name == col.Name && old.Type.Arrow().ID() == col.Type.Arrow().ID() && old.Type.Kind == col.Type.Kind {
				out[i] = old
				out[i].Type = col.Type
			}
		}
	}
	s.out, s.kept = columns, nil
	for _, k := range s.keep {
		s.kept = append(s.kept, slices.IndexFunc(columns, func(col connectors.Column) bool { return col.Name == s.in[k].Name }))
	}
	c.columns = out
}

// learn lets the script see the first rows; run does not give them again.
func (s *scripting) learn(ctx context.Context, f *frame, c *compilation) error {
	if f == nil {
		columns, known := s.script.Columns()
		if !known {
			columns = plainColumns(s.in)
		}
		s.fix(c, columns)
		return nil
	}
	r, err := s.give(ctx, f)
	if err != nil {
		return err
	}
	s.first = &r
	columns, known := s.script.Columns()
	switch {
	case known:
		s.fix(c, columns)
	case r.Batch != nil:
		return fmt.Errorf("the script %s gave rows without saying their columns", s.name)
	default: // every row was dropped or failed: the next batch decides
		c.pending = true
	}
	return nil
}

func (s *scripting) learned() any { return s.out }

func (s *scripting) adopt(ctx context.Context, learned any, c *compilation) error {
	columns := learned.([]connectors.Column)
	if err := s.script.Fix(ctx, columns); err != nil {
		return err
	}
	s.fix(c, columns)
	return nil
}

func (s *scripting) give(ctx context.Context, f *frame) (ScriptResult, error) {
	batch := f.batch(s.schema)
	defer batch.Release()
	r, err := s.script.Run(ctx, batch)
	if err != nil {
		return r, err
	}
	if err := s.sound(r, f.n); err != nil {
		if r.Batch != nil {
			r.Batch.Release()
		}
		return ScriptResult{}, err
	}
	return r, nil
}

// sound checks that every row that went in is accounted for at most once.
func (s *scripting) sound(r ScriptResult, n int) error {
	used := make([]bool, n)
	use := func(row int) error {
		if row < 0 || row >= n || used[row] {
			return fmt.Errorf("the script %s made more of the rows than it was given", s.name)
		}
		used[row] = true
		return nil
	}
	rows := 0
	if r.Batch != nil {
		rows = int(r.Batch.NumRows())
	}
	if r.Rows == nil && rows != 0 && rows != n || r.Rows != nil && len(r.Rows) != rows {
		return fmt.Errorf("the script %s gave %d rows for %d", s.name, rows, n)
	}
	for i := range rows {
		at := i
		if r.Rows != nil {
			at = int(r.Rows[i])
		}
		if err := use(at); err != nil {
			return err
		}
	}
	for _, x := range r.Failed {
		if err := use(x.Row); err != nil {
			return err
		}
	}
	return nil
}

func (s *scripting) run(ctx context.Context, f *frame) error {
	var r ScriptResult
	if s.first != nil {
		r, s.first = *s.first, nil
	} else {
		var err error
		if r, err = s.give(ctx, f); err != nil {
			return err
		}
	}
	for _, x := range r.Failed {
		f.failed = append(f.failed, Failure{Row: f.row(x.Row), Step: f.step.number + 1, Type: f.step.Type, Reason: x.Reason})
	}
	f.printed = append(f.printed, r.Printed...)
	before := f.n
	if r.Batch == nil {
		f.filtered += int64(before - len(r.Failed))
		f.release()
		f.n, f.rows = 0, nil
		return nil
	}
	defer r.Batch.Release()
	after := newFrame(r.Batch)
	f.filtered += int64(before - after.n - len(r.Failed))
	rows := make([]int32, after.n)
	for i := range rows {
		at := i
		if r.Rows != nil {
			at = int(r.Rows[i])
		}
		if reason := s.changed(f, at, after, i); reason != "" {
			f.fail(i, reason)
		}
		rows[i] = int32(f.row(at))
	}
	f.release()
	f.arrays, f.n, f.rows = after.arrays, after.n, rows
	return nil
}

// changed says which column that must stay a row's script has changed.
func (s *scripting) changed(before *frame, i int, after *frame, j int) string {
	for k, at := range s.keep {
		to := s.kept[k]
		if to < 0 {
			continue
		}
		a, b := before.arrays[at], after.arrays[to]
		if a.IsNull(i) && b.IsNull(j) {
			continue
		}
		t := s.in[at].Type
		if a.IsNull(i) != b.IsNull(j) || !bytes.Equal(connectors.AppendValue(nil, a, t, i), connectors.AppendValue(nil, b, t, j)) {
			return "the script " + s.name + " changed the column " + s.in[at].Name + ", which is the table's key or watermark"
		}
	}
	return ""
}

func (s *scripting) close() error {
	if s.first != nil && s.first.Batch != nil {
		s.first.Batch.Release()
	}
	return s.script.Close()
}

func newRecord(schema *arrow.Schema, columns []arrow.Array, n int) arrow.RecordBatch {
	b := array.NewRecordBatch(schema, columns, int64(n))
	for _, c := range columns {
		c.Release()
	}
	return b
}
