package sqlite

import (
	dbdriver "database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"arus/connectors"
)

// The functions here decide whether a stored value is one of a logical type.
// Settle asks them which type holds a column, and Read decodes by the same ones.

// exactFloat is the range in which every integer has a float64 of its own.
const exactFloat = 1 << 53

var errValue = errors.New("the value does not fit")

func boolOf(v dbdriver.Value) (bool, bool) {
	switch x := v.(type) {
	case int64:
		return x == 1, x == 0 || x == 1
	case string:
		switch {
		case strings.EqualFold(x, "true"):
			return true, true
		case strings.EqualFold(x, "false"):
			return false, true
		}
	}
	return false, false
}

func floatOf(v dbdriver.Value) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case int64:
		return float64(x), x <= exactFloat && x >= -exactFloat
	}
	return 0, false
}

// plain spells a REAL by its shortest form, which reads back as the same REAL.
func plain(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// numberText spells an INTEGER or REAL as a decimal.
func numberText(dst []byte, v dbdriver.Value) ([]byte, bool) {
	switch x := v.(type) {
	case int64:
		return strconv.AppendInt(dst, x, 10), true
	case float64:
		return plain(dst, x), true
	}
	return dst, false
}

func decimal128Of(v dbdriver.Value, t connectors.Type, buf []byte) (decimal128.Num, error) {
	text, ok := numberText(buf[:0], v)
	if !ok {
		return decimal128.Num{}, errValue
	}
	return connectors.ParseDecimal128(text, t.Precision, t.Scale)
}

func decimal256Of(v dbdriver.Value, t connectors.Type, buf []byte) (decimal256.Num, error) {
	text, ok := numberText(buf[:0], v)
	if !ok {
		return decimal256.Num{}, errValue
	}
	return connectors.ParseDecimal256(text, t.Precision, t.Scale)
}

func fitsDecimal(v dbdriver.Value, t connectors.Type, buf []byte) bool {
	var err error
	if t.Precision <= connectors.MaxDecimal128 {
		_, err = decimal128Of(v, t, buf)
	} else {
		_, err = decimal256Of(v, t, buf)
	}
	return err == nil
}

// isNumber says whether a text is a decimal number.
func isNumber(s string) bool {
	i, digits := 0, 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	for ; i < len(s) && s[i]-'0' <= 9; i++ {
		digits++
	}
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && s[i]-'0' <= 9; i++ {
			digits++
		}
	}
	if digits == 0 {
		return false
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		_, err := strconv.ParseInt(s[i+1:], 10, 32)
		return err == nil
	}
	return i == len(s)
}

// Dates and times are taken only in spellings whose text order is their order:
// years of four digits, hours of two.
func civil(s string) bool {
	return len(s) >= 10 && s[4] == '-' && s[0]-'0' <= 9
}

func dateOf(v dbdriver.Value) (arrow.Date32, bool) {
	s, ok := v.(string)
	if !ok || len(s) != 10 || !civil(s) {
		return 0, false
	}
	d, err := connectors.ParseDate(s)
	return d, err == nil
}

func timestampOf(v dbdriver.Value) (ts arrow.Timestamp, zoned, ok bool) {
	s, ok := v.(string)
	if !ok || !civil(s) {
		return 0, false, false
	}
	ts, zoned, err := connectors.ParseTimestamp(s)
	return ts, zoned, err == nil
}

func timeOf(v dbdriver.Value) (arrow.Time64, bool) {
	s, ok := v.(string)
	if !ok || len(s) < 5 || s[2] != ':' {
		return 0, false
	}
	t, err := connectors.ParseTime(s)
	return t, err == nil && t >= 0 && t <= 24*3600*1_000_000
}

func uuidOf(v dbdriver.Value) (u [16]byte, ok bool) {
	switch x := v.(type) {
	case []byte:
		if len(x) != 16 {
			return u, false
		}
		return [16]byte(x), true
	case string:
		if len(x) != 36 || x[8] != '-' || x[13] != '-' || x[18] != '-' || x[23] != '-' {
			return u, false
		}
		var digits [32]byte
		copy(digits[:], x[:8])
		copy(digits[8:], x[9:13])
		copy(digits[12:], x[14:18])
		copy(digits[16:], x[19:23])
		copy(digits[20:], x[24:])
		_, err := hex.Decode(u[:], digits[:])
		return u, err == nil
	}
	return u, false
}

func jsonOf(v dbdriver.Value) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, json.Valid([]byte(x))
	case int64, float64:
		text, _ := numberText(nil, v)
		return string(text), json.Valid(text)
	}
	return "", false
}

// textOf spells any value as text; a REAL always shows that it is one. A TEXT
// that is not UTF-8 goes on as it is: the pipeline's policy decides about it.
func textOf(v dbdriver.Value) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case int64:
		return strconv.FormatInt(x, 10), true
	case float64:
		s := strconv.FormatFloat(x, 'g', -1, 64)
		if math.IsInf(x, 0) {
			return string(plain(nil, x)), true
		}
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s, true
	case []byte:
		return string(x), utf8.Valid(x)
	}
	return "", false
}

func bytesOf(v dbdriver.Value) ([]byte, bool) {
	switch x := v.(type) {
	case []byte:
		if x == nil { // the driver's empty blob
			return []byte{}, true
		}
		return x, true
	case string:
		return []byte(x), true
	}
	s, ok := textOf(v)
	return []byte(s), ok
}
