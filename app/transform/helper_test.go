package transform

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// testNow is what now() says in tests.
var testNow = time.Date(2024, 3, 15, 12, 30, 45, 0, time.UTC)

// tableColumns reads "name type" pairs.
func tableColumns(t testing.TB, pairs []string) []connectors.Column {
	t.Helper()
	columns := make([]connectors.Column, len(pairs))
	for i, p := range pairs {
		name, kind, ok := strings.Cut(p, ":")
		if !ok {
			t.Fatalf("%q is not name: type", p)
		}
		parsed, err := ParseType(strings.TrimSpace(kind))
		if err != nil {
			t.Fatal(err)
		}
		columns[i] = connectors.Column{Name: strings.TrimSpace(name), Type: parsed, Nullable: true}
	}
	return columns
}

// tableBatch makes a batch of JSON values.
func tableBatch(t testing.TB, columns []connectors.Column, rows [][]json.RawMessage) arrow.RecordBatch {
	t.Helper()
	arrays := make([]arrow.Array, len(columns))
	for c, col := range columns {
		b := array.NewBuilder(memory.DefaultAllocator, col.Type.Arrow())
		put := scalar.Appender(b, col.Type)
		for r, row := range rows {
			if len(row) != len(columns) {
				t.Fatalf("row %d has %d values for %d columns", r, len(row), len(columns))
			}
			if err := putTestValue(b, put, row[c], col.Type); err != nil {
				t.Fatalf("row %d, column %s: %v", r, col.Name, err)
			}
		}
		arrays[c] = b.NewArray()
		b.Release()
	}
	return newRecord(connectors.Schema(columns), arrays, len(rows))
}

// putTestValue appends a value as it stands in a case: NULL is null, so the JSON
// null is written as {"json": null}; what a type's checks refuse, such as NaN,
// is written as text.
func putTestValue(b array.Builder, put func(any) error, raw json.RawMessage, t connectors.Type) error {
	text := string(raw)
	if text == "null" {
		b.AppendNull()
		return nil
	}
	if t.Kind == connectors.JSON || t.Kind == connectors.Array {
		var wrapped struct {
			JSON json.RawMessage `json:"json"`
		}
		if strings.HasPrefix(text, `{"json"`) && json.Unmarshal(raw, &wrapped) == nil {
			text = string(wrapped.JSON)
		}
		b.(*array.StringBuilder).Append(text)
		return nil
	}
	if t.Kind == connectors.Numeric || t.Kind == connectors.Text || t.Kind == connectors.Enum {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			b.(*array.StringBuilder).Append(s)
			return nil
		}
	}
	var format *scalar.Format
	if t.Kind == connectors.Bytes {
		format, _ = scalar.NewFormat(scalar.FormatOptions{Layout: "base64"})
	}
	v, err := scalar.Convert(text, connectors.Type{Kind: connectors.JSON}, t, format)
	if err != nil {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return err
		}
		switch b := b.(type) {
		case *array.Date32Builder: // dates that no calendar has
			d, ok := connectors.InvalidDate(s)
			if ok {
				b.Append(d)
				return nil
			}
		case *array.TimestampBuilder:
			ts, ok := connectors.InvalidTimestamp(s)
			if ok {
				b.Append(ts)
				return nil
			}
		}
		return err
	}
	return put(v)
}

// batchRows are the values of a batch in canonical text, nil for null.
func batchRows(batch arrow.RecordBatch, columns []connectors.Column) [][]any {
	if batch == nil {
		return nil
	}
	rows := make([][]any, batch.NumRows())
	for i := range rows {
		rows[i] = make([]any, len(columns))
		for c, col := range columns {
			if !batch.Column(c).IsNull(i) {
				rows[i][c] = string(connectors.AppendValue(nil, batch.Column(c), col.Type, i))
			}
		}
	}
	return rows
}

func mustParse(t testing.TB, config string) []Step {
	t.Helper()
	steps, faults := Parse(json.RawMessage(config))
	if len(faults) > 0 {
		t.Fatalf("%s: %v", config, faults)
	}
	return steps
}

// outcome is what became of batches in all.
type outcome struct {
	columns  []connectors.Column
	rows     [][]any
	read     int
	filtered int64
	failed   []Failure
	printed  []string
}

// runAll carries batches through a plan to the end. It checks that every row is
// accounted for, and that every row left stands where it says it came from.
func runAll(t testing.TB, plan *Plan, batches ...arrow.RecordBatch) (outcome, error) {
	t.Helper()
	ctx := context.Background()
	var o outcome
	take := func(r Result) error {
		o.filtered += r.Filtered
		o.failed = append(o.failed, r.Failed...)
		o.printed = append(o.printed, r.Printed...)
		for _, x := range r.Failed {
			if x.Row < 0 || int64(x.Row) >= r.Source.NumRows() || x.Step < 1 || x.Reason == "" || x.Type == "" {
				return fmt.Errorf("%+v is no failure of a row", x)
			}
		}
		if r.Batch == nil {
			return nil
		}
		defer r.Batch.Release()
		if r.Rows != nil && int64(len(r.Rows)) != r.Batch.NumRows() {
			return fmt.Errorf("%d origins for %d rows", len(r.Rows), r.Batch.NumRows())
		}
		seen := map[int32]bool{}
		for _, row := range r.Rows {
			if seen[row] || row < 0 || int64(row) >= r.Source.NumRows() {
				return fmt.Errorf("origin %d is wrong", row)
			}
			seen[row] = true
		}
		o.rows = append(o.rows, batchRows(r.Batch, plan.Out())...)
		return nil
	}
	for _, b := range batches {
		o.read += int(b.NumRows())
		r, err := plan.Run(ctx, b)
		if err != nil {
			return o, err
		}
		if err := take(r); err != nil {
			return o, err
		}
	}
	if err := plan.Finish(ctx, take); err != nil {
		return o, err
	}
	if err := plan.Settle(ctx); err != nil {
		return o, err
	}
	o.columns = plan.Out()
	if got := len(o.rows) + int(o.filtered) + len(o.failed); got != o.read {
		return o, fmt.Errorf("read %d, but %d left + %d filtered + %d failed", o.read, len(o.rows), o.filtered, len(o.failed))
	}
	slices.SortStableFunc(o.failed, func(a, b Failure) int { return a.Row - b.Row })
	return o, nil
}
