package sqlite

import (
	dbdriver "database/sql/driver"
	"encoding/hex"
	"math/big"

	"modernc.org/sqlite"

	"arus/connectors/sqlite/lite"
)

// registerFunctions adds what SQL text needs to compare values as their logical
// types do, however they are spelled:
//
//	arus_ts(x)      microseconds of a timestamp text; NULL for anything else
//	arus_uuid(x)    the 32 lower-case digits of a UUID text or blob
//	arus_cmp(x, y)  -1, 0 or 1 as the number x is below, at or above the number y
func registerFunctions(d *sqlite.Driver) {
	d.MustRegisterDeterministicScalarFunction("arus_ts", 1, func(_ *sqlite.FunctionContext, args []dbdriver.Value) (dbdriver.Value, error) {
		ts, _, ok := timestampOf(lite.ValueOf(args[0]))
		if !ok {
			return nil, nil
		}
		return int64(ts), nil
	})
	d.MustRegisterDeterministicScalarFunction("arus_uuid", 1, func(_ *sqlite.FunctionContext, args []dbdriver.Value) (dbdriver.Value, error) {
		u, ok := uuidOf(lite.ValueOf(args[0]))
		if !ok {
			return nil, nil
		}
		return hex.EncodeToString(u[:]), nil
	})
	d.MustRegisterDeterministicScalarFunction("arus_cmp", 2, func(_ *sqlite.FunctionContext, args []dbdriver.Value) (dbdriver.Value, error) {
		x, ok := ratOf(lite.ValueOf(args[0]))
		y, ok2 := ratOf(lite.ValueOf(args[1]))
		if !ok || !ok2 {
			return nil, nil
		}
		return int64(x.Cmp(y)), nil
	})
}

func ratOf(v lite.Value) (*big.Rat, bool) {
	s := v.Text
	if v.Class != lite.Text {
		text, ok := numberText(nil, v)
		if !ok {
			return nil, false
		}
		s = string(text)
	}
	if !isNumber(s) {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}
