package script

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/transform"
	"arus/connectors"
	"arus/connectors/conformance"
)

func TestMain(m *testing.M) {
	if code, ok := Launched(os.Args[1:], os.Stderr); ok {
		os.Exit(code)
	}
	os.Exit(inCache(m))
}

// cache is where all tests find the interpreter: unpacking it takes seconds.
var cache string

func inCache(m *testing.M) int {
	var err error
	if cache, err = os.MkdirTemp("", "arus-scripts-"); err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(cache) }()
	return m.Run()
}

func newRuntime(t testing.TB, limits Limits) *Runtime {
	t.Helper()
	return New(cache, limits, Strict)
}

func col(name string, kind connectors.Kind) connectors.Column {
	t := connectors.Type{Kind: kind}
	switch kind {
	case connectors.Decimal:
		t.Precision, t.Scale = 12, 2
	case connectors.Time, connectors.Timestamp, connectors.TimestampTZ:
		t.Precision = 6
	}
	return connectors.Column{Name: name, Type: t, Nullable: true}
}

func batchOf(t testing.TB, columns []connectors.Column, rows ...[]any) arrow.RecordBatch {
	t.Helper()
	b, err := conformance.Batch(columns, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Release)
	return b
}

// through runs a script over one batch.
func through(t testing.TB, r *Runtime, source string, in []connectors.Column, batch arrow.RecordBatch, log func(string)) (transform.ScriptResult, []connectors.Column, error) {
	t.Helper()
	s, err := r.Open(t.Context(), Program{Name: "under_test", Source: source}, in, log)
	if err != nil {
		return transform.ScriptResult{}, nil, err
	}
	result, err := s.Run(t.Context(), batch)
	if cerr := s.Close(); cerr != nil {
		t.Error(cerr)
	}
	if result.Batch != nil {
		t.Cleanup(result.Batch.Release)
	}
	out, _ := s.Columns()
	return result, out, err
}

var everyKind = []connectors.Column{
	col("b", connectors.Bool), col("i8", connectors.Int8), col("i16", connectors.Int16), col("i32", connectors.Int32), col("i64", connectors.Int64),
	col("u8", connectors.Uint8), col("u16", connectors.Uint16), col("u32", connectors.Uint32), col("u64", connectors.Uint64),
	col("f32", connectors.Float32), col("f64", connectors.Float64), col("dec", connectors.Decimal), col("num", connectors.Numeric),
	col("txt", connectors.Text), col("byt", connectors.Bytes), col("day", connectors.Date), col("clk", connectors.Time),
	col("ts", connectors.Timestamp), col("tz", connectors.TimestampTZ), col("iv", connectors.Interval), col("id", connectors.UUID), col("doc", connectors.JSON),
}

var everyValue = [][]any{
	{
		"true", "-128", "-32768", "-2147483648", "-9223372036854775808", "255", "65535", "4294967295", "18446744073709551615", "1.5", "-0.1", "-1234567890.12",
		"123456789012345678901234567890.000", "größe\u0000x", "AP8H", "0001-01-01", "23:59:59.999999", "9999-12-31T23:59:59.999999", "1970-01-01T00:00:00.000001Z",
		"P1Y2M3DT4H5M6S", "123e4567-e89b-12d3-a456-426614174000", `{"a": 1.10, "b": [null, 9007199254740993], "ü":"\u00e9"}`,
	},
	{
		"false", "127", "32767", "2147483647", "9223372036854775807", "0", "0", "0", "0", "NaN", "Infinity", "0.00", "NaN", "", "", "infinity", "24:00:00", "-infinity", "infinity",
		"PT0S", "00000000-0000-0000-0000-000000000000", "null",
	},
	{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
}

func TestAnIdentityScriptChangesNothing(t *testing.T) {
	r := newRuntime(t, Limits{})
	batch := batchOf(t, everyKind, everyValue...)
	want := conformance.Texts(batch, everyKind)
	for name, source := range map[string]string{
		"same dict":    "def transform(row):\n    return row\n",
		"copy":         "def transform(row):\n    return dict(row)\n",
		"batch":        "def transform_batch(rows):\n    return rows\n",
		"batch copies": "def transform_batch(rows):\n    return [dict(r) for r in rows]\n",
	} {
		t.Run(name, func(t *testing.T) {
			result, out, err := through(t, r, source, everyKind, batch, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(out, everyKind, func(a, b connectors.Column) bool { return a.Name == b.Name && a.Type.Kind == b.Type.Kind }) {
				t.Fatalf("columns %v", out)
			}
			if len(result.Failed) > 0 {
				t.Fatalf("failed %v", result.Failed)
			}
			if got := conformance.Texts(result.Batch, out); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got\n%v\nwant\n%v", got, want)
			}
		})
	}
}

// Values that went through a Python object of their own come back as they were, where Python has one for them.
func TestValuesSurviveBeingMadeAnew(t *testing.T) {
	r := newRuntime(t, Limits{})
	source := `
import copy, datetime, decimal, uuid
def again(v):
    if isinstance(v, bool) or v is None: return v
    if isinstance(v, int): return v + 1 - 1
    if isinstance(v, float): return float(repr(v))
    if isinstance(v, decimal.Decimal): return decimal.Decimal(str(v))
    if isinstance(v, str): return (v + "x")[:-1]
    if isinstance(v, bytes): return bytes(bytearray(v))
    if isinstance(v, datetime.datetime): return v.replace(microsecond=v.microsecond)
    if isinstance(v, datetime.date): return datetime.date(v.year, v.month, v.day)
    if isinstance(v, datetime.time): return v.replace(hour=v.hour)
    if isinstance(v, uuid.UUID): return uuid.UUID(str(v))
    return copy.deepcopy(v)
def transform(row):
    return {k: again(v) for k, v in row.items()}
`
	batch := batchOf(t, everyKind, everyValue[0], everyValue[2])
	result, out, err := through(t, r, source, everyKind, batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failed) > 0 {
		t.Fatalf("failed %v", result.Failed)
	}
	want := conformance.Texts(batch, everyKind)
	want[0][len(everyKind)-1] = `{"a":1.1,"b":[null,9007199254740993],"ü":"é"}` // a document made anew has a spelling of its own
	if got := conformance.Texts(result.Batch, out); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestColumns(t *testing.T) {
	r := newRuntime(t, Limits{})
	in := []connectors.Column{col("id", connectors.Int64), col("name", connectors.Text), col("price", connectors.Decimal)}
	rows := [][]any{{"1", "ann", "1.50"}, {"2", nil, nil}, {"3", "bob", "-2.25"}}
	for _, c := range []struct{ name, source, columns, rows, failed string }{
		{
			"added", "def transform(row):\n    row['up'] = row['name'].upper() if row['name'] else None\n    row['n'] = row['id'] * 2\n    return row", "id int64, name text, price decimal(12,2), up text, n int64",
			"[[1 ann 1.50 ANN 2] [2 <nil> <nil> <nil> 4] [3 bob -2.25 BOB 6]]", "",
		},
		{"removed", "def transform(row):\n    del row['name']\n    return row", "id int64, price decimal(12,2)", "[[1 1.50] [2 <nil>] [3 -2.25]]", ""},
		{"dropped rows", "def transform(row):\n    return row if row['id'] != 2 else None", "id int64, name text, price decimal(12,2)", "[[1 ann 1.50] [3 bob -2.25]]", ""},
		{
			"declared", "columns = {'total': 'decimal(12,3)', 'name': None}\ndef transform(row):\n    row.pop('name')\n    row['total'] = row['price'] * 2 if row['price'] else None\n    return row", "id int64, price decimal(12,2), total decimal(12,3)",
			"[[1 1.50 3.000] [2 <nil> <nil>] [3 -2.25 -4.500]]", "",
		},
		{"another type", "columns = {'id': 'text'}\ndef transform(row):\n    row['id'] = f\"no {row['id']}\"\n    return row", "id text, name text, price decimal(12,2)", "[[no 1 ann 1.50] [no 2 <nil> <nil>] [no 3 bob -2.25]]", ""},
		{
			"exceptions", "def transform(row):\n    row['n'] = len(row['name'])\n    return row", "id int64, name text, price decimal(12,2), n int64", "[[1 ann 1.50 3] [3 bob -2.25 3]]",
			"1: TypeError: object of type 'NoneType' has no len() (under_test.py line 2, in transform: row['n'] = len(row['name']))",
		},
		{
			"a value of another type", "def transform(row):\n    if row['id'] == 3: row['id'] = 'three'\n    return row", "id int64, name text, price decimal(12,2)", "[[1 ann 1.50] [2 <nil> <nil>]]",
			"2: column id: 'three' is str, and the column takes int",
		},
		{"too large", "def transform(row):\n    if row['id'] == 3: row['price'] *= 10**12\n    return row", "id int64, name text, price decimal(12,2)", "[[1 ann 1.50] [2 <nil> <nil>]]", "2: column price:"},
		{
			"batch with an exception", "def transform_batch(rows):\n    for r in rows: r['n'] = len(r['name'])\n    return rows", "id int64, name text, price decimal(12,2), n int64", "[[1 ann 1.50 3] [3 bob -2.25 3]]",
			"1: TypeError: object of type 'NoneType' has no len()",
		},
		{"batch of new dicts", "def transform_batch(rows):\n    return [{'id': r['id'], 'who': r['name']} for r in rows if r['price'] is not None]", "id int64, who text", "[[1 ann] [3 bob]]", ""},
		{"not a dict", "def transform(row):\n    return row if row['id'] < 3 else 5", "id int64, name text, price decimal(12,2)", "[[1 ann 1.50] [2 <nil> <nil>]]", "2: transform returned int, not a dict or None"},
		{"a key that later rows add", "def transform(row):\n    return row", "id int64, name text, price decimal(12,2)", "[[1 ann 1.50] [2 <nil> <nil>] [3 bob -2.25]]", ""},
		{"exit", "import sys\ndef transform(row):\n    if row['id'] == 1: sys.exit(0)\n    return row", "id int64, name text, price decimal(12,2)", "[[2 <nil> <nil>] [3 bob -2.25]]", "0: SystemExit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, out, err := through(t, r, c.source, in, batchOf(t, in, rows...), nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, o := range out {
				names = append(names, o.Name+" "+o.Type.String())
			}
			if got := strings.Join(names, ", "); got != c.columns {
				t.Errorf("columns %s, want %s", got, c.columns)
			}
			if got := fmt.Sprint(conformance.Texts(result.Batch, out)); got != c.rows {
				t.Errorf("rows %s, want %s", got, c.rows)
			}
			failed := ""
			for _, f := range result.Failed {
				failed += fmt.Sprintf("%d: %s", f.Row, f.Reason)
			}
			if !strings.HasPrefix(failed, c.failed) || c.failed == "" && failed != "" {
				t.Errorf("failed %q, want %q", failed, c.failed)
			}
			if dropped := 3 - len(result.Rows) - len(result.Failed); dropped < 0 {
				t.Errorf("%d rows of 3 came back and %d failed", len(result.Rows), len(result.Failed))
			}
		})
	}
}

func TestFaultsOfAScriptAreTold(t *testing.T) {
	r := newRuntime(t, Limits{})
	for source, want := range map[string]string{
		"def transform(row)\n    return row": "line 1, column",
		"x = 1":                              "neither transform(row) nor transform_batch(rows)",
		"def transform(r): return r\ndef transform_batch(r): return r":     "keep one",
		"columns = {'a': 'money'}\ndef transform(r): return r":             `"money" is not a type`,
		"columns = ['a']\ndef transform(r): return r":                      "columns must be a dict",
		"raise ValueError('at the top')\ndef transform(r): return r":       "ValueError: at the top (faulty.py line 1",
		"import os\nos._exit(0)\ndef transform(r): return r":               "its worker ended",
		"columns = {'a': 'decimal(5,9)'}\ndef transform(r): return r":      `"9" is not a number from 0 to 5`,
		"import nothing_of_that_name\ndef transform(row):\n    return row": "ModuleNotFoundError",
	} {
		err := r.Check(t.Context(), Program{Name: "faulty", Source: source})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", source, err, want)
		}
	}
	if err := r.Check(t.Context(), Program{Name: "good", Source: "columns = {'gone': None, 'n': 'int'}\ndef transform(row):\n    return row"}); err != nil {
		t.Error(err)
	}
}

func TestWhatAScriptPrintsIsLogged(t *testing.T) {
	r := newRuntime(t, Limits{})
	in := []connectors.Column{col("id", connectors.Int64)}
	var mu sync.Mutex
	var lines []string
	source := "import os, sys\ndef transform(row):\n    print('row', row['id'])\n    sys.stderr.write('err\\n')\n    os.write(1, b'raw \\xff\\n')\n    return row\n"
	result, _, err := through(t, r, source, in, batchOf(t, in, []any{"1"}, []any{"2"}), func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	})
	if err != nil || len(result.Rows) != 2 {
		t.Fatal(result, err)
	}
	if got := strings.Join(lines, "|"); got != "row 1|err|raw \uFFFD|row 2|err|raw \uFFFD" {
		t.Errorf("logged %q", got)
	}
	lines = nil
	_, _, err = through(t, r, "def transform(row):\n    for i in range(5000): print('x' * 10000)\n    return row\n", in, batchOf(t, in, []any{"1"}), func(line string) { lines = append(lines, line) })
	if err != nil || len(lines) != printedLines+1 || len(lines[0]) > printedLine {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

func TestManyStartsLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	r := New(dir, Limits{}, Strict)
	in := []connectors.Column{col("id", connectors.Int64)}
	for range 20 {
		s, err := r.Open(t.Context(), Program{Name: "n", Source: "def transform(row):\n    return row"}, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "script-") || strings.HasPrefix(e.Name(), "unpack-") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}
