package warehouse

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

const (
	runA = "0190a6b2-0000-7000-8000-00000000000a"
	runB = "0190A6B2-0000-7000-8000-00000000000B"
)

var syncedAt = time.Date(2026, 3, 4, 5, 6, 7, 891011000, time.UTC)

// sample is one kind of column with values that test its limits, in canonical
// text; nil is NULL.
type sample struct {
	typ    connectors.Type
	values []any
}

func kind(k connectors.Kind) connectors.Type { return connectors.Type{Kind: k} }

func samples() map[string]sample {
	nines := func(n int) string { return strings.Repeat("9", n) }
	elem := kind(connectors.Int32)
	return map[string]sample{
		"c_bool":     {kind(connectors.Bool), []any{"true", "false", nil}},
		"c_int8":     {kind(connectors.Int8), []any{"-128", "127", "0", nil}},
		"c_int16":    {kind(connectors.Int16), []any{"-32768", "32767", nil}},
		"c_int32":    {kind(connectors.Int32), []any{"-2147483648", "2147483647", nil}},
		"c_int64":    {kind(connectors.Int64), []any{"-9223372036854775808", "9223372036854775807", nil}},
		"c_uint8":    {kind(connectors.Uint8), []any{"0", "255", nil}},
		"c_uint16":   {kind(connectors.Uint16), []any{"0", "65535", nil}},
		"c_uint32":   {kind(connectors.Uint32), []any{"0", "4294967295", nil}},
		"c_uint64":   {kind(connectors.Uint64), []any{"0", "9223372036854775807", "9223372036854775808", "10000000000000000000", "18446744073709551615", nil}},
		"c_float32":  {kind(connectors.Float32), []any{"0", "-0", "0.1", "3.4028235e+38", "1e-45", "NaN", "Infinity", "-Infinity", nil}},
		"c_float64":  {kind(connectors.Float64), []any{"0", "-0", "0.1", "1", "1.7976931348623157e+308", "5e-324", "NaN", "Infinity", "-Infinity", nil}},
		"c_dec12":    {connectors.NewDecimal(12, 2), []any{"0.00", "-0.01", "9999999999.99", "-9999999999.99", "NaN", nil}},
		"c_dec18":    {connectors.NewDecimal(18, 6), []any{"999999999999.999999", "-999999999999.999999", "0.000001", "NaN", nil}},
		"c_dec18_0":  {connectors.NewDecimal(18, 0), []any{nines(18), "-" + nines(18), "NaN", nil}},
		"c_dec38":    {connectors.NewDecimal(38, 10), []any{nines(28) + "." + nines(10), "-" + nines(28) + "." + nines(10), "0.0000000001", "-0.0000000001", "NaN", nil}},
		"c_dec76":    {connectors.NewDecimal(76, 0), []any{nines(76), "-" + nines(76), "0", "-1", "NaN", nil}},
		"c_numeric":  {kind(connectors.Numeric), []any{"1.10", "-0.5", "1e400", nines(200) + ".5", "NaN", "Infinity", "-Infinity", nil}},
		"c_text":     {kind(connectors.Text), []any{"", "a", "null", "NaN", "zażółć 🙂 \u202e", "a\x00b", "quote \" ' \\ \n\t\x1f", strings.Repeat("x", 100_000), nil}},
		"c_char":     {connectors.Type{Kind: connectors.Text, Length: 5, Fixed: true}, []any{"ab   ", nil}},
		"c_bytes":    {kind(connectors.Bytes), []any{"", "AP8=", "gICA", nil}},
		"c_date":     {kind(connectors.Date), []any{"1970-01-01", "0001-01-01", "-4712-01-01", "9999-12-31", "12345-06-07", "infinity", "-infinity", "0000-00-00", "2024-02-31", nil}},
		"c_time":     {connectors.Type{Kind: connectors.Time, Precision: 3}, []any{"00:00:00", "23:59:59.999999", "24:00:00", nil}},
		"c_wide":     {connectors.Type{Kind: connectors.Time, Wide: true}, []any{"-838:59:59", "838:59:59.5", nil}},
		"c_ts":       {connectors.Type{Kind: connectors.Timestamp, Precision: 6}, []any{"0000-00-00T00:00:00", "2024-00-15T01:02:03.5", "1969-12-31T23:59:59.999999", "2026-01-02T03:04:05", "-0044-03-15T00:00:00", "12345-01-01T00:00:00", "infinity", "-infinity", nil}},
		"c_tstz":     {kind(connectors.TimestampTZ), []any{"0000-00-00T00:00:00Z", "2026-01-02T03:04:05.000001Z", "infinity", "-infinity", nil}},
		"c_interval": {kind(connectors.Interval), []any{"P1Y2M3DT4H5M6.7S", "PT0S", nil}},
		"c_uuid":     {kind(connectors.UUID), []any{"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "0190a6b2-1234-7abc-8def-0123456789ab", nil}},
		"c_json":     {connectors.Type{Kind: connectors.JSON, Parsed: true}, []any{"null", "{}", `{"a":[1,{"b":"]}\""}],  "n":1.000}`, `"x"`, "12", nil}},
		"c_enum":     {connectors.Type{Kind: connectors.Enum, Values: []string{"a", `b",(c)`, ""}}, []any{"a", `b",(c)`, "", nil}},
		"c_array":    {connectors.Type{Kind: connectors.Array, Elem: &elem}, []any{"[]", "[1,null,3]", nil}},
	}
}

// putText appends a value in canonical text, or NULL.
func putText(t testing.TB, b array.Builder, typ connectors.Type, v any) {
	t.Helper()
	if v == nil {
		b.AppendNull()
	} else if err := appendText(b, typ, v.(string)); err != nil {
		t.Fatalf("%s value %q: %v", typ, v, err)
	}
}

// batchOf makes a batch of rows in canonical text.
func batchOf(t testing.TB, columns []connectors.Column, rows [][]any) arrow.RecordBatch {
	t.Helper()
	var out arrow.RecordBatch
	b := connectors.NewBatcher(columns, connectors.Limits{Rows: len(rows) + 1, Bytes: math.MaxInt}, func(batch arrow.RecordBatch) error {
		out = batch
		return nil
	})
	defer b.Release()
	for _, row := range rows {
		for c, v := range row {
			putText(t, b.Builders[c], columns[c].Type, v)
		}
		if err := b.EndRow(1); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	return out
}

func col(name string, k connectors.Kind) connectors.Column {
	return connectors.Column{Name: name, Type: kind(k)}
}

func destination(t testing.TB, dir string) connectors.Destination {
	t.Helper()
	d, err := New().OpenDestination(t.Context(), connectors.Config{Database: dir})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func source(t testing.TB, dir string) connectors.Source {
	t.Helper()
	s, err := New().OpenSource(t.Context(), connectors.Config{Database: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t testing.TB, dir string, req connectors.LoadRequest) connectors.Load {
	t.Helper()
	if req.RunID == "" {
		req.RunID = runA
	}
	if req.SyncedAt.IsZero() {
		req.SyncedAt = syncedAt
	}
	l, err := destination(t, dir).Begin(t.Context(), req)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return l
}

func write(t testing.TB, l connectors.Load, columns []connectors.Column, rows [][]any) {
	t.Helper()
	if err := l.Write(t.Context(), batchOf(t, columns, rows)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func loadAll(t testing.TB, dir string, req connectors.LoadRequest, rows [][]any) connectors.LoadResult {
	t.Helper()
	l := begin(t, dir, req)
	if len(rows) > 0 {
		write(t, l, req.Columns, rows)
	}
	res, err := l.Commit(t.Context())
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return res
}

func read(t testing.TB, ctx context.Context, s connectors.Source, req connectors.ReadRequest) ([][]any, error) {
	t.Helper()
	var rows [][]any
	err := s.Read(ctx, req, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		for i := range int(batch.NumRows()) {
			row := make([]any, batch.NumCols())
			for c := range row {
				if arr := batch.Column(c); !arr.IsNull(i) {
					row[c] = string(connectors.AppendValue(nil, arr, req.Columns[c].Type, i))
				}
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

// rowsOf reads all rows of a table in the order of its first column.
func rowsOf(t testing.TB, dir, name string, columns []connectors.Column) [][]any {
	t.Helper()
	rows, err := read(t, t.Context(), source(t, dir), connectors.ReadRequest{
		Table: connectors.Table{TableRef: connectors.TableRef{Name: name}}, Columns: columns, OrderBy: []string{columns[0].Name},
	})
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return rows
}

func diff(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// query runs a SELECT and gives the rows as Go prints them.
func query(t testing.TB, dir, sql string) ([][]any, error) {
	t.Helper()
	r, err := Query(t.Context(), dir, sql, QueryOptions{})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	var rows [][]any
	for {
		row, ok := r.Next()
		if !ok {
			return rows, r.Err()
		}
		rows = append(rows, row)
	}
}
