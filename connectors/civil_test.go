package connectors

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestCivilRoundTrip(t *testing.T) {
	t.Parallel()
	for _, step := range []int{1009, 7919, 104_729} {
		for days := -5_000_000; days <= 5_000_000; days += step {
			year, month, day := CivilFromDays(days)
			if got := DaysFromCivil(year, month, day); got != days {
				t.Fatalf("day %d is %d-%d-%d, which is day %d", days, year, month, day, got)
			}
			text := AppendDate(nil, arrow.Date32(days))
			if got, err := ParseDate(text); err != nil || int(got) != days {
				t.Fatalf("day %d is spelled %s, which reads as %d, %v", days, text, got, err)
			}
			want := time.Unix(int64(days)*86400, 0).UTC()
			if year != want.Year() || time.Month(month) != want.Month() || day != want.Day() {
				t.Fatalf("day %d is %d-%d-%d, want %s", days, year, month, day, want.Format(time.DateOnly))
			}
		}
	}
}

func TestCivilEveryDayOfFourCenturies(t *testing.T) {
	t.Parallel()
	days := DaysFromCivil(1800, 1, 1)
	for at := time.Date(1800, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2200; at = at.AddDate(0, 0, 1) {
		got, err := ParseDate(at.Format(time.DateOnly))
		if err != nil || int(got) != days {
			t.Fatalf("ParseDate(%s) = %d, %v, want %d", at.Format(time.DateOnly), got, err, days)
		}
		days++
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	const refused = arrow.Date32(-1 << 30)
	for _, test := range []struct {
		in   string
		want arrow.Date32
	}{
		{"1970-01-01", 0},
		{"+1970-01-02", 1},
		{"1969-12-31", -1},
		{"2000-02-29", 11016},
		{"0000-02-29", -719469},
		{"-0001-12-31", -719529},
		{"-0004-02-29", arrow.Date32(DaysFromCivil(-4, 2, 29))},
		{"10000-01-01", 2932897},
		{"5881580-07-10", math.MaxInt32 - 1},
		{"-5877641-06-24", math.MinInt32 + 1},
		{"infinity", DateInfinity},
		{"-infinity", DateMinusInfinity},
		{"5881580-07-11", refused}, // the day that stands for infinity
		{"-5877641-06-23", refused},
		{"9999999-12-31", refused},
		{"-9999999-01-01", refused},
		{"0000-00-00", refused},
		{"2024-00-10", refused},
		{"2024-10-00", refused},
		{"2024-13-01", refused},
		{"2023-02-29", refused},
		{"1900-02-29", refused},
		{"-0001-02-29", refused},
		{"2024-04-31", refused},
		{"2024-06-31", refused},
		{"2024-01-32", refused},
		{"", refused},
		{"-", refused},
		{"2024", refused},
		{"2024-01", refused},
		{"2024-1-1", refused},
		{"2024/01/01", refused},
		{"24-01-01", refused},
		{"20240101", refused},
		{"99999999-01-01", refused},
		{"2024-01-01 ", refused},
		{" 2024-01-01", refused},
		{"2024-01-01T00:00", refused},
		{"2024-0:-01", refused},
		{"２０２４-01-01", refused},
		{"Infinity", refused},
	} {
		got, err := ParseDate(test.in)
		if test.want == refused && err == nil || test.want != refused && (err != nil || got != test.want) {
			t.Errorf("ParseDate(%q) = %d, %v, want %d", test.in, got, err, test.want)
		}
		if bytes, errBytes := ParseDate([]byte(test.in)); bytes != got || (errBytes == nil) != (err == nil) {
			t.Errorf("ParseDate of %q as bytes = %d, %v, as a string %d, %v", test.in, bytes, errBytes, got, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	const refused = arrow.Time64(math.MinInt64)
	for _, test := range []struct {
		in   string
		want arrow.Time64
		text string // canonical, where it is not in
	}{
		{"00:00:00", 0, ""},
		{"-00:00:00", 0, "00:00:00"},
		{"9:05", 32_700_000_000, "09:05:00"},
		{"23:59:59.999999", 86_399_999_999, ""},
		{"24:00:00", 86_400_000_000, ""},
		{"12:00:00.5", 43_200_500_000, ""},
		{"12:00:00.000001", 43_200_000_001, ""},
		{"12:00:00.120000000", 43_200_120_000, "12:00:00.12"},
		{"838:59:59", 3_020_399_000_000, ""},
		{"-838:59:59.000001", -3_020_399_000_001, ""},
		{"-00:00:00.000001", -1, ""},
		{"999999999:59:59", 3_599_999_999_999_000_000, ""},
		{"12:00:00.0000001", refused, ""},
		{"12:00:00.", refused, ""},
		{"12:00.5", refused, ""},
		{"12:60:00", refused, ""},
		{"12:00:60", refused, ""},
		{"12", refused, ""},
		{"12:", refused, ""},
		{"12:0", refused, ""},
		{":00:00", refused, ""},
		{"", refused, ""},
		{"-", refused, ""},
		{"--1:00", refused, ""},
		{"+1:00", refused, ""},
		{"12:00:00Z", refused, ""},
		{"12:00:00+02", refused, ""},
		{"1000000000:00:00", refused, ""},
		{"12:00:00 ", refused, ""},
	} {
		got, err := ParseTime(test.in)
		if test.want == refused {
			if err == nil {
				t.Errorf("ParseTime(%q) = %d, want an error", test.in, got)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("ParseTime(%q) = %d, %v, want %d", test.in, got, err, test.want)
		}
		want := test.text
		if want == "" {
			want = test.in
		}
		if text := string(AppendTime(nil, got)); text != want {
			t.Errorf("AppendTime(%d) = %s, want %s", got, text, want)
		}
	}
}

func TestParseTimestamp(t *testing.T) {
	t.Parallel()
	at := func(s string) arrow.Timestamp {
		ts, err := time.Parse("2006-01-02 15:04:05.999999", s)
		if err != nil {
			t.Fatal(err)
		}
		return arrow.Timestamp(ts.UnixMicro())
	}
	for _, test := range []struct {
		in    string
		want  arrow.Timestamp
		zoned bool
	}{
		{"2024-02-29 12:34:56.789012", at("2024-02-29 12:34:56.789012"), false},
		{"2024-02-29T12:34:56", at("2024-02-29 12:34:56"), false},
		{"2024-02-29t12:34", at("2024-02-29 12:34:00"), false},
		{"2024-02-29", at("2024-02-29 00:00:00"), false},
		{"1969-12-31 23:59:59.999999", -1, false},
		{"2024-12-31 24:00:00", at("2025-01-01 00:00:00"), false},
		{"2024-02-29 12:00:00Z", at("2024-02-29 12:00:00"), true},
		{"2024-02-29 12:00:00z", at("2024-02-29 12:00:00"), true},
		{"2024-02-29 12:00:00+00", at("2024-02-29 12:00:00"), true},
		{"2024-02-29 12:00:00-00:00", at("2024-02-29 12:00:00"), true},
		{"2024-02-29 12:00:00+07", at("2024-02-29 05:00:00"), true},
		{"2024-02-29 12:00:00.25+05:30", at("2024-02-29 06:30:00.25"), true},
		{"2024-02-29 12:00:00-0930", at("2024-02-29 21:30:00"), true},
		{"1883-11-18 12:00:00-04:56:02", at("1883-11-18 16:56:02"), true},
		{"2024-01-01 00:30+01", at("2023-12-31 23:30:00"), true},
		{"infinity", TimestampInfinity, false},
		{"-infinity", TimestampMinInfinity, false},
	} {
		got, zoned, err := ParseTimestamp(test.in)
		if err != nil || got != test.want || zoned != test.zoned {
			t.Errorf("ParseTimestamp(%q) = %d, %v, %v, want %d, %v", test.in, got, zoned, err, test.want, test.zoned)
		}
	}
	for _, in := range []string{
		"", " ", "2024-02-29 ", "2024-02-29X12:00", "2024-02-29  12:00", "2024-02-29 12", "2024-02-30 12:00",
		"0000-00-00 00:00:00", "2024-02-29 24:00:00.000001", "2024-02-29 25:00", "2024-02-29 -1:00", "2024-02-29Z",
		"2024-02-29 12:00:00 Z", "2024-02-29 12:00:00ZZ", "2024-02-29 12:00:00+", "2024-02-29 12:00:00+7",
		"2024-02-29 12:00:00+07:", "2024-02-29 12:00:00+07:0", "2024-02-29 12:00:00+07:60", "2024-02-29 12:00:00+07:00:60",
		"2024-02-29 12:00:00+24:00", "2024-02-29 12:00:00+07:00:00:00", "2024-02-29 12:00:00 UTC", "2024-02-29 12:00:60",
		"2024-02-29 12:00:00.0000001", "300000-01-01 00:00:00", "-300000-01-01 00:00:00", "0044-03-15 12:00:00 BC",
	} {
		if got, _, err := ParseTimestamp(in); err == nil {
			t.Errorf("ParseTimestamp(%q) = %d, want an error", in, got)
		}
	}
}

func TestTimestampRoundTrip(t *testing.T) {
	t.Parallel()
	const day = arrow.Timestamp(microsPerDay)
	for _, ts := range []arrow.Timestamp{
		0, 1, -1, day - 1, day, -day, -day - 1, 253402300800000000, -62135596800000000, -62167219200000001,
		math.MaxInt64 - 2*day, math.MinInt64 + invalidCodes*day + 2*day, TimestampInfinity, TimestampMinInfinity,
	} {
		for _, sep := range []byte{'T', ' '} {
			text := AppendTimestamp(nil, ts, sep)
			if got, _, err := ParseTimestamp(text); err != nil || got != ts {
				t.Errorf("%d is spelled %s, which reads as %d, %v", ts, text, got, err)
			}
		}
	}
}

func FuzzParseTimestamp(f *testing.F) {
	for _, s := range []string{"2024-02-29 12:34:56.789012+05:30", "-0044-03-15", "infinity", "24:00:00", "-838:59:59.9", "9999999-12-31"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDate(s); err == nil {
			if again, err := ParseDate(AppendDate(nil, d)); err != nil || again != d {
				t.Errorf("date %q = %d, again %d, %v", s, d, again, err)
			}
		}
		if us, err := ParseTime(s); err == nil {
			if again, err := ParseTime(AppendTime(nil, us)); err != nil || again != us {
				t.Errorf("time %q = %d, again %d, %v", s, us, again, err)
			}
		}
		ts, zoned, err := ParseTimestamp(s)
		if err != nil {
			return
		}
		if again, _, err := ParseTimestamp(AppendTimestamp(nil, ts, ' ')); err != nil || again != ts {
			// Only the last day before either end is read and not written.
			if ts < math.MaxInt64-3*microsPerDay && ts > math.MinInt64+3*microsPerDay {
				t.Errorf("timestamp %q = %d, again %d, %v", s, ts, again, err)
			}
		}
		if zoned && !strings.ContainsAny(s, "zZ+-") {
			t.Errorf("timestamp %q has no zone", s)
		}
	})
}

func TestInvalidDatesKeepTheirSpelling(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"0000-00-00", "2024-00-00", "2024-01-00", "2024-00-15", "2024-02-31", "9999-12-00", "0000-01-00"} {
		d, ok := InvalidDate(in)
		if !ok || !IsInvalidDate(d) || string(AppendDate(nil, d)) != in {
			t.Errorf("InvalidDate(%q) = %d, %v, spelled %s", in, d, ok, AppendDate(nil, d))
		}
		full := in + " 23:59:59.999999"
		ts, ok := InvalidTimestamp(full)
		if !ok || !IsInvalidTimestamp(ts) || string(AppendTimestamp(nil, ts, ' ')) != full {
			t.Errorf("InvalidTimestamp(%q) = %d, %v, spelled %s", full, ts, ok, AppendTimestamp(nil, ts, ' '))
		}
	}
	for _, in := range []string{"2024-02-29", "2024-13-00", "2024-01-32", "24-00-00", "0000-00-0", "x000-00-00", "0000-00-00 24:00:00", ""} {
		if ts, ok := InvalidTimestamp(in); ok {
			t.Errorf("InvalidTimestamp(%q) = %d, want none", in, ts)
		}
	}
	for _, d := range []arrow.Date32{0, -2440588, DateInfinity, DateMinusInfinity, math.MaxInt32 - 1} {
		if IsInvalidDate(d) {
			t.Errorf("%d counts as invalid", d)
		}
	}
}
