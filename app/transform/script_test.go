package transform

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// goScripts are scripts by name: pass gives the rows as they are, odd drops
// every second row and fails on every row with id 3, late adds a column it tells
// about with the first batch only, spoil changes the ids, double gives rows twice.
var goScripts = map[string]func(in []connectors.Column) Script{
	"pass":   func(in []connectors.Column) Script { return &goScript{in: in, name: "pass", known: true} },
	"odd":    func(in []connectors.Column) Script { return &goScript{in: in, name: "odd", known: true} },
	"late":   func(in []connectors.Column) Script { return &goScript{in: in, name: "late"} },
	"spoil":  func(in []connectors.Column) Script { return &goScript{in: in, name: "spoil", known: true} },
	"double": func(in []connectors.Column) Script { return &goScript{in: in, name: "double", known: true} },
}

type goScript struct {
	in     []connectors.Column
	name   string
	known  bool
	closed bool
}

func (s *goScript) Columns() ([]connectors.Column, bool) {
	if s.name == "late" {
		return append(slices.Clip(s.in), connectors.Column{Name: "late", Type: connectors.Type{Kind: connectors.Text}, Nullable: true}), s.known
	}
	return s.in, s.known
}

func (s *goScript) Fix(_ context.Context, columns []connectors.Column) error {
	if s.known || len(columns) == 0 {
		return errors.New("fixed twice")
	}
	s.known = true
	return nil
}

func (s *goScript) Close() error { s.closed = true; return nil }

func (s *goScript) Run(_ context.Context, batch arrow.RecordBatch) (ScriptResult, error) {
	s.known = true
	n := int(batch.NumRows())
	columns := make([]arrow.Array, batch.NumCols())
	var r ScriptResult
	for i := range n {
		id := batch.Column(0).(*array.Int64).Value(i)
		switch {
		case s.name == "odd" && id == 3:
			r.Failed = append(r.Failed, ScriptFailure{i, "ValueError: three"})
		case s.name == "odd" && id%2 == 0:
		case s.name == "double":
			r.Rows = append(r.Rows, 0)
		default:
			r.Rows = append(r.Rows, int32(i))
		}
	}
	for c := range columns {
		columns[c] = connectors.SelectValues(batch.Column(c), r.Rows)
	}
	if s.name == "spoil" {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for range r.Rows {
			b.Append(7)
		}
		columns[0].Release()
		columns[0] = b.NewArray()
	}
	out, _ := s.Columns()
	if s.name == "late" {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for range r.Rows {
			b.Append("here")
		}
		columns = append(columns, b.NewArray())
		r.Printed = []string{"hello"}
	}
	if len(r.Rows) > 0 {
		r.Batch = newRecord(connectors.Schema(out), columns, len(r.Rows))
	}
	return r, nil
}

func TestScripts(t *testing.T) {
	columns := tableColumns(t, []string{"id: int", "name: str"})
	rows := [][]json.RawMessage{}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		rows = append(rows, []json.RawMessage{json.RawMessage(id), json.RawMessage(`"x"`)})
	}
	run := func(t *testing.T, steps string, keep ...string) (outcome, *Plan, error) {
		t.Helper()
		plan, err := Compile(context.Background(), mustParse(t, steps), columns, Options{Now: testNow, Scripts: testScripts{}, Keep: keep})
		if err != nil {
			return outcome{}, nil, err
		}
		t.Cleanup(func() { _ = plan.Close() })
		one, two := tableBatch(t, columns, rows), tableBatch(t, columns, rows)
		o, err := runAll(t, plan, one, two)
		return o, plan, err
	}
	t.Run("drops and failures keep their places", func(t *testing.T) {
		o, plan, err := run(t, `[{"type":"filter","config":{"condition":"id > 1"}},{"type":"script","config":{"script_name":"odd"}}]`, "id")
		if err != nil {
			t.Fatal(err)
		}
		if len(o.rows) != 2 || o.filtered != 6 || len(o.failed) != 2 || o.failed[0].Row != 2 || o.failed[0].Step != 2 {
			t.Errorf("%+v", o)
		}
		if key, err := plan.Key([]string{"id"}); err != nil || key[0] != "id" {
			t.Errorf("the key is %v, %v", key, err)
		}
	})
	t.Run("columns that are known with the first batch", func(t *testing.T) {
		plan, err := Compile(context.Background(), mustParse(t, `[{"type":"script","config":{"script_name":"late"}},{"type":"upper","config":{"columns":["late"]}}]`), columns, Options{Scripts: testScripts{}})
		if err != nil || plan.Known() {
			t.Fatalf("known %v, %v", plan.Known(), err)
		}
		defer func() { _ = plan.Close() }()
		o, err := runAll(t, plan, tableBatch(t, columns, rows), tableBatch(t, columns, rows))
		if err != nil || !plan.Known() || len(o.rows) != 10 || o.rows[9][2] != "HERE" || len(o.printed) != 2 {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("a fault after it is found with the first batch", func(t *testing.T) {
		_, _, err := run(t, `[{"type":"script","config":{"script_name":"late"}},{"type":"upper","config":{"columns":["latte"]}}]`)
		if err == nil || !strings.Contains(err.Error(), "transform_config[1].config.columns[0]: there is no column latte at this step; did you mean late?") {
			t.Error(err)
		}
	})
	t.Run("what one plan has learnt another holds to", func(t *testing.T) {
		steps := mustParse(t, `[{"type":"script","config":{"script_name":"late"}},{"type":"flatten","config":{"column":"name","prefix":"n_"}}]`)
		objects := slices.Clone(rows)
		for i := range objects {
			objects[i] = []json.RawMessage{objects[i][0], json.RawMessage(`"{\"k\": 1}"`)}
		}
		first, err := Compile(context.Background(), steps, columns, Options{Scripts: testScripts{}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := runAll(t, first, tableBatch(t, columns, objects)); err != nil {
			t.Fatal(err)
		}
		_ = first.Close()
		second, err := Compile(context.Background(), steps, columns, Options{Scripts: testScripts{}, Learned: first.Learned()})
		if err != nil || !second.Known() {
			t.Fatalf("known %v, %v", second.Known(), err)
		}
		defer func() { _ = second.Close() }()
		if got := connectors.ColumnNames(second.Out()); !slices.Equal(got, []string{"id", "name", "late", "n_k"}) || !slices.Equal(got, connectors.ColumnNames(first.Out())) {
			t.Errorf("the columns are %v", got)
		}
		if o, err := runAll(t, second, tableBatch(t, columns, objects)); err != nil || len(o.rows) != 5 {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("without scripts a configuration is checked up to the first", func(t *testing.T) {
		steps := mustParse(t, `[{"type":"rename","config":{"mapping":{"id":"key"}}},{"type":"script","config":{"script_name":"late"}},{"type":"upper","config":{"columns":["late"]}}]`)
		plan, err := Compile(context.Background(), steps, columns, Options{Partial: true})
		if err != nil || plan.Known() || plan.Fate("id").Name != "key" {
			t.Errorf("%v, known %v", err, plan.Known())
		}
	})
	t.Run("no row came", func(t *testing.T) {
		plan, err := Compile(context.Background(), mustParse(t, `[{"type":"script","config":{"script_name":"late"}}]`), columns, Options{Scripts: testScripts{}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = plan.Close() }()
		if err := plan.Settle(context.Background()); err != nil || !plan.Known() || len(plan.Out()) != 2 {
			t.Errorf("%v, %v", plan.Out(), err)
		}
	})
	t.Run("a key must stay", func(t *testing.T) {
		o, _, err := run(t, `[{"type":"script","config":{"script_name":"spoil"}}]`, "id")
		if err != nil || len(o.failed) != 10 || !strings.Contains(o.failed[0].Reason, "changed the column id") {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("a row twice", func(t *testing.T) {
		if _, _, err := run(t, `[{"type":"script","config":{"script_name":"double"}}]`); err == nil || !strings.Contains(err.Error(), "more of the rows than it was given") {
			t.Error(err)
		}
	})
	t.Run("an unknown script", func(t *testing.T) {
		if _, _, err := run(t, `[{"type":"script","config":{"script_name":"nobody"}}]`); err == nil || !strings.Contains(err.Error(), "transform_config[0].config.script_name: there is no script nobody") {
			t.Error(err)
		}
	})
}
