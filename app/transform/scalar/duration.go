package scalar

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Units of time in microseconds.
const (
	Second = int64(1_000_000)
	Minute = 60 * Second
	Hour   = 60 * Minute
	Day    = 24 * Hour
)

// Instant is a timestamptz: microseconds since 1970-01-01T00:00:00Z.
type Instant arrow.Timestamp

// Duration is a span of time. Months and days have no fixed length, so they
// stand apart; where spans are compared, a month counts as 30 days and a day as
// 24 hours.
type Duration struct {
	Months, Days, Micros int64
}

// Total is the span in microseconds.
func (d Duration) Total() (int64, error) {
	days, ok1 := mul(d.Months, 30)
	days, ok2 := add(days, d.Days)
	us, ok3 := mul(days, Day)
	us, ok4 := add(us, d.Micros)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return 0, ErrRange
	}
	return us, nil
}

// Span is the duration of so many microseconds, in days and the rest.
func Span(us int64) Duration { return Duration{Days: us / Day, Micros: us % Day} }

// Plus is d + o.
func (d Duration) Plus(o Duration) (Duration, error) {
	m, ok1 := add(d.Months, o.Months)
	days, ok2 := add(d.Days, o.Days)
	us, ok3 := add(d.Micros, o.Micros)
	if !ok1 || !ok2 || !ok3 {
		return Duration{}, ErrRange
	}
	return Duration{m, days, us}, nil
}

// Times is n times d.
func (d Duration) Times(n int64) (Duration, error) {
	m, ok1 := mul(d.Months, n)
	days, ok2 := mul(d.Days, n)
	us, ok3 := mul(d.Micros, n)
	if !ok1 || !ok2 || !ok3 {
		return Duration{}, ErrRange
	}
	return Duration{m, days, us}, nil
}

// String writes the ISO 8601 form, as PostgreSQL prints it.
func (d Duration) String() string {
	var b strings.Builder
	b.WriteByte('P')
	part := func(v int64, unit byte) {
		if v != 0 {
			b.WriteString(strconv.FormatInt(v, 10))
			b.WriteByte(unit)
		}
	}
	part(d.Months/12, 'Y')
	part(d.Months%12, 'M')
	part(d.Days, 'D')
	if d.Micros != 0 {
		b.WriteByte('T')
		part(d.Micros/Hour, 'H')
		part(d.Micros%Hour/Minute, 'M')
		if rest := d.Micros % Minute; rest != 0 {
			if rest < 0 {
				b.WriteByte('-')
				rest = -rest
			}
			b.WriteString(strconv.FormatInt(rest/Second, 10))
			if frac := rest % Second; frac != 0 {
				b.WriteString(strings.TrimRight("."+strconv.FormatInt(frac+Second, 10)[1:], "0"))
			}
			b.WriteByte('S')
		}
	}
	if b.Len() == 1 {
		return "PT0S"
	}
	return b.String()
}

// ParseDuration reads an ISO 8601 duration (P1Y2M3DT4H5M6.7S, P2W) or numbers
// with units (1h30m, 2d, "3 days 4 hours").
func ParseDuration(s string) (Duration, error) {
	bad := errors.New(quoted(s) + " is not a duration, such as 1h30m, 2 days or P1DT2H")
	text := strings.TrimSpace(s)
	sign := int64(1)
	if rest, ok := strings.CutPrefix(text, "-P"); ok {
		text, sign = "P"+rest, -1
	}
	iso := strings.HasPrefix(text, "P")
	if iso {
		text = text[1:]
	}
	var d Duration
	parts, inTime := 0, false
	for text = strings.TrimLeft(text, " "); text != ""; text = strings.TrimLeft(text, " ,") {
		if iso && text[0] == 'T' {
			inTime, text = true, text[1:]
			continue
		}
		n := 0
		for n < len(text) && (text[n] >= '0' && text[n] <= '9' || text[n] == '.' || n == 0 && (text[n] == '-' || text[n] == '+')) {
			n++
		}
		amount, err := ParseDecimal(text[:n])
		if err != nil {
			return Duration{}, bad
		}
		text = strings.TrimLeft(text[n:], " ")
		n = 0
		for n < len(text) && (text[n] >= 'a' && text[n] <= 'z' || text[n] >= 'A' && text[n] <= 'Z') {
			n++
		}
		if iso {
			n = min(n, 1)
		}
		if !d.addUnit(amount, text[:n], iso, inTime) {
			return Duration{}, bad
		}
		text = text[n:]
		parts++
	}
	if parts == 0 {
		return Duration{}, bad
	}
	return d.Times(sign)
}

// addUnit adds an amount of a unit; only seconds and the units that have a
// fixed length may have a fraction.
func (d *Duration) addUnit(amount *Decimal, unit string, iso, inTime bool) bool {
	if !iso {
		unit = strings.ToLower(unit)
		if len(unit) > 2 {
			unit = strings.TrimSuffix(unit, "s")
		}
	}
	var field *int64
	size := int64(1)
	switch {
	case iso && unit == "Y" || unit == "y" || unit == "year":
		field, size = &d.Months, 12
	case iso && !inTime && unit == "M" || unit == "month" || unit == "mon":
		field = &d.Months
	case iso && unit == "W" || unit == "w" || unit == "week":
		field, size = &d.Days, 7
	case iso && unit == "D" || unit == "d" || unit == "day":
		field = &d.Days
	case iso && inTime && unit == "H" || unit == "h" || unit == "hour" || unit == "hr":
		field, size = &d.Micros, Hour
	case iso && inTime && unit == "M" || unit == "m" || unit == "min" || unit == "minute":
		field, size = &d.Micros, Minute
	case iso && inTime && unit == "S" || unit == "s" || unit == "sec" || unit == "second":
		field, size = &d.Micros, Second
	case unit == "ms" || unit == "millisecond":
		field, size = &d.Micros, 1000
	case unit == "us" || unit == "microsecond":
		field, size = &d.Micros, 1
	default:
		return false
	}
	v, err := Mul(amount, DecimalOf(size))
	if err != nil {
		return false
	}
	if whole := v.Trunc(); field != &d.Micros {
		if c, ok := Compare(whole, v); !ok || c != 0 {
			return false
		}
	}
	n, err := v.Rescale(0).Int64()
	if err != nil {
		return false
	}
	sum, ok := add(*field, n)
	*field = sum
	return ok
}

// AddTo is the wall clock d after ts. Months keep the day of the month, or take
// the month's last one.
func (d Duration) AddTo(ts arrow.Timestamp) (arrow.Timestamp, error) {
	if err := Regular(ts); err != nil {
		return 0, err
	}
	days, us := floorSplit(int64(ts))
	if d.Months != 0 {
		year, month, day := connectors.CivilFromDays(int(days))
		if d.Months > 1_000_000 || d.Months < -1_000_000 {
			return 0, ErrRange
		}
		m := int64(year)*12 + int64(month) - 1 + d.Months
		y := m / 12
		if m%12 < 0 {
			y--
		}
		mo := int(m-y*12) + 1
		next := connectors.DaysFromCivil(int(y)+mo/12, mo%12+1, 1)
		first := connectors.DaysFromCivil(int(y), mo, 1)
		days = int64(min(first+day-1, next-1))
	}
	days, ok1 := add(days, d.Days)
	base, ok2 := mul(days, Day)
	base, ok3 := add(base, us)
	base, ok4 := add(base, d.Micros)
	if !ok1 || !ok2 || !ok3 || !ok4 || Regular(arrow.Timestamp(base)) != nil {
		return 0, ErrRange
	}
	return arrow.Timestamp(base), nil
}

// Regular refuses timestamps that no calendar has, and infinite ones.
func Regular(ts arrow.Timestamp) error {
	switch {
	case ts == connectors.TimestampInfinity || ts == connectors.TimestampMinInfinity:
		return errors.New("the timestamp is infinite")
	case connectors.IsInvalidTimestamp(ts):
		return errors.New(string(connectors.AppendTimestamp(nil, ts, ' ')) + " is in no calendar")
	}
	return nil
}

// RegularDate is Regular for a date.
func RegularDate(d arrow.Date32) error {
	switch {
	case d == connectors.DateInfinity || d == connectors.DateMinusInfinity:
		return errors.New("the date is infinite")
	case connectors.IsInvalidDate(d):
		return errors.New(string(connectors.AppendDate(nil, d)) + " is in no calendar")
	}
	return nil
}

// Midnight is the timestamp at which a date begins; infinities stay infinite.
func Midnight(d arrow.Date32) (arrow.Timestamp, error) {
	switch {
	case d == connectors.DateInfinity:
		return connectors.TimestampInfinity, nil
	case d == connectors.DateMinusInfinity:
		return connectors.TimestampMinInfinity, nil
	case connectors.IsInvalidDate(d):
		ts, _ := connectors.InvalidTimestamp(string(connectors.AppendDate(nil, d)))
		return ts, nil
	}
	us, ok := mul(int64(d), Day)
	if !ok {
		return 0, ErrRange
	}
	return arrow.Timestamp(us), nil
}

// DateOf is the day of a timestamp; infinities stay infinite.
func DateOf(ts arrow.Timestamp) arrow.Date32 {
	switch {
	case ts == connectors.TimestampInfinity:
		return connectors.DateInfinity
	case ts == connectors.TimestampMinInfinity:
		return connectors.DateMinusInfinity
	case connectors.IsInvalidTimestamp(ts):
		d, _ := connectors.InvalidDate(string(connectors.AppendTimestamp(nil, ts, ' ')[:10]))
		return d
	}
	days, _ := floorSplit(int64(ts))
	return arrow.Date32(days)
}

// ClockOf is the time of day of a timestamp.
func ClockOf(ts arrow.Timestamp) arrow.Time64 {
	_, us := floorSplit(int64(ts))
	return arrow.Time64(us)
}

func floorSplit(ts int64) (days, us int64) {
	days, us = ts/Day, ts%Day
	if us < 0 {
		days, us = days-1, us+Day
	}
	return days, us
}

func add(a, b int64) (int64, bool) {
	c := a + b
	return c, (c > a) == (b > 0)
}

func mul(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	c := a * b
	return c, c/b == a && (a != -1 || b != math.MinInt64) && (b != -1 || a != math.MinInt64)
}

// quoted is a value in a message, cut where it is long.
func quoted(s string) string {
	return strconv.Quote(shortened(s))
}

func shortened(s string) string {
	const limit = 60
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
