package scalar

import (
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Text is a value as people write it, in Python's spelling: True, 1.0,
// 2024-01-31 10:00:00+00:00.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return FloatText(v, 64)
	case *Decimal:
		return v.String()
	case []byte:
		return string(v)
	case arrow.Date32:
		return string(connectors.AppendDate(nil, v))
	case arrow.Time64:
		return string(connectors.AppendTime(nil, v))
	case arrow.Timestamp:
		return string(connectors.AppendTimestamp(nil, v, ' '))
	case Instant:
		s := connectors.AppendTimestamp(nil, arrow.Timestamp(v), ' ')
		if Regular(arrow.Timestamp(v)) == nil {
			s = append(s, "+00:00"...)
		}
		return string(s)
	case Duration:
		return v.String()
	case []any:
		return string(AppendJSON(nil, v))
	}
	return ""
}

// FloatText is the shortest text that reads back as f, with a point or an
// exponent, so that it is seen to be a float.
func FloatText(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, bits)
	}
	s := strconv.FormatFloat(f, 'f', -1, bits)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
