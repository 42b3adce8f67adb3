package connectors

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// valueTest is one value of one type, in both spellings.
type valueTest struct {
	t     Type
	value any // what the Arrow builder takes
	text  string
	json  string // "" = text between quotes
}

var valueTests = []valueTest{
	{Type{Kind: Bool}, true, "true", "true"},
	{Type{Kind: Bool}, false, "false", "false"},
	{Type{Kind: Int8}, int8(math.MinInt8), "-128", "-128"},
	{Type{Kind: Int16}, int16(math.MaxInt16), "32767", "32767"},
	{Type{Kind: Int32}, int32(math.MinInt32), "-2147483648", "-2147483648"},
	{Type{Kind: Int64}, int64(math.MinInt64), "-9223372036854775808", "-9223372036854775808"},
	{Type{Kind: Uint8}, uint8(math.MaxUint8), "255", "255"},
	{Type{Kind: Uint16}, uint16(math.MaxUint16), "65535", "65535"},
	{Type{Kind: Uint32}, uint32(math.MaxUint32), "4294967295", "4294967295"},
	{Type{Kind: Uint64}, uint64(math.MaxUint64), "18446744073709551615", "18446744073709551615"},
	{Type{Kind: Float32}, float32(0.1), "0.1", "0.1"},
	{Type{Kind: Float32}, float32(math.NaN()), "NaN", ""},
	{Type{Kind: Float32}, float32(math.Inf(-1)), "-Infinity", ""},
	{Type{Kind: Float64}, 0.1, "0.1", "0.1"},
	{Type{Kind: Float64}, 0.0, "0", "0"},
	{Type{Kind: Float64}, math.Copysign(0, -1), "-0", "-0"},
	{Type{Kind: Float64}, 1e21, "1e+21", "1e+21"},
	{Type{Kind: Float64}, math.MaxFloat64, "1.7976931348623157e+308", "1.7976931348623157e+308"},
	{Type{Kind: Float64}, math.SmallestNonzeroFloat64, "5e-324", "5e-324"},
	{Type{Kind: Float64}, math.NaN(), "NaN", ""},
	{Type{Kind: Float64}, math.Inf(1), "Infinity", ""},
	{Type{Kind: Float64}, math.Inf(-1), "-Infinity", ""},
	{NewDecimal(12, 2), decimal128.FromI64(-1990), "-19.90", ""},
	{NewDecimal(38, 38), decimal128.FromI64(1), "0." + strings.Repeat("0", 37) + "1", ""},
	{NewDecimal(12, 2), DecimalNaN128, "NaN", ""},
	{NewDecimal(76, 3), decimal256.FromI64(5), "0.005", ""},
	{NewDecimal(76, 3), DecimalNaN256, "NaN", ""},
	{Type{Kind: Numeric}, "-Infinity", "-Infinity", ""},
	{Type{Kind: Text}, "", "", ""},
	{Type{Kind: Text}, "é 表 🚲", "é 表 🚲", ""},
	{Type{Kind: Text}, "\"\\/\b\f\n\r\t\x00\x1f\x7f\u2028", "\"\\/\b\f\n\r\t\x00\x1f\x7f\u2028", `"\"\\/\u0008\u000c\n\r\t\u0000\u001f` + "\x7f\u2028" + `"`},
	{Type{Kind: Text}, "a\xffb\xed\xa0\x80", "a\xffb\xed\xa0\x80", `"a\ufffdb\ufffd\ufffd\ufffd"`},
	{Type{Kind: Enum, Values: []string{`a"b`}}, `a"b`, `a"b`, `"a\"b"`},
	{Type{Kind: Bytes}, []byte{}, "", ""},
	{Type{Kind: Bytes}, []byte{0, 0xff, '"'}, "AP8i", ""},
	{Type{Kind: Date}, arrow.Date32(19782), "2024-02-29", ""},
	{Type{Kind: Date}, arrow.Date32(-719529), "-0001-12-31", ""},
	{Type{Kind: Date}, DateInfinity, "infinity", ""},
	{Type{Kind: Date}, DateMinusInfinity, "-infinity", ""},
	{Type{Kind: Time}, arrow.Time64(86_400_000_000), "24:00:00", ""},
	{Type{Kind: Time, Wide: true}, arrow.Time64(-3_020_399_000_001), "-838:59:59.000001", ""},
	{Type{Kind: Timestamp}, arrow.Timestamp(-1), "1969-12-31T23:59:59.999999", ""},
	{Type{Kind: Timestamp}, TimestampInfinity, "infinity", ""},
	{Type{Kind: TimestampTZ}, arrow.Timestamp(0), "1970-01-01T00:00:00Z", ""},
	{Type{Kind: TimestampTZ}, TimestampInfinity, "infinity", ""},
	{Type{Kind: TimestampTZ}, TimestampMinInfinity, "-infinity", ""},
	{Type{Kind: Interval}, "P1Y2M3DT4H", "P1Y2M3DT4H", ""},
	{Type{Kind: UUID}, []byte("\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"), "01234567-89ab-cdef-0123-456789abcdef", ""},
	{Type{Kind: JSON}, `{"a": [1, null, "x"]}`, `{"a": [1, null, "x"]}`, `{"a": [1, null, "x"]}`},
	{Type{Kind: JSON}, "null", "null", "null"},
	{Type{Kind: Array, Elem: &Type{Kind: Int32}}, "[1,2,null]", "[1,2,null]", "[1,2,null]"},
}

// appendTo puts v, or a null for nil, into a builder of any Arrow form.
func appendTo(t testing.TB, builder array.Builder, v any) {
	t.Helper()
	if v == nil {
		builder.AppendNull()
		return
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		b.Append(v.(bool))
	case *array.Int8Builder:
		b.Append(v.(int8))
	case *array.Int16Builder:
		b.Append(v.(int16))
	case *array.Int32Builder:
		b.Append(v.(int32))
	case *array.Int64Builder:
		b.Append(v.(int64))
	case *array.Uint8Builder:
		b.Append(v.(uint8))
	case *array.Uint16Builder:
		b.Append(v.(uint16))
	case *array.Uint32Builder:
		b.Append(v.(uint32))
	case *array.Uint64Builder:
		b.Append(v.(uint64))
	case *array.Float32Builder:
		b.Append(v.(float32))
	case *array.Float64Builder:
		b.Append(v.(float64))
	case *array.Decimal128Builder:
		b.Append(v.(decimal128.Num))
	case *array.Decimal256Builder:
		b.Append(v.(decimal256.Num))
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.BinaryBuilder:
		b.Append(v.([]byte))
	case *array.FixedSizeBinaryBuilder:
		b.Append(v.([]byte))
	case *array.Date32Builder:
		b.Append(v.(arrow.Date32))
	case *array.Time64Builder:
		b.Append(v.(arrow.Time64))
	case *array.TimestampBuilder:
		b.Append(v.(arrow.Timestamp))
	default:
		t.Fatalf("no way to append to a %T", builder)
	}
}

// oneBatch makes a batch of the rows.
func oneBatch(t testing.TB, columns []Column, rows ...[]any) arrow.RecordBatch {
	t.Helper()
	var batch arrow.RecordBatch
	b := NewBatcher(columns, Limits{}, func(r arrow.RecordBatch) error { batch = r; return nil })
	defer b.Release()
	for _, row := range rows {
		for i, v := range row {
			appendTo(t, b.Builders[i], v)
		}
		if err := b.EndRow(1); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(batch.Release)
	return batch
}

func TestValueForms(t *testing.T) {
	t.Parallel()
	seen := map[Kind]bool{}
	for _, test := range valueTests {
		seen[test.t.Kind] = true
		columns := []Column{{Name: "c", Type: test.t}}
		batch := oneBatch(t, columns, []any{test.value}, []any{nil})
		if got := string(AppendValue([]byte(">"), batch.Column(0), test.t, 0)); got != ">"+test.text {
			t.Errorf("AppendValue of %v as %s = %q, want %q", test.value, test.t, got, test.text)
		}
		want := test.json
		if want == "" {
			want = `"` + test.text + `"`
		}
		if got := string(AppendRowJSON(nil, batch, columns, 0)); got != `{"c":`+want+`}` || !json.Valid([]byte(got)) {
			t.Errorf("AppendRowJSON of %v as %s = %s, want %s", test.value, test.t, got, want)
		}
		null := `{"c":null}`
		if test.t.Kind == JSON {
			null = `{}` // null would be the JSON null
		}
		if got := string(AppendRowJSON(nil, batch, columns, 1)); got != null {
			t.Errorf("AppendRowJSON of null as %s = %s, want %s", test.t, got, null)
		}
	}
	for k := Bool; k <= Array; k++ {
		if !seen[k] {
			t.Errorf("no value of kind %s is tried", k)
		}
	}
}

func TestAppendRowJSONWholeRow(t *testing.T) {
	t.Parallel()
	columns := make([]Column, len(valueTests))
	row := make([]any, len(valueTests))
	for i, test := range valueTests {
		columns[i] = Column{Name: "c\"\n\xff" + strings.Repeat("x", i), Type: test.t}
		row[i] = test.value
	}
	got := AppendRowJSON([]byte("prefix"), oneBatch(t, columns, row), columns, 0)
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(bytes.TrimPrefix(got, []byte("prefix")), &object); err != nil || len(object) != len(columns) {
		t.Errorf("a row of %d columns has %d keys, %v: %s", len(columns), len(object), err, got)
	}
	if bytes.ContainsRune(got, '\n') {
		t.Errorf("a row takes several lines: %s", got)
	}
	if got := AppendRowJSON(nil, oneBatch(t, columns[:1], row[:1]), nil, 0); string(got) != "{}" {
		t.Errorf("a row of no columns is %s", got)
	}
}

func TestAppendValueRefusesOtherForms(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("AppendValue took an Arrow form that no kind has")
		}
	}()
	AppendValue(nil, array.NewNull(1), Type{Kind: Text}, 0)
}

func FuzzAppendJSONString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\\n\r\t\x00\x1f\x7f", "é 表 🚲", "\xff", "\xed\xa0\x80", "\xf0\x9f\x9a", "\ufffd", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := AppendJSONString(nil, s)
		var got string
		if err := json.Unmarshal(text, &got); err != nil || !utf8.Valid(text) {
			t.Fatalf("AppendJSONString(%q) = %q: %v", s, text, err)
		}
		var want strings.Builder // every byte that is not UTF-8 becomes one U+FFFD
		for _, r := range s {
			want.WriteRune(r)
		}
		if got != want.String() {
			t.Errorf("AppendJSONString(%q) = %q, which reads as %q, want %q", s, text, got, want.String())
		}
	})
}
