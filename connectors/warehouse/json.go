package warehouse

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// rowDecoder is the inverse of connectors.AppendRowJSON: it appends one JSON object to the
// builders, every value exactly. A json column is NULL by its absence.
type rowDecoder struct {
	columns []connectors.Column
	index   map[string]int
	put     []func(literal string) error
	null    []func()
	seen    []int // the number of the row that set the column last
	row     int
}

func newRowDecoder(columns []connectors.Column, builders []array.Builder) *rowDecoder {
	d := &rowDecoder{columns: columns, index: make(map[string]int, len(columns)), seen: make([]int, len(columns))}
	for i, c := range columns {
		d.index[c.Name] = i
		d.put = append(d.put, jsonPutter(c.Type, builders[i]))
		d.null = append(d.null, builders[i].AppendNull)
	}
	return d
}

var errJSON = errors.New("it is no JSON object as Arus writes it")

// decode appends the object; columns that it lacks are null.
func (d *rowDecoder) decode(s string) error {
	d.row++
	n := 0
	err := eachMember(s, func(name, literal string) error {
		at := n // the names stand in the order of the columns, unless someone wrote the row
		if n++; at >= len(d.columns) || d.columns[at].Name != name {
			var known bool
			if at, known = d.index[name]; !known {
				return nil
			}
		}
		if d.seen[at] == d.row {
			return fmt.Errorf("column %s stands there twice", name)
		}
		d.seen[at] = d.row
		if literal == "null" && d.columns[at].Type.Kind != connectors.JSON {
			d.null[at]()
		} else if err := d.put[at](literal); err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for at, row := range d.seen {
		if row != d.row {
			d.null[at]()
		}
	}
	return nil
}

// eachMember gives the names and the literals of an object.
func eachMember(s string, member func(name, literal string) error) error {
	i := skipSpace(s, 0)
	if i >= len(s) || s[i] != '{' {
		return errJSON
	}
	i = skipSpace(s, i+1)
	for i < len(s) && s[i] != '}' {
		end, err := scanString(s, i)
		if err != nil {
			return err
		}
		name, err := unquote(s[i:end])
		if err != nil {
			return err
		}
		if i = skipSpace(s, end); i >= len(s) || s[i] != ':' {
			return errJSON
		}
		i = skipSpace(s, i+1)
		if end, err = scanValue(s, i); err != nil {
			return err
		}
		if err := member(name, s[i:end]); err != nil {
			return err
		}
		if i = skipSpace(s, end); i < len(s) && s[i] == ',' {
			i = skipSpace(s, i+1)
		}
	}
	if i >= len(s) || skipSpace(s, i+1) != len(s) {
		return errJSON
	}
	return nil
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// scanString gives the end of the string that begins at i.
func scanString(s string, i int) (int, error) {
	if i >= len(s) || s[i] != '"' {
		return 0, errJSON
	}
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1, nil
		}
	}
	return 0, errJSON
}

// scanValue gives the end of the value that begins at i.
func scanValue(s string, i int) (int, error) {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			end, err := scanString(s, i)
			if err != nil || depth == 0 {
				return end, err
			}
			i = end
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i, nil
			}
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i, nil
			}
		}
		i++
	}
	return 0, errJSON
}

func unquote(s string) (string, error) {
	if len(s) < 2 || s[0] != '"' {
		return "", errJSON
	}
	if strings.IndexByte(s, '\\') < 0 {
		return s[1 : len(s)-1], nil
	}
	var text string
	if err := json.Unmarshal([]byte(s), &text); err != nil {
		return "", errJSON
	}
	return text, nil
}

// jsonPutter appends a JSON literal of a column's type to its builder.
func jsonPutter(t connectors.Type, builder array.Builder) func(string) error {
	text := func(put func(string) error) func(string) error {
		return func(literal string) error {
			s, err := unquote(literal)
			if err != nil {
				return err
			}
			return put(s)
		}
	}
	// A column that is a decimal now may have been an integer when the row landed.
	digits := func(put func(string) error) func(string) error {
		return func(literal string) error {
			if strings.HasPrefix(literal, `"`) {
				return text(put)(literal)
			}
			return put(literal)
		}
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(s string) error {
			b.Append(s == "true")
			if s != "true" && s != "false" {
				return fmt.Errorf("%.40s is not true or false", s)
			}
			return nil
		}
	case *array.Int8Builder:
		return intPutter(8, func(v int64) { b.Append(int8(v)) })
	case *array.Int16Builder:
		return intPutter(16, func(v int64) { b.Append(int16(v)) })
	case *array.Int32Builder:
		return intPutter(32, func(v int64) { b.Append(int32(v)) })
	case *array.Int64Builder:
		return intPutter(64, b.Append)
	case *array.Uint8Builder:
		return uintPutter(8, func(v uint64) { b.Append(uint8(v)) })
	case *array.Uint16Builder:
		return uintPutter(16, func(v uint64) { b.Append(uint16(v)) })
	case *array.Uint32Builder:
		return uintPutter(32, func(v uint64) { b.Append(uint32(v)) })
	case *array.Uint64Builder:
		return uintPutter(64, b.Append)
	case *array.Float32Builder:
		return floatPutter(32, func(v float64) { b.Append(float32(v)) })
	case *array.Float64Builder:
		return floatPutter(64, b.Append)
	case *array.Decimal128Builder:
		return digits(func(s string) error {
			v, err := connectors.ParseDecimal128(s, t.Precision, t.Scale)
			b.Append(v)
			return err
		})
	case *array.Decimal256Builder:
		return digits(func(s string) error {
			v, err := connectors.ParseDecimal256(s, t.Precision, t.Scale)
			b.Append(v)
			return err
		})
	case *array.StringBuilder:
		if t.Kind == connectors.JSON || t.Kind == connectors.Array {
			return func(s string) error {
				b.Append(s)
				return nil
			}
		}
		plain := func(s string) error {
			b.Append(s)
			return nil
		}
		if t.Kind == connectors.Numeric {
			return digits(plain)
		}
		return text(plain)
	case *array.BinaryBuilder:
		return text(func(s string) error {
			v, err := base64.StdEncoding.DecodeString(s)
			b.Append(v)
			return err
		})
	case *array.Date32Builder:
		return text(func(s string) error {
			v, err := parseDate(s)
			b.Append(v)
			return err
		})
	case *array.Time64Builder:
		return text(func(s string) error {
			v, err := connectors.ParseTime(s)
			b.Append(v)
			return err
		})
	case *array.TimestampBuilder:
		return text(func(s string) error {
			v, err := parseTimestamp(s)
			b.Append(v)
			return err
		})
	case *array.FixedSizeBinaryBuilder:
		return text(func(s string) error {
			u, ok := parseUUID(s)
			b.Append(u[:])
			if !ok {
				return fmt.Errorf("%.40q is not a UUID", s)
			}
			return nil
		})
	}
	return func(string) error { return fmt.Errorf("no form for %s", t) }
}

func intPutter(bits int, add func(int64)) func(string) error {
	return func(s string) error {
		v, err := strconv.ParseInt(s, 10, bits)
		add(v)
		return err
	}
}

func uintPutter(bits int, add func(uint64)) func(string) error {
	return func(s string) error {
		v, err := strconv.ParseUint(s, 10, bits)
		add(v)
		return err
	}
}

func floatPutter(bits int, add func(float64)) func(string) error {
	return func(s string) error {
		if strings.HasPrefix(s, `"`) {
			switch s {
			case `"NaN"`:
				add(math.NaN())
			case `"Infinity"`:
				add(math.Inf(1))
			case `"-Infinity"`:
				add(math.Inf(-1))
			default:
				return fmt.Errorf("%.40s is not a number", s)
			}
			return nil
		}
		v, err := strconv.ParseFloat(s, bits)
		add(v)
		return err
	}
}
