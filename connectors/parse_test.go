package connectors

import (
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// parsed appends the text to a builder of the type and gives what stands there.
func parsed(t *testing.T, typ Type, text string) (string, error) {
	t.Helper()
	b := array.NewBuilder(memory.DefaultAllocator, typ.Arrow())
	defer b.Release()
	if err := AppendParsed(b, typ, text); err != nil {
		if b.Len() != 0 {
			t.Errorf("%s of %q fails and leaves a value", typ, text)
		}
		return "", err
	}
	arr := b.NewArray()
	defer arr.Release()
	return string(AppendValue(nil, arr, typ, 0)), nil
}

func TestAppendParsedIsTheInverseOfAppendValue(t *testing.T) {
	t.Parallel()
	k := func(kind Kind) Type { return Type{Kind: kind} }
	for _, c := range []struct {
		t    Type
		text string
	}{
		{k(Bool), "true"},
		{k(Bool), "false"},
		{k(Int8), "-128"},
		{k(Int16), "32767"},
		{k(Int32), "-2147483648"},
		{k(Int64), "9223372036854775807"},
		{k(Uint8), "255"},
		{k(Uint16), "65535"},
		{k(Uint32), "4294967295"},
		{k(Uint64), "18446744073709551615"},
		{k(Float32), "0.1"},
		{k(Float32), "-Infinity"},
		{k(Float64), "1e+300"},
		{k(Float64), "NaN"},
		{k(Float64), "0.1"},
		{NewDecimal(12, 2), "-12345678.90"},
		{NewDecimal(12, 2), "NaN"},
		{NewDecimal(50, 10), "1234567890123456789012345678901234567890.0123456789"},
		{k(Numeric), "-1.5e300"},
		{k(Numeric), "NaN"},
		{k(Numeric), "00.10"},
		{k(Text), "a\"b\\c\x00 日本"},
		{Type{Kind: Text, Length: 2}, "日本"},
		{k(Bytes), "AP8="},
		{k(Date), "2026-02-28"},
		{k(Date), "-0044-03-15"},
		{k(Date), "infinity"},
		{k(Date), "0000-00-00"},
		{k(Date), "2024-02-31"},
		{k(Time), "23:59:59.999999"},
		{k(Time), "24:00:00"},
		{Type{Kind: Time, Wide: true}, "-838:59:59"},
		{k(Timestamp), "2026-01-02T03:04:05.000006"},
		{k(Timestamp), "-infinity"},
		{k(Timestamp), "0000-00-00T00:00:00"},
		{k(TimestampTZ), "2026-01-02T03:04:05Z"},
		{k(TimestampTZ), "infinity"},
		{k(TimestampTZ), "0000-00-00T00:00:00Z"},
		{k(Interval), "P1Y2M3DT4H5M6.000007S"},
		{k(UUID), "00000000-0000-7000-8000-000000000001"},
		{k(JSON), `{"a": [1, 2.50]}`},
		{k(JSON), "null"},
		{Type{Kind: Enum, Values: []string{"a", "b"}}, "b"},
		{k(Array), `[1,null]`},
	} {
		if got, err := parsed(t, c.t, c.text); err != nil || got != c.text {
			t.Errorf("%s of %q comes back as %q, %v", c.t, c.text, got, err)
		}
	}
}

func TestAppendParsedRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	k := func(kind Kind) Type { return Type{Kind: kind} }
	for _, c := range []struct {
		t    Type
		text string
	}{
		{k(Bool), "2"},
		{k(Int8), "128"},
		{k(Int32), "2147483648"},
		{k(Int32), "1.0"},
		{k(Int64), ""},
		{k(Uint8), "-1"},
		{k(Uint64), "abc"},
		{k(Float32), "0.12345678901"},
		{k(Float64), "0x1p3"},
		{k(Float64), "inf"},
		{k(Float64), ""},
		{NewDecimal(5, 2), "1000.00"},
		{NewDecimal(5, 2), "0.001"},
		{NewDecimal(5, 2), "x"},
		{k(Numeric), "1,5"},
		{k(Numeric), ""},
		{k(Numeric), "."},
		{Type{Kind: Text, Length: 2}, "abc"},
		{k(Bytes), "*"},
		{Type{Kind: Bytes, Length: 1}, "AP8="},
		{k(Date), "2026-01-02T00:00:00"},
		{k(Time), "25:00:00"},
		{k(Time), "-00:00:01"},
		{k(Timestamp), "2026-01-02T03:04:05Z"},
		{k(TimestampTZ), "2026-01-02T03:04:05"},
		{k(UUID), "1"},
		{k(JSON), "{"},
		{k(Array), "{}"},
		{Type{Kind: Enum, Values: []string{"a"}}, "b"},
		{k(Interval), ""},
	} {
		if got, err := parsed(t, c.t, c.text); err == nil {
			t.Errorf("%s takes %q as %q", c.t, c.text, got)
		}
	}
}

func TestRowsComeBackFromTheirJSON(t *testing.T) {
	t.Parallel()
	columns := []Column{
		{Name: "i", Type: Type{Kind: Int64}},
		{Name: "f", Type: Type{Kind: Float64}},
		{Name: "d", Type: NewDecimal(12, 2)},
		{Name: "s", Type: Type{Kind: Text}},
		{Name: "j", Type: Type{Kind: JSON}},
		{Name: "a", Type: Type{Kind: Array}},
		{Name: "b", Type: Type{Kind: Bytes}},
		{Name: "t", Type: Type{Kind: TimestampTZ}},
	}
	var batch arrow.RecordBatch
	b := NewBatcher(columns, Limits{}, func(r arrow.RecordBatch) error { batch = r; return nil })
	defer b.Release()
	b.Builders[0].(*array.Int64Builder).Append(math.MaxInt64)
	b.Builders[1].(*array.Float64Builder).Append(math.Inf(1))
	for i, text := range map[int]string{2: "-1.50", 3: "\"quoted\"\n", 4: `"a string"`, 5: `[1, "x"]`, 6: "AP8=", 7: "2026-01-02T03:04:05.000006Z"} {
		if err := AppendParsed(b.Builders[i], columns[i].Type, text); err != nil {
			t.Fatal(err)
		}
	}
	_ = b.EndRow(1)
	for _, builder := range b.Builders {
		builder.AppendNull()
	}
	_ = b.EndRow(1)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	defer batch.Release()
	for i := range 2 {
		row := AppendRowJSON(nil, batch, columns, i)
		var again arrow.RecordBatch
		back := NewBatcher(columns, Limits{}, func(r arrow.RecordBatch) error { again = r; return nil })
		if err := AppendRowParsed(back.Builders, columns, row); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		_ = back.EndRow(1)
		_ = back.Flush()
		if got := AppendRowJSON(nil, again, columns, 0); string(got) != string(row) {
			t.Errorf("%s comes back as %s", row, got)
		}
		again.Release()
		back.Release()
	}
	builders := NewBatcher(columns, Limits{}, nil)
	defer builders.Release()
	if err := AppendRowParsed(builders.Builders, columns, []byte(`{"i": 1, "f": "x", "s": "y"}`)); err == nil {
		t.Error("a text is taken as a float")
	}
	for i, b := range builders.Builders {
		if b.Len() != 1 {
			t.Errorf("column %d has %d values after a row that failed, want 1", i, b.Len())
		}
	}
}
