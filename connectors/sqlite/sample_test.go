package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// literals are SQL spellings of values of one kind.
var literals = map[string][]string{ //nolint:gochecknoglobals // of this test
	"small":   {"0", "1", "7", "-32768", "32767"},
	"ints":    {"100000", "-5", "9007199254740992"},
	"big":     {"9007199254740993", "-9223372036854775808"},
	"reals":   {"0.5", "-2.25", "1e300"},
	"cents":   {"1.25", "0.1", "99999.99"},
	"inf":     {"9e999"},
	"words":   {"'x'", "'a text'", "''"},
	"long":    {"'ten chars!'", "'ünïcödé äöü'"},
	"numbers": {"'12'", "'1.50'", "'-1e3'"},
	"dates":   {"'2026-01-31'", "'1999-12-01'"},
	"nodates": {"'2026-02-31'", "'31.01.2026'", "'2026-1-1'"},
	"stamps":  {"'2026-01-31 10:11:12.5'", "'2026-01-31T10:11:12'"},
	"zoned":   {"'2026-01-31 10:11:12Z'", "'2026-01-31 10:11:12.25+02:00'"},
	"times":   {"'10:11'", "'23:59:59.999999'"},
	"uuids":   {"'6f1e2c3d-1111-2222-3333-444455556666'"},
	"ublobs":  {"x'6f1e2c3d111122223333444455556666'"},
	"json":    {"'{\"a\":[1,2]}'", "'null'"},
	"blobs":   {"x'61'", "x''"},
	"bytes":   {"x'ff00'"},
	"bools":   {"'true'", "'FALSE'"},
	"nulls":   {"NULL"},
}

// TestAnExactReadIsWorthALook fills columns of every declaration with values of one or two kinds, and has one value of
// another kind between those of a sample, or none: a read that goes by the sample to its end has found the very types that
// a look at all values finds, and every value as a read after a look has it.
func TestAnExactReadIsWorthALook(t *testing.T) {
	t.Parallel()
	natives := []string{
		"", "INTEGER", "SMALLINT", "REAL", "NUMERIC", "DECIMAL(10,2)", "DECIMAL(20,4)", "DECIMAL(40,2)", "TEXT", "VARCHAR(10)", "STRING", "BLOB",
		"BOOLEAN", "DATE", "TIME", "DATETIME", "TIMESTAMPTZ", "UUID", "JSON",
	}
	kinds := slices.Sorted(maps.Keys(literals))
	random := rand.New(rand.NewPCG(7, 7))
	const rows, odd = sampleEnd*2 + 1000, 1350 // between two probes
	const perTable = 40
	type column struct{ native, usual, odd string }
	wholes, misfits := 0, 0
	for round := range 4 {
		var columns []column
		for range perTable {
			c := column{native: natives[random.IntN(len(natives))], usual: kinds[random.IntN(len(kinds))]}
			if random.IntN(2) == 0 {
				c.odd = kinds[random.IntN(len(kinds))]
			}
			columns = append(columns, c)
		}
		path, conn := database(t)
		for i, c := range columns {
			name := fmt.Sprintf("t%d", i)
			exec(t, conn, "CREATE TABLE "+name+" (v "+c.native+")")
			usual := literals[c.usual]
			if random.IntN(3) == 0 {
				usual = append(append([]string{}, usual...), "NULL")
			}
			var picked strings.Builder
			for k, v := range usual {
				fmt.Fprintf(&picked, " WHEN %d THEN %s", k, v)
			}
			at := "-1"
			other := "NULL"
			if c.odd != "" {
				at, other = fmt.Sprint(odd), literals[c.odd][random.IntN(len(literals[c.odd]))]
			}
			exec(t, conn, fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO %s SELECT CASE WHEN i = %s THEN %s ELSE CASE i %% %d%s END END FROM n",
				rows, name, at, other, len(usual), picked.String()))
		}
		s := open(t, path)
		for i, c := range columns {
			name := fmt.Sprintf("t%d", i)
			what := fmt.Sprintf("round %d, %s: column %q of %s with one of %s", round, name, c.native, c.usual, c.odd)
			want := settled(t, s, name)
			sampled, ok, err := s.(connectors.Sampler).Sample(t.Context(), tableNamed(t, s, name), nil)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if !ok {
				continue
			}
			got, err := read(t.Context(), s, connectors.ReadRequest{Table: sampled, Exact: true})
			switch {
			case errors.Is(err, connectors.ErrMisfit):
				misfits++
				if c.odd == "" {
					t.Errorf("%s: %v", what, err)
				}
				continue
			case err != nil:
				t.Fatalf("%s: %v", what, err)
			}
			wholes++
			if !sampled.Columns[0].Type.Equal(want.Columns[0].Type) {
				t.Errorf("%s: the sample says %s, the look %s", what, sampled.Columns[0].Type, want.Columns[0].Type)
				continue
			}
			rows, err := read(t.Context(), s, connectors.ReadRequest{Table: want})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			diff(t, what, got, rows)
		}
	}
	t.Logf("%d whole reads, %d misfits", wholes, misfits)
	if wholes < 80 || misfits < 30 {
		t.Errorf("%d whole reads and %d misfits: too few to tell", wholes, misfits)
	}
}

// TestASampleOfKeysWithNulls loses its key where it comes to a NULL.
func TestASampleOfKeysWithNulls(t *testing.T) {
	t.Parallel()
	path, conn := database(t, "CREATE TABLE k (a TEXT PRIMARY KEY, b INT)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO k SELECT 'k' || i, i FROM n")
	s := open(t, path)
	sampled, ok, err := s.(connectors.Sampler).Sample(t.Context(), tableNamed(t, s, "k"), nil)
	if err != nil || !ok || len(sampled.PrimaryKey) != 1 {
		t.Fatalf("Sample = key %v, %v, %v", sampled.PrimaryKey, ok, err)
	}
	exec(t, conn, "UPDATE k SET a = NULL WHERE b = 1777")
	if _, err := read(t.Context(), s, connectors.ReadRequest{Table: sampled, Exact: true}); !errors.Is(err, connectors.ErrMisfit) {
		t.Errorf("reading a key with a NULL: %v, want a misfit", err)
	}
	exec(t, conn, "UPDATE k SET a = NULL WHERE b = 1")
	if sampled, ok, err = s.(connectors.Sampler).Sample(t.Context(), tableNamed(t, s, "k"), nil); err != nil || !ok || len(sampled.PrimaryKey) != 0 {
		t.Errorf("Sample = key %v, %v, %v: want none", sampled.PrimaryKey, ok, err)
	}
}

// TestASampleAgreesWithWhatIsKnown has no types but those that are stored.
func TestASampleAgreesWithWhatIsKnown(t *testing.T) {
	t.Parallel()
	path, _ := database(t, "CREATE TABLE k (a INT, b TEXT)", "INSERT INTO k VALUES (1, 'x')", "CREATE TABLE none (a INT)", "CREATE VIEW v AS SELECT a, b FROM k",
		"CREATE TABLE w (a INT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO w SELECT i, CASE i WHEN 2999 THEN 'x' ELSE i END FROM n")
	s := open(t, path)
	text, whole := connectors.Type{Kind: connectors.Text}, connectors.Type{Kind: connectors.Int64}
	for _, tt := range []struct {
		table string
		known []connectors.Column
		ok    bool
	}{
		{"k", nil, true},
		{"k", []connectors.Column{{Name: "a", Type: whole}, {Name: "b", Type: text}, {Name: "gone", Type: text}}, true},
		{"k", []connectors.Column{{Name: "a", Type: text}}, false},
		{"none", []connectors.Column{{Name: "a", Type: whole}}, true},
		{"v", nil, true},
		{"w", nil, true},
	} {
		sampled, ok, err := s.(connectors.Sampler).Sample(t.Context(), tableNamed(t, s, tt.table), tt.known)
		if err != nil || ok != tt.ok {
			t.Errorf("Sample(%s, %v) = %v, %v", tt.table, tt.known, ok, err)
		}
		if tt.table == "w" && sampled.Columns[1].Type.Kind != connectors.Text {
			t.Errorf("the end of a table without a rowid was not looked at: %s", sampled.Columns[1].Type)
		}
	}
}

// TestAWindowMissesNoMisfit has a value that a window by the column's type would not find.
func TestAWindowMissesNoMisfit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		native, usual string // of row i
		lower, upper  string
		strange       []string
		same          []string // values that have their place outside the window
	}{
		{"INTEGER", "i", "2000", "3000", []string{"'x'", "''", "x'00'"}, []string{"5", "999999"}},
		{"REAL", "i + 0.5", "2000", "3000", []string{"'x'", "x'00'"}, []string{"5", "1e9"}},
		{"DECIMAL(10,2)", "i", "2000", "3000", []string{"'x'", "x'00'"}, []string{"5.25"}},
		{"NUMERIC", "i", "2000", "3000", []string{"'x'", "x'00'"}, []string{"5.25", "123456789012345678"}},
		{"DATE", "date(i * 86400, 'unixepoch')", "1975-01-01", "1976-01-01", []string{"5", "2.5", "'x'", "'31.12.1975'", "'1975-6-6'", "'1975-06-31'", "x'00'"}, []string{"'1970-02-02'"}},
		{"TIME", "time(i * 10, 'unixepoch')", "04:00", "08:00", []string{"5", "'x'", "'4:00'"}, []string{"'01:00'"}},
		{
			"DATETIME", "datetime(i * 86400, 'unixepoch')", "1975-01-01T00:00:00", "1976-01-01T00:00:00", []string{"5", "'x'", "'12/31/1975 10:00'", "'1975-06-31 00:00:00'", "'1975-06-30 25:00:00'", "x'00'"}, []string{"'1971-01-01 00:00:00'"},
		},
		{"TIMESTAMPTZ", "datetime(i * 86400, 'unixepoch') || 'Z'", "1975-01-01T00:00:00Z", "1976-01-01T00:00:00Z", []string{"5", "'x'", "'1975-06-30 10:00:00'"}, []string{"'1971-01-01 00:00:00Z'"}},
		{"UUID", "printf('%08x-0000-0000-0000-000000000000', i)", "000007d0-0000-0000-0000-000000000000", "00000bb8-0000-0000-0000-000000000000", []string{"5", "'x'", "x'00'"}, nil},
		{"TEXT", "printf('%08d', i)", "00002000", "00003000", []string{"x'00'"}, []string{"'x'", "''", "5"}},
	} {
		path, conn := database(t, "CREATE TABLE t (v "+tt.native+")",
			"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO t SELECT "+tt.usual+" FROM n")
		s := open(t, path)
		sampled, ok, err := s.(connectors.Sampler).Sample(t.Context(), tableNamed(t, s, "t"), nil)
		if err != nil || !ok {
			t.Fatalf("%s: Sample = %v, %v", tt.native, ok, err)
		}
		bound := func(text string) *connectors.Bound {
			return &connectors.Bound{Kind: sampled.Columns[0].Type.Kind, Text: text}
		}
		try := func() (rows int, err error) {
			err = s.Read(t.Context(), connectors.ReadRequest{
				Table: sampled, Columns: sampled.Columns, Exact: true, Window: &connectors.Window{Column: "v", Lower: bound(tt.lower), Upper: bound(tt.upper), Nulls: true},
			}, func(b arrow.RecordBatch) error {
				rows += int(b.NumRows())
				b.Release()
				return nil
			})
			return rows, err
		}
		usual, err := try()
		if err != nil || usual == 0 || usual == 4000 {
			t.Fatalf("%s: a window of %d rows, %v", tt.native, usual, err)
		}
		put := func(v string) (int, error) {
			exec(t, conn, "BEGIN", "UPDATE t SET v = "+v+" WHERE rowid = 1777", "COMMIT")
			return try()
		}
		for _, v := range tt.strange {
			if n, err := put(v); !errors.Is(err, connectors.ErrMisfit) {
				t.Errorf("%s with one %s: %d rows, %v: want a misfit", tt.native, v, n, err)
			}
		}
		for _, v := range tt.same {
			if n, err := put(v); err != nil || n != usual && n != usual-1 {
				t.Errorf("%s with one %s: %d rows, %v: want about %d", tt.native, v, n, err, usual)
			}
		}
	}
}
