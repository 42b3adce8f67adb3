package sqlite

import (
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// The functions here decide whether a stored value is one of a logical type.
// Settle asks them which type holds a column, and Read decodes by the same ones.

// exactFloat is the range in which every integer has a float64 of its own.
const exactFloat = 1 << 53

// pow10 are the powers of ten that a decimal of 15 digits needs.
var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

var errValue = errors.New("the value does not fit")

func boolOf(v lite.Value) (bool, bool) {
	switch v.Class {
	case lite.Integer:
		return v.Num == 1, v.Num == 0 || v.Num == 1
	case lite.Text:
		switch {
		case strings.EqualFold(v.Text, "true"):
			return true, true
		case strings.EqualFold(v.Text, "false"):
			return false, true
		}
	}
	return false, false
}

func floatOf(v lite.Value) (float64, bool) {
	switch v.Class {
	case lite.Real:
		return v.Float(), true
	case lite.Integer:
		return float64(v.Num), v.Num <= exactFloat && v.Num >= -exactFloat
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
func numberText(dst []byte, v lite.Value) ([]byte, bool) {
	switch v.Class {
	case lite.Integer:
		return strconv.AppendInt(dst, v.Num, 10), true
	case lite.Real:
		return plain(dst, v.Float()), true
	}
	return dst, false
}

// unscaled is a number as so many units of a decimal's scale, where it is sure
// that it has no more digits than that: up to 15 of them tell a REAL from all others.
func unscaled(v lite.Value, t connectors.Type) (int64, bool) {
	if t.Precision > 15 || t.Scale < 0 || t.Scale > t.Precision {
		return 0, false
	}
	unit, most := pow10[t.Scale], pow10[t.Precision]
	switch v.Class {
	case lite.Integer:
		limit := most / unit
		return v.Num * unit, v.Num < limit && v.Num > -limit
	case lite.Real:
		f := v.Float()
		units := math.Round(f * float64(unit))
		if math.Abs(units) < float64(most) && units/float64(unit) == f {
			return int64(units), true
		}
	}
	return 0, false
}

func decimal128Of(v lite.Value, t connectors.Type, buf []byte) (decimal128.Num, error) {
	if n, ok := unscaled(v, t); ok {
		return decimal128.FromI64(n), nil
	}
	text, ok := numberText(buf[:0], v)
	if !ok {
		return decimal128.Num{}, errValue
	}
	return connectors.ParseDecimal128(text, t.Precision, t.Scale)
}

func decimal256Of(v lite.Value, t connectors.Type, buf []byte) (decimal256.Num, error) {
	text, ok := numberText(buf[:0], v)
	if !ok {
		return decimal256.Num{}, errValue
	}
	return connectors.ParseDecimal256(text, t.Precision, t.Scale)
}

func fitsDecimal(v lite.Value, t connectors.Type, buf []byte) bool {
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

func dateOf(v lite.Value) (arrow.Date32, bool) {
	if v.Class != lite.Text || len(v.Text) != 10 || !civil(v.Text) {
		return 0, false
	}
	d, err := connectors.ParseDate(v.Text)
	return d, err == nil
}

func timestampOf(v lite.Value) (ts arrow.Timestamp, zoned, ok bool) {
	if v.Class != lite.Text || !civil(v.Text) {
		return 0, false, false
	}
	ts, zoned, err := connectors.ParseTimestamp(v.Text)
	return ts, zoned, err == nil
}

func timeOf(v lite.Value) (arrow.Time64, bool) {
	if v.Class != lite.Text || len(v.Text) < 5 || v.Text[2] != ':' {
		return 0, false
	}
	t, err := connectors.ParseTime(v.Text)
	return t, err == nil && t >= 0 && t <= 24*3600*1_000_000
}

func uuidOf(v lite.Value) (u [16]byte, ok bool) {
	x := v.Text
	switch v.Class {
	case lite.Blob:
		if len(x) != 16 {
			return u, false
		}
		return [16]byte(v.Bytes()), true
	case lite.Text:
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

func jsonOf(v lite.Value) (string, bool) {
	switch v.Class {
	case lite.Text:
		return v.Text, validJSON(v.Bytes())
	case lite.Integer, lite.Real:
		text, _ := numberText(nil, v)
		return string(text), validJSON(text)
	}
	return "", false
}

// textOf spells any value as text; a REAL always shows that it is one. A TEXT
// that is not UTF-8 goes on as it is: the pipeline's policy decides about it.
func textOf(v lite.Value) (string, bool) {
	switch v.Class {
	case lite.Text:
		return v.Text, true
	case lite.Integer:
		return strconv.FormatInt(v.Num, 10), true
	case lite.Real:
		x := v.Float()
		if math.IsInf(x, 0) {
			return string(plain(nil, x)), true
		}
		s := strconv.FormatFloat(x, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s, true
	case lite.Blob:
		return v.Text, utf8.ValidString(v.Text)
	}
	return "", false
}

// bytesOf gives a value's bytes, which nobody may change.
func bytesOf(v lite.Value) ([]byte, bool) {
	if v.Class == lite.Blob || v.Class == lite.Text {
		if v.Text == "" {
			return []byte{}, true
		}
		return v.Bytes(), true
	}
	s, ok := textOf(v)
	return []byte(s), ok
}
