package engine

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

const microsPerSecond = 1_000_000

// boundInt gives the integer a bound compares as: itself, days, or
// microseconds. ok is false for kinds that have none (text, decimals, uint64).
func boundInt(b connectors.Bound) (int64, bool) {
	switch b.Kind {
	case connectors.Timestamp, connectors.TimestampTZ:
		ts, _, err := connectors.ParseTimestamp(b.Text)
		return int64(ts), err == nil
	case connectors.Date:
		d, err := connectors.ParseDate(b.Text)
		return int64(d), err == nil
	case connectors.Uint64:
		return 0, false
	}
	if b.Kind.IsInteger() {
		v, err := strconv.ParseInt(b.Text, 10, 64)
		return v, err == nil
	}
	return 0, false
}

// less orders two bounds of one kind; ok is false where only the database's
// own order counts.
func less(a, b connectors.Bound) (isLess, ok bool) {
	x, ok1 := boundInt(a)
	y, ok2 := boundInt(b)
	return x < y, ok1 && ok2
}

// lookBack moves a time bound back by seconds; bounds that are no times stay.
func lookBack(b connectors.Bound, seconds int) connectors.Bound {
	if seconds <= 0 {
		return b
	}
	v, ok := boundInt(b)
	if !ok {
		return b
	}
	switch b.Kind {
	case connectors.Timestamp, connectors.TimestampTZ:
		ts := arrow.Timestamp(v)
		if ts == connectors.TimestampInfinity || ts == connectors.TimestampMinInfinity {
			return b
		}
		text := connectors.AppendTimestamp(nil, ts-arrow.Timestamp(seconds)*microsPerSecond, 'T')
		if b.Kind == connectors.TimestampTZ {
			text = append(text, 'Z')
		}
		b.Text = string(text)
	case connectors.Date:
		d := arrow.Date32(v)
		if d == connectors.DateInfinity || d == connectors.DateMinusInfinity {
			return b
		}
		b.Text = string(connectors.AppendDate(nil, d-arrow.Date32((seconds+86399)/86400)))
	}
	return b
}

// timeBound makes a date or timestamp as people write it a bound of the kind.
func timeBound(kind connectors.Kind, text string) (connectors.Bound, error) {
	ts, _, err := connectors.ParseTimestamp(text)
	if err != nil {
		return connectors.Bound{}, fmt.Errorf("%q is no date: write it as 2026-01-31 or 2026-01-31T15:04:05", text)
	}
	b := connectors.Bound{Kind: kind}
	switch kind {
	case connectors.Timestamp:
		b.Text = string(connectors.AppendTimestamp(nil, ts, 'T'))
	case connectors.TimestampTZ:
		b.Text = string(connectors.AppendTimestamp(nil, ts, 'T')) + "Z"
	case connectors.Date:
		b.Text = text[:len("2006-01-02")]
	default:
		return b, fmt.Errorf("a %s cannot be compared with a date", kind)
	}
	return b, nil
}

// endOfDay makes a bare date the last moment of that day.
func endOfDay(text string) string {
	if len(text) == len("2006-01-02") {
		return text + "T23:59:59.999999"
	}
	return text
}
