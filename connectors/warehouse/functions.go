package warehouse

import (
	"database/sql/driver"
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// shower gives what SELECT sees of row i of a column; see the package comment.
type shower func(i int) driver.Value

func newShower(arr arrow.Array, t connectors.Type) shower {
	show := plainShower(arr, t)
	if arr.NullN() == 0 {
		return show
	}
	return func(i int) driver.Value {
		if arr.IsNull(i) {
			return nil
		}
		return show(i)
	}
}

func plainShower(arr arrow.Array, t connectors.Type) shower {
	switch a := arr.(type) {
	case *array.Boolean:
		return func(i int) driver.Value {
			if a.Value(i) {
				return int64(1)
			}
			return int64(0)
		}
	case *array.Int8:
		return func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Int16:
		return func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Int32:
		return func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Int64:
		return func(i int) driver.Value { return a.Value(i) }
	case *array.Uint8:
		return func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Uint16:
		return func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Uint32:
		return func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Uint64:
		return func(i int) driver.Value {
			if v := a.Value(i); v > math.MaxInt64 {
				return strconv.FormatUint(v, 10)
			}
			return int64(a.Value(i))
		}
	case *array.Float32:
		return func(i int) driver.Value { return shownFloat(float64(a.Value(i))) }
	case *array.Float64:
		return func(i int) driver.Value { return shownFloat(a.Value(i)) }
	case *array.Decimal128:
		return func(i int) driver.Value {
			// The quotient of two exact REALs is the REAL nearest to the decimal,
			// which shows all of up to 15 digits.
			const exact = 999_999_999_999_999
			n := a.Value(i)
			low := int64(n.LowBits())
			if n.HighBits() == low>>63 && low >= -exact && low <= exact && t.Scale > 0 && t.Scale <= 22 {
				return float64(low) / math.Pow10(t.Scale)
			}
			return shown(string(connectors.AppendDecimal128(nil, n, t.Scale)))
		}
	case *array.Decimal256:
		return func(i int) driver.Value { return shown(string(connectors.AppendDecimal256(nil, a.Value(i), t.Scale))) }
	case *array.String:
		if t.Kind == connectors.Numeric {
			return func(i int) driver.Value { return shown(a.Value(i)) }
		}
		return func(i int) driver.Value { return a.Value(i) }
	case *array.Binary:
		return func(i int) driver.Value { return append([]byte{}, a.Value(i)...) }
	case *array.Timestamp:
		return func(i int) driver.Value { return string(connectors.AppendTimestamp(nil, a.Value(i), ' ')) }
	}
	return func(i int) driver.Value { return string(connectors.AppendValue(nil, arr, t, i)) }
}

func shownFloat(f float64) driver.Value {
	if math.IsNaN(f) {
		return nan
	}
	return f
}

// shown gives a number where a REAL (or, without a fraction, an INTEGER) shows
// all digits of the decimal text, and the text itself where none does.
func shown(s string) driver.Value {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	want, ok := parseNumber(s)
	if !ok || want.special != 0 {
		return s
	}
	// SQLite itself writes 15 digits of a REAL and Go the shortest text that
	// reads back: what both write is what the REAL shows.
	got, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if !ok || got.Cmp(want.rat) != 0 {
		return s
	}
	return f
}
