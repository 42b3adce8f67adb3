package postgres

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// TestNumericsAgree sends digits of every length and scale through both ends
// and lets the server compare value and spelling.
func TestNumericsAgree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	types := []string{"numeric(18,0)", "numeric(18,4)", "numeric(19,1)", "numeric(19,19)", "numeric(20,2)", "numeric(38,3)", "numeric(38,38)", "numeric(39,2)", "numeric(76,0)", "numeric(76,75)", "numeric"}
	columns, values := "", ""
	for i, native := range types {
		precision, scale := 60, -1
		if _, err := fmt.Sscanf(native, "numeric(%d,%d)", &precision, &scale); err != nil {
			scale = -1
		}
		columns += fmt.Sprintf(", c%d %s", i, native)
		digits := fmt.Sprintf("left(translate(md5((n * 31 + %d)::text) || md5((n * 37 + %d)::text) || md5((n * 41)::text), 'abcdef', '000009'), 1 + n %% %d)::numeric", i, i, precision)
		sign := "(CASE WHEN n % 2 = 0 THEN 1 ELSE -1 END)"
		if scale < 0 {
			values += fmt.Sprintf(", %s * %s * ('1e' || (n %% 90 - 50))::numeric", sign, digits)
		} else {
			values += fmt.Sprintf(", %s * %s * '1e-%d'::numeric", sign, digits, scale)
		}
	}
	f.exec("CREATE TABLE n (id int PRIMARY KEY" + columns + "); INSERT INTO n SELECT n" + values + " FROM generate_series(1, 5000) n")
	table := f.table("n")
	f.copyTable(table, request(table, connectors.Replace))
	for i, native := range types {
		if bad := f.text(fmt.Sprintf("SELECT a.id, a.c%[1]d, b.c%[1]d FROM n a JOIN analytics.n b USING (id) WHERE a.c%[1]d::text <> b.c%[1]d::text LIMIT 3", i)); len(bad) > 0 {
			t.Errorf("%s: %v", native, bad)
		}
	}
	if got := f.text("SELECT count(*) FROM analytics.n"); got[0] != "5000" {
		t.Error(got)
	}
}

func TestNumericText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "00012.340": "12.340", "1e3": "1000", "1.5E+3": "1500", "15e-3": "0.015", ".5": "0.5", "5.": "5", "+7": "7", "-0.0001": "-0.0001",
		"100000000": "100000000", "0.00000001": "0.00000001", "NaN": "NaN", "-Infinity": "-Infinity", "12345.6789e-10": "0.00000123456789",
	} {
		binary, _, err := appendNumericBinary(nil, in, nil)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := appendNumericText(nil, binary[4:])
		if err != nil || string(got) != want {
			t.Errorf("%s became %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-", ".", "1,5", "1e", "1e999999", "0x1", "1.2.3", "nan", "--1", " 1"} {
		if _, _, err := appendNumericBinary(nil, in, nil); err == nil {
			t.Errorf("%q is taken for a number", in)
		}
	}
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	type parts struct {
		Micros       int64
		Days, Months int32
	}
	for in, want := range map[string]parts{
		"PT0S": {}, "P1Y2M3DT4H5M6.789S": {14706789000, 3, 14}, "P-1Y-2M-3DT-4H-5M-6.789S": {-14706789000, -3, -14}, "PT-0.000001S": {-1, 0, 0},
		"P2W": {0, 14, 0}, "PT9223372036854.775807S": {math.MaxInt64, 0, 0}, "PT1.50000000S": {1500000, 0, 0},
	} {
		var got parts
		var err error
		got.Micros, got.Days, got.Months, err = parseInterval(in, 15)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", in, err, diff)
		}
	}
	for _, in := range []string{"", "P", "PT", "1D", "P1.5D", "P1H", "PT1Y", "P1", "PT0.0000001S", "P3000000000D", "PT9223372036855S", "P99999999999999999999D", "infinity", "P1DT1D"} {
		if _, _, _, err := parseInterval(in, 15); err == nil {
			t.Errorf("%q is taken for an interval", in)
		}
	}
}

// TestDecoderTakesAnyChunks feeds one COPY stream byte by byte.
func TestDecoderTakesAnyChunks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (id int, v text); INSERT INTO t SELECT n, nullif(repeat('x', n % 5), '') FROM generate_series(1, 50) n")
	table := f.table("t")
	want, err := f.read(connectors.ReadRequest{Table: table, Columns: table.Columns})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := f.source.(*Source).acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.source.(*Source).release(conn)
	var stream recorder
	if _, err := conn.CopyTo(t.Context(), &stream, "COPY t TO STDOUT (FORMAT binary)"); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, 100, len(stream)} {
		got := []string{}
		d, err := newDecoder(table.Columns, connectors.Limits{Rows: 7}, false, collect(&got, table.Columns))
		if err != nil {
			t.Fatal(err)
		}
		d.stop = func() {}
		for rest := []byte(stream); len(rest) > 0; {
			n := min(size, len(rest))
			_, _ = d.Write(rest[:n:n])
			rest = rest[n:]
		}
		if err := d.finish(); err != nil {
			t.Fatal(err)
		}
		d.batcher.Release()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("chunks of %d: %s", size, diff)
		}
	}
	for _, bad := range [][]byte{stream[:10], stream[1:], append(append([]byte{}, stream[:19]...), 0, 9)} {
		d, _ := newDecoder(table.Columns, connectors.Limits{}, false, nil)
		d.stop = func() {}
		_, _ = d.Write(bad)
		if d.err == nil && d.finish() == nil {
			t.Errorf("%d bytes of a malformed stream are taken", len(bad))
		}
	}
}

type recorder []byte

func (r *recorder) Write(p []byte) (int, error) { *r = append(*r, p...); return len(p), nil }
