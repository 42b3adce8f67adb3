package transform

import (
	"context"
	"unicode/utf8"

	"arus/app/transform/expression"
)

// compute makes a column of an expression. The original documented a key type
// and ignored it: the type follows from the expression.
type compute struct {
	Expression string `json:"expression"`
	Type       string `json:"type"`
}

func (s *compute) check(f *faults) {
	if s.Expression == "" {
		f.required("expression", "")
		return
	}
	if _, _, err := expression.Assignment(s.Expression); err != nil {
		f.add(".expression", "%v", err)
	}
}

func (s *compute) compile(c *compilation) runner {
	name, text, err := expression.Assignment(s.Expression)
	if err != nil {
		c.faults.add(".expression", "%v", err)
		return unchanged{}
	}
	p, err := expression.Compile(text, plainColumns(c.columns), c.opts.Now)
	if err != nil {
		c.faults.add(".expression", "%v", expression.Shift(err, utf8.RuneCountInString(s.Expression)-utf8.RuneCountInString(text)))
		return unchanged{}
	}
	from, isColumn := p.Column()
	if isColumn { // a copy is still the source's column
		copied := c.columns[c.find("expression", from)]
		at := c.put(name, p.Type(), true)
		copied.Name = name
		c.columns[at] = copied
		return &computed{p, at}
	}
	return &computed{p, c.put(name, p.Type(), true)}
}

type computed struct {
	program *expression.Program
	at      int
}

func (s *computed) run(ctx context.Context, f *frame) error {
	arr, failures, err := s.program.Eval(ctx, f.arrays, f.n)
	if err != nil {
		return err
	}
	f.set(s.at, arr)
	f.failAll(failures)
	return nil
}

// filter keeps the rows for which a condition is true.
type filter struct {
	Condition string `json:"condition"`
}

func (s *filter) check(f *faults) { f.required("condition", s.Condition) }

func (s *filter) compile(c *compilation) runner {
	p, err := expression.CompileCondition(s.Condition, plainColumns(c.columns), c.opts.Now)
	if err != nil {
		c.faults.add(".condition", "%v", err)
		return unchanged{}
	}
	return &filtering{p}
}

type filtering struct{ program *expression.Program }

func (s *filtering) run(ctx context.Context, f *frame) error {
	keep, failures, err := s.program.Test(ctx, f.arrays, f.n)
	if err != nil {
		return err
	}
	f.failAll(failures)
	f.only(keep)
	return nil
}
