package expression

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// machine evaluates an expression row by row. The typed tree is spelt in expr's
// language with every operator as a call of its implementation, so that expr's
// compiler and virtual machine do the rest: order of evaluation, branches and
// budgets. Its loops and its own functions are not reachable: an expression
// always ends.
type machine struct {
	program *vm.Program
	vm      vm.VM
	env     map[string]any
	columns []connectors.Column
	used    []int
	budget  *budget
}

// memoryBudget is expr's own limit on what a program allocates.
const memoryBudget = 1 << 20

func newMachine(root *node, columns []connectors.Column, b *budget) (*machine, error) {
	m := &machine{env: map[string]any{}, columns: columns, budget: b, vm: vm.VM{MemoryBudget: memoryBudget}}
	s := speller{machine: m, seen: map[int]bool{}}
	s.functions = []expr.Option{
		expr.Env(map[string]any{}), expr.AllowUndefinedVariables(), expr.DisableAllBuiltins(), expr.Optimize(false), expr.MaxNodes(20 * maxNodes),
		expr.Function("yes", func(a ...any) (any, error) { return a[0] == true, nil }, new(func(any) bool)),
		expr.Function("no", func(a ...any) (any, error) { return a[0] == false, nil }, new(func(any) bool)),
		expr.Function("known", func(a ...any) (any, error) { return a[0] != nil, nil }, new(func(any) bool)),
		expr.Function("truthy", func(a ...any) (any, error) { return truthy(a[0]), nil }, new(func(any) bool)),
		expr.Function("both", func(a ...any) (any, error) { return logicValue(opAnd, a[0], a[1]), nil }),
		expr.Function("either", func(a ...any) (any, error) { return logicValue(opOr, a[0], a[1]), nil }),
	}
	text := s.spell(root)
	program, err := expr.Compile(text, s.functions...)
	if err != nil {
		return nil, fmt.Errorf("compile the expression: %w", err)
	}
	m.program = program
	return m, nil
}

// speller writes a typed tree in expr's language.
type speller struct {
	machine   *machine
	functions []expr.Option
	seen      map[int]bool
	constants int
	calls     int
	variables int
}

func (s *speller) spell(n *node) string {
	switch n.op {
	case opColumn:
		if !s.seen[n.at] {
			s.seen[n.at] = true
			s.machine.used = append(s.machine.used, n.at)
		}
		return columnName(n.at)
	case opConst:
		s.constants++
		name := "k" + strconv.Itoa(s.constants)
		s.machine.env[name] = n.value
		return name
	case opIf:
		return "(yes(" + s.spell(n.args[0]) + ") ? " + s.spell(n.args[1]) + " : " + s.spell(n.args[2]) + ")"
	case opAnd, opOr, opElse:
		s.variables++
		v := "v" + strconv.Itoa(s.variables)
		first := "(let " + v + " = " + s.spell(n.args[0]) + "; "
		second := s.spell(n.args[1])
		switch n.op {
		case opAnd:
			return first + "no(" + v + ") ? " + v + " : both(" + v + ", " + second + "))"
		case opOr:
			return first + "yes(" + v + ") ? " + v + " : either(" + v + ", " + second + "))"
		}
		return first + n.text + "(" + v + ") ? " + v + " : " + second + ")"
	}
	s.calls++
	name := "f" + strconv.Itoa(s.calls)
	im, b := n.impl, s.machine.budget
	s.functions = append(s.functions, expr.Function(name, func(args ...any) (any, error) { return b.run(im, args) }))
	args := make([]string, len(n.args))
	for i, a := range n.args {
		args[i] = s.spell(a)
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

func columnName(i int) string { return "c" + strconv.Itoa(i) }

// each evaluates n rows one after the other.
func (m *machine) each(ctx context.Context, arrays []arrow.Array, n int, emit func(row int, v any, err error) error) error {
	readers := make([]func(int) (any, error), len(m.used))
	names := make([]string, len(m.used))
	for k, at := range m.used {
		readers[k], names[k] = scalar.Reader(m.columns[at].Type, arrays[at]), columnName(at)
	}
	for row := range n {
		if row%256 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m.budget.reset()
		var bad error
		for k, read := range readers {
			v, err := read(row)
			if err != nil && bad == nil {
				bad = fmt.Errorf("column %s: %w", m.columns[m.used[k]].Name, err)
			}
			m.env[names[k]] = v
		}
		if bad != nil {
			if err := emit(row, nil, bad); err != nil {
				return err
			}
			continue
		}
		v, err := m.vm.Run(m.program, m.env)
		if err := emit(row, v, plain(err)); err != nil {
			return err
		}
	}
	return nil
}

// plain takes expr's own text away from the error of an implementation.
func plain(err error) error {
	if located, ok := errors.AsType[*file.Error](err); ok {
		if located.Prev != nil {
			return located.Prev
		}
		return errors.New(located.Message)
	}
	return err
}
