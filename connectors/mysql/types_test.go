package mysql

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	mysql8  = flavour{major: 8, minor: 4, patch: 3}
	maria10 = flavour{mariadb: true, major: 10, minor: 11, patch: 6}
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", name, diff)
	}
}

func TestLogicalToNative(t *testing.T) {
	t.Parallel()
	var types []connectors.Type
	for k := connectors.Bool; k <= connectors.Array; k++ {
		types = append(types, connectors.Type{Kind: k, Precision: 12, Scale: 2, Values: []string{"a", "it's", `b\s`}})
	}
	text := func(n int, fixed bool) connectors.Type {
		return connectors.Type{Kind: connectors.Text, Length: n, Fixed: fixed}
	}
	bytes := func(n int, fixed bool) connectors.Type {
		return connectors.Type{Kind: connectors.Bytes, Length: n, Fixed: fixed}
	}
	types = append(types, connectors.NewDecimal(65, 30), connectors.NewDecimal(66, 0), connectors.NewDecimal(40, 31),
		text(40, false), text(40, true), text(191, false), text(255, false), text(300, true), text(4096, false), text(5000, false),
		bytes(16, true), bytes(40, false), bytes(5000, false),
		connectors.Type{Kind: connectors.Enum, Values: []string{"a "}}, connectors.Type{Kind: connectors.Time, Wide: true},
		connectors.Type{Kind: connectors.JSON, Parsed: true}, connectors.Type{Kind: connectors.Array, Elem: &connectors.Type{Kind: connectors.Int32}})
	var b strings.Builder
	for _, typ := range types {
		for _, f := range []struct {
			name    string
			flavour flavour
		}{{"mysql", mysql8}, {"mariadb", maria10}} {
			for _, key := range [][]string{nil, {"c"}} {
				columns, err := f.flavour.targetColumns("t", []connectors.Column{{Name: "c", Type: typ, Nullable: true}}, key)
				place := map[bool]string{true: "key", false: "column"}[key != nil]
				if err != nil {
					_, _ = fmt.Fprintf(&b, "%s\t%s %s\t%v\n", typ, f.name, place, err)
					continue
				}
				_, _ = fmt.Fprintf(&b, "%s\t%s %s\t%s\n", typ, f.name, place, columns[0].ddl())
			}
		}
	}
	golden(t, "logical_to_native.txt", b.String())
}

func TestNamesBeyondTheServersAreRefusedByName(t *testing.T) {
	t.Parallel()
	for _, f := range []flavour{mysql8, maria10} {
		_, err := f.targetColumns("shop.t", []connectors.Column{{Name: "plain", Type: connectors.Type{Kind: connectors.Int32}}, {Name: "x😀", Type: connectors.Type{Kind: connectors.Int32}}}, nil)
		if err == nil || !strings.Contains(err.Error(), "shop.t.x😀") {
			t.Errorf("an emoji in a name gives %v", err)
		}
	}
}

func TestNativeToLogical(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, n := range []native{
		{data: "tinyint", column: "tinyint(1)"},
		{data: "tinyint", column: "tinyint unsigned"},
		{data: "smallint", column: "smallint"},
		{data: "smallint", column: "smallint(5) unsigned zerofill"},
		{data: "mediumint", column: "mediumint"},
		{data: "mediumint", column: "mediumint unsigned"},
		{data: "int", column: "int"},
		{data: "int", column: "int unsigned"},
		{data: "bigint", column: "bigint"},
		{data: "bigint", column: "bigint(20) unsigned"},
		{data: "bit", column: "bit(1)", precision: 1},
		{data: "bit", column: "bit(64)", precision: 64},
		{data: "year", column: "year"},
		{data: "decimal", column: "decimal(65,30)", precision: 65, scale: 30},
		{data: "decimal", column: "decimal(10,0) unsigned", precision: 10},
		{data: "float", column: "float"},
		{data: "double", column: "double(10,2)"},
		{data: "date", column: "date"},
		{data: "time", column: "time(3)", fraction: 3},
		{data: "datetime", column: "datetime"},
		{data: "timestamp", column: "timestamp(6)", fraction: 6},
		{data: "char", column: "char(3)", length: 3, charset: "utf8mb4"},
		{data: "varchar", column: "varchar(40)", length: 40, charset: "latin1"},
		{data: "text", column: "text", length: 65535, charset: "utf8mb3"},
		{data: "longtext", column: "longtext", charset: "utf8mb4"},
		{data: "longtext", column: "longtext", charset: "utf8mb4", json: true},
		{data: "json", column: "json"},
		{data: "binary", column: "binary(16)", length: 16},
		{data: "varbinary", column: "varbinary(9)", length: 9},
		{data: "blob", column: "blob", length: 65535},
		{data: "enum", column: "enum('a','b')", charset: "utf8mb4"},
		{data: "set", column: "set('a','b')", charset: "utf8mb4"},
		{data: "point", column: "point"},
		{data: "geomcollection", column: "geomcollection"},
		{data: "uuid", column: "uuid"},
		{data: "inet6", column: "inet6"},
		{data: "vector", column: "vector(3)"},
	} {
		n.name = "c"
		_, _ = fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", n.column, n.logical(), n.selection(), n.comparison())
	}
	golden(t, "native_to_logical.txt", b.String())
}

func TestFromStaging(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, k := range []connectors.Kind{connectors.Bool, connectors.Int64, connectors.Float32, connectors.Text, connectors.Bytes, connectors.TimestampTZ, connectors.JSON} {
		for _, f := range []flavour{mysql8, maria10} {
			_, _ = fmt.Fprintf(&b, "%s\t%s\n", k, f.fromJSON(connectors.Column{Name: `it's "c"\`, Type: connectors.Type{Kind: k}}))
		}
	}
	golden(t, "from_staging.txt", b.String())
}

func TestCommentsCarryTheType(t *testing.T) {
	t.Parallel()
	integer := &connectors.Type{Kind: connectors.Int32}
	for _, typ := range []connectors.Type{
		{Kind: connectors.Bool},
		{Kind: connectors.Numeric},
		{Kind: connectors.Interval},
		{Kind: connectors.TimestampTZ},
		{Kind: connectors.UUID},
		{Kind: connectors.Array, Elem: integer},
		{Kind: connectors.Decimal, Precision: 70, Scale: 35},
		{Kind: connectors.Text, Length: 9000},
		{Kind: connectors.Time},
	} {
		c, err := mysql8.targetColumns("t", []connectors.Column{{Name: "c", Type: typ}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := native{data: "longtext", comment: commentPrefix + c[0].comment}.written()
		if !got.Equal(typ) {
			t.Errorf("%s: comment %q is read as %s", typ, c[0].comment, got)
		}
	}
}

func TestEnumValues(t *testing.T) {
	t.Parallel()
	for column, want := range map[string][]string{
		`enum('a','b')`: {"a", "b"}, `enum('it''s','')`: {"it's", ""}, `enum('a,b','(')`: {"a,b", "("}, `set('\\','\n\r\t\0','ü')`: {`\`, "\n\r\t\x00", "ü"},
		`enum('''')`: {"'"}, `enum(`: nil, ``: nil,
	} {
		if diff := cmp.Diff(want, enumValues(column)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", column, diff)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]flavour{
		"8.0.40": {major: 8, patch: 40}, "8.4.3-log": {major: 8, minor: 4, patch: 3}, "10.11.6-MariaDB-0+deb12u1": {mariadb: true, major: 10, minor: 11, patch: 6},
		"5.5.5-10.4.2-MariaDB": {mariadb: true, major: 10, minor: 4, patch: 2}, "5.7.44-log": {major: 5, minor: 7, patch: 44},
	} {
		if got := parseVersion(text); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
	for _, tt := range []struct {
		version flavour
		want    string
	}{{mysql8, "utf8mb4_0900_bin"}, {flavour{major: 8, patch: 16}, "utf8mb4_bin"}, {flavour{major: 5, minor: 7}, "utf8mb4_bin"}, {maria10, "utf8mb4_nopad_bin"}} {
		if got := tt.version.collation(); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.version, got, tt.want)
		}
	}
}

func TestBoundsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind connectors.Kind
		text string
	}{
		{connectors.Int64, "1 OR 1=1"},
		{connectors.Int64, ""},
		{connectors.Int64, "-"},
		{connectors.Decimal, "1.2.3"},
		{connectors.Decimal, "NaN"},
		{connectors.Float64, "Inf"},
		{connectors.Timestamp, "infinity"},
		{connectors.Timestamp, "2026-13-01"},
		{connectors.Date, "x"},
		{connectors.Time, "'"},
		{connectors.Bool, "2"},
		{connectors.Bytes, "?"},
	} {
		if got, err := boundLiteral(tt.kind, connectors.Bound{Kind: tt.kind, Text: tt.text}); err == nil {
			t.Errorf("%s %q became %s", tt.kind, tt.text, got)
		}
	}
	got, err := boundLiteral(connectors.Text, connectors.Bound{Text: `'; DROP TABLE x; -- \`})
	if want := "x'273b2044524f50205441424c4520783b202d2d205c'"; err != nil || got != want {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
}

func TestIntegers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808", "00000000000000000000000000042": "42",
		"9223372036854775808": "", "-9223372036854775809": "", "": "", "-": "", "1.0": "", "18446744073709551616": "", "99999999999999999999": "",
	} {
		v, ok := parseInt([]byte(text), math.MinInt64, math.MaxInt64)
		if got := strconv.FormatInt(v, 10); ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %s %v, want %q", text, got, ok, want)
		}
	}
	if v, ok := parseUint([]byte("18446744073709551615"), math.MaxUint64); !ok || v != math.MaxUint64 {
		t.Errorf("got %d %v", v, ok)
	}
}

func TestServerErrorsHaveTheirKinds(t *testing.T) {
	t.Parallel()
	s := &server{cfg: connectors.Config{Database: "shop", Username: "ann"}, mode: readMode}
	for number, want := range map[uint16]connectors.ErrorKind{
		1044: connectors.KindPermission, 1045: connectors.KindAuth, 1698: connectors.KindAuth, 1142: connectors.KindPermission, 1143: connectors.KindPermission, 1227: connectors.KindPermission,
		1049: connectors.KindNotFound, 1146: connectors.KindNotFound, 1054: connectors.KindNotFound, 1205: connectors.KindTransient, 1213: connectors.KindTransient,
		2006: connectors.KindTransient, 2013: connectors.KindTransient, 1040: connectors.KindTransient, 1053: connectors.KindTransient,
		1317: connectors.KindTimeout, 3024: connectors.KindTimeout, 1969: connectors.KindTimeout, 1264: connectors.KindType, 1265: connectors.KindType, 1292: connectors.KindType,
		1366: connectors.KindType, 1406: connectors.KindType, 1062: connectors.KindConstraint, 1048: connectors.KindConstraint, 1452: connectors.KindConstraint,
		3948: connectors.KindPermission, 1148: connectors.KindPermission, 9999: "",
		1020: connectors.KindTransient, 1412: connectors.KindTransient, 1021: connectors.KindTransient, 1114: connectors.KindTransient, 1161: connectors.KindNetwork,
		3819: connectors.KindConstraint, 4025: connectors.KindConstraint, 1586: connectors.KindConstraint, 1526: connectors.KindConstraint, 1411: connectors.KindType,
	} {
		if got := connectors.KindOf(s.fail("read", "shop.t", &driver.MySQLError{Number: number, Message: "m"})); got != want {
			t.Errorf("%d: got %q, want %q", number, got, want)
		}
	}
	for _, message := range []string{
		`Got error 28 "No space left on device" from storage engine InnoDB`, "Error writing file '/tmp/MY' (Errcode: 28 \"No space left on device\")",
		"Can't create table `shop`.`t` (errno: 28 \"No space left on device\")", "Got error: 122 during COMMIT",
	} {
		err := s.fail("load", "shop.t", &driver.MySQLError{Number: 1030, Message: message})
		if connectors.KindOf(err) != connectors.KindTransient || !strings.Contains(err.Error(), "make room") {
			t.Errorf("%q: kind %q, %v", message, connectors.KindOf(err), err)
		}
	}
	denied := s.fail("read", "shop.t", &driver.MySQLError{Number: 1142, Message: "SELECT command denied to user 'ann'@'10.0.0.1' for table 'orders'"})
	if want := "GRANT SELECT, SHOW VIEW ON `shop`.* TO 'ann'@'10.0.0.1'"; !strings.Contains(denied.Error(), want) {
		t.Errorf("got %v, want %s", denied, want)
	}
	if inner := s.fail("x", "y", denied); !errors.Is(inner, denied) || inner.Error() != denied.Error() {
		t.Errorf("wrapped twice: %v", inner)
	}
}

// unescapeField is what LOAD DATA makes of a field.
func unescapeField(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			b.WriteByte(unescape(s[i]))
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func FuzzTextSurvivesBothSyntaxes(f *testing.F) {
	for _, s := range []string{"", "NULL", `\N`, "\t\n\r\x00\\", "it's", "😀", `\\t`, "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		field := string(fieldSyntax.appendText(nil, s))
		if strings.ContainsAny(field, "\t\n\x00") || field == `\N` {
			t.Errorf("%q is the field %q", s, field)
		}
		if got := unescapeField(field); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
		quoted := string(literalSyntax.appendText(nil, s))
		if got := strings.ReplaceAll(quoted[1:len(quoted)-1], "''", "'"); got != s || quoted != literal(s) {
			t.Errorf("%q is the literal %q", s, quoted)
		}
	})
}
