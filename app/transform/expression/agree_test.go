package expression

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// withoutKernel is the same program for the machine alone.
func withoutKernel(p *Program) *Program {
	slow := *p
	slow.kernel = nil
	return &slow
}

// agree compares a program's kernel with the machine, row by row: values and
// the reasons of failures.
func agree(t *testing.T, src string, p *Program, arrays []arrow.Array) {
	t.Helper()
	fast, slow := evalRows(t, p, arrays), evalRows(t, withoutKernel(p), arrays)
	if diff := cmp.Diff(slow, fast); diff != "" {
		t.Errorf("%s: machine -, kernel +\n%s", src, diff)
	}
	if p.Type().Kind == connectors.Bool {
		keep1, bad1, err1 := p.Test(context.Background(), arrays, arrays[0].Len())
		keep2, bad2, err2 := withoutKernel(p).Test(context.Background(), arrays, arrays[0].Len())
		for _, f := range bad1 {
			keep1[f.Row] = false
		}
		if diff := cmp.Diff(keep2, keep1); diff != "" || err1 != nil || err2 != nil || len(bad1) != len(bad2) {
			t.Errorf("%s: as a condition, machine -, kernel + (%v %v)\n%s", src, err1, err2, diff)
		}
	}
}

// TestKernelsAgreeWithTheMachine holds the two ways of evaluating an expression
// to one meaning: for the case table, and for random expressions over random rows.
func TestKernelsAgreeWithTheMachine(t *testing.T) {
	cases, columns, arrays := readCases(t)
	kernels := 0
	for _, c := range cases.Cases {
		p, err := Compile(c.E, columns, testNow)
		if err != nil || p.kernel == nil {
			continue
		}
		kernels++
		agree(t, c.E, p, arrays)
	}
	if kernels < 80 {
		t.Errorf("only %d of the table's expressions have a kernel", kernels)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	g := generator{rng}
	tried, compiled, fast := 0, 0, 0
	for range 6000 {
		src := g.any(4)
		tried++
		p, err := Compile(src, columns, testNow)
		if err != nil {
			continue
		}
		compiled++
		if p.kernel != nil {
			fast++
			agree(t, src, p, arrays)
		}
	}
	t.Logf("%d random expressions, %d valid, %d with a kernel", tried, compiled, fast)
	if fast < 1000 {
		t.Errorf("only %d random expressions have a kernel", fast)
	}
}

// generator writes random expressions, most of them well typed.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g generator) any(depth int) string {
	switch g.IntN(8) {
	case 0, 1:
		return g.boolean(depth)
	case 2, 3:
		return g.integer(depth)
	case 4:
		return g.float(depth)
	case 5:
		return g.decimal(depth)
	default:
		return g.text(depth)
	}
}

func (g generator) boolean(depth int) string {
	if depth <= 0 {
		return g.pick("b", "True", "False", "None", "i > 0")
	}
	d := depth - 1
	switch g.IntN(12) {
	case 0, 1:
		return fmt.Sprintf("(%s %s %s)", g.boolean(d), g.pick("and", "or", "&", "|"), g.boolean(d))
	case 2:
		return fmt.Sprintf("(not %s)", g.any(d))
	case 3:
		return fmt.Sprintf("(%s %s %s)", g.integer(d), g.comparison(), g.integer(d))
	case 4:
		return fmt.Sprintf("(%s %s %s)", g.float(d), g.comparison(), g.pick(g.float(d), g.integer(d)))
	case 5:
		return fmt.Sprintf("(%s %s %s)", g.decimal(d), g.comparison(), g.pick(g.decimal(d), g.integer(d), "0.5"))
	case 6:
		return fmt.Sprintf("(%s %s %s)", g.text(d), g.comparison(), g.text(d))
	case 7:
		return fmt.Sprintf("(%s is %sNone)", g.any(d), g.pick("", "not "))
	case 8:
		return fmt.Sprintf("(%s %sin %s)", g.text(d), g.pick("", "not "), g.text(d))
	case 9:
		return fmt.Sprintf("(%s in (%s))", g.integer(d), g.pick("7, 0", "1, None", "-7, 2147483647, 3"))
	case 10:
		return fmt.Sprintf("(%s %s %s)", g.pick("d", "ts", "tz"), g.comparison(), g.pick("'2024-02-29'", "'1970-01-01'", "d"))
	default:
		return fmt.Sprintf("(%s if %s else %s)", g.boolean(d), g.boolean(d), g.boolean(d))
	}
}

func (g generator) comparison() string { return g.pick("==", "!=", "<", "<=", ">", ">=") }

func (g generator) integer(depth int) string {
	if depth <= 0 {
		return g.pick("i", "j", "`order no`", "max", "0", "1", "-3", "9223372036854775807")
	}
	d := depth - 1
	switch g.IntN(8) {
	case 0, 1, 2:
		return fmt.Sprintf("(%s %s %s)", g.integer(d), g.pick("+", "-", "*", "//", "%"), g.integer(d))
	case 3:
		return g.pick("-", "abs", "+") + "(" + g.integer(d) + ")"
	case 4:
		return "len(" + g.text(d) + ")"
	case 5:
		return fmt.Sprintf("(%s if %s else %s)", g.integer(d), g.boolean(d), g.integer(d))
	case 6:
		return fmt.Sprintf("%s(%s, %s)", g.pick("max", "min", "coalesce"), g.integer(d), g.integer(d))
	default:
		return fmt.Sprintf("(%s or %s)", g.integer(d), g.integer(d))
	}
}

func (g generator) float(depth int) string {
	if depth <= 0 {
		return g.pick("f", "g", "1.5", "-0.0", "1e300")
	}
	d := depth - 1
	switch g.IntN(5) {
	case 0, 1:
		return fmt.Sprintf("(%s %s %s)", g.float(d), g.pick("+", "-", "*", "/", "//", "%", "**"), g.pick(g.float(d), g.integer(d)))
	case 2:
		return fmt.Sprintf("(%s / %s)", g.integer(d), g.integer(d))
	case 3:
		return g.pick("-", "abs", "+") + "(" + g.float(d) + ")"
	default:
		return fmt.Sprintf("(%s if %s else %s)", g.float(d), g.boolean(d), g.float(d))
	}
}

func (g generator) decimal(depth int) string {
	if depth <= 0 {
		return g.pick("p", "q", "decimal('0.05')", "p")
	}
	d := depth - 1
	switch g.IntN(6) {
	case 0, 1, 2:
		return fmt.Sprintf("(%s %s %s)", g.decimal(d), g.pick("+", "-", "*"), g.pick(g.decimal(d), "i", "1.25", "3"))
	case 3:
		return fmt.Sprintf("round(%s, %d)", g.decimal(d), g.IntN(4))
	case 4:
		return fmt.Sprintf("(%s if %s else %s)", g.decimal(d), g.boolean(d), g.decimal(d))
	default:
		return fmt.Sprintf("coalesce(%s, %s)", g.decimal(d), g.pick("0", g.decimal(d)))
	}
}

func (g generator) text(depth int) string {
	if depth <= 0 {
		return g.pick("s", "t", "''", "'a'", "'ä b'")
	}
	d := depth - 1
	switch g.IntN(7) {
	case 0, 1:
		return fmt.Sprintf("(%s + %s)", g.text(d), g.text(d))
	case 2:
		return g.text(d) + g.pick(".lower()", ".upper()", ".strip()", ".title()", ".replace('a', '')", ".lstrip()")
	case 3:
		return fmt.Sprintf("%s[%s]", g.text(d), g.pick("1:", ":2", "-2:", "1:3", ":-1"))
	case 4:
		return "str(" + g.integer(d) + ")"
	case 5:
		return fmt.Sprintf("(%s if %s else %s)", g.text(d), g.boolean(d), g.text(d))
	default:
		return fmt.Sprintf("(%s or %s)", g.text(d), g.text(d))
	}
}

// TestAnExpressionCannotLeaveItsBounds holds the ways out of the original's
// evaluation, and whatever runs for ever or takes all memory, to an error.
func TestAnExpressionCannotLeaveItsBounds(t *testing.T) {
	_, columns, arrays := readCases(t)
	for _, src := range []string{
		"__import__('os').system('id')",
		"().__class__.__bases__[0].__subclasses__()",
		"[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0]('id', shell=True)",
		"''.__class__.__mro__[1].__subclasses__()",
		"s.__class__",
		"str.__class__",
		"int.__globals__",
		"(lambda: 1).__globals__",
		"open('/etc/passwd').read()",
		"exec('import os')",
		"eval('1')",
		"globals()",
		"getattr(s, 'lower')()",
		"'{0.__class__}'.format(s)",
		"f'{s.__class__}'",
		"s.format(s)",
		"print('x')",
		"env['HOME']",
		"$env",
		"row",
		"row.__dict__",
		"f1(i)", "c0", "k1", "yes(b)", "let x = 1; x",
		"map(arr, # + 1)", "filter(arr, {# > 1})", "all(1..100000000, true)", "reduce(1..10, #acc + #)",
		"1..1000000000",
		"[x for x in iter(int, 1)]",
		"sum(1 for _ in iter(int, 1))",
		"while True: pass",
		"i := 1",
		"9**9**9**9",
		"2 ** 10000000",
		"decimal('9') ** 100000",
		"1 << 1000000",
		"'a' * 10 ** 12",
		"'a' * 9223372036854775807",
		"decimal('1e1000000000')",
		"1e999999999",
		strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000),
		strings.Repeat("-", 5000) + "1",
		strings.Repeat("not ", 4000) + "b",
		strings.Repeat("i + ", 5000) + "1",
		strings.Repeat("1 if b else ", 1200) + "2",
		nestedChains(60),
	} {
		p, err := Compile(src, columns, testNow)
		if err == nil {
			t.Errorf("%.80s is %s", src, p.Type())
		} else if _, ok := err.(*Fault); !ok { //nolint:errorlint // the very type
			t.Errorf("%.80s: %v is no fault with a place", src, err)
		}
	}
	// What takes too much for a row's own values fails that row, and no other.
	for _, src := range []string{"s * 100000000", "t.zfill(1000000000)", "t.replace('', s * 10000000)", "(s * 1000000) + (s * 1000000) + (s * 20000000)"} {
		p, err := Compile(src, columns, testNow)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		rows := evalRows(t, p, arrays)
		if first, ok := rows[0].(string); !ok || !strings.Contains(first, "more than 64 MiB") || rows[3] != nil {
			t.Errorf("%s: %.100v", src, rows)
		}
	}
}

// nestedChains doubles with every level unless parts are counted where they are used.
func nestedChains(depth int) string {
	if depth == 0 {
		return "i"
	}
	return "(1 if 0 < " + nestedChains(depth-1) + " < 5 else 2)"
}

// FuzzCompile shows that no text makes the compiler panic, and that what
// compiles can be evaluated by both ways alike.
func FuzzCompile(f *testing.F) {
	cases, columns, arrays := readCases(f)
	for _, c := range cases.Cases {
		f.Add(c.E)
	}
	for _, s := range []string{"`", "'\\x", "0x", "1e", "a.b.c[", "i if", "((((", "r'", "b'\xff'", "\"\"\"", "i not", "'\\U00110000'", "x[1:2:3:4]", "-9223372036854775808 // -1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p, err := Compile(src, columns, testNow)
		if err != nil {
			return
		}
		fast := evalRows(t, p, arrays)
		if p.kernel == nil {
			return
		}
		if diff := cmp.Diff(evalRows(t, withoutKernel(p), arrays), fast); diff != "" {
			t.Errorf("%q: machine -, kernel +\n%s", src, diff)
		}
	})
}

func FuzzAssignment(f *testing.F) {
	for _, s := range []string{"a = 1", "a == 1", "`x y` = 1", "= 1", "", "a >= 2", "é=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		name, rest, err := Assignment(src)
		if err == nil && (name == "" || !strings.HasSuffix(src, rest)) {
			t.Errorf("%q gives %q and %q", src, name, rest)
		}
	})
}
