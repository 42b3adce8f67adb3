package segment

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"arus/connectors"
	"arus/connectors/conformance"
)

func columns() []Column {
	text := connectors.Type{Kind: connectors.Text}
	return []Column{
		{ID: 0, Name: "id", Type: connectors.Type{Kind: connectors.Int64}},
		{ID: 1, Name: `Select "x".y`, Type: text},
		{ID: 7, Name: "id ", Type: text},
		{ID: 2, Name: "few", Type: text, Sort: true},
		{ID: 3, Name: "ok", Type: connectors.Type{Kind: connectors.Bool}},
		{ID: 4, Name: "price", Type: connectors.NewDecimal(12, 2)},
		{ID: 5, Name: "wide", Type: connectors.NewDecimal(38, 10)},
		{ID: 6, Name: "f", Type: connectors.Type{Kind: connectors.Float64}},
		{ID: 9, Name: "u", Type: connectors.Type{Kind: connectors.UUID}},
		{ID: 8, Name: "b", Type: connectors.Type{Kind: connectors.Bytes}},
	}
}

func logical(columns []Column) []connectors.Column {
	out := make([]connectors.Column, len(columns))
	for i, c := range columns {
		out[i] = connectors.Column{Name: c.Name, Type: c.Type}
	}
	return out
}

// rows makes rows with nulls everywhere but in the first column.
func rows(n int) [][]any {
	out := make([][]any, n)
	for i := range out {
		row := []any{
			fmt.Sprint(i * 3), fmt.Sprintf("text number %d", i), fmt.Sprint(i % 7), fmt.Sprint("city ", i*5/n), fmt.Sprint(i%3 == 0), fmt.Sprintf("%d.%02d", i, i%100), "-0.0000000001",
			fmt.Sprint(float64(i) / 8), fmt.Sprintf("00000000-0000-0000-0000-%012d", i), "AP8=",
		}
		for c := 1; c < len(row); c++ {
			if (i+c)%11 == 0 {
				row[c] = nil
			}
		}
		if i%13 == 0 {
			row[5] = "NaN"
		}
		out[i] = row
	}
	return out
}

func batch(t testing.TB, columns []Column, rows [][]any) []arrow.Array {
	t.Helper()
	b, err := conformance.Batch(logical(columns), rows)
	if err != nil {
		t.Fatal(err)
	}
	return b.Columns()
}

func file(t testing.TB, columns []Column, batches ...[]arrow.Array) ([]byte, Info) {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, columns, map[int]bool{})
	for _, b := range batches {
		if err := w.Write(t.Context(), b, nil); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), info
}

// fill reads ranges of the columns and gives canonical text.
func fill(f *File, columns []Column, ranges ...Range) (out [][]any, err error) {
	r, err := f.NewReader(columns)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for i, c := range columns {
		b := array.NewBuilder(memory.DefaultAllocator, c.Type.Arrow())
		for _, x := range ranges {
			if err := r.Fill(i, b, x); err != nil {
				return nil, err
			}
		}
		arr := b.NewArray()
		for k := range arr.Len() {
			if i == 0 {
				out = append(out, make([]any, len(columns)))
			}
			if !arr.IsNull(k) {
				out[k][i] = string(connectors.AppendValue(nil, arr, c.Type, k))
			}
		}
	}
	return out, nil
}

func same(t *testing.T, what string, got, want [][]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range want {
		if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
			t.Fatalf("%s: row %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestAFileComesBack(t *testing.T) {
	t.Parallel()
	const n = GroupRows + 30_000
	cols, want := columns(), rows(n)
	data, info := file(t, cols, batch(t, cols, want[:50_000]), batch(t, cols, want[50_000:]))
	f, err := Open(bytes.NewReader(data), info)
	if err != nil || info.Rows != n || info.Bytes != int64(len(data)) {
		t.Fatalf("%+v, %v", info, err)
	}
	got, err := fill(f, cols, Range{0, n})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "all", got, want)
	order := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var ranges []Range
		var some [][]any
		for at := order.Int64N(n); at < n; at += 1 + order.Int64N(n/4) {
			to := min(n, at+1+order.Int64N(3)*order.Int64N(9000))
			ranges = append(ranges, Range{at, to})
			some = append(some, want[at:to]...)
			at = to
		}
		got, err := fill(f, cols, ranges...)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint(ranges), got, some)
	}
	if _, ok := f.Place(7); !ok {
		t.Error("the column 7 is not found by its ID")
	}
	if _, ok := f.Place(99); ok {
		t.Error("the file has a column 99")
	}
	wrong := cols[0]
	wrong.Type = connectors.Type{Kind: connectors.Int32}
	if _, err := f.NewReader([]Column{wrong}); err == nil { // R38
		t.Error("a column of another type is read")
	}
}

func TestRowsInAnotherOrder(t *testing.T) {
	t.Parallel()
	cols, want := columns(), rows(3000)
	var buf bytes.Buffer
	w := NewWriter(&buf, cols, map[int]bool{})
	order := []int32{2999, 0, 17, 17, 1500}
	if err := w.Write(t.Context(), batch(t, cols, want), order); err != nil {
		t.Fatal(err)
	}
	info, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(bytes.NewReader(buf.Bytes()), info)
	if err != nil {
		t.Fatal(err)
	}
	got, err := fill(f, cols, Range{0, 5})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "order", got, [][]any{want[2999], want[0], want[17], want[17], want[1500]})
}

func TestAnEmptyFile(t *testing.T) {
	t.Parallel()
	data, info := file(t, columns())
	f, err := Open(bytes.NewReader(data), info)
	if err != nil || f.Rows() != 0 {
		t.Fatal(err)
	}
}

// TestDamageIsFound flips bytes all over a file: reading all of it gives an error or the rows as they were, never others.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	cols, want := columns(), rows(2000)
	data, info := file(t, cols, batch(t, cols, want))
	found := 0
	for at := 0; at < len(data); at += 1 + len(data)/400 {
		bad := bytes.Clone(data)
		bad[at] ^= 0x10
		f, err := Open(bytes.NewReader(bad), info)
		var got [][]any
		if err == nil {
			got, err = fill(f, cols, Range{0, 2000})
		}
		if err != nil {
			found++
			continue
		}
		same(t, fmt.Sprintf("byte %d", at), got, want)
	}
	if found < 300 {
		t.Errorf("only %d of about 400 damages were found", found)
	}
	if _, err := Open(bytes.NewReader(data[:len(data)/2]), info); !errors.Is(err, ErrDamaged) {
		t.Errorf("half a file gives %v", err)
	}
}

func BenchmarkSegment(b *testing.B) {
	cols := columns()
	arrays := batch(b, cols, rows(GroupRows))
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			file(b, cols, arrays)
		}
		b.ReportMetric(float64(GroupRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	data, info := file(b, cols, arrays)
	b.ReportMetric(float64(len(data))/GroupRows, "bytes/row")
	b.Run("read", func(b *testing.B) {
		f, err := Open(bytes.NewReader(data), info)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			r, err := f.NewReader(cols)
			if err != nil {
				b.Fatal(err)
			}
			for i, c := range cols {
				builder := array.NewBuilder(memory.DefaultAllocator, c.Type.Arrow())
				if err := r.Fill(i, builder, Range{0, GroupRows}); err != nil {
					b.Fatal(err)
				}
				builder.NewArray().Release()
			}
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(GroupRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

// TestRowsInManyPieces writes random rows in pieces of all sizes, of which some have nothing but nulls.
func TestRowsInManyPieces(t *testing.T) {
	t.Parallel()
	cols := columns()
	r := rand.New(rand.NewPCG(3, 4))
	var want [][]any
	var pieces [][]arrow.Array
	for range 60 {
		some := rows(1 + r.IntN(1<<r.IntN(12)))
		for _, row := range some {
			for c := 1; c < len(row); c++ {
				if r.IntN(4) == 0 {
					row[c] = nil
				}
			}
		}
		if r.IntN(3) == 0 {
			for _, row := range some {
				clear(row[1:])
			}
		}
		want = append(want, some...)
		pieces = append(pieces, batch(t, cols, some))
	}
	data, info := file(t, cols, pieces...)
	f, err := Open(bytes.NewReader(data), info)
	if err != nil {
		t.Fatal(err)
	}
	got, err := fill(f, cols, Range{0, int64(len(want))})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pieces", got, want)
}

// TestAFilesOwnFigures compares what a file says of its row groups with what they hold, for every kind of column.
func TestAFilesOwnFigures(t *testing.T) {
	t.Parallel()
	cols := []Column{
		{ID: 0, Name: "small", Type: connectors.Type{Kind: connectors.Int8}},
		{ID: 1, Name: "natural", Type: connectors.Type{Kind: connectors.Uint32}},
		{ID: 2, Name: "large", Type: connectors.Type{Kind: connectors.Uint64}},
		{ID: 3, Name: "real", Type: connectors.Type{Kind: connectors.Float32}},
		{ID: 4, Name: "text", Type: connectors.Type{Kind: connectors.Text}},
		{ID: 5, Name: "wide", Type: connectors.NewDecimal(38, 0)},
		{ID: 6, Name: "flag", Type: connectors.Type{Kind: connectors.Bool}},
	}
	some := [][]any{
		{"-5", "4000000000", "18446744073709551615", "-1.5", "b", "-12", "true"}, {"7", "1", "3", "NaN", "ab", "5", "true"}, {nil, nil, nil, nil, nil, nil, nil}, {"0", "2", "9", "0.5", "a\x00", "3", "true"},
	}
	want := []string{"-5 7", "1 4000000000", "3 18446744073709551615", "-1.5 0.5", "a\x00 b", "-12 5", "true true"}
	data, info := file(t, cols, batch(t, cols, some))
	f, err := Open(bytes.NewReader(data), info)
	if err != nil {
		t.Fatal(err)
	}
	for i, chunk := range f.Parquet().RowGroups()[0].ColumnChunks() {
		low, high, ok := chunk.(*parquet.FileColumnChunk).Bounds()
		text := func(v parquet.Value) string {
			switch i {
			case 1:
				return fmt.Sprint(v.Uint32())
			case 2:
				return fmt.Sprint(v.Uint64())
			case 4:
				return string(v.ByteArray())
			case 5:
				return fmt.Sprint(getDecimal128(v.ByteArray()).BigInt())
			}
			return v.String()
		}
		if got := text(low) + " " + text(high); !ok || got != want[i] {
			t.Errorf("%s has the bounds %s, not %s", cols[i].Name, got, want[i])
		}
		if n := f.Parquet().Metadata().RowGroups[0].Columns[i].MetaData.Statistics.NullCount; n != 1 {
			t.Errorf("%s has %d nulls, not 1", cols[i].Name, n)
		}
	}
}
