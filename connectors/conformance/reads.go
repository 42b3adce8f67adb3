package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// orderable are columns of the kinds that every source has and that a watermark may be of, with ascending values.
func orderable() ([]connectors.Column, [][]any) {
	columns := []connectors.Column{idText()[0], column("n", connectors.Int64), column("s", connectors.Text), column("f", connectors.Float64), column("at", connectors.TimestampTZ)}
	columns[2].Type.Length = 40
	values := [][]any{
		{"-9007199254740993", "-1", "0", "2", "9223372036854775807"},
		{"B", "a", "a ", "ab", "ä"},
		{"-1.5", "0", "0.1", "2", "1e+300"},
		{"1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "2026-03-29T01:30:00.001Z", "2026-03-29T02:30:00Z", "9999-12-31T23:59:59.999Z"},
	}
	var rows [][]any
	for i := range 20 { // four rows of each value
		row := []any{fmt.Sprint(i)}
		for _, v := range values {
			row = append(row, v[i/4])
		}
		rows = append(rows, row)
	}
	return columns, append(rows, []any{"20", nil, nil, nil, nil}, []any{"21", nil, nil, nil, nil})
}

func windowsKeepTies(t *testing.T, h *Harness) {
	s := h.source(t)
	columns, rows := orderable()
	table := h.make(t, s, "t", columns, []string{"id"}, rows)
	for c := 1; c < len(columns); c++ {
		found, _ := table.Column(columns[c].Name)
		bound := func(i int) *connectors.Bound {
			return &connectors.Bound{Kind: found.Type.Kind, Text: boundText(found, rows[i][c].(string))}
		}
		for _, test := range []struct {
			name         string
			lower, upper *connectors.Bound
			from, to     int
		}{{"both", bound(4), bound(12), 4, 16}, {"from", bound(8), nil, 8, 20}, {"to", nil, bound(8), 0, 12}, {"one", bound(8), bound(8), 8, 12}, {"neither", nil, nil, 0, 20}} {
			for _, nulls := range []bool{false, true} {
				w := &connectors.Window{Column: found.Name, Lower: test.lower, Upper: test.upper, Nulls: nulls}
				id, _ := table.Column("id")
				got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: []connectors.Column{id}, Window: w, OrderBy: []string{"id"}})
				if err != nil {
					t.Fatalf("%s, %s: %v", found.Name, test.name, err)
				}
				want := [][]any{}
				for i := range rows {
					if i >= test.from && i < test.to || nulls && i >= 20 {
						want = append(want, rows[i][:1])
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, %s, nulls %v (-want +got):\n%s", found.Name, test.name, nulls, diff)
				}
			}
		}
	}
}

// boundText spells a timestamp as the column that keeps it does.
func boundText(c connectors.Column, text string) string {
	if c.Type.Kind == connectors.Timestamp {
		return text[:len(text)-1]
	}
	return text
}

func maxima(t *testing.T, h *Harness) {
	s := h.source(t)
	columns, rows := orderable()
	full := h.make(t, s, "full", columns, []string{"id"}, rows)
	nulls := h.make(t, s, "nulls", columns, []string{"id"}, [][]any{{"1", nil, nil, nil, nil}})
	for c := 1; c < len(columns); c++ {
		found, _ := full.Column(columns[c].Name)
		got, ok, err := s.Max(t.Context(), full, found.Name)
		want := connectors.Bound{Kind: found.Type.Kind, Text: boundText(found, rows[19][c].(string))}
		if err != nil || !ok || got != want {
			t.Errorf("the greatest %s is %+v, %v, %v, want %+v", found.Name, got, ok, err, want)
		}
		if _, there := nulls.Column(found.Name); !there {
			continue // a source without declared columns
		}
		if got, ok, err := s.Max(t.Context(), nulls, found.Name); err != nil || ok {
			t.Errorf("the greatest %s of none is %+v, %v, %v", found.Name, got, ok, err)
		}
	}
}

func orderBy(t *testing.T, h *Harness) {
	s := h.source(t)
	columns, rows := orderable()
	rows = rows[:20]
	mixed := slices.Clone(rows)
	slices.Reverse(mixed)
	table := h.make(t, s, "t", columns, []string{"id"}, mixed)
	for c := 1; c < len(columns); c++ {
		got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: h.columnsOf(t, table, "id", columns[c].Name), OrderBy: []string{columns[c].Name, "id"}})
		if err != nil {
			t.Fatal(err)
		}
		want := make([][]any, len(rows))
		for i, r := range rows {
			found, _ := table.Column(columns[c].Name)
			want[i] = []any{r[0], boundText(found, r[c].(string))}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ordered by %s (-want +got):\n%s", columns[c].Name, diff)
		}
	}
}

func (h *Harness) columnsOf(t testing.TB, table connectors.Table, names ...string) []connectors.Column {
	t.Helper()
	var columns []connectors.Column
	for _, n := range names {
		c, ok := table.Column(n)
		if !ok {
			t.Fatalf("%s has no column %s", table.TableRef, n)
		}
		columns = append(columns, c)
	}
	return columns
}

func cancelEndsARead(t *testing.T, h *Harness) {
	s := h.source(t)
	table := h.make(t, s, "t", idText(), []string{"id"}, counted(h.Rows, "some text that fills the buffers on the way"))
	for _, after := range []int{0, 2} { // batches
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		if after == 0 {
			cancel()
		}
		started := time.Now()
		err := s.Read(ctx, connectors.ReadRequest{Table: table, Columns: table.Columns, Limits: connectors.Limits{Rows: 100}}, func(batch arrow.RecordBatch) error {
			batch.Release()
			if seen++; seen == after {
				cancel()
				started = time.Now()
			}
			return nil
		})
		cancel()
		if took := time.Since(started); !errors.Is(err, context.Canceled) || took > 5*time.Second || seen >= h.Rows/100 {
			t.Errorf("a read cancelled after %d batches gave %d and ended %s later with %v, want context.Canceled", after, seen, took, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Tables(ctx, connectors.TableFilter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled discovery gives %v, want context.Canceled", err)
	}
	if _, _, err := s.Max(ctx, table, "id"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Max gives %v, want context.Canceled", err)
	}
	if rows, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table}); err != nil || len(rows) != h.Rows {
		t.Errorf("after cancelled reads, a read gives %d rows, %v", len(rows), err)
	}
}

func anErrorOfEmitEndsARead(t *testing.T, h *Harness) {
	s := h.source(t)
	table := h.make(t, s, "t", idText(), []string{"id"}, counted(h.Rows, "text"))
	stop := errors.New("stop")
	seen := 0
	err := s.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns, Limits: connectors.Limits{Rows: 100}}, func(batch arrow.RecordBatch) error {
		batch.Release()
		seen++
		return stop
	})
	if !errors.Is(err, stop) || seen != 1 {
		t.Errorf("the read ends after %d batches with %v, want %v", seen, err, stop)
	}
}

func errorsNameTheObject(t *testing.T, h *Harness) {
	s := h.source(t)
	table := h.make(t, s, "here", idText(), []string{"id"}, counted(3, "x"))
	absent := table
	absent.Name = "absent_table"
	if _, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: absent}); h.Skip["absent tables"] == "" && (connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, "absent_table")) {
		t.Errorf("an absent table is read with the error %v (kind %q)", err, connectors.KindOf(err))
	}
	columns := append(slices.Clone(table.Columns), column("absent_column", connectors.Text))
	if _, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: columns}); h.Skip["absent columns"] == "" && (connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, "absent_column")) {
		t.Errorf("an absent column is read with the error %v (kind %q)", err, connectors.KindOf(err))
	}
	if _, _, err := s.Max(t.Context(), table, "absent_column"); h.Skip["absent columns"] == "" && (err == nil || !mentions(err, "absent_column")) {
		t.Errorf("the greatest value of an absent column is found with the error %v", err)
	}
	if _, err := s.Tables(t.Context(), connectors.TableFilter{Include: []string{"["}}); connectors.KindOf(err) != connectors.KindInvalid || !mentions(err, "[") {
		t.Errorf("a malformed pattern gives %v", err)
	}
}

func closeTwice(t *testing.T, h *Harness) {
	s, err := h.Connector.OpenSource(t.Context(), h.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Errorf("the source: %v", err)
	}
	if h.Connector.OpenDestination == nil {
		return
	}
	d, err := h.Connector.OpenDestination(t.Context(), h.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Errorf("the destination: %v", err)
	}
}
