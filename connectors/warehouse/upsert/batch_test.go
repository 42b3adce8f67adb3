package upsert

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/conformance"
	"arus/connectors/warehouse/schema"
)

func column(t testing.TB, id int, name string, mode Mode, values ...any) Column {
	t.Helper()
	typ, ok := schema.ParseType(name)
	if !ok {
		t.Fatal(name)
	}
	stored := typ.Stored()
	b := array.NewBuilder(memory.DefaultAllocator, stored.Arrow())
	defer b.Release()
	some := false
	for _, v := range values {
		if err := conformance.Append(b, stored, v); err != nil {
			t.Fatal(err)
		}
		some = some || v != nil
	}
	c := Column{ID: id, Type: typ, Mode: mode}
	if some {
		c.Values = b.NewArray()
	}
	return c
}

// everything has a column of each type in each form.
func everything(t testing.TB) *Batch {
	t.Helper()
	values := map[string][]any{
		"Bool": {"true", "false", "true"}, "Int8": {"-128", "127", "0"}, "Uint8": {"255", "0", "1"}, "Int16": {"-32768", "1", "2"}, "Uint16": {"65535", "1", "2"},
		"Int32": {"-2147483648", "1", "2"}, "Uint32": {"4294967295", "1", "2"}, "Int64": {"-9223372036854775808", "1", "2"}, "Float32": {"0.1", "-1.5", "0"},
		"SmallEnum": {"255", "0", "7"}, "BigEnum": {"65535", "0", "7"}, "UUID": {"0190a6b2-0000-7000-8000-00000000000a", "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000"},
		"GeoPoint": {"Point(-122.5,37.75)", "Point(0.1,-0.1)", "Point(180,90)"}, "GeoShape": {"POLYGON ((1 2, 3 4, 5 6),(0.5 0.25))", "POLYGON ()", "POLYGON (())"},
		"Bool[]": {"[true,null,false,true,true,false,true,true,true]", "[]", "[null]"}, "Int8[]": {"[-1,null,3]", "[]", "[0]"}, "Uint16[]": {"[65535]", "[1,2]", "[]"}, "Float32[]": {"[0.1,null]", "[]", "[1]"},
		"UUID[]":     {`["0190a6b2-0000-7000-8000-00000000000a",null]`, "[]", "[null]"},
		"GeoPoint[]": {`["Point(1,2)"]`, "[]", "[null]"}, "SmallEnum[]": {"[1,2,null]", "[]", "[0]"}, "Int64[]": {"[-9223372036854775808,9223372036854775807]", "[]", "[null]"},
	}
	b := &Batch{Rows: 3, Arrival: 1_700_000_000}
	id := 0
	for name, v := range values {
		for _, v := range [][]any{v, {nil, v[1], nil}, {v[2], nil, v[0]}, {nil, nil, nil}} {
			b.Columns = append(b.Columns, column(t, id, name, Mode(id%5), v...))
			id++
		}
	}
	return b
}

func text(b *Batch) string {
	var out strings.Builder
	fmt.Fprintln(&out, b.Rows, b.Arrival)
	for _, c := range b.Columns {
		fmt.Fprint(&out, c.ID, " ", c.Type.Name(), " ", c.Mode, ":")
		for i := range b.Rows {
			if c.Values == nil || c.Values.IsNull(i) {
				fmt.Fprint(&out, " -")
			} else {
				fmt.Fprintf(&out, " %s", connectors.AppendValue(nil, c.Values, c.Type.Stored(), i))
			}
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

func TestEveryTypeAndFormComesBack(t *testing.T) {
	t.Parallel()
	b := everything(t)
	data, err := Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if text(got) != text(b) {
		t.Errorf("got\n%s\nwant\n%s", text(got), text(b))
	}
	again, err := Encode(got)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("encoded again it differs: %v", err)
	}
}

// TestTheLayoutIsAresDBs pins the places of the format's own example.
func TestTheLayoutIsAresDBs(t *testing.T) {
	t.Parallel()
	data, err := Encode(&Batch{Rows: 3, Columns: []Column{
		column(t, 0, "Uint32", 0, "1", "2", "3"), column(t, 1, "Int32", 0, "1", "2", "3"), column(t, 2, "SmallEnum", 0, "1", "2", "3"),
		column(t, 3, "Float32", Add, "1", nil, "3"), column(t, 4, "Bool", 0, "true", nil, "true"), column(t, 5, "UUID", 0, nil, nil, nil),
	}})
	if err != nil {
		t.Fatal(err)
	}
	var offsets []uint32
	for i := range 7 {
		offsets = append(offsets, binary.LittleEndian.Uint32(data[28+4*i:]))
	}
	if fmt.Sprint(offsets) != "[146 164 180 187 204 209 209]" || len(data) != 216 || !bytes.Equal(data[:4], []byte{1, 0, 0xed, 0xfe}) || data[143] != 2|2<<3 {
		t.Errorf("offsets %v of %d bytes, flags %v", offsets, len(data), data[140:146])
	}
}

func TestMalformedBatches(t *testing.T) {
	t.Parallel()
	good, err := Encode(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(good) - 8 { // the last bytes may be padding
		if b, err := Decode(good[:n:n]); err == nil {
			b.Release()
			t.Fatalf("the first %d of %d bytes are a batch", n, len(good))
		}
	}
	for name, c := range map[string]struct {
		change  func([]byte)
		message string
	}{
		"version":   {func(b []byte) { copy(b, "abcd") }, "Unsupported upsert batch version 64636261"},
		"rows":      {func(b []byte) { b[7] = 0x80 }, "Number of rows should be >= 0"},
		"many rows": {func(b []byte) { b[7] = 0x7f }, "Number of rows 2130706435 is more than"},
		"overlap":   {func(b []byte) { copy(b[32:36], b[28:32]); copy(b[36:40], b[28:32]) }, "Column"},
	} {
		bad := bytes.Clone(good)
		c.change(bad)
		if _, err := Decode(bad); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", name, err, c.message)
		}
	}
	if _, err := Decode([]byte{1, 0}); err == nil || !strings.HasPrefix(err.Error(), "Failed to read upsert batch version number") {
		t.Errorf("two bytes: %v", err)
	}
	order := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		bad := bytes.Clone(good)
		for range 1 + order.IntN(3) {
			bad[order.IntN(len(bad))] ^= 1 << order.IntN(8)
		}
		if b, err := Decode(bad); err == nil {
			_ = text(b)
			b.Release()
		}
	}
}

// TestMemoryIsBounded gives batches that claim much and hold little.
func TestMemoryIsBounded(t *testing.T) {
	n := 65535
	data := make([]byte, fixedHeader+4*(n+1)+15*n+1<<20)
	binary.LittleEndian.PutUint32(data, Version)
	binary.LittleEndian.PutUint32(data[4:], uint32(len(data)))
	binary.LittleEndian.PutUint16(data[8:], uint16(n))
	if _, err := Decode(data); err == nil || !strings.Contains(err.Error(), "too many for one upsert batch") {
		t.Errorf("%d columns of %d rows: %v", n, len(data), err)
	}
	binary.LittleEndian.PutUint32(data[4:], uint32(MaxValues/n))
	h, err := parseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		binary.LittleEndian.PutUint32(data[h.offsets+4*i:], uint32(h.total))
		binary.LittleEndian.PutUint32(data[h.offsets+4*i+4:], uint32(len(data)))
		binary.LittleEndian.PutUint32(data[h.types+4*i:], 0x01000001)
		binary.LittleEndian.PutUint16(data[h.ids+2*i:], uint16(i))
		data[h.modes+i] = 1
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Decode(data); err == nil {
		t.Error("sections that overlap are decoded")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("a batch of %d bytes took %d", len(data), grown)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := Encode(everything(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{1, 0, 0xed, 0xfe})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Decode(data)
		if err != nil {
			return
		}
		defer b.Release()
		for _, c := range b.Columns {
			if c.Values != nil && c.Values.Len() != b.Rows {
				t.Errorf("column %d has %d values for %d rows", c.ID, c.Values.Len(), b.Rows)
			}
		}
	})
}
