package transform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/model"
	"arus/app/transform/expression"
	"arus/connectors"
)

// Options are what the steps need from outside.
type Options struct {
	Scripts Scripts   // nil: script steps are refused
	Now     time.Time // what now() and today() say throughout
	// Learned is what an earlier plan over the same steps has found out from its
	// first rows (see Plan.Learned): this one needs none, and holds to it.
	Learned map[int]any
	// Partial lets the compilation end before the first script where there are no
	// Scripts: for checking a configuration. Such a plan is not to be run.
	Partial bool
	// Keep names source columns whose values must stay as they are: the key and
	// the watermark. A script that changes one of them fails the row.
	Keep []string
}

// Plan carries the batches of one table through its steps. Its methods are
// called by one goroutine; Close ends it.
type Plan struct {
	opts  Options
	in    []connectors.Column
	out   []column
	steps []*compiledStep
	rest  []Step // those whose columns are not known before the first batch
	held  bool   // a step holds rows back
	state bool   // a step remembers rows
	ended bool
}

// column is a column on its way, with where it came from.
type column struct {
	connectors.Column
	lineage
}

// lineage says what became of a source column.
type lineage struct {
	source   int  // place among the source's columns; -1: made by a step
	same     bool // its values and its type are the source's
	oneToOne bool // different values stay different
	step     int  // the step that changed it
}

type compiledStep struct {
	Type   string
	number int // from 0
	runner runner
	out    []column
	schema *arrow.Schema
}

// runner is a step at work.
type runner interface {
	run(ctx context.Context, f *frame) error
}

// learner is a step that says what columns leave it when it sees the first rows.
type learner interface {
	runner
	// learn looks at a frame, nil when no row came at all, and gives the columns
	// that will leave the step; it leaves the compilation pending where the frame
	// does not tell and none of its rows will be left.
	learn(ctx context.Context, f *frame, c *compilation) error
	// learned is what learn has found out, adopt takes it over instead of learn.
	learned() any
	adopt(ctx context.Context, learned any, c *compilation) error
}

// holder is a step that gives its rows when all were read.
type holder interface {
	runner
	finish(ctx context.Context, emit func(*frame) error) error
}

// closer is a step that holds something outside the program's memory.
type closer interface{ close() error }

// compilation is one step being compiled.
type compilation struct {
	ctx     context.Context
	faults  *faults // at the step's config
	opts    Options
	columns []column // in; the step makes them what leaves it
	number  int
	pending bool // the columns that leave it are not known yet
	keep    []int
	err     error // what went wrong besides the configuration
}

// Compile checks the steps against the columns that reach them and fixes the
// columns of the result. What is wrong with the configuration is an *Error.
func Compile(ctx context.Context, steps []Step, in []connectors.Column, opts Options) (*Plan, error) {
	p := &Plan{opts: opts, in: in}
	for i, c := range in {
		p.out = append(p.out, column{c, lineage{source: i, same: true, oneToOne: true}})
	}
	if err := p.extend(ctx, steps); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// extend compiles steps until one has to see rows first.
func (p *Plan) extend(ctx context.Context, steps []Step) error {
	for i, s := range steps {
		if _, isScript := s.spec.(*script); isScript && p.opts.Partial && p.opts.Scripts == nil {
			p.rest = steps[i:]
			return nil
		}
		c := p.compilation(ctx)
		r := s.spec.compile(c)
		if r != nil {
			p.steps = append(p.steps, &compiledStep{Type: s.Type, number: c.number, runner: r})
		}
		if err := c.failed(); err != nil {
			return err
		}
		if _, ok := s.spec.(*deduplicate); ok {
			p.state = true
			_, holds := r.(holder)
			p.held = p.held || holds
		}
		if known, ok := p.opts.Learned[c.number]; ok && c.pending {
			c.pending = false
			if err := r.(learner).adopt(ctx, known, c); err != nil {
				return fmt.Errorf("transform step %d (%s): %w", c.number+1, s.Type, err)
			}
		}
		if c.pending {
			p.rest = steps[i+1:]
			return nil
		}
		if err := p.leave(c); err != nil {
			return err
		}
	}
	p.rest = nil
	return nil
}

func (p *Plan) compilation(ctx context.Context) *compilation {
	c := &compilation{
		ctx: ctx, faults: (&faults{path: "transform_config"}).at(fmt.Sprintf("[%d].config", len(p.steps))),
		opts: p.opts, columns: slices.Clone(p.out), number: len(p.steps),
	}
	for i, col := range c.columns {
		if col.source >= 0 && slices.Contains(p.opts.Keep, p.in[col.source].Name) {
			c.keep = append(c.keep, i)
		}
	}
	return c
}

func (c *compilation) failed() error {
	if c.err != nil {
		return c.err
	}
	if !c.faults.clean() {
		return &Error{c.faults.list}
	}
	return nil
}

// leave takes over the columns that leave the last step.
func (p *Plan) leave(c *compilation) error {
	step := p.steps[len(p.steps)-1]
	for i, col := range c.columns {
		for _, other := range c.columns[:i] {
			if other.Name == col.Name {
				c.faults.add("", "two columns would be named %s", col.Name)
				return c.failed()
			}
		}
	}
	if len(c.columns) == 0 {
		c.faults.add("", "no column would be left")
		return c.failed()
	}
	p.out, step.out = c.columns, c.columns
	step.schema = connectors.Schema(plainColumns(c.columns))
	return nil
}

func plainColumns(columns []column) []connectors.Column {
	plain := make([]connectors.Column, len(columns))
	for i, c := range columns {
		plain[i] = c.Column
	}
	return plain
}

// Known says whether the columns of the result are fixed already. They are not
// as long as a script or a flatten step without declared columns has seen no row.
func (p *Plan) Known() bool {
	return len(p.rest) == 0 && (len(p.steps) == 0 || p.steps[len(p.steps)-1].out != nil)
}

// Learned is what steps have found out from the first rows, by their number.
func (p *Plan) Learned() map[int]any {
	all := map[int]any{}
	for _, s := range p.steps {
		if l, ok := s.runner.(learner); ok && s.out != nil {
			all[s.number] = l.learned()
		}
	}
	return all
}

// Out are the columns of the result; once Known, they never change.
func (p *Plan) Out() []connectors.Column { return plainColumns(p.out) }

// Empty says whether there is no step at all.
func (p *Plan) Empty() bool { return len(p.steps) == 0 && len(p.rest) == 0 }

// Remembers says whether a step remembers rows, so that all of the table's rows
// have to go through this one plan.
func (p *Plan) Remembers() bool { return p.state }

// Fate is what becomes of a source column.
type Fate struct {
	Name     string // its name in the result; "" when it is lost
	Same     bool   // with the source's values and type
	OneToOne bool   // with values that differ where the source's do
	Step     int    // the number of the step that lost or changed it, from 1; 0 when none did
	Type     string // of that step
}

// Fate follows a source column through the steps. While the plan is not Known,
// it is what is known so far.
func (p *Plan) Fate(name string) Fate {
	source := slices.IndexFunc(p.in, func(c connectors.Column) bool { return c.Name == name })
	if source < 0 {
		return Fate{}
	}
	best := -1
	for i, c := range p.out {
		if c.source == source && (best < 0 || c.Name == name || c.same && !p.out[best].same) {
			best = i
		}
	}
	if best >= 0 {
		c := p.out[best]
		f := Fate{Name: c.Name, Same: c.same, OneToOne: c.oneToOne}
		if !c.same {
			f.Step, f.Type = c.step+1, p.steps[c.step].Type
		}
		return f
	}
	for _, s := range p.steps {
		if s.out != nil && !slices.ContainsFunc(s.out, func(c column) bool { return c.source == source }) {
			return Fate{Step: s.number + 1, Type: s.Type}
		}
	}
	return Fate{}
}

// Key follows the columns of a key: their names in the result, or an error that
// names the step which loses one or makes different rows the same.
func (p *Plan) Key(names []string) ([]string, error) {
	key := make([]string, len(names))
	for i, n := range names {
		f := p.Fate(n)
		switch {
		case f.Name == "":
			return nil, p.refuse(f, "loses the key column %s: keys may be renamed, but not removed or replaced", n)
		case !f.OneToOne:
			return nil, p.refuse(f, "changes the key column %s so that different rows may become the same: write the result to another column", n)
		}
		key[i] = f.Name
	}
	return key, nil
}

// Column follows a column whose values must stay as they are, such as the
// watermark's.
func (p *Plan) Column(name string) (string, error) {
	f := p.Fate(name)
	switch {
	case f.Name == "":
		return "", p.refuse(f, "loses the watermark column %s: it may be renamed, but not removed or replaced", name)
	case !f.Same:
		return "", p.refuse(f, "changes the watermark column %s: write the result to another column", name)
	}
	return f.Name, nil
}

func (p *Plan) refuse(f Fate, format string, args ...any) error {
	return &Error{[]model.FieldError{{
		Field: fmt.Sprintf("transform_config[%d]", max(f.Step-1, 0)), Message: f.Type + " " + fmt.Sprintf(format, args...),
	}}}
}

// Failure is a row that a step has no answer for.
type Failure struct {
	Row    int    // in Result.Source
	Step   int    // from 1
	Type   string // of the step
	Reason string
}

func (f Failure) String() string {
	return fmt.Sprintf("transform step %d (%s): %s", f.Step, f.Type, f.Reason)
}

// Result is what became of a batch. Source's rows are those of Batch, the
// filtered ones, the failed ones and those held back until Finish.
type Result struct {
	Source   arrow.RecordBatch // what came in; not the caller's to release
	Batch    arrow.RecordBatch // nil when no row is left; the caller's to release
	Rows     []int32           // Source's row of each row of Batch; nil: the same
	Filtered int64
	Failed   []Failure
	Printed  []string // by scripts
}

// Run carries a batch through the steps. The batch stays the caller's. An error
// ends the table: it is not about single rows.
func (p *Plan) Run(ctx context.Context, batch arrow.RecordBatch) (Result, error) {
	return p.from(ctx, newFrame(batch), 0)
}

// from carries a frame through the steps from one on, and releases it.
func (p *Plan) from(ctx context.Context, f *frame, first int) (Result, error) {
	defer f.release()
	for i := first; i < len(p.steps); i++ {
		if f.n == 0 {
			break
		}
		if err := p.step(ctx, f, i); err != nil {
			return Result{}, err
		}
	}
	r := Result{Source: f.source, Rows: f.rows, Filtered: f.filtered, Failed: f.failed, Printed: f.printed}
	if f.n > 0 {
		schema := f.source.Schema()
		if len(p.steps) > 0 {
			schema = p.steps[len(p.steps)-1].schema
		}
		r.Batch = f.batch(schema)
	}
	return r, nil
}

// step runs one step; the first rows that reach a learner fix its columns and
// let the steps after it be compiled.
func (p *Plan) step(ctx context.Context, f *frame, i int) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s := p.steps[i]
	if s.out == nil {
		if err := p.learn(ctx, f); err != nil {
			return err
		}
	}
	f.step = s
	if err := s.runner.run(ctx, f); err != nil {
		return fmt.Errorf("transform step %d (%s): %w", s.number+1, s.Type, err)
	}
	f.only(nil)
	return nil
}

func (p *Plan) learn(ctx context.Context, f *frame) error {
	s := p.steps[len(p.steps)-1]
	c := p.compilation(ctx)
	c.number = s.number
	c.faults = (&faults{path: "transform_config"}).at(fmt.Sprintf("[%d].config", s.number))
	if err := s.runner.(learner).learn(ctx, f, c); err != nil {
		return fmt.Errorf("transform step %d (%s): %w", s.number+1, s.Type, err)
	}
	if err := c.failed(); err != nil || c.pending {
		return err
	}
	if err := p.leave(c); err != nil {
		return err
	}
	return p.extend(ctx, p.rest)
}

// Settle fixes the columns of the result where no row came to fix them.
func (p *Plan) Settle(ctx context.Context) error {
	for !p.Known() {
		if err := p.learn(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// Finish gives the rows that steps held back. Each result is the caller's until
// emit returns, its batch as in Run.
func (p *Plan) Finish(ctx context.Context, emit func(Result) error) error {
	if !p.held {
		return nil
	}
	for i := 0; i < len(p.steps); i++ {
		h, ok := p.steps[i].runner.(holder)
		if !ok {
			continue
		}
		err := h.finish(ctx, func(f *frame) error {
			r, err := p.from(ctx, f, i+1)
			if err != nil {
				return err
			}
			return emit(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close ends the plan and what its steps hold. What is known of its columns
// stays known.
func (p *Plan) Close() error {
	if p.ended {
		return nil
	}
	p.ended = true
	var errs []error
	for _, s := range p.steps {
		if c, ok := s.runner.(closer); ok {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}

// find is the place of a column that the step needs; a fault when it is absent.
func (c *compilation) find(key, name string) int {
	for i, col := range c.columns {
		if col.Name == name {
			return i
		}
	}
	names := connectors.ColumnNames(plainColumns(c.columns))
	hint := ""
	if near := expression.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", near)
	}
	c.faults.add("."+key, "there is no column %s at this step%s", name, hint)
	return -1
}

// findAll is find for a list; faults leave -1.
func (c *compilation) findAll(key string, names []string) []int {
	at := make([]int, len(names))
	for i, n := range names {
		at[i] = c.find(fmt.Sprintf("%s[%d]", key, i), n)
	}
	return at
}

// put makes a column of that name and type: in place of one that has the name,
// else as the last. It returns its place.
func (c *compilation) put(name string, t connectors.Type, nullable bool) int {
	made := column{connectors.Column{Name: name, Type: t, Nullable: nullable}, lineage{source: -1, step: c.number}}
	for i, col := range c.columns {
		if col.Name == name {
			c.columns[i] = made
			return i
		}
	}
	c.columns = append(c.columns, made)
	return len(c.columns) - 1
}

// change gives column i another type or other values.
func (c *compilation) change(i int, t connectors.Type, oneToOne bool) {
	col := &c.columns[i]
	if !t.Equal(col.Type) {
		col.Native = ""
	}
	col.Type, col.Generated = t, false
	if col.source >= 0 {
		if col.same || col.oneToOne && !oneToOne {
			col.step = c.number
		}
		col.same, col.oneToOne = false, col.oneToOne && oneToOne
	}
}

// text insists that column i holds text.
func (c *compilation) text(key string, i int) {
	if k := c.columns[i].Type.Kind; k != connectors.Text && k != connectors.Enum {
		c.faults.add("."+key, "column %s is %s, not text: cast it first", c.columns[i].Name, c.columns[i].Type)
	}
}

// drop removes the columns at the given places and gives the places of those
// that stay.
func (c *compilation) drop(gone []int) (stay []int) {
	var left []column
	for i, col := range c.columns {
		if !slices.Contains(gone, i) {
			stay = append(stay, i)
			left = append(left, col)
		}
	}
	c.columns = left
	return stay
}
