package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
)

// everyType has one column per native type and the values that break others.
var everyType = []struct {
	native string
	want   string   // the type of the column in the target; "" = the same
	values []string // constants, beside NULL
}{
	{native: "boolean", values: []string{"true", "false"}},
	{native: "smallint", values: []string{"-32768", "32767"}},
	{native: "integer", values: []string{"-2147483648", "2147483647"}},
	{native: "bigint", values: []string{"-9223372036854775808", "9223372036854775807"}},
	{native: "real", values: []string{"'NaN'", "'Infinity'", "'-Infinity'", "1e-45", "3.4028235e38", "0.1"}},
	{native: "double precision", values: []string{"'NaN'", "'Infinity'", "'-Infinity'", "5e-324", "1.7976931348623157e308", "0.1"}},
	{native: "numeric(12,2)", values: []string{"9999999999.99", "-9999999999.99", "0", "'NaN'", "0.01", "-0.10", "10000", "12345678.9"}},
	{native: "numeric(38,10)", values: []string{"9999999999999999999999999999.9999999999", "-0.0000000001", "18446744073709551616", "'NaN'"}},
	{native: "numeric(38,0)", values: []string{"99999999999999999999999999999999999999", "-1", "10000000000000000000"}},
	{native: "numeric(19,4)", values: []string{"922337203685477.5807", "-999999999999999.9999", "0.0001", "1000000000000.0001"}},
	{native: "numeric(5,5)", values: []string{"0.99999", "-0.00001", "0.1"}},
	{native: "numeric(76,38)", values: []string{strings.Repeat("9", 38) + "." + strings.Repeat("9", 38), "-1e-38", "'NaN'", "10000"}},
	{native: "numeric", values: []string{"1.10", "1e40", "-1e-40", "'NaN'", "'Infinity'", "'-Infinity'", "0.00", "12345.678900", "1" + strings.Repeat("0", 500) + ".5"}},
	{native: "text", values: []string{"''", "'NULL'", `'\N'`, "E'a\\tb\\nc\\r\\x01\\x7f'", "'😀 é ß'", "repeat('äbc', 100000)", `'it''s "quoted" \ back'`}},
	{native: "character varying(40)", values: []string{"'  kept  '", "''"}},
	{native: "character(5)", values: []string{"'ab'", "''", "'abcde'"}},
	{native: "bytea", values: []string{`'\x'`, `'\x00ff0a5c'`}},
	{native: "date", values: []string{"'infinity'", "'-infinity'", "'4713-01-01 BC'", "'0001-12-31 BC'", "'0044-03-15 BC'", "'5874897-12-31'", "'2024-02-29'", "'12345-01-02'"}},
	{native: "time without time zone", values: []string{"'24:00:00'", "'00:00:00'", "'23:59:59.999999'"}},
	{native: "time(3) without time zone", values: []string{"'12:34:56.789'"}},
	{native: "timestamp without time zone", values: []string{"'infinity'", "'-infinity'", "'4713-01-01 00:00:00 BC'", "'0001-12-31 23:59:59.5 BC'", "'9999-12-31 23:59:59.999999'", "'294246-12-31 23:59:59.999999'", "'1999-12-31 23:59:59.999999'"}},
	{native: "timestamp(3) with time zone", values: []string{"'2024-01-01 00:00:00.123+05:30'"}},
	{native: "timestamp with time zone", values: []string{"'infinity'", "'-infinity'", "'0044-03-15 12:00:00.000001+00 BC'", "'1900-01-01 00:00:00.000001+00'", "'2024-03-31 02:30:00+02'"}},
	{native: "interval", values: []string{"'1 year -2 months 3 days -04:05:06.789'", "'0'", "'-178000000 years'", "'2147483647 days'", "'-0.000001 seconds'"}},
	{native: "uuid", values: []string{"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}},
	{native: "json", values: []string{`'{"b": 1,  "a":2, "a":3}'`, `'null'`, `'"x"'`}},
	{native: "jsonb", values: []string{`'{"b": 1, "a": [1, null, "é"]}'`, `'12345678901234567890.10'`}},
	{native: "mood", want: "text", values: []string{"'happy'", "'so ''so'''"}},
	{native: "positive", want: "numeric(8,3)", values: []string{"1.5"}},
	{native: "integer[]", want: "jsonb", values: []string{"'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'{}'"}},
	{native: "text[]", want: "jsonb", values: []string{`'{"a,b",NULL,"NULL","\"q\""}'`}},
	{native: "inet", want: "text", values: []string{"'192.168.0.1/24'", "'::1'"}},
	{native: "macaddr", want: "text", values: []string{"'08:00:2b:01:02:03'"}},
	{native: "bit(4)", want: "text", values: []string{"B'1010'"}},
	{native: "xml", want: "text", values: []string{"'<a>é</a>'"}},
	{native: "tsvector", want: "text", values: []string{"'a fat cat'"}},
	{native: "int4range", want: "text", values: []string{"'[1,5)'", "'empty'"}},
	{native: "point", want: "text", values: []string{"'(1.5,-2)'"}},
	{native: "money", want: "numeric", values: []string{"'-1234.56'"}},
	{native: "oid", want: "text", values: []string{"4294967295"}},
	{native: "name", want: "text", values: []string{"'some name'"}},
	{native: `"char"`, want: "text", values: []string{"'x'"}},
	{native: "time with time zone", want: "text", values: []string{"'12:00:00+05:30'"}},
	{native: "pair", want: "text", values: []string{`'(1,"a b")'`}},
	{native: "integer GENERATED ALWAYS AS (id * 2) STORED", want: "integer"},
}

func makeEveryType(f *fixture) {
	f.exec(`CREATE TYPE mood AS ENUM ('sad', 'happy', 'so ''so''')`)
	f.exec(`CREATE DOMAIN positive AS numeric(8,3) CHECK (value > 0)`)
	f.exec(`CREATE TYPE pair AS (a int, b text)`)
	var columns, inserts []string
	columns = append(columns, "id integer PRIMARY KEY")
	inserts = append(inserts, "INSERT INTO every (id) VALUES (0)")
	for i, c := range everyType {
		columns = append(columns, fmt.Sprintf("c%d %s", i, c.native))
		for j, v := range c.values {
			inserts = append(inserts, fmt.Sprintf("INSERT INTO every (id, c%d) VALUES (%d, %s)", i, i*100+j+1, v))
		}
	}
	f.exec("CREATE TABLE every (" + strings.Join(columns, ", ") + ")")
	f.exec(strings.Join(inserts, "; "))
}

func TestEveryTypeComesThrough(t *testing.T) {
	t.Parallel()
	for _, raw := range []bool{false, true} {
		for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
			t.Run(fmt.Sprintf("raw=%v/%s", raw, mode), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				makeEveryType(f)
				table := f.table("every")
				req := request(table, mode)
				if raw {
					req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "staging", Name: "src_every_raw"}}
				}
				result := f.copyTable(table, req)
				count := int64(len(f.text("SELECT id FROM every")))
				want := connectors.LoadResult{Rows: count}
				if raw {
					want.RawRows = count
				}
				if mode == connectors.Merge {
					want.Upserted = count
				}
				if result != want {
					t.Errorf("result %+v, want %+v", result, want)
				}
				compareEveryType(t, f, raw)
			})
		}
	}
}

func compareEveryType(t *testing.T, f *fixture, raw bool) {
	f.exec("SET timezone = 'UTC'; SET extra_float_digits = 3")
	for i, c := range everyType {
		name := fmt.Sprintf("c%d", i)
		want := c.want
		if want == "" {
			want = c.native
		}
		if got := f.text("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'analytics.every'::regclass AND attname = '" + name + "'"); got[0] != want {
			t.Errorf("%s became %s, want %s", c.native, got[0], want)
		}
		expr := name + "::text"
		switch {
		case strings.HasSuffix(c.native, "[]"):
			expr = "to_jsonb(" + name + ")::text"
		case c.native == "money":
			expr = name + "::numeric::text"
		case raw && c.native == "json": // kept as jsonb in between
			expr = name + "::jsonb::text"
		}
		order := " ORDER BY id"
		before, after := f.text("SELECT id, "+expr+" FROM every"+order), f.text("SELECT id, "+expr+" FROM analytics.every"+order)
		if diff := cmp.Diff(before, after); diff != "" {
			if len(diff) > 2000 {
				diff = diff[:2000]
			}
			t.Errorf("%s (-source +target):\n%s", c.native, diff)
		}
	}
	if got := f.text("SELECT DISTINCT _arus_synced_at::text FROM analytics.every"); len(got) != 1 || got[0] != "2024-05-06 07:08:09.123456+00" {
		t.Errorf("synced at %v", got)
	}
}

func TestHostileIdentifiers(t *testing.T) {
	t.Parallel()
	names := []string{`quo"te`, "sp ace", "select", "MixedCase", "mixedcase", "do.t", `back\slash`, "it's", "ünï😀", "%s $1 ;--", strings.Repeat("x", 63)}
	for _, raw := range []bool{false, true} {
		t.Run(fmt.Sprintf("raw=%v", raw), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			for _, name := range names {
				var columns []string
				for _, c := range names {
					columns = append(columns, ident(c)+" text")
				}
				f.exec("CREATE TABLE " + ident(name) + " (id int, " + strings.Join(columns, ", ") + ", PRIMARY KEY (id, " + ident(name) + "))")
				f.exec("INSERT INTO " + ident(name) + " VALUES (1" + strings.Repeat(", 'v'", len(names)) + ")")
			}
			for _, name := range names {
				table := f.table(name)
				for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.Replace} {
					req := request(table, mode)
					req.Target.Schema = `my "schema`
					if raw {
						req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "sta ging", Name: connectors.Shorten(name+"_raw", 63)}}
					}
					f.copyTable(table, req)
				}
				if diff := cmp.Diff(f.text("SELECT * FROM "+ident(name)), f.text("SELECT id, "+connectors.QuoteList(names, '"')+` FROM "my ""schema".`+ident(name))); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				if _, ok, err := f.source.Max(t.Context(), table, name); !ok || err != nil {
					t.Errorf("max of %q: %v, %v", name, ok, err)
				}
				bound := connectors.Bound{Kind: connectors.Text, Text: `v`}
				got, err := f.read(connectors.ReadRequest{
					Table: table, Columns: table.Columns, OrderBy: []string{name},
					Window: &connectors.Window{Column: name, Lower: &bound, Upper: &bound},
				})
				if err != nil || len(got) != 1 {
					t.Errorf("window over %q: %v, %v", name, got, err)
				}
			}
		})
	}
}

func TestStagingTable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (id int PRIMARY KEY, v bytea); INSERT INTO t VALUES (1, 'a'), (2, NULL)")
	table := f.table("t")
	req := request(table, connectors.Replace)
	req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "staging", Name: "src_t_raw"}}
	f.copyTable(table, req)
	first := req.RunID
	req.RunID = uuid.NewString()
	f.exec("DELETE FROM t WHERE id = 1")
	f.copyTable(table, req)
	want := []string{
		"1|" + first + `|{"v": "YQ==", "id": 1}`,
		"2|" + first + `|{"v": null, "id": 2}`,
		"3|" + req.RunID + `|{"v": null, "id": 2}`,
	}
	if diff := cmp.Diff(want, f.text("SELECT _arus_id, _arus_run_id, _data FROM staging.src_t_raw ORDER BY 1")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"2|" + req.RunID}, f.text("SELECT id, _arus_run_id FROM analytics.t")); diff != "" {
		t.Error(diff)
	}
}
