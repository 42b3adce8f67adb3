package transform

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// randomColumns has a column of nearly every type.
func randomColumns(t testing.TB) []connectors.Column {
	return tableColumns(t, []string{
		"id: int", "i8: int8", "u64: uint64", "f: float", "g: float32", "d: decimal(12,2)", "w: decimal(50,10)", "n: numeric", "s: str", "e: enum(a,b)",
		"b: bool", "day: date", "at: timestamp", "tz: timestamptz", "tm: time", "u: uuid", "doc: json", "by: bytes", "iv: interval",
	})
}

// randomBatch has nulls, edge values and repeats.
func randomBatch(t testing.TB, rng *rand.Rand, columns []connectors.Column, n int) arrow.RecordBatch {
	t.Helper()
	arrays := make([]arrow.Array, len(columns))
	for c, col := range columns {
		b := array.NewBuilder(memory.DefaultAllocator, col.Type.Arrow())
		put := scalar.Appender(b, col.Type)
		for range n {
			if err := put(randomValue(rng, col.Type)); err != nil {
				t.Fatal(col.Name, err)
			}
		}
		arrays[c] = b.NewArray()
		b.Release()
	}
	return newRecord(connectors.Schema(columns), arrays, n)
}

func randomValue(rng *rand.Rand, t connectors.Type) any {
	if rng.IntN(8) == 0 {
		return nil
	}
	pick := func(values ...any) any { return values[rng.IntN(len(values))] }
	number := func(text string) *scalar.Decimal {
		d, err := scalar.ParseDecimal(text)
		if err != nil {
			panic(err)
		}
		return d
	}
	switch t.Kind {
	case connectors.Int64:
		return pick(int64(0), int64(1), int64(-1), int64(math.MaxInt64), int64(math.MinInt64), rng.Int64N(20), rng.Int64N(20))
	case connectors.Int8:
		return pick(int64(0), int64(127), int64(-128), int64(3))
	case connectors.Uint64:
		return pick(number("0"), number("18446744073709551615"), number("7"))
	case connectors.Float64, connectors.Float32:
		return pick(0.0, 1.5, -2.25, math.NaN(), math.Inf(1), 1e30)
	case connectors.Decimal:
		return pick(number("0"), number("1.25"), number("-99.99"), number("NaN"), number("12345.6"))
	case connectors.Numeric:
		return pick(number("0"), number("1e30"), number("-0.000001"), number("NaN"), number("Infinity"))
	case connectors.Text:
		return pick("", "a", "12", " 1.5 ", "a,b,c", "Ä ß", "2024-02-29", `{"k":1}`, "true", strings.Repeat("x", 40))
	case connectors.Enum:
		return pick("a", "b")
	case connectors.Bool:
		return pick(true, false)
	case connectors.Date:
		return pick(arrow.Date32(0), arrow.Date32(19782), connectors.DateInfinity, arrow.Date32(-719162))
	case connectors.Timestamp:
		return pick(arrow.Timestamp(0), arrow.Timestamp(1709212455000006), connectors.TimestampMinInfinity)
	case connectors.TimestampTZ:
		return pick(scalar.Instant(0), scalar.Instant(1709212455000006), scalar.Instant(connectors.TimestampInfinity))
	case connectors.Time:
		return pick(arrow.Time64(0), arrow.Time64(scalar.Day), arrow.Time64(45296*scalar.Second))
	case connectors.UUID:
		return pick("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "00000000-0000-0000-0000-000000000000")
	case connectors.JSON:
		return pick(`{"k":1,"v":"x"}`, `{}`, `[1,2]`, `null`, `"text"`, `{"k":{"deep":[1]}}`, `3.5`)
	case connectors.Bytes:
		return pick([]byte{}, []byte("hi"), []byte{0xff, 0})
	case connectors.Interval:
		return pick(scalar.Duration{}, scalar.Duration{Months: 1, Days: -2, Micros: 3})
	}
	panic(t.String())
}

// randomStep writes a step for the columns; not every one is valid.
func randomStep(rng *rand.Rand, columns []connectors.Column) string {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	col := func() string { return columns[rng.IntN(len(columns))].Name }
	of := func(kinds ...connectors.Kind) string {
		var names []string
		for _, c := range columns {
			if slices.Contains(kinds, c.Type.Kind) {
				names = append(names, c.Name)
			}
		}
		if len(names) == 0 {
			return col()
		}
		return names[rng.IntN(len(names))]
	}
	number := of(connectors.Int64, connectors.Int8, connectors.Decimal, connectors.Float64)
	text := of(connectors.Text)
	quote := func(v any) string { raw, _ := json.Marshal(v); return string(raw) }
	switch rng.IntN(16) {
	case 0:
		return fmt.Sprintf(`{"type":"rename","config":{"mapping":{%s:%s}}}`, quote(col()), quote(fmt.Sprintf("c%d", rng.IntN(1000))))
	case 1:
		return fmt.Sprintf(`{"type":"remove_fields","config":{"fields":[%s]}}`, quote(col()))
	case 2:
		return fmt.Sprintf(`{"type":"compute","config":{"expression":%s}}`, quote(fmt.Sprintf("x%d = `%s` %s `%s`", rng.IntN(9), number, pick("+", "-", "*", "/", "//", "%"), number)))
	case 3:
		return fmt.Sprintf(`{"type":"compute","config":{"expression":%s}}`, quote(fmt.Sprintf("x%d = %s", rng.IntN(9), pick("int(`"+text+"`)", "`"+text+"`[1:]", "str(`"+col()+"`)", "`"+col()+"` is None", "`"+text+"`.split(',')[1]"))))
	case 4, 5:
		return fmt.Sprintf(`{"type":"filter","config":{"condition":%s}}`, quote(pick("`"+number+"` > 1", "`"+col()+"` is not None", "`"+text+"` or `"+number+"` < 5", "10 // `"+number+"` >= 0", "not (`"+number+"` == 0)")))
	case 6:
		return fmt.Sprintf(`{"type":"map_values","config":{"column":%s,"mapping":{"1":"one","True":1,"a":null},"default":%s}}`, quote(col()), pick("null", `"z"`, "7"))
	case 7:
		return fmt.Sprintf(`{"type":"type_cast","config":{"columns":{%s:%s}}}`, quote(col()), quote(pick("int", "float", "str", "bool", "decimal(8,1)", "date", "timestamp", "json", "text(3)", "int8")))
	case 8:
		return fmt.Sprintf(`{"type":"concat_fields","config":{"fields":[%s,%s],"target":"joined","drop_source":%s}}`, quote(col()), quote(text), pick("true", "false"))
	case 9:
		return fmt.Sprintf(`{"type":"mask","config":{"columns":[%s],"method":%s}}`, quote(col()), quote(pick("hash", "partial")))
	case 10:
		return fmt.Sprintf(`{"type":%s,"config":{"columns":[%s]}}`, quote(pick("trim", "lower", "upper")), quote(text))
	case 11:
		return fmt.Sprintf(`{"type":"split","config":{"column":%s,"separator":",","into":["p1","p2"],"drop_source":%s}}`, quote(text), pick("true", "false"))
	case 12:
		return fmt.Sprintf(`{"type":"parse_json","config":{"column":%s,"path":"k","target":"k","type":%s}}`, quote(of(connectors.JSON, connectors.Text)), quote(pick("int", "str", "json")))
	case 13:
		return fmt.Sprintf(`{"type":"flatten","config":{"column":%s,"drop_source":%s}}`, quote(of(connectors.JSON)), pick("true", "false"))
	case 14:
		return fmt.Sprintf(`{"type":"deduplicate","config":{"columns":[%s],"keep":%s}}`, quote(col()), quote(pick("first", "last")))
	default:
		return fmt.Sprintf(`{"type":"add_constant","config":{"column":%s,"value":%s}}`, quote(pick("k1", "k2", col())), pick("1", `"x"`, "true", "1.50"))
	}
}

// TestEveryRowReadIsAccountedFor carries random rows through random pipelines:
// what was read is what is left, filtered and failed (runAll checks it), the
// columns are those that were promised, and nothing panics.
func TestEveryRowReadIsAccountedFor(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	done, failures, filtered := 0, 0, int64(0)
	for range 800 {
		columns := randomColumns(t)
		var list []string
		for range 1 + rng.IntN(6) {
			step := randomStep(rng, columns)
			tried := append(slices.Clone(list), step)
			steps, faults := Parse(json.RawMessage("[" + strings.Join(tried, ",") + "]"))
			if len(faults) > 0 {
				t.Fatal(tried, faults)
			}
			plan, err := Compile(context.Background(), steps, randomColumns(t), Options{Now: testNow})
			if err != nil {
				continue // not for these columns
			}
			list = tried
			if plan.Known() {
				columns = plan.Out()
			}
			_ = plan.Close()
		}
		if len(list) == 0 {
			continue
		}
		in := randomColumns(t)
		plan, err := Compile(context.Background(), mustParse(t, "["+strings.Join(list, ",")+"]"), in, Options{Now: testNow})
		if err != nil {
			t.Fatal(list, err)
		}
		batches := []arrow.RecordBatch{randomBatch(t, rng, in, 40), randomBatch(t, rng, in, 1), randomBatch(t, rng, in, 25)}
		o, err := runAll(t, plan, batches...)
		if err != nil {
			if !strings.Contains(err.Error(), "transform_config") { // a fault that only the first rows could show
				t.Fatalf("%s: %v", list, err)
			}
			continue
		}
		done++
		failures += len(o.failed)
		filtered += o.filtered
		if err := plan.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d pipelines, %d rows failed, %d filtered", done, failures, filtered)
	if done < 500 || failures == 0 || filtered == 0 {
		t.Error("the pipelines do not try enough")
	}
}

// TestRenameThenRenameBackIsIdentity is what its name says.
func TestRenameThenRenameBackIsIdentity(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	columns := randomColumns(t)
	for range 50 {
		batch := randomBatch(t, rng, columns, 20)
		names := connectors.ColumnNames(columns)
		shuffled := slices.Clone(names)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		there, back := map[string]string{}, map[string]string{}
		for i, n := range names {
			there[n], back[shuffled[i]] = shuffled[i], n
		}
		config, _ := json.Marshal([]any{
			map[string]any{"type": "rename", "config": map[string]any{"mapping": there}},
			map[string]any{"type": "rename", "config": map[string]any{"mapping": back}},
		})
		plan, err := Compile(context.Background(), mustParse(t, string(config)), columns, Options{})
		if err != nil {
			t.Fatal(err)
		}
		o, err := runAll(t, plan, batch)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(batchRows(batch, columns), o.rows); diff != "" || !slices.Equal(connectors.ColumnNames(o.columns), names) {
			t.Fatal(diff)
		}
		for _, n := range names {
			if f := plan.Fate(n); f.Name != n || !f.Same || f.Step != 0 {
				t.Fatalf("%s: %+v", n, f)
			}
		}
	}
}

// TestAFilterAndItsOppositePartitionTheRows: c, and not c or c unknown, divide
// the rows without the failed ones between them.
func TestAFilterAndItsOppositePartitionTheRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	columns := randomColumns(t)
	for _, c := range []string{
		"id > 3", "id > 3 and s == 'a'", "b", "b or id is None", "d * 2 > 1", "f != f", "10 // id > 1", "s in ('a', '12')", "'a' in s", "day > '2000-01-01'", "at >= '1970-01-01' or b", "n > w", "u == '00000000-0000-0000-0000-000000000000'",
		"len(s) > 2 if b else id > 1", "not b and not (id > 2)", "e == 'a'", "str(doc) == '{}'", "iv > duration('1d')", "max(id, i8) > 2",
	} {
		batch := randomBatch(t, rng, columns, 200)
		run := func(condition string) outcome {
			raw, _ := json.Marshal(condition)
			plan, err := Compile(context.Background(), mustParse(t, `[{"type":"filter","config":{"condition":`+string(raw)+`}}]`), columns, Options{Now: testNow})
			if err != nil {
				t.Fatal(condition, err)
			}
			o, err := runAll(t, plan, batch)
			if err != nil {
				t.Fatal(condition, err)
			}
			return o
		}
		yes, no := run(c), run("not ("+c+") or ("+c+") is None")
		if len(yes.rows)+len(no.rows)+len(yes.failed) != 200 || len(yes.failed) != len(no.failed) {
			t.Errorf("%s: %d rows, %d of its opposite, %d and %d failed", c, len(yes.rows), len(no.rows), len(yes.failed), len(no.failed))
		}
	}
}

// TestBatchesMakeNoDifference: however the rows are divided into batches, the
// same rows come out.
func TestBatchesMakeNoDifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	columns := randomColumns(t)
	whole := randomBatch(t, rng, columns, 300)
	config := `[{"type":"filter","config":{"condition":"id is not None"}},{"type":"compute","config":{"expression":"x = 100 // id"}},
		{"type":"deduplicate","config":{"columns":["s","b"],"keep":"last"}},{"type":"add_constant","config":{"column":"k","value":1}},{"type":"mask","config":{"columns":["s"],"method":"hash"}}]`
	var want [][]any
	for _, size := range []int{300, 1, 7, 299} {
		plan, err := Compile(context.Background(), mustParse(t, config), columns, Options{Now: testNow})
		if err != nil {
			t.Fatal(err)
		}
		var parts []arrow.RecordBatch
		for at := 0; at < 300; at += size {
			parts = append(parts, whole.NewSlice(int64(at), int64(min(at+size, 300))))
		}
		o, err := runAll(t, plan, parts...)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = o.rows
		} else if diff := cmp.Diff(want, o.rows); diff != "" {
			t.Errorf("batches of %d rows: %s", size, diff)
		}
	}
	if len(want) == 0 {
		t.Error("no row is left")
	}
}

// TestKeepLastLetsGoOfOldRows holds more batches than fit, of few keys.
func TestKeepLastLetsGoOfOldRows(t *testing.T) {
	columns := tableColumns(t, []string{"k: int", "v: str"})
	plan, err := Compile(context.Background(), mustParse(t, `[{"type":"deduplicate","config":{"columns":["k"],"keep":"last"}},{"type":"compute","config":{"expression":"n = int(v[-3:])"}}]`), columns, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plan.Close() }()
	pad := strings.Repeat("x", 40_000)
	batch := func(keys []int64, text string) arrow.RecordBatch {
		k, v := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
		for _, key := range keys {
			k.Append(key)
			v.Append(text)
		}
		return newRecord(connectors.Schema(columns), []arrow.Array{k.NewArray(), v.NewArray()}, len(keys))
	}
	var batches []arrow.RecordBatch
	for i := range 100 {
		keys := make([]int64, 101)
		for k := range keys {
			keys[k] = int64(k)
		}
		keys[100] = int64(1000 + i)
		batches = append(batches, batch(keys, fmt.Sprintf("%s%03d", pad, i)))
	}
	o, err := runAll(t, plan, batches...)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.rows) != 200 || o.filtered != 99*100 {
		t.Fatalf("%d rows, %d filtered", len(o.rows), o.filtered)
	}
	for _, r := range o.rows {
		key, _ := strconv.Atoi(r[0].(string))
		if n, _ := strconv.Atoi(r[2].(string)); key < 100 && n != 99 || key >= 1000 && n != key-1000 {
			t.Fatalf("row %d has %d", key, n)
		}
	}
	plan, err = Compile(context.Background(), mustParse(t, `[{"type":"deduplicate","config":{"columns":["k"],"keep":"last"}}]`), columns, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plan.Close() }()
	unlike := make([]int64, 7000)
	for k := range unlike {
		unlike[k] = int64(k)
	}
	if _, err := runAll(t, plan, batch(unlike, pad)); err == nil || !strings.Contains(err.Error(), "more than 256 MiB") {
		t.Errorf("too many rows held back: %v", err)
	}
}

// TestFates follows columns through steps.
func TestFates(t *testing.T) {
	columns := tableColumns(t, []string{"id: int", "uid: uuid", "email: str", "at: timestamp", "qty: int"})
	for _, c := range []struct {
		name, steps string
		key         []string
		want        []string // of the key; nil: refused
		refusal     string
		watermark   string // of at; "": refused
	}{
		{"nothing", `[]`, []string{"id"}, []string{"id"}, "", "at"},
		{"renamed", `[{"type":"rename","config":{"mapping":{"id":"order_id","at":"changed"}}},{"type":"rename","config":{"mapping":{"order_id":"oid"}}}]`, []string{"id", "qty"}, []string{"oid", "qty"}, "", "changed"},
		{"lost", `[{"type":"lower","config":{"columns":["email"]}},{"type":"remove_fields","config":{"fields":["id","at"]}}]`, []string{"id"}, nil, "transform_config[1]: remove_fields loses the key column id", ""},
		{"overwritten", `[{"type":"compute","config":{"expression":"id = id % 10"}}]`, []string{"id"}, nil, "transform_config[0]: compute loses the key column id", "at"},
		{"made the same", `[{"type":"lower","config":{"columns":["email"]}}]`, []string{"email"}, nil, "transform_config[0]: lower changes the key column email", "at"},
		{"masked by hash", `[{"type":"mask","config":{"columns":["email"],"method":"hash"}}]`, []string{"email"}, []string{"email"}, "", "at"},
		{"masked in part", `[{"type":"mask","config":{"columns":["email"],"method":"partial"}}]`, []string{"email"}, nil, "transform_config[0]: mask changes the key column email", "at"},
		{"copied and removed", `[{"type":"compute","config":{"expression":"copy = id"}},{"type":"remove_fields","config":{"fields":["id"]}}]`, []string{"id"}, []string{"copy"}, "", "at"},
		{"cast to text", `[{"type":"type_cast","config":{"columns":{"id":"str","at":"str"}}}]`, []string{"id"}, []string{"id"}, "", ""},
		{"cast to float", `[{"type":"type_cast","config":{"columns":{"id":"float"}}}]`, []string{"id"}, nil, "transform_config[0]: type_cast changes the key column id", "at"},
		{"joined and dropped", `[{"type":"concat_fields","config":{"fields":["id","email"],"drop_source":true}}]`, []string{"id"}, nil, "transform_config[0]: concat_fields loses the key column id", "at"},
		{"filtered", `[{"type":"filter","config":{"condition":"id > 1"}},{"type":"deduplicate","config":{"columns":["id"]}}]`, []string{"id"}, []string{"id"}, "", "at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := Compile(context.Background(), mustParse(t, c.steps), columns, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := plan.Key(c.key)
			if c.want == nil {
				if err == nil || !strings.Contains(err.Error(), c.refusal) {
					t.Errorf("the key is %v, %v", got, err)
				}
			} else if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("the key is %v, %v", got, err)
			}
			if name, err := plan.Column("at"); name != c.watermark || (err == nil) != (c.watermark != "") {
				t.Errorf("the watermark is %q, %v", name, err)
			}
		})
	}
}

// TestPreview shows every step with what it dropped and what failed in it.
func TestPreview(t *testing.T) {
	columns := tableColumns(t, []string{"id: int", "q: int"})
	plan, err := Compile(context.Background(), mustParse(t, `[{"type":"filter","config":{"condition":"id > 1"}},{"type":"compute","config":{"expression":"r = 10 // q"}},
		{"type":"deduplicate","config":{"columns":["r"],"keep":"last"}},{"type":"script","config":{"script_name":"late"}},{"type":"upper","config":{"columns":["late"]}}]`), columns, Options{Scripts: testScripts{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plan.Close() }()
	raw := func(v ...string) (row []json.RawMessage) {
		for _, x := range v {
			row = append(row, json.RawMessage(x))
		}
		return row
	}
	batch := tableBatch(t, columns, [][]json.RawMessage{raw("1", "1"), raw("2", "0"), raw("3", "5"), raw("4", "5"), raw("5", "null")})
	view, err := plan.Preview(context.Background(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if len(view.Rows) != 5 || len(view.Steps) != 5 {
		t.Fatalf("%+v", view)
	}
	filter, compute, dedup, script, last := view.Steps[0], view.Steps[1], view.Steps[2], view.Steps[3], view.Steps[4]
	if !slices.Equal(filter.Dropped, []int{0}) || len(filter.Rows) != 4 || filter.Took <= 0 {
		t.Errorf("%+v", filter)
	}
	if diff := cmp.Diff([]PreviewFault{{1, "division by zero"}}, compute.Failed); diff != "" || len(compute.Dropped) != 0 || compute.Columns[2] != (PreviewColumn{"r", "int64"}) {
		t.Errorf("%+v", compute)
	}
	if !slices.Equal(dedup.Dropped, []int{2}) || len(dedup.Rows) != 2 {
		t.Errorf("%+v", dedup)
	}
	if !slices.Equal(script.Printed, []string{"hello"}) {
		t.Errorf("%+v", script)
	}
	if string(last.Rows[0].Data) != `{"id":4,"q":5,"r":2,"late":"HERE"}` || last.Rows[0].Source != 3 {
		t.Errorf("%s", last.Rows[0].Data)
	}
}
