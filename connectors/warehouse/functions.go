package warehouse

import (
	"database/sql/driver"
	"math/big"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"modernc.org/sqlite"

	"arus/connectors"
)

// registerFunctions adds what stored values need to be seen as what they are:
//
//	arus_dec(x, scale)  a decimal as a number, or as text where a REAL does not show all its digits
//	arus_num(x)                    the same for a numeric
//	arus_date(x), arus_time(x), arus_ts(x)   ISO text
//
// and the collation arus_number.
func registerFunctions(d *sqlite.Driver) {
	scalar := func(name string, args int32, f func(args []driver.Value) driver.Value) {
		d.MustRegisterDeterministicScalarFunction(name, args, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			if args[0] == nil {
				return nil, nil
			}
			return f(args), nil
		})
	}
	d.MustRegisterCollationUtf8("arus_number", compareNumbers)
	scalar("arus_dec", 2, func(args []driver.Value) driver.Value {
		scale, _ := args[1].(int64)
		return shown(decimalText(args[0], int(scale)))
	})
	scalar("arus_num", 1, func(args []driver.Value) driver.Value {
		s, ok := args[0].(string)
		if !ok {
			return args[0]
		}
		return shown(s)
	})
	integer := func(name string, text func(dst []byte, v int64) []byte) {
		scalar(name, 1, func(args []driver.Value) driver.Value {
			v, ok := args[0].(int64)
			if !ok {
				return args[0]
			}
			return string(text(nil, v))
		})
	}
	integer("arus_date", func(dst []byte, v int64) []byte { return connectors.AppendDate(dst, arrow.Date32(v)) })
	integer("arus_time", func(dst []byte, v int64) []byte { return connectors.AppendTime(dst, arrow.Time64(v)) })
	integer("arus_ts", func(dst []byte, v int64) []byte { return connectors.AppendTimestamp(dst, arrow.Timestamp(v), ' ') })
}

func decimalText(v driver.Value, scale int) string {
	switch x := v.(type) {
	case int64:
		return string(connectors.AppendDecimal128(nil, decimal128.FromI64(x), scale))
	case []byte:
		if len(x) == 16 {
			return string(connectors.AppendDecimal128(nil, loadDecimal128(x), scale))
		}
		if len(x) == 32 {
			return string(connectors.AppendDecimal256(nil, loadDecimal256(x), scale))
		}
	case string:
		return x
	}
	return ""
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
