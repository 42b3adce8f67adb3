package mysql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
	"arus/testdata/servers"
)

// everyType is a table with a column of every type and rows at their limits.
func everyType(f *fixture) string {
	name := "every `type`\".x' y"
	q := ident(name)
	f.exec("CREATE TABLE " + q + ` (
		id int NOT NULL PRIMARY KEY,
		b1 bit(1), b8 bit(8), b64 bit(64), t1 tinyint(1), i8 tinyint, i16 smallint, i24 mediumint, i32 int, i64 bigint,
		u8 tinyint unsigned, u16 smallint unsigned, u24 mediumint unsigned, u32 int unsigned zerofill, u64 bigint unsigned,
		f32 float, f64 double, d10 decimal(10,2), d38 decimal(38,10), d65 decimal(65,30), dz decimal(5,0) unsigned,
		y year, d date, t time(6), t0 time, dt datetime(6), dt0 datetime, ts timestamp(6) NULL, ts3 timestamp(3) NULL,
		c5 char(5), v40 varchar(40), vl varchar(40) CHARACTER SET latin1, tt tinytext, tx text, mt mediumtext, lt longtext,
		bin4 binary(4), vb varbinary(40), bl blob, lb longblob,
		e enum('a','it''s','back\\slash','', 'ü','NULL'), s set('x','y z','w'), j json, g point, u uuid, i4 inet4, i6 inet6,
		gen int AS (i32 + 1) VIRTUAL,
		` + "`select` int, `quote'\"``d` varchar(10), `sp ace.dot` int, `MixedCase` int, `back\\slash` varchar(10), `ünï` int, " + ident(strings.Repeat("n", 64)) + ` int
	) CHARACTER SET utf8mb4`)
	ins := "INSERT INTO " + q + " (id,b1,b8,b64,t1,i8,i16,i24,i32,i64,u8,u16,u24,u32,u64,f32,f64,d10,d38,d65,dz,y,d,t,t0,dt,dt0,ts,ts3,c5,v40,vl,tt,tx,mt,lt,bin4,vb,bl,lb,e,s,j,g,u,i4,i6,`select`,`quote'\"``d`,`sp ace.dot`,`MixedCase`,`back\\slash`,`ünï`," + ident(strings.Repeat("n", 64)) + ") VALUES "
	f.exec(ins+"(1"+strings.Repeat(",NULL", 53)+")",
		ins+`(2, b'1', b'11111111', 0xFFFFFFFFFFFFFFFF, 127, 127, 32767, 8388607, 2147483646, 9223372036854775807,
			255, 65535, 16777215, 4294967295, 18446744073709551615,
			3.4028234663852886e38, 1.7976931348623157e308, 99999999.99, 9999999999999999999999999999.9999999999,
			99999999999999999999999999999999999.999999999999999999999999999999, 99999, 2155, '9999-12-31', '838:59:59.999999', '838:59:59',
			'9999-12-31 23:59:59.999999', '9999-12-31 23:59:59', '2038-01-19 03:14:07.999999', '2038-01-19 03:14:07.999',
			'aü€😀', 'Zürich 😀', 'Zürich', 'tiny', 'text', 'medium', '`+strings.Repeat("long😀", 100000)+`',
			x'00FF0A5C', x'', x'00090A0D5C4E271A22FF80C3', '`+strings.Repeat("b", 300000)+`',
			'it''s', 'x,w', '{"a": [1, 2.50, "x\\"y\\n"], "b":null}', ST_GeomFromText('POINT(1.5 -2)'), '01234567-89AB-4def-8123-456789abcdef', '255.255.255.255', '2001:db8::1',
			1, 'q', 2, 3, 'b\\s', 4, 5)`,
		ins+`(3, b'0', b'0', 0, -1, -128, -32768, -8388608, -2147483648, -9223372036854775808,
			0, 0, 0, 0, 0, -0e0, -0e0, -99999999.99, -9999999999999999999999999999.9999999999,
			-99999999999999999999999999999999999.999999999999999999999999999999, 0, 1901, '0001-01-01', '-838:59:59.999999', '-00:00:01',
			'1000-01-01 00:00:00', '0001-01-01 00:00:00', '1970-01-01 00:00:01', '1970-01-01 00:00:01', '', '', '', '', '', '', '',
			x'', x'0000', x'', x'', '', '', 'null', ST_GeomFromText('POINT(0 0)'), '00000000-0000-0000-0000-000000000000', '0.0.0.0', '::',
			0, '', 0, 0, '', 0, 0)`,
		ins+`(4, b'1', b'1', 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9223372036854775808, 0.1, 0.1, 0.01, 0.0000000001,
			0.000000000000000000000000000001, 1, 0, '1970-01-01', '24:00:00', '24:00:00', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59',
			'2026-03-29 01:30:00.000001', '2026-03-29 01:30:00.001', 'NULL', '\\N', 'NULL', '\t\n\r\0\\\Z', 'a''b"c`+"`"+`d', '\\t', 'tab\there',
			x'5C4E', '\\N', 'NULL', x'5C', 'NULL', 'y z', '"\\u0000é"', NULL, NULL, NULL, NULL, NULL, '\\', NULL, NULL, '\n', NULL, NULL)`,
		ins+`(5, b'1', b'1', 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1e-45, 5e-324, 0.01, 0.0000000001,
			0.1, 1, 2000, '2024-02-29', '00:00:00.000001', '00:00:00', '2026-01-01', '2026-01-01', '2026-01-01', '2026-01-01',
			'a b', ' lead', ' ', ' trail ', x'01020304', ' ', '{"not":"json"}',
			x'', x'', x'', x'', '', '', '[]', NULL, NULL, NULL, NULL, NULL, '\\', NULL, NULL, '\n', NULL, NULL)`)
	return name
}

func TestEveryTypeRoundTrips(t *testing.T) {
	t.Parallel()
	for _, server := range []struct {
		name string
		url  func(testing.TB) string
	}{{"load data", servers.MariaDBDatabase}, {"insert", servers.MariaDBNoLocalDatabase}} {
		for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow} {
			for _, raw := range []string{"", "raw"} {
				t.Run(fmt.Sprint(server.name, " ", mode, " ", raw), func(t *testing.T) {
					t.Parallel()
					f := fixtureOf(t, server.url(t))
					name := everyType(f)
					s, d := f.source(), f.destination()
					table := f.table(s, name)
					req := connectors.ReadRequest{Table: table, Columns: table.Columns, OrderBy: []string{"id"}, Limits: connectors.Limits{Rows: 2}}
					want := f.read(s, req)
					load := connectors.LoadRequest{
						Target: f.ref("copy of it"), Columns: table.Columns, Key: table.PrimaryKey, Mode: mode,
						Window: &connectors.Window{Column: "id", Nulls: true},
					}
					if raw != "" {
						load.Raw = &connectors.RawTarget{Table: f.ref("staging_raw")}
					}
					// Twice: into an absent target, then into one that exists.
					for range 2 {
						res, err := copyInto(t.Context(), s, req, d, load)
						if err != nil {
							t.Fatal(err)
						}
						if res.Rows != 5 {
							t.Errorf("rows: got %d, want 5", res.Rows)
						}
						copied := f.table(s, "copy of it")
						req2 := connectors.ReadRequest{Table: copied, Columns: table.Columns, OrderBy: []string{"id"}}
						got := f.read(s, req2)
						for i := range want {
							w, g := strings.Split(want[i], "|"), strings.Split(got[i], "|")
							for c := range w {
								if w[c] != g[c] {
									t.Errorf("row %d column %s: got %.200s, want %.200s", i, table.Columns[c].Name, g[c], w[c])
								}
							}
						}
					}
					if raw != "" {
						build := connectors.RebuildRequest{Raw: load.Raw.Table, Target: f.ref("rebuilt"), Columns: table.Columns, Key: table.PrimaryKey}
						if res, err := d.(connectors.Rebuilder).Rebuild(t.Context(), build); err != nil || res.Rows != 5 {
							t.Fatalf("rebuild: %+v, %v", res, err)
						}
						if diff := cmp.Diff(f.rows("SELECT * FROM `copy of it` ORDER BY id"), f.rows("SELECT * FROM rebuilt ORDER BY id")); diff != "" {
							t.Errorf("rebuilt (-want +got):\n%.3000s", diff)
						}
					}
					described, ok, err := d.Table(t.Context(), load.Target)
					if err != nil || !ok {
						t.Fatal(ok, err)
					}
					if diff := cmp.Diff(connectors.ColumnNames(table.Columns), connectors.ColumnNames(described.Columns)); diff != "" {
						t.Errorf("columns (-want +got):\n%s", diff)
					}
					for i, c := range described.Columns {
						if w := table.Columns[i].Type; c.Type.Kind != w.Kind {
							t.Errorf("column %s: described as %s, want %s", c.Name, c.Type, w)
						}
					}
				})
			}
		}
	}
}
