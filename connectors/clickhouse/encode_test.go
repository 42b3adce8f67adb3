package clickhouse

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// TestModernTypes fills the columns of types that the server under test does
// not have, and reads them by the driver.
func TestModernTypes(t *testing.T) {
	t.Parallel()
	modern := version{25, 8}
	nines := strings.Repeat("9", 56) + "." + strings.Repeat("9", 20)
	for _, test := range []struct {
		typ    connectors.Type
		native string
		values []string
		want   []string
	}{
		{connectors.Type{Kind: connectors.Bool}, "Bool", []string{"true", "false"}, []string{"true", "false"}},
		{connectors.Type{Kind: connectors.Date}, "Date32", []string{"1900-01-01", "1970-01-01", "2299-12-31"}, []string{"1900-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2299-12-31T00:00:00Z"}},
		{
			connectors.Type{Kind: connectors.Timestamp, Precision: 6},
			"DateTime64(6, 'UTC')",
			[]string{"1900-01-01T00:00:00", "1969-12-31T23:59:59.999999", "2262-04-11T23:47:16.854775"}, // the driver shows none later
			[]string{"1900-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2262-04-11T23:47:16.854775Z"},
		},
		{connectors.NewDecimal(76, 20), "Decimal(76, 20)", []string{"-" + nines, nines}, []string{"-" + nines, nines}},
		{connectors.NewDecimal(9, 2), "Decimal(9, 2)", []string{"-9999999.99", "0.01"}, []string{"-9999999.99", "0.01"}},
		{connectors.NewDecimal(9, 2), "Decimal(60, 2)", []string{"-9999999.99", "0.01"}, []string{"-9999999.99", "0.01"}},
		{connectors.Type{Kind: connectors.UUID}, "UUID", []string{"00112233-4455-6677-8899-aabbccddeeff"}, []string{"00112233-4455-6677-8899-aabbccddeeff"}},
	} {
		for _, null := range []bool{false, true} {
			native := test.native
			if null {
				native = "Nullable(" + native + ")"
			}
			c := connectors.Column{Name: "c", Type: test.typ, Nullable: null}
			e, err := newEncoder(modern, c, native)
			if err != nil {
				t.Fatal(err)
			}
			values, want := test.values, test.want
			if null {
				values, want = append([]string{"<NULL>"}, values...), append([]string{"<nil>"}, want...)
			}
			rows := make([][]string, len(values))
			for i, v := range values {
				rows[i] = []string{v}
			}
			if err := e.add(batch(t, []connectors.Column{c}, rows).Column(0)); err != nil {
				t.Fatal(err)
			}
			to, err := chcolumn.Type(native).Column("c", &chcolumn.ServerContext{Timezone: time.UTC})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.fill(to, 0, e.rows, bufio.NewReaderSize(nil, wireBuffer)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range to.Rows() {
				switch v := to.Row(i, false).(type) {
				case time.Time:
					got = append(got, v.Format(time.RFC3339Nano))
				case *time.Time:
					got = append(got, v.Format(time.RFC3339Nano))
				case *bool:
					got = append(got, fmt.Sprint(*v))
				default:
					got = append(got, fmt.Sprint(v))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", native, diff)
			}
		}
	}
}

// TestYearsBeyondTheCalendar are refused with the column's name, never cut.
func TestYearsBeyondTheCalendar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		version
		kind  connectors.Kind
		value string
		fits  bool
	}{
		{version{25, 8}, connectors.Date, "1899-12-31", false},
		{version{25, 8}, connectors.Date, "2300-01-01", false},
		{version{25, 8}, connectors.Date, "infinity", false},
		{version{22, 3}, connectors.Date, "1925-01-01", true},
		{version{22, 3}, connectors.Date, "1924-12-31", false},
		{version{25, 8}, connectors.Timestamp, "1899-12-31T23:59:59.999999", false},
		{version{25, 8}, connectors.Timestamp, "2300-01-01T00:00:00", false},
		{version{25, 8}, connectors.TimestampTZ, "-infinity", false},
		{version{25, 8}, connectors.TimestampTZ, "-0043-01-01T00:00:00Z", false},
		{version{20, 8}, connectors.TimestampTZ, "1969-12-31T23:59:59Z", false},
		{version{20, 8}, connectors.Date, "-0043-01-01", true},
		{version{18, 16}, connectors.TimestampTZ, "infinity", true},
	} {
		c := column("at", test.kind)
		e, err := newEncoder(test.version, c, test.native(c.Type))
		if err != nil {
			t.Fatal(err)
		}
		err = e.add(batch(t, []connectors.Column{c}, [][]string{{test.value}}).Column(0))
		fault, _ := errors.AsType[*valueError](err)
		if test.fits != (err == nil) || !test.fits && (fault == nil || fault.kind != connectors.KindType || fault.column != "at") {
			t.Errorf("%v: %s %s: %v", test.version, test.kind, test.value, err)
		}
	}
}
