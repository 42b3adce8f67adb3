package scalar

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Convertible says whether values of one type may be converted to another; a
// value may still be refused.
func Convertible(from, to connectors.Type, f *Format) error {
	no := fmt.Errorf("%s cannot become %s", from.Kind, to.Kind)
	fk, tk := class(from.Kind), class(to.Kind)
	switch {
	case fk == tk, fk == connectors.Text, fk == connectors.JSON, tk == connectors.Text, tk == connectors.JSON:
		return nil
	}
	switch tk {
	case connectors.Bool, connectors.Float64:
		if fk != connectors.Bool && fk != connectors.Int64 && fk != connectors.Float64 && fk != connectors.Numeric {
			return no
		}
	case connectors.Int64, connectors.Numeric:
		unix := f != nil && f.unix != 0 && (fk == connectors.Date || fk == connectors.Timestamp || fk == connectors.TimestampTZ)
		if fk != connectors.Bool && fk != connectors.Int64 && fk != connectors.Float64 && fk != connectors.Numeric && !unix {
			return no
		}
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		if fk == connectors.Int64 || fk == connectors.Numeric || fk == connectors.Float64 {
			if f == nil || f.unix == 0 {
				return fmt.Errorf("%w without a format: unix, unix_ms or unix_us", no)
			}
			return nil
		}
		if fk != connectors.Date && fk != connectors.Timestamp && fk != connectors.TimestampTZ {
			return no
		}
	case connectors.Time:
		if fk != connectors.Timestamp && fk != connectors.TimestampTZ && fk != connectors.Interval {
			return no
		}
	case connectors.Interval:
		if fk != connectors.Time {
			return no
		}
	case connectors.UUID:
		if fk != connectors.Bytes {
			return no
		}
	case connectors.Bytes:
		if fk != connectors.UUID {
			return no
		}
	default:
		return no
	}
	return nil
}

// class is the kind that stands for those with the same value form.
func class(k connectors.Kind) connectors.Kind {
	switch {
	case k == connectors.Uint64, k == connectors.Decimal:
		return connectors.Numeric
	case k.IsInteger():
		return connectors.Int64
	case k == connectors.Float32:
		return connectors.Float64
	case k == connectors.Enum:
		return connectors.Text
	}
	return k
}

// Convert makes a value of type from one of type to, as far as its Go form goes;
// Appender checks ranges and lengths. Numbers lose their fraction where integers
// are wanted, and are rounded half to even to a decimal's scale. Nothing else is
// lost: what cannot be converted is an error.
func Convert(v any, from, to connectors.Type, f *Format) (any, error) {
	if v == nil {
		return nil, nil
	}
	if from.Kind == connectors.JSON && to.Kind != connectors.JSON {
		return fromJSON(v.(string), to, f)
	}
	var out any
	var err error
	switch class(to.Kind) {
	case connectors.Bool:
		out, err = toBool(v)
	case connectors.Int64:
		out, err = toInt(v, f)
	case connectors.Float64:
		out, err = toFloat(v, f)
	case connectors.Numeric:
		out, err = toDecimal(v, from, to, f)
	case connectors.Text:
		out, err = toText(v, from, to, f)
	case connectors.Bytes:
		out, err = toBytes(v, from, f)
	case connectors.Date:
		var ts arrow.Timestamp
		if d, ok := v.(arrow.Date32); ok {
			return d, nil
		}
		if ts, err = toTimestamp(v, f, false); err == nil {
			out = DateOf(ts)
		}
	case connectors.Timestamp:
		out, err = toTimestamp(v, f, false)
	case connectors.TimestampTZ:
		var ts arrow.Timestamp
		if ts, err = toTimestamp(v, f, true); err == nil {
			out = Instant(ts)
		}
	case connectors.Time:
		out, err = toTime(v, f)
	case connectors.Interval:
		out, err = toDuration(v)
	case connectors.UUID:
		out, err = toUUID(v)
	case connectors.JSON:
		out, err = toJSON(v, from)
	case connectors.Array:
		if list, ok := v.([]any); ok {
			return list, nil
		}
		if s, ok := v.(string); ok {
			return ParseList(s, to.Elem)
		}
		err = errors.New("not a list")
	default:
		err = errors.New("no such type")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func refuse(v any, what string) error { return errors.New(quoted(Text(v)) + " is not " + what) }

func toBool(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case int64:
		return v != 0, nil
	case float64:
		return v != 0, nil
	case *Decimal:
		return v.Sign() != 0 || v.IsNaN(), nil
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true", "t", "yes", "y", "on", "1":
			return true, nil
		case "false", "f", "no", "n", "off", "0":
			return false, nil
		}
	}
	return nil, refuse(v, "true or false")
}

func toInt(v any, f *Format) (any, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case int64:
		return v, nil
	case float64:
		if math.IsNaN(v) || math.Trunc(v) < math.MinInt64 || math.Trunc(v) >= math.MaxInt64 {
			return nil, errors.New(FloatText(v, 64) + " is not an integer within range")
		}
		return int64(v), nil
	case *Decimal:
		n, err := v.Int64()
		if err != nil {
			return nil, err
		}
		return n, nil
	case string:
		n, err := strconv.ParseInt(f.plain(v), 10, 64)
		if err != nil {
			if errors.Is(err, strconv.ErrRange) {
				return nil, errors.New(quoted(v) + " is out of range")
			}
			return nil, refuse(v, "an integer")
		}
		return n, nil
	}
	if f != nil && f.unix != 0 {
		ts, err := toTimestamp(v, nil, true)
		if err != nil {
			return nil, err
		}
		if err := Regular(ts); err != nil {
			return nil, err
		}
		n := int64(ts) / f.unix
		if int64(ts)%f.unix < 0 {
			n--
		}
		return n, nil
	}
	return nil, refuse(v, "an integer")
}

func toFloat(v any, f *Format) (any, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1.0, nil
		}
		return 0.0, nil
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case *Decimal:
		return v.Float64(), nil
	case string:
		text := f.plain(v)
		if strings.ContainsAny(text, "xXpP_") {
			return nil, refuse(v, "a number")
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, refuse(v, "a number")
		}
		return n, nil
	}
	return nil, refuse(v, "a number")
}

func toDecimal(v any, from, to connectors.Type, f *Format) (any, error) {
	var d *Decimal
	var err error
	switch v := v.(type) {
	case bool, int64:
		n, _ := toInt(v, nil)
		d = DecimalOf(n.(int64))
	case float64:
		bits := 64
		if from.Kind == connectors.Float32 {
			bits = 32
		}
		d = DecimalOfFloat(v, bits)
	case *Decimal:
		d = v
	case string:
		if d, err = ParseDecimal(f.plain(v)); err != nil {
			return nil, refuse(v, "a number")
		}
	default:
		n, err := toInt(v, f)
		if err != nil {
			return nil, err
		}
		d = DecimalOf(n.(int64))
	}
	if to.Kind == connectors.Decimal {
		return fitDecimal(d, to)
	}
	if to.Kind == connectors.Uint64 {
		return d.Trunc(), nil
	}
	return d, nil
}

func toText(v any, from, to connectors.Type, f *Format) (any, error) {
	var s string
	switch v := v.(type) {
	case float64:
		bits := 64
		if from.Kind == connectors.Float32 {
			bits = 32
		}
		s = FloatText(v, bits)
	case []byte:
		switch {
		case f != nil && f.bytes == "hex":
			s = hex.EncodeToString(v)
		case f != nil && f.bytes == "base64":
			s = base64.StdEncoding.EncodeToString(v)
		case !utf8.Valid(v):
			return nil, errors.New("the bytes are not UTF-8 text: choose the format hex or base64")
		default:
			s = string(v)
		}
	case arrow.Date32, arrow.Timestamp, Instant:
		if f == nil || f.unix == 0 && f.layout == nil {
			s = Text(v)
			break
		}
		if f.unix != 0 {
			n, err := toInt(v, f)
			if err != nil {
				return nil, err
			}
			s = Text(n)
			break
		}
		ts, err := toTimestamp(v, nil, true)
		if err != nil {
			return nil, err
		}
		_, zoned := v.(Instant)
		offset := 0
		if zoned {
			ts, offset = f.wall(ts)
		}
		if s, err = f.render(ts, zoned, offset); err != nil {
			return nil, err
		}
	case arrow.Time64:
		if f == nil || f.layout == nil {
			s = Text(v)
			break
		}
		var err error
		if s, err = f.render(arrow.Timestamp(v), false, 0); err != nil {
			return nil, err
		}
	default:
		s = Text(v)
	}
	if to.Kind == connectors.Enum && len(to.Values) > 0 {
		if slices.Contains(to.Values, s) {
			return s, nil
		}
		return nil, errors.New(quoted(s) + " is not a value of " + to.String())
	}
	return s, nil
}

func toBytes(v any, from connectors.Type, f *Format) (any, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		if from.Kind == connectors.UUID {
			u, err := parseUUID(v)
			return u[:], err
		}
		switch {
		case f != nil && f.bytes == "hex":
			b, err := hex.DecodeString(v)
			if err != nil {
				return nil, refuse(v, "hexadecimal")
			}
			return b, nil
		case f != nil && f.bytes == "base64":
			b, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return nil, refuse(v, "base64")
			}
			return b, nil
		}
		return []byte(v), nil
	}
	return nil, refuse(v, "bytes")
}

// toTimestamp gives a wall clock, or with zoned an instant.
func toTimestamp(v any, f *Format, zoned bool) (arrow.Timestamp, error) {
	switch v := v.(type) {
	case arrow.Date32:
		ts, err := Midnight(v)
		if zoned && err == nil {
			ts = f.instant(ts)
		}
		return ts, err
	case arrow.Timestamp:
		if zoned {
			return f.instant(v), nil
		}
		return v, nil
	case Instant:
		if zoned {
			return arrow.Timestamp(v), nil
		}
		ts, _ := f.wall(arrow.Timestamp(v))
		return ts, nil
	case int64, float64, *Decimal:
		return fromUnix(v, f)
	case string:
		text := strings.TrimSpace(v)
		if f != nil && f.unix != 0 {
			d, err := ParseDecimal(text)
			if err != nil {
				return 0, refuse(v, "a number")
			}
			return fromUnix(d, f)
		}
		var ts arrow.Timestamp
		var hasZone bool
		var err error
		if f != nil && f.layout != nil {
			var c clock
			if c, err = f.parse(text); err == nil {
				ts, err = c.timestamp(text)
			}
			if err != nil {
				return 0, err
			}
			if hasZone = c.zoned; hasZone {
				ts -= arrow.Timestamp(int64(c.offset) * Second)
			}
		} else if ts, hasZone, err = connectors.ParseTimestamp(text); err != nil {
			return 0, refuse(v, "a date or a timestamp")
		}
		switch {
		case zoned && !hasZone:
			return f.instant(ts), nil
		case !zoned && hasZone:
			ts, _ = f.wall(ts)
		}
		return ts, nil
	}
	return 0, refuse(v, "a date or a timestamp")
}

func fromUnix(v any, f *Format) (arrow.Timestamp, error) {
	if f == nil || f.unix == 0 {
		return 0, refuse(v, "a date: choose the format unix, unix_ms or unix_us")
	}
	var d *Decimal
	switch v := v.(type) {
	case int64:
		d = DecimalOf(v)
	case float64:
		d = DecimalOfFloat(v, 64)
	case *Decimal:
		d = v
	}
	us, err := Mul(d, DecimalOf(f.unix))
	if err != nil {
		return 0, err
	}
	n, err := us.Rescale(0).Int64()
	if err != nil {
		return 0, err
	}
	if Regular(arrow.Timestamp(n)) != nil {
		return 0, ErrRange
	}
	return arrow.Timestamp(n), nil
}

func toTime(v any, f *Format) (any, error) {
	switch v := v.(type) {
	case arrow.Time64:
		return v, nil
	case arrow.Timestamp:
		if err := Regular(v); err != nil {
			return nil, err
		}
		return ClockOf(v), nil
	case Instant:
		ts, _ := f.wall(arrow.Timestamp(v))
		return toTime(ts, nil)
	case Duration:
		us, err := v.Total()
		if err != nil {
			return nil, err
		}
		return arrow.Time64(us), nil
	case string:
		text := strings.TrimSpace(v)
		if f != nil && f.layout != nil {
			c, err := f.parse(text)
			if err != nil {
				return nil, err
			}
			return arrow.Time64(int64(c.hour)*Hour + int64(c.minute)*Minute + int64(c.second)*Second + int64(c.micros)), nil
		}
		t, err := connectors.ParseTime(text)
		if err != nil {
			return nil, refuse(v, "a time of day")
		}
		return t, nil
	}
	return nil, refuse(v, "a time of day")
}

func toDuration(v any) (any, error) {
	switch v := v.(type) {
	case Duration:
		return v, nil
	case arrow.Time64:
		return Duration{Micros: int64(v)}, nil
	case string:
		d, err := ParseDuration(v)
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	return nil, refuse(v, "a duration")
}

func toUUID(v any) (any, error) {
	var u [16]byte
	switch v := v.(type) {
	case string:
		var err error
		if u, err = parseUUID(v); err != nil {
			return nil, err
		}
	case []byte:
		if len(v) != 16 {
			return nil, fmt.Errorf("%d bytes are not a UUID", len(v))
		}
		copy(u[:], v)
	default:
		return nil, refuse(v, "a UUID")
	}
	return string(connectors.AppendUUID(nil, u[:])), nil
}

func toJSON(v any, from connectors.Type) (any, error) {
	s, ok := v.(string)
	switch {
	case !ok:
		if b, isBytes := v.([]byte); isBytes {
			return string(connectors.AppendJSONString(nil, base64.StdEncoding.EncodeToString(b))), nil
		}
		return string(AppendJSON(nil, v)), nil
	case from.Kind == connectors.JSON:
		return s, nil
	case from.Kind == connectors.Text && json.Valid([]byte(s)):
		return s, nil
	case from.Kind == connectors.Text:
		return nil, refuse(v, "JSON")
	}
	return string(connectors.AppendJSONString(nil, s)), nil
}

// fromJSON makes a JSON text a value: the JSON null is null, strings are read
// like texts, numbers keep all their digits.
func fromJSON(s string, to connectors.Type, f *Format) (any, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return nil, errors.New("an empty text is not JSON")
	case s == "null":
		return nil, nil
	case s == "true", s == "false":
		return Convert(s == "true", connectors.Type{Kind: connectors.Bool}, to, f)
	case s[0] == '"':
		var text string
		if err := json.Unmarshal([]byte(s), &text); err != nil {
			return nil, refuse(s, "JSON")
		}
		return Convert(text, connectors.Type{Kind: connectors.Text}, to, f)
	case s[0] == '{', s[0] == '[':
		switch class(to.Kind) {
		case connectors.Text:
			return s, nil
		case connectors.Array:
			list, err := ParseList(s, to.Elem)
			if err != nil {
				return nil, err
			}
			return list, nil
		}
		return nil, refuse(s, "a single value")
	}
	if class(to.Kind) == connectors.Text {
		return s, nil
	}
	d, err := ParseDecimal(s)
	if err != nil || !json.Valid([]byte(s)) {
		return nil, refuse(s, "JSON")
	}
	if class(to.Kind) == connectors.Int64 || to.Kind == connectors.Uint64 {
		if order, ok := Compare(d, d.Trunc()); !ok || order != 0 {
			return nil, refuse(s, "an integer")
		}
	}
	return Convert(d, connectors.Type{Kind: connectors.Numeric}, to, f)
}
