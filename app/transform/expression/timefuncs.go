package expression

import (
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/transform/scalar"
	"arus/connectors"
)

var datePartNames = []string{"year", "month", "day", "weekday", "isoweekday", "quarter", "yearday"}

var clockPartNames = []string{"hour", "minute", "second", "microsecond"}

var truncUnits = []string{"year", "quarter", "month", "week", "day", "hour", "minute", "second"}

// timeFunction types the functions over dates, times and durations; nil when
// name is none of them.
func (c *checker) timeFunction(n *node, name string, args []*node, arity func(least, most int)) *node {
	switch {
	case slices.Contains(datePartNames, name):
		arity(1, 1)
		a := c.time(n, args[0])
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			d, err := dateOf(v[0])
			if err != nil {
				return nil, err
			}
			return datePart(name, d), nil
		}}, of(connectors.Int64), a)
	case slices.Contains(clockPartNames, name):
		arity(1, 1)
		a := args[0]
		if a.typ.Kind != connectors.Time {
			a = c.time(n, a)
		}
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			us, err := clockOf(v[0])
			if err != nil {
				return nil, err
			}
			switch name {
			case "hour":
				return us / scalar.Hour, nil
			case "minute":
				return us % scalar.Hour / scalar.Minute, nil
			case "second":
				return us % scalar.Minute / scalar.Second, nil
			}
			return us % scalar.Second, nil
		}}, of(connectors.Int64), a)
	}
	switch name {
	case "days", "seconds", "total_seconds":
		arity(1, 1)
		return c.spanPart(n, name, args[0])
	case "epoch":
		arity(1, 1)
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			ts, err := instantOf(v[0])
			if err != nil {
				return nil, err
			}
			return float64(ts) / float64(scalar.Second), nil
		}}, of(connectors.Float64), c.time(n, args[0]))
	case "isoformat":
		arity(1, 1)
		a := args[0]
		if a.typ.Kind != connectors.Time {
			a = c.time(n, a)
		}
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			return strings.Replace(scalar.Text(v[0]), " ", "T", 1), nil
		}}, of(connectors.Text), a)
	case "strftime":
		arity(2, 2)
		layout, ok := args[1].value.(string)
		if args[1].op != opConst || !ok {
			c.fail(n, "the format must be a constant text, such as '%%d.%%m.%%Y'")
		}
		format, err := scalar.NewFormat(scalar.FormatOptions{Layout: layout})
		if err != nil {
			c.fail(args[1], "%v", err)
		}
		a := args[0]
		if a.typ.Kind != connectors.Time {
			a = c.time(n, a)
		}
		return c.convert(a, of(connectors.Text), format)
	case "date_trunc":
		arity(2, 2)
		if args[0].typ.isTime() { // either order
			args[0], args[1] = args[1], args[0]
		}
		unit, ok := args[0].value.(string)
		unit = strings.ToLower(unit)
		if args[0].op != opConst || !ok || !slices.Contains(truncUnits, unit) {
			c.fail(n, "the unit must be one of %s", strings.Join(truncUnits, ", "))
		}
		a := c.time(n, args[1])
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) { return truncate(unit, v[0]) }}, a.typ, a)
	}
	return nil
}

// time insists on a date or a timestamp.
func (c *checker) time(n, a *node) *node {
	switch {
	case a.typ.isTime():
		return a
	case a.typ.isNull():
		return c.constant(n, nil, of(connectors.Timestamp))
	}
	c.fail(n, "a date or a timestamp is expected here, not %s: use date() or timestamp()", a.typ.name())
	return nil
}

func dateOf(v any) (arrow.Date32, error) {
	switch v := v.(type) {
	case arrow.Date32:
		return v, scalar.RegularDate(v)
	case arrow.Timestamp:
		return scalar.DateOf(v), scalar.Regular(v)
	case scalar.Instant:
		return scalar.DateOf(arrow.Timestamp(v)), scalar.Regular(arrow.Timestamp(v))
	}
	return 0, errors.New("not a date")
}

func clockOf(v any) (int64, error) {
	switch v := v.(type) {
	case arrow.Time64:
		return int64(v), nil
	case arrow.Date32:
		return 0, scalar.RegularDate(v)
	case arrow.Timestamp:
		return int64(scalar.ClockOf(v)), scalar.Regular(v)
	case scalar.Instant:
		return int64(scalar.ClockOf(arrow.Timestamp(v))), scalar.Regular(arrow.Timestamp(v))
	}
	return 0, errors.New("not a time")
}

// instantOf is a time in microseconds since 1970, as if in UTC.
func instantOf(v any) (arrow.Timestamp, error) {
	switch v := v.(type) {
	case arrow.Date32:
		if err := scalar.RegularDate(v); err != nil {
			return 0, err
		}
		return scalar.Midnight(v)
	case arrow.Timestamp:
		return v, scalar.Regular(v)
	case scalar.Instant:
		return arrow.Timestamp(v), scalar.Regular(arrow.Timestamp(v))
	}
	return 0, errors.New("not a time")
}

func datePart(name string, d arrow.Date32) int64 {
	year, month, day := connectors.CivilFromDays(int(d))
	weekday := ((int64(d)+3)%7 + 7) % 7 // Monday is 0
	switch name {
	case "year":
		return int64(year)
	case "month":
		return int64(month)
	case "day":
		return int64(day)
	case "weekday":
		return weekday
	case "isoweekday":
		return weekday + 1
	case "quarter":
		return int64((month-1)/3 + 1)
	}
	return int64(int(d) - connectors.DaysFromCivil(year, 1, 1) + 1)
}

func (c *checker) spanPart(n *node, name string, a *node) *node {
	if a.typ.isNull() {
		return c.constant(n, nil, of(connectors.Int64))
	}
	if a.typ.Kind != connectors.Interval {
		c.fail(n, "a duration is expected here, not %s", a.typ.name())
	}
	out := of(connectors.Int64)
	if name == "total_seconds" {
		out = of(connectors.Float64)
	}
	return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
		d := v[0].(scalar.Duration)
		if d.Months != 0 {
			return nil, errors.New("a duration with months has no fixed length")
		}
		us, err := d.Total()
		if err != nil {
			return nil, err
		}
		switch name {
		case "days":
			q, _ := floorInt(false, us, scalar.Day)
			return q, nil
		case "seconds":
			r, _ := floorInt(true, us, scalar.Day)
			return r / scalar.Second, nil
		}
		f, _ := new(big.Rat).SetFrac64(us, scalar.Second).Float64()
		return f, nil
	}}, out, a)
}

// truncate moves a time back to the start of its unit.
func truncate(unit string, v any) (any, error) {
	ts, err := instantOf(v)
	if err != nil {
		return nil, err
	}
	day := scalar.DateOf(ts)
	year, month, _ := connectors.CivilFromDays(int(day))
	switch unit {
	case "year":
		day = arrow.Date32(connectors.DaysFromCivil(year, 1, 1))
	case "quarter":
		day = arrow.Date32(connectors.DaysFromCivil(year, (month-1)/3*3+1, 1))
	case "month":
		day = arrow.Date32(connectors.DaysFromCivil(year, month, 1))
	case "week":
		day -= arrow.Date32(datePart("weekday", day))
	}
	start, err := scalar.Midnight(day)
	if err != nil {
		return nil, err
	}
	if size := map[string]int64{"hour": scalar.Hour, "minute": scalar.Minute, "second": scalar.Second}[unit]; size > 0 {
		us := int64(scalar.ClockOf(ts))
		start += arrow.Timestamp(us - us%size)
	}
	switch v.(type) {
	case arrow.Date32:
		return day, nil
	case scalar.Instant:
		return scalar.Instant(start), nil
	}
	return start, nil
}
