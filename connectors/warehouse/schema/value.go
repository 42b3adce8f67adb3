package schema

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
)

// Canonical reads a value in the spelling of a default value and gives it in the
// canonical text of the type that readers see (see connectors.AppendValue). Of an
// enum it is the case's name, whether the dictionary has it or not.
func (t Type) Canonical(s string) (string, error) {
	if t.IsEnum() && !t.Array {
		if s == "" || s == "null" || len(s) > MaxCase {
			return "", &Error{Class: Invalid, Message: msgEnumCase}
		}
		return s, nil
	}
	if t.Base != Other && (s == "" || s == "null") {
		return "", invalidValue(s, t, "no value")
	}
	var out string
	var err error
	switch {
	case t.Array:
		out, err = t.array(s)
	case t.Base == Other:
		out, err = canonicalOther(t.other, s)
	default:
		out, err = t.scalar(s)
	}
	if err != nil {
		if e, ok := errors.AsType[*strconv.NumError](err); ok {
			err = e.Err
		}
		return "", invalidValue(s, t, err.Error())
	}
	return out, nil
}

var (
	errNotFinite = errors.New("not a finite number")
	errUUID      = errors.New("not 16 bytes of hexadecimal digits")
	errPoint     = errors.New("not a point within the globe")
	errNoDefault = errors.New("unsupported data type value 0xc0000")
	errOther     = errors.New("not a value of the type")
)

func (t Type) scalar(s string) (string, error) {
	bits := t.Bits()
	switch t.Base {
	case Bool:
		v, err := strconv.ParseBool(s)
		return strconv.FormatBool(v), err
	case Int8, Int16, Int32, Int64:
		v, err := strconv.ParseInt(s, 10, bits)
		return strconv.FormatInt(v, 10), err
	case Uint8, Uint16, Uint32:
		v, err := strconv.ParseUint(s, 10, bits)
		return strconv.FormatUint(v, 10), err
	case Float32:
		v, err := strconv.ParseFloat(s, 32)
		if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			err = errNotFinite
		}
		return strconv.FormatFloat(v, 'g', -1, 32), err
	case UUID:
		u, err := ParseUUID(s)
		return string(connectors.AppendUUID(nil, u[:])), err
	case GeoPoint:
		return parsePoint(s)
	}
	return "", errNoDefault
}

// ParseUUID reads 32 hexadecimal digits with dashes anywhere and perhaps 0x before them.
func ParseUUID(s string) (u [16]byte, err error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(s, "0x"), "-", "")
	if len(digits) != 32 {
		return u, errUUID
	}
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return u, errUUID
	}
	return u, nil
}

func parsePoint(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if inner, ok := strings.CutPrefix(s, "point"); ok {
		inner = strings.TrimSpace(inner)
		if !strings.HasPrefix(inner, "(") || !strings.HasSuffix(inner, ")") {
			return "", errPoint
		}
		s = inner[1 : len(inner)-1]
	}
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	if len(parts) != 2 {
		return "", errPoint
	}
	lng, err := strconv.ParseFloat(parts[0], 32)
	lat, err2 := strconv.ParseFloat(parts[1], 32)
	if err != nil || err2 != nil || !(math.Abs(lng) <= 180) || !(math.Abs(lat) <= 90) {
		return "", errPoint
	}
	return PointText(float32(lat), float32(lng)), nil
}

// PointText spells a point so that its digits are exact.
func PointText(lat, lng float32) string {
	b := append([]byte(nil), "Point("...)
	b = strconv.AppendFloat(b, float64(lng), 'g', -1, 32)
	b = append(b, ',')
	b = strconv.AppendFloat(b, float64(lat), 'g', -1, 32)
	return string(append(b, ')'))
}

// array reads a JSON array or a comma list and gives JSON.
func (t Type) array(s string) (string, error) {
	elem := Type{Base: t.Base}
	var items []any
	if trimmed := strings.TrimSpace(s); strings.HasPrefix(trimmed, "[") {
		d := json.NewDecoder(strings.NewReader(trimmed))
		d.UseNumber()
		if err := d.Decode(&items); err != nil || d.More() {
			return "", errors.New("not a JSON array")
		}
	} else {
		for item := range strings.SplitSeq(s, ",") {
			items = append(items, strings.TrimSpace(item))
		}
	}
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		text := ""
		switch v := item.(type) {
		case nil:
			out = append(out, "null"...)
			continue
		case string:
			if v == "null" || v == "" {
				out = append(out, "null"...)
				continue
			}
			text = v
		case json.Number:
			text = v.String()
		case bool:
			text = strconv.FormatBool(v)
		default:
			return "", errors.New("an item is neither a string nor a number")
		}
		canonical, err := elem.Canonical(text)
		if err != nil {
			return "", err
		}
		switch t.Base {
		case UUID, GeoPoint, SmallEnum, BigEnum:
			out = connectors.AppendJSONString(out, canonical)
		default:
			out = append(out, canonical...)
		}
	}
	return string(append(out, ']')), nil
}

func canonicalOther(l connectors.Type, s string) (string, error) {
	switch l.Kind {
	case connectors.Text, connectors.Interval:
		return s, nil
	case connectors.Uint64:
		v, err := strconv.ParseUint(s, 10, 64)
		return strconv.FormatUint(v, 10), err
	case connectors.Float64:
		v, err := strconv.ParseFloat(s, 64)
		if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			err = errNotFinite
		}
		return strconv.FormatFloat(v, 'g', -1, 64), err
	case connectors.Decimal:
		if l.Precision > connectors.MaxDecimal128 {
			v, err := connectors.ParseDecimal256(s, l.Precision, l.Scale)
			return string(connectors.AppendDecimal256(nil, v, l.Scale)), err
		}
		v, err := connectors.ParseDecimal128(s, l.Precision, l.Scale)
		return string(connectors.AppendDecimal128(nil, v, l.Scale)), err
	case connectors.Bytes:
		_, err := base64.StdEncoding.DecodeString(s)
		return s, err
	case connectors.Date:
		v, err := connectors.ParseDate(s)
		return string(connectors.AppendDate(nil, v)), err
	case connectors.Time:
		v, err := connectors.ParseTime(s)
		if err == nil && !l.Wide && (v < 0 || v > 24*3600*1_000_000) {
			err = errOther
		}
		return string(connectors.AppendTime(nil, v)), err
	case connectors.Timestamp, connectors.TimestampTZ:
		v, _, err := connectors.ParseTimestamp(s)
		text := string(connectors.AppendTimestamp(nil, v, 'T'))
		if l.Kind == connectors.TimestampTZ && v != connectors.TimestampInfinity && v != connectors.TimestampMinInfinity {
			text += "Z"
		}
		return text, err
	case connectors.JSON, connectors.Array:
		if !json.Valid([]byte(s)) {
			return "", errors.New("not JSON")
		}
		return s, nil
	case connectors.Numeric:
		if _, err := strconv.ParseFloat(s, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
			return "", errOther
		}
		return s, nil
	case connectors.Enum:
		if slices.Contains(l.Values, s) {
			return s, nil
		}
		return "", errOther
	}
	return "", errOther
}

// Cases adds the names that a dictionary of the type lacks, in their order, and
// gives the number of every name. A dictionary that would grow beyond its
// capacity stays as it is; names that it has are found even when it is full.
func (t Type) Cases(have, names []string) (cases []string, ids []int, err error) {
	index := make(map[string]int, len(have))
	for i, c := range have {
		index[c] = i
	}
	ids = make([]int, len(names))
	cases = slices.Clip(have)
	for i, name := range names {
		id, ok := index[name]
		if !ok {
			if name == "" || name == "null" || len(name) > MaxCase {
				return have, nil, fail(Invalid, msgEnumCase)
			}
			if id = len(cases); id >= t.Capacity() {
				return have, nil, fail(Conflict, MsgEnumFull)
			}
			index[name] = id
			cases = append(cases, name)
		}
		ids[i] = id
	}
	return cases, ids, nil
}

// DefaultCases are the enum cases that a column's default needs.
func (c Column) DefaultCases() []string {
	t, ok := ParseType(c.Type)
	if !ok || !t.IsEnum() || c.DefaultValue == nil || c.Deleted {
		return nil
	}
	if !t.Array {
		return []string{*c.DefaultValue}
	}
	text, err := t.Canonical(*c.DefaultValue)
	var items []*string
	if err != nil || json.Unmarshal([]byte(text), &items) != nil {
		return nil
	}
	var cases []string
	for _, item := range items {
		if item != nil {
			cases = append(cases, *item)
		}
	}
	return cases
}

// Default is the value, in canonical text, that rows without the column have;
// ok is false where that is null.
func (c Column) Default() (text string, ok bool) {
	if c.DefaultValue == nil {
		return "", false
	}
	t, known := ParseType(c.Type)
	if !known {
		return "", false
	}
	text, err := t.Canonical(*c.DefaultValue)
	return text, err == nil
}
