package clickhouse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

type kindCase struct {
	name   string
	typ    connectors.Type
	values []string
}

func kindCases() []kindCase {
	long := strings.Repeat("long é😀 ", 40_000)
	hostile := []string{"", "a", "'", "''", `\`, `\'`, `\\`, "'; DROP TABLE x; --", `"`, "`", "\x00", "a\x00b", "\n\r\t\b\f", "NULL", `\N`, "é", "😀𝄞", "{x:String}", "?", "$1", "@p", long}
	elem := connectors.Type{Kind: connectors.Int32}
	return []kindCase{
		{"bool", connectors.Type{Kind: connectors.Bool}, []string{"true", "false"}},
		{"int8", connectors.Type{Kind: connectors.Int8}, []string{"-128", "0", "127"}},
		{"int16", connectors.Type{Kind: connectors.Int16}, []string{"-32768", "0", "32767"}},
		{"int32", connectors.Type{Kind: connectors.Int32}, []string{"-2147483648", "0", "2147483647"}},
		{"int64", connectors.Type{Kind: connectors.Int64}, []string{"-9223372036854775808", "0", "9007199254740993", "9223372036854775807"}},
		{"uint8", connectors.Type{Kind: connectors.Uint8}, []string{"0", "255"}},
		{"uint16", connectors.Type{Kind: connectors.Uint16}, []string{"0", "65535"}},
		{"uint32", connectors.Type{Kind: connectors.Uint32}, []string{"0", "4294967295"}},
		{"uint64", connectors.Type{Kind: connectors.Uint64}, []string{"0", "9223372036854775808", "18446744073709551615"}},
		{"float32", connectors.Type{Kind: connectors.Float32}, []string{"0", "-0", "0.1", "3.4028235e+38", "1e-45", "NaN", "Infinity", "-Infinity"}},
		{"float64", connectors.Type{Kind: connectors.Float64}, []string{"0", "-0", "0.1", "1.7976931348623157e+308", "5e-324", "NaN", "Infinity", "-Infinity"}},
		{"decimal9", connectors.NewDecimal(9, 2), []string{"-9999999.99", "0.00", "0.01", "9999999.99"}},
		{"decimal18", connectors.NewDecimal(18, 6), []string{"-999999999999.999999", "0.000000", "-0.000001", "999999999999.999999"}},
		{"decimal38", connectors.NewDecimal(38, 10), []string{"-9999999999999999999999999999.9999999999", "0.0000000000", "0.0000000001", "9999999999999999999999999999.9999999999"}},
		{"decimal38_0", connectors.NewDecimal(38, 0), []string{"-99999999999999999999999999999999999999", "0", "99999999999999999999999999999999999999"}},
		{"decimal38_38", connectors.NewDecimal(38, 38), []string{"-0.99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001"}},
		{"decimal76", connectors.NewDecimal(76, 20), []string{"-" + strings.Repeat("9", 56) + "." + strings.Repeat("9", 20), "0." + strings.Repeat("0", 20), "0." + strings.Repeat("0", 19) + "1"}},
		{"numeric", connectors.Type{Kind: connectors.Numeric}, []string{"0", "1e400", "-1.10", "NaN", "Infinity", strings.Repeat("9", 200)}},
		{"text", connectors.Type{Kind: connectors.Text}, hostile},
		{"varchar", connectors.Type{Kind: connectors.Text, Length: 40}, []string{"", "é😀", "x"}},
		{"char", connectors.Type{Kind: connectors.Text, Length: 2, Fixed: true}, []string{"  ", "DE", "é "}},
		{"bytes", connectors.Type{Kind: connectors.Bytes}, []string{"", "AA==", "AP+AJw==", "8J+YgA=="}},
		{"date", connectors.Type{Kind: connectors.Date}, []string{"-infinity", "-4713-11-24", "-0043-03-15", "0000-12-31", "0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "2106-01-01", "9999-12-31", "10000-01-01", "infinity"}},
		{"time", connectors.Type{Kind: connectors.Time, Precision: 6}, []string{"00:00:00", "12:34:56.000001", "23:59:59.999999", "24:00:00"}},
		{"span", connectors.Type{Kind: connectors.Time, Wide: true}, []string{"-838:59:59", "838:59:59.5"}},
		{"timestamp", connectors.Type{Kind: connectors.Timestamp, Precision: 6}, []string{"-infinity", "-0043-03-15T01:02:03", "0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "2024-02-29T12:00:00.5", "9999-12-31T23:59:59.999999", "294246-12-31T23:59:59.999999", "infinity"}},
		{"timestamptz", connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}, []string{"-infinity", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2024-02-29T12:00:00.000001Z", "9999-12-31T23:59:59.999999Z", "infinity"}},
		{"interval", connectors.Type{Kind: connectors.Interval}, []string{"PT0S", "P-1Y-2M3DT-4H-5M-6.789S"}},
		{"uuid", connectors.Type{Kind: connectors.UUID}, []string{"00000000-0000-0000-0000-000000000000", "00112233-4455-6677-8899-aabbccddeeff", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
		{"json", connectors.Type{Kind: connectors.JSON}, []string{`{}`, " {\"b\": 1,  \"a\":\"é'\\\\\\\"\", \"b\": [2, {\"c\": \",}\"}]}\n", `"text"`, `[1, 2.50]`, `12345678901234567890.12345`}},
		{"jsonb", connectors.Type{Kind: connectors.JSON, Parsed: true}, []string{`{"a": null}`}},
		{"enum", connectors.Type{Kind: connectors.Enum, Values: []string{"a'b", `c\d`, "é", ""}}, []string{"a'b", `c\d`, "é", ""}},
		{"array", connectors.Type{Kind: connectors.Array, Elem: &elem}, []string{`[]`, `[1,null,2]`}},
	}
}

// TestRoundTrip writes every kind's extremes, with NULLs and without, directly
// and through staging rows, and reads them back.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range kindCases() {
		for _, raw := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s raw=%v", c.name, raw), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				hostile := "v `\"'\\ (;,é😀"
				columns := []connectors.Column{column("id", connectors.Int32), {Name: hostile, Type: c.typ}, {Name: "n", Type: c.typ, Nullable: true}}
				var rows [][]string
				for i, v := range c.values {
					rows = append(rows, []string{fmt.Sprint(i), v, v}, []string{fmt.Sprint(i + 1000), v, null})
				}
				slices.SortFunc(rows, func(a, b []string) int {
					return len(a[0]) - len(b[0]) + 10*strings.Compare(fmt.Sprintf("%5s", a[0]), fmt.Sprintf("%5s", b[0]))
				})
				req := f.request(connectors.Replace, "t", []string{"id"}, columns...)
				if raw {
					req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: f.schema, Name: "raw"}}
				}
				result := f.load(req, rows...)
				want := connectors.LoadResult{Rows: int64(len(rows))}
				if raw {
					want.RawRows = want.Rows
				}
				if result != want {
					t.Errorf("Commit = %+v, want %+v", result, want)
				}
				if diff := cmp.Diff(rows, f.read(req, "id")); diff != "" {
					t.Error(diff[:min(len(diff), 4000)])
				}
				table, ok, err := f.dest.Table(t.Context(), req.Target)
				if err != nil || !ok || !table.Managed {
					t.Fatalf("Table = %+v, %v, %v", table, ok, err)
				}
				if diff := cmp.Diff([]string{"id"}, table.PrimaryKey); diff != "" {
					t.Error(diff)
				}
				for i, got := range table.Columns {
					if got.Name != columns[i].Name || !got.Type.Equal(columns[i].Type) || got.Nullable != columns[i].Nullable {
						t.Errorf("column %d is %+v, want %+v", i, got, columns[i])
					}
				}
				// Merging the same rows again changes nothing, and finds the types fit.
				req.Mode = connectors.Merge
				f.load(req, rows...)
				if diff := cmp.Diff(rows, f.read(req, "id")); diff != "" {
					t.Error(diff[:min(len(diff), 4000)])
				}
			})
		}
	}
}

// TestKeyKinds uses each kind that can be one as the key.
func TestKeyKinds(t *testing.T) {
	t.Parallel()
	for _, c := range kindCases() {
		if c.name == "text" {
			c.values = c.values[:len(c.values)-1]
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			columns := []connectors.Column{{Name: "k", Type: c.typ}, column("v", connectors.Int32)}
			req := f.request(connectors.Merge, "t", []string{"k"}, columns...)
			want := map[string]string{}
			for round := range 2 {
				var rows [][]string
				for i, v := range c.values {
					rows = append(rows, []string{v, fmt.Sprint(round*100 + i)})
					want[strings.Replace(v, "-0", "0", map[bool]int{true: 1}[v == "-0"])] = fmt.Sprint(round*100 + i)
				}
				f.load(req, rows...)
			}
			got := map[string]string{}
			rows := f.read(req)
			for _, row := range rows {
				got[strings.Replace(row[0], "-0", "0", map[bool]int{true: 1}[row[0] == "-0"])] = row[1]
			}
			if diff := cmp.Diff(want, got); diff != "" || len(rows) < len(want) || len(rows) > len(c.values) {
				t.Errorf("%d rows: %s", len(rows), diff)
			}
		})
	}
}
