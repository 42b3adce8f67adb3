package expression

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// maxRowText bounds the bytes of text and lists that an expression makes for
// one row; maxBatchText those that it gives for one batch.
const (
	maxRowText   = 64 << 20
	maxBatchText = 512 << 20
)

var errBudget = fmt.Errorf("the expression makes more than %d MiB for one row", maxRowText>>20)

// budget counts what one row's evaluation makes.
type budget struct{ spent int }

func (b *budget) reset() { b.spent = 0 }

func (b *budget) spend(n int) error {
	if n < 0 || n > maxRowText {
		return errBudget
	}
	if b.spent += n; b.spent > maxRowText {
		return errBudget
	}
	return nil
}

// run calls an implementation; null arguments give null unless it wants them.
func (b *budget) run(im *impl, args []any) (any, error) {
	if !im.nulls {
		for _, a := range args {
			if a == nil {
				return nil, nil
			}
		}
	}
	return im.fn(args)
}

// Program is a compiled expression. It is used by one goroutine at a time.
type Program struct {
	columns []connectors.Column
	root    *node
	typ     connectors.Type
	budget  *budget
	kernel  kernel // nil: the machine runs it row by row
	machine *machine
}

// Failure is a row for which the expression has no value.
type Failure struct {
	Row    int
	Reason string
}

// Compile checks an expression over the columns. now is what now() says.
func Compile(src string, columns []connectors.Column, now time.Time) (*Program, error) {
	return compile(src, columns, now, false)
}

// CompileCondition is Compile for an expression that is true, false or unknown.
func CompileCondition(src string, columns []connectors.Column, now time.Time) (*Program, error) {
	return compile(src, columns, now, true)
}

func compile(src string, columns []connectors.Column, now time.Time, condition bool) (p *Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(*Fault)
			if !ok {
				panic(r)
			}
			err = fault
		}
	}()
	c := &checker{src: src, columns: columns, now: now, budget: &budget{}}
	root := c.check(parse(src))
	if condition {
		root = c.truth(root)
	} else {
		if root.typ.isNull() {
			c.fail(root, "None alone has no type: use str(None) or another function")
		}
		root = c.convert(root, typ{Type: root.typ.final()}, nil)
	}
	p = &Program{columns: columns, root: root, typ: root.typ.Type, budget: c.budget}
	p.kernel = kernelOf(root)
	if p.machine, err = newMachine(root, columns, c.budget); err != nil {
		return nil, err
	}
	return p, nil
}

// Shift moves a fault to where it stands in a longer text.
func Shift(err error, by int) error {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return &Fault{Column: fault.Column + by, Message: fault.Message}
	}
	return err
}

// Type is the type of the expression's values.
func (p *Program) Type() connectors.Type { return p.typ }

// Column is the name of the column when the expression is nothing but one.
func (p *Program) Column() (string, bool) { return p.root.text, p.root.op == opColumn }

// Constant says whether the expression has the same value for every row.
func (p *Program) Constant() bool { return p.root.op == opConst }

// Eval gives the expression's value for each of n rows; where it fails, null
// and a failure.
func (p *Program) Eval(ctx context.Context, arrays []arrow.Array, n int) (arrow.Array, []Failure, error) {
	if p.root.op == opColumn {
		arr := arrays[p.root.at]
		arr.Retain()
		return arr, nil, nil
	}
	if p.kernel != nil {
		b := &block{arrays: arrays, n: n}
		if v := p.kernel(b); b.made <= maxRowText {
			arr := v.array(p.typ, n)
			return arr, v.failures(), nil
		}
	}
	builder := array.NewBuilder(memory.DefaultAllocator, p.typ.Arrow())
	defer builder.Release()
	builder.Reserve(n)
	put := scalar.Appender(builder, p.typ)
	var failures []Failure
	size := 0
	err := p.machine.each(ctx, arrays, n, func(row int, v any, err error) error {
		if err == nil {
			err = put(v)
		}
		if err != nil {
			failures = append(failures, Failure{row, err.Error()})
			builder.AppendNull()
		}
		if s, ok := v.(string); ok {
			if size += len(s); size > maxBatchText {
				return fmt.Errorf("the expression makes more than %d MiB for one batch", maxBatchText>>20)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return builder.NewArray(), failures, nil
}

// Test says for which of n rows a condition is true; unknown is not true.
func (p *Program) Test(ctx context.Context, arrays []arrow.Array, n int) (keep []bool, failures []Failure, err error) {
	if p.kernel != nil {
		b := &block{arrays: arrays, n: n}
		if v := p.kernel(b); b.made <= maxRowText {
			keep = v.b[:n]
			if v.nulls != nil || v.shared {
				keep = make([]bool, n)
				for i := range keep {
					keep[i] = v.b[i] && (v.nulls == nil || !v.nulls[i])
				}
			}
			return keep, v.failures(), nil
		}
	}
	keep = make([]bool, n)
	err = p.machine.each(ctx, arrays, n, func(row int, v any, err error) error {
		if err != nil {
			failures = append(failures, Failure{row, err.Error()})
		}
		keep[row] = err == nil && v == true
		return nil
	})
	return keep, failures, err
}

// Assignment divides "name = expression" into the two. The name may be any text
// of letters, digits, underscores and blanks, or stand in backticks or quotes.
func Assignment(src string) (name, expr string, err error) {
	fail := func(at int, format string, args ...any) error {
		return &Fault{Column: utf8.RuneCountInString(src[:at]) + 1, Message: fmt.Sprintf(format, args...)}
	}
	i := strings.IndexByte(src, '=')
	if i < 0 {
		return "", "", fail(len(src), "an assignment is expected: name = expression")
	}
	if i > 0 && strings.IndexByte("<>!+-*/%&|^:@", src[i-1]) >= 0 || strings.HasPrefix(src[i:], "==") {
		return "", "", fail(max(i-1, 0), "an assignment is expected: name = expression, not a comparison")
	}
	name = strings.TrimSpace(src[:i])
	if q := len(name) - 1; q > 1 && strings.IndexByte("`'\"", name[0]) >= 0 && name[q] == name[0] {
		name = name[1:q]
	} else if strings.IndexFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != ' ' && r != '$' && r != '-' && r != '.'
	}) >= 0 {
		return "", "", fail(0, "%q is no name for a column: put it in backticks", name)
	}
	if name == "" {
		return "", "", fail(0, "the name of the column is missing before =")
	}
	return name, src[i+1:], nil
}
