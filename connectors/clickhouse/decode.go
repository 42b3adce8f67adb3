package clickhouse

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/connectors"
)

// rowDecoder reads rows as connectors.AppendRowJSON writes them: without space
// between the fields, usually in the order of the columns. Rows of an earlier
// form of the table may have other fields: those that are not asked for are
// passed over, columns without one are NULL.
type rowDecoder struct {
	columns []connectors.Column
	fields  []string // the names as they stand there, in quotes
	places  map[string]int
	key     map[int]bool
	cells   []func(text string) error
	nulls   []func()

	texts []string // of a row, "" where the field is absent
	mark  string   // of the row's MetaDeletedAt
}

func newRowDecoder(columns []connectors.Column, key []string, builders []array.Builder) (*rowDecoder, error) {
	d := &rowDecoder{columns: columns, places: map[string]int{}, key: map[int]bool{}, texts: make([]string, len(columns))}
	for i, c := range columns {
		cell := textCell(c.Type, builders[i])
		if cell == nil {
			return nil, fmt.Errorf("column %q: a %s has no form in staging rows", c.Name, c.Type)
		}
		field := string(connectors.AppendJSONString(nil, c.Name))
		d.fields = append(d.fields, field)
		d.places[field] = i
		d.cells = append(d.cells, cell)
		d.nulls = append(d.nulls, builders[i].AppendNull)
		for _, k := range key {
			d.key[i] = d.key[i] || k == c.Name
		}
	}
	return d, nil
}

var errRow = errors.New("the staging row is not as it was written")

const markField = `"` + connectors.MetaDeletedAt + `"`

// split finds the texts of a row's fields.
func (d *rowDecoder) split(data string) error {
	clear(d.texts)
	d.mark = ""
	if len(data) < 2 || data[0] != '{' || data[len(data)-1] != '}' {
		return errRow
	}
	if data == "{}" {
		return nil
	}
	at, next := 0, 0
	for at < len(data)-1 {
		from := at + 1 // after the bracket or comma
		place := -1
		if next < len(d.fields) && strings.HasPrefix(data[from:], d.fields[next]) {
			place = next
			at = from + len(d.fields[next])
		} else {
			if at = skipString(data, from); at < 0 {
				return errRow
			}
			if i, ok := d.places[data[from:at]]; ok {
				place = i
			}
		}
		if at >= len(data) || data[at] != ':' {
			return errRow
		}
		value := at + 1
		if at = skipJSON(data, value); at < 0 {
			return errRow
		}
		if place >= 0 {
			d.texts[place], next = data[value:at], place+1
		}
		if data[from:value-1] == markField {
			d.mark = data[value:at]
		}
	}
	if at != len(data)-1 {
		return errRow
	}
	return nil
}

// isTombstone says whether the row that was split only says that its key was
// deleted. Where deleted rows are marked instead, the time is a column, and a
// whole row may have it.
func (d *rowDecoder) isTombstone() bool {
	if d.mark == "" || d.mark == "null" || len(d.key) == 0 {
		return false
	}
	if _, marks := d.places[markField]; !marks {
		return true
	}
	others := 0
	for i, c := range d.columns {
		if d.key[i] || c.Name == connectors.MetaDeletedAt || c.Type.Kind == connectors.JSON {
			continue
		}
		if d.texts[i] != "" {
			return false
		}
		others++
	}
	return others > 0
}

// store appends the row that was split.
func (d *rowDecoder) store() error {
	for i, c := range d.columns {
		if err := d.cell(i); err != nil {
			return &valueError{kind: connectors.KindType, column: c.Name, err: err}
		}
	}
	return nil
}

func (d *rowDecoder) cell(i int) error {
	text, kind := d.texts[i], d.columns[i].Type.Kind
	if text == "" || text == "null" && kind != connectors.JSON {
		d.nulls[i]()
		return nil
	}
	if kind != connectors.JSON && kind != connectors.Array && text[0] == '"' {
		var err error
		if text, err = unquoteJSON(text); err != nil {
			return err
		}
	}
	return d.cells[i](text)
}

// skipString finds the end of the string at from; -1 when there is none.
func skipString(s string, from int) int {
	if from >= len(s) || s[from] != '"' {
		return -1
	}
	for i := from + 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipJSON finds the end of the value at from, with the space around it; -1
// when it has none.
func skipJSON(s string, from int) int {
	depth := 0
	for i := from; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				if i == from {
					return -1
				}
				return i
			}
			if s[i] != ',' {
				depth--
			}
		}
	}
	return -1
}

// unquoteJSON undoes AppendJSONString.
func unquoteJSON(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s[1 : len(s)-1], nil
	}
	var text string
	err := json.Unmarshal([]byte(s), &text)
	return text, err
}

// textCell appends a value given in canonical text.
func textCell(t connectors.Type, builder array.Builder) func(text string) error {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(text string) error {
			v, err := strconv.ParseBool(text)
			b.Append(v)
			return err
		}
	case *array.Int8Builder:
		return signed(8, func(v int64) { b.Append(int8(v)) })
	case *array.Int16Builder:
		return signed(16, func(v int64) { b.Append(int16(v)) })
	case *array.Int32Builder:
		return signed(32, func(v int64) { b.Append(int32(v)) })
	case *array.Int64Builder:
		return signed(64, b.Append)
	case *array.Uint8Builder:
		return unsigned(8, func(v uint64) { b.Append(uint8(v)) })
	case *array.Uint16Builder:
		return unsigned(16, func(v uint64) { b.Append(uint16(v)) })
	case *array.Uint32Builder:
		return unsigned(32, func(v uint64) { b.Append(uint32(v)) })
	case *array.Uint64Builder:
		return unsigned(64, b.Append)
	case *array.Float32Builder:
		return floating(32, func(v float64) { b.Append(float32(v)) })
	case *array.Float64Builder:
		return floating(64, b.Append)
	case *array.Decimal128Builder:
		return func(text string) error {
			v, err := connectors.ParseDecimal128(text, t.Precision, t.Scale)
			b.Append(v)
			return err
		}
	case *array.Decimal256Builder:
		return func(text string) error {
			v, err := connectors.ParseDecimal256(text, t.Precision, t.Scale)
			b.Append(v)
			return err
		}
	case *array.StringBuilder:
		return func(text string) error { b.Append(text); return nil }
	case *array.BinaryBuilder:
		return func(text string) error {
			v, err := base64.StdEncoding.DecodeString(text)
			b.Append(v)
			return err
		}
	case *array.Date32Builder:
		return func(text string) error {
			v, err := connectors.ParseDate(text)
			b.Append(v)
			return err
		}
	case *array.TimestampBuilder:
		return func(text string) error {
			v, _, err := connectors.ParseTimestamp(text)
			b.Append(v)
			return err
		}
	case *array.Time64Builder:
		return func(text string) error {
			v, err := connectors.ParseTime(text)
			b.Append(v)
			return err
		}
	case *array.FixedSizeBinaryBuilder:
		return func(text string) error {
			v, err := uuid.Parse(text)
			b.Append(v[:])
			return err
		}
	}
	return nil
}

func signed(bits int, add func(int64)) func(string) error {
	return func(text string) error {
		v, err := strconv.ParseInt(text, 10, bits)
		add(v)
		return err
	}
}

func unsigned(bits int, add func(uint64)) func(string) error {
	return func(text string) error {
		v, err := strconv.ParseUint(text, 10, bits)
		add(v)
		return err
	}
}

func floating(bits int, add func(float64)) func(string) error {
	return func(text string) error {
		v, err := strconv.ParseFloat(strings.Replace(text, "Infinity", "Inf", 1), bits)
		add(v)
		return err
	}
}
