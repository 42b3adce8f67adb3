package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// sample is a type with its values at their limits, in canonical text.
type sample struct {
	t      connectors.Type
	values []any
}

func samples() []sample {
	kind := func(k connectors.Kind) connectors.Type { return connectors.Type{Kind: k} }
	nines := func(n int) string { return strings.Repeat("9", n) }
	elem := kind(connectors.Int32)
	return []sample{
		{kind(connectors.Bool), []any{"true", "false"}},
		{kind(connectors.Int8), []any{"-128", "127"}},
		{kind(connectors.Int16), []any{"-32768", "32767"}},
		{kind(connectors.Int32), []any{"-2147483648", "2147483647"}},
		{kind(connectors.Int64), []any{"-9223372036854775808", "9223372036854775807", "9007199254740993"}},
		{kind(connectors.Uint8), []any{"0", "255"}},
		{kind(connectors.Uint16), []any{"0", "65535"}},
		{kind(connectors.Uint32), []any{"0", "4294967295"}},
		{kind(connectors.Uint64), []any{"0", "9223372036854775808", "18446744073709551615"}},
		{kind(connectors.Float32), []any{"0.1", "1e-45", "-3.4028235e+38", "NaN", "Infinity", "-Infinity"}},
		{kind(connectors.Float64), []any{"0.1", "0.30000000000000004", "5e-324", "-1.7976931348623157e+308", "NaN", "Infinity", "-Infinity"}},
		{connectors.NewDecimal(12, 2), []any{"9999999999.99", "-9999999999.99", "0.00", "-0.01", "NaN"}},
		{connectors.NewDecimal(38, 10), []any{nines(28) + "." + nines(10), "-0.0000000001", "NaN"}},
		{connectors.NewDecimal(76, 38), []any{"-" + nines(38) + "." + nines(38), "0." + strings.Repeat("0", 37) + "1"}},
		{kind(connectors.Numeric), []any{"1.10", "-1" + strings.Repeat("0", 60), "0.00", "NaN", "Infinity", "-Infinity"}},
		{kind(connectors.Text), slices.Concat([]any{"", "NULL", strings.Repeat("äb😀", 100_000)}, hostileTexts)},
		{connectors.Type{Kind: connectors.Text, Length: 40}, slices.Concat([]any{"", strings.Repeat("😀", 40), " lead and trail "}, hostileTexts)},
		{connectors.Type{Kind: connectors.Text, Length: 5, Fixed: true}, []any{"ab", "", "äöüß€"}},
		{connectors.Type{Kind: connectors.Enum, Values: []string{"a", "it's", `back\slash`, "", "größe"}}, []any{"a", "it's", `back\slash`, "", "größe"}},
		{kind(connectors.Bytes), []any{"", "AP8KXCcJ", strings.Repeat("////", 100_000)}},
		{connectors.Type{Kind: connectors.Bytes, Length: 4, Fixed: true}, []any{"AP8KXA==", "AAAAAA=="}},
		{kind(connectors.Date), []any{"1970-01-01", "0001-01-01", "9999-12-31", "1582-10-10", "-4712-01-01", "12345-06-07", "infinity", "-infinity"}},
		{connectors.Type{Kind: connectors.Time, Precision: 6}, []any{"00:00:00", "23:59:59.999999", "24:00:00"}},
		{connectors.Type{Kind: connectors.Time, Wide: true}, []any{"838:59:59.999999", "-838:59:59.999999", "-00:00:00.000001"}},
		{connectors.Type{Kind: connectors.Timestamp, Precision: 6}, []any{"1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999", "2026-03-29T02:30:00", "-0043-03-15T12:00:00", "infinity", "-infinity"}},
		{connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}, []any{"1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z", "2026-03-29T01:30:00Z", "infinity", "-infinity"}},
		{kind(connectors.Interval), []any{"P1Y2M3DT4H5M6.789S", "PT0S", "P-10M-3DT-0.000001S"}},
		{kind(connectors.UUID), []any{"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "01234567-89ab-cdef-0123-456789abcdef"}},
		{kind(connectors.JSON), []any{"{}", `{"a":[1,null,"é😀"],"b":"\"\\"}`, `"x"`, "12345678901234567890.5", "[]"}},
		{connectors.Type{Kind: connectors.JSON, Parsed: true}, []any{"{}", `{"a":[1,null,"é😀"],"b":"\"\\"}`, "true"}},
		{connectors.Type{Kind: connectors.Array, Elem: &elem}, []any{"[]", "[1,null,3]", "[[1,2],[3,4]]"}},
	}
}

// hostileTexts break what quotes, escapes or splits carelessly.
var hostileTexts = []any{`\N`, `\`, `\\`, "'; DROP TABLE x; --", `"`, "`", "$$", "a\tb\nc\rd\x01\x7f", "nul\x00byte", "%s ${env:HOME}", "\u202e\ufeff", "𝒳😀é", ","}

// held drops the values that the destination declares not to hold.
func held(t testing.TB, holds connectors.Holds, s sample) []any {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(s.values), func(v any) bool {
		text := v.(string)
		special := text == "NaN" || strings.HasSuffix(text, "Infinity")
		switch s.t.Kind {
		case connectors.Float32, connectors.Float64:
			return special && !holds.NaN
		case connectors.Decimal:
			return special && !holds.DecimalNaN
		case connectors.Numeric:
			return special && !holds.NumericNaN
		case connectors.Text:
			return strings.Contains(text, "\x00") && !holds.NUL
		case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
			if strings.HasSuffix(text, "infinity") {
				return !holds.InfiniteTimes
			}
			day, _, _ := strings.Cut(text, "T")
			d, err := connectors.ParseDate(day)
			if err != nil {
				t.Fatal(err)
			}
			return holds.MinDate != holds.MaxDate && (d < holds.MinDate || d > holds.MaxDate)
		}
		return false
	})
}

func everyKindComesBack(t *testing.T, h *Harness) {
	columns, rows := []connectors.Column{idText()[0]}, [][]any{}
	holds := h.destination(t).Holds()
	for i, s := range samples() {
		columns = append(columns, connectors.Column{Name: fmt.Sprintf("c%d_%s", i, s.t.Kind), Type: s.t, Nullable: true})
		for n, v := range held(t, holds, s) {
			for len(rows) <= n+1 { // the first row is all NULL
				rows = append(rows, append([]any{fmt.Sprint(len(rows))}, make([]any, len(samples()))...))
			}
			rows[n+1][i+1] = v
		}
	}
	d, s := h.destination(t), h.source(t)
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow} {
		for _, raw := range []bool{false, true} {
			name := fmt.Sprintf("t%d_%v", mode, raw)
			req := h.request(name, columns, []string{"id"}, mode)
			req.Window = &connectors.Window{Column: "id", Nulls: true}
			if raw {
				req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: name + "_raw"}}
			}
			load(t, d, req, rows)
			got := h.read(t, s, req)
			if diff := cmp.Diff(plain(columns, rows), plain(columns, got)); diff != "" {
				t.Errorf("%s, raw %v (-want +got):\n%.3000s", mode, raw, diff)
			}
			described, ok, err := d.Table(t.Context(), req.Target)
			if err != nil || !ok || !described.Managed {
				t.Errorf("%s: described %v, managed %v, %v", req.Target, ok, described.Managed, err)
			}
			if diff := cmp.Diff(connectors.ColumnNames(columns), connectors.ColumnNames(described.Columns)); diff != "" {
				t.Errorf("%s is described with other columns (-want +got):\n%s", req.Target, diff)
			}
			if diff := cmp.Diff(req.Key, described.PrimaryKey); diff != "" {
				t.Errorf("%s is described with another key (-want +got):\n%s", req.Target, diff)
			}
		}
	}
}

// plain drops the blanks of JSON and shortens long values to what tells them apart.
func plain(columns []connectors.Column, rows [][]any) [][]any {
	out := make([][]any, len(rows))
	for i, row := range rows {
		out[i] = slices.Clone(row)
		for c, v := range row {
			text, ok := v.(string)
			if k := columns[c].Type.Kind; ok && (k == connectors.JSON || k == connectors.Array) {
				var b bytes.Buffer
				if json.Compact(&b, []byte(text)) == nil {
					text = b.String()
				}
				out[i][c] = text
			}
			if ok && len(text) > 200 {
				out[i][c] = fmt.Sprintf("%.40s... of %d bytes ...%s", text, len(text), text[len(text)-40:])
			}
			if ok && columns[c].Type.Fixed && columns[c].Type.Kind == connectors.Text {
				out[i][c] = strings.TrimRight(text, " ")
			}
		}
	}
	return out
}

// hostileIdentifiers are names that a careless quoting breaks.
func (h *Harness) hostileIdentifiers() []string {
	names := []string{
		"plain", `quo"te`, "it's", "back`tick", `back\slash`, `trailing\`, "sp ace", " lead", "select", "MixedCase", "do.t", "ünï😀", "_lead", "%s $1 ;--", "'; DROP TABLE x; --",
		"a/b", "[x]", "{y}", "tab\there", "1st", strings.Repeat("x", 63), strings.Repeat("x", 64) + "y", strings.Repeat("long😀", 30),
	}
	for i, n := range names {
		names[i] = h.shorten(n)
	}
	return names
}

func hostileNames(t *testing.T, h *Harness) {
	names := h.hostileIdentifiers()
	d, s := h.destination(t), h.source(t)
	schemas := []string{h.Schema}
	if h.Schemas {
		for i := range 3 { // the schema's own name is only tried where it is the test's
			schema := h.shorten([]string{`sche"ma ` + "`'" + `\`, "select", "Ünï.😀"}[i] + fmt.Sprintf(" %p", t))
			schemas = append(schemas, schema)
			if h.DropSchema != nil {
				t.Cleanup(func() { h.DropSchema(t, schema) })
			}
		}
	}
	columns, row := []connectors.Column{idText()[0]}, []any{"1"}
	for i, n := range names {
		c := column(n, connectors.Text)
		c.Type.Length = 20
		columns, row = append(columns, c), append(row, fmt.Sprintf("v%d", i))
	}
	for i, name := range names {
		for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow} {
			req := h.request(h.tableName(name), slices.Clone(columns), []string{"id", name}, mode)
			req.Target.Schema = schemas[i%len(schemas)]
			req.Columns[i+1].Nullable = false
			req.Window = &connectors.Window{Column: name, Lower: &connectors.Bound{Kind: connectors.Text, Text: row[i+1].(string)}}
			if mode == connectors.ReplaceWindow {
				req.Key = nil
				req.Target.Name = h.tableName(name + "w")
			}
			load(t, d, req, [][]any{row})
			load(t, d, req, [][]any{row})
			if diff := cmp.Diff([][]any{row}, h.read(t, s, req)); diff != "" {
				t.Errorf("%q, %s (-want +got):\n%s", name, mode, diff)
			}
			table := h.find(t, s, req.Target)
			table.Columns = req.Columns
			bound, ok, err := s.Max(t.Context(), table, name)
			if err != nil || !ok || bound.Text != row[i+1] {
				t.Errorf("the greatest value of %q is %+v, %v, %v", name, bound, ok, err)
			}
			rows, err := ReadAll(t.Context(), s, connectors.ReadRequest{
				Table: table, Columns: req.Columns[i+1 : i+2], OrderBy: []string{name},
				Window: &connectors.Window{Column: name, Lower: &bound, Upper: &bound},
			})
			if err != nil || len(rows) != 1 {
				t.Errorf("a window over %q gives %v, %v", name, rows, err)
			}
		}
	}
}

// longColumnNames wants a column name beyond every limit to arrive whole or to be refused by its name.
func longColumnNames(t *testing.T, h *Harness) {
	long := strings.Repeat("long_name_", 30)
	d, s := h.destination(t), h.source(t)
	columns := append(idText(), column(long, connectors.Text), column(long+"2", connectors.Text))
	req := h.request("t", columns, []string{"id"}, connectors.Replace)
	row := [][]any{{"1", "a", "b", "c"}}
	l, err := d.Begin(t.Context(), req)
	if err == nil {
		write(t, l, columns, row)
		_, err = l.Commit(t.Context())
	}
	if err != nil {
		if !mentions(err, long[:60]) {
			t.Errorf("a name of %d bytes is refused without saying which: %v", len(long), err)
		}
		return
	}
	if diff := cmp.Diff(row, h.read(t, s, req)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
