package mongodb

import (
	"encoding/hex"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"arus/connectors"
)

// decoder appends documents to Arrow builders.
type decoder struct {
	batcher  *connectors.Batcher
	columns  []column
	byName   map[string]int
	rest     map[string]bool // fields that are known and not asked for
	appeared []string        // fields that nobody knew
	row      int64
	scratch  []byte
}

type column struct {
	name   string
	typ    connectors.Type
	null   func()
	append func(value) error
	row    int64 // the last row that has a value
}

func newDecoder(req connectors.ReadRequest, emit func(arrow.RecordBatch) error) (*decoder, error) {
	d := &decoder{byName: make(map[string]int, len(req.Columns)), rest: map[string]bool{}}
	d.batcher = connectors.NewBatcher(req.Columns, req.Limits, emit)
	for i, c := range req.Columns {
		add := d.appender(c, d.batcher.Builders[i])
		_, twice := d.byName[c.Name]
		if add == nil || twice {
			d.batcher.Release()
			if twice {
				return nil, fmt.Errorf("the field %q is asked for twice", c.Name)
			}
			return nil, fmt.Errorf("the field %q: MongoDB gives no %s", c.Name, c.Type)
		}
		d.columns = append(d.columns, column{name: c.Name, typ: c.Type, null: d.batcher.Builders[i].AppendNull, append: add})
		d.byName[c.Name] = i
	}
	for _, c := range req.Table.Columns {
		if _, ok := d.byName[c.Name]; !ok {
			d.rest[c.Name] = true
		}
	}
	return d, nil
}

// document appends one row. After an error the builders are of no more use.
func (d *decoder) document(doc []byte) error {
	d.row++
	next := 0 // documents tend to have the fields in the order of the columns
	err := each(doc, func(key []byte, v value) error {
		at := next
		if at >= len(d.columns) || d.columns[at].name != string(key) {
			var ok bool
			if at, ok = d.byName[string(key)]; !ok {
				d.unasked(key)
				return nil
			}
		}
		next = at + 1
		c := &d.columns[at]
		if c.row == d.row {
			return fmt.Errorf("the field %q stands in it twice", key)
		}
		c.row = d.row
		if v.null() {
			c.null()
			return nil
		}
		if err := c.append(v); err != nil {
			if err == errUnfit { //nolint:errorlint // never wrapped
				held, _ := v.class()
				err = unfit{fmt.Sprintf("the value is %s, not %s", held, c.typ)}
			}
			return fmt.Errorf("column %q: %w", c.name, err)
		}
		return nil
	})
	if err != nil {
		return &documentError{identify(doc), err}
	}
	for i := range d.columns {
		if d.columns[i].row != d.row {
			d.columns[i].null()
		}
	}
	return d.batcher.EndRow(len(doc))
}

// unasked remembers the names of a few fields that came up after the table was settled.
func (d *decoder) unasked(key []byte) {
	const most = 100
	if !d.rest[string(key)] && len(d.appeared) < most {
		d.rest[string(key)] = true
		d.appeared = append(d.appeared, string(key))
	}
}

// unfit is a value that its column does not hold.
type unfit struct{ text string }

func (u unfit) Error() string { return u.text }

// errUnfit comes from an appender, which knows no more.
var errUnfit error = unfit{"the value does not fit"}

// appender gives what appends a value to the column's builder, or fails with
// errUnfit; nil for a type that no field has.
func (d *decoder) appender(c connectors.Column, builder array.Builder) func(value) error {
	if holdsJSON(c) {
		b := builder.(*array.StringBuilder)
		return func(v value) (err error) {
			if d.scratch, err = appendJSON(d.scratch[:0], v); err == nil {
				b.BinaryBuilder.Append(d.scratch)
			}
			return err
		}
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(v value) error {
			if v.kind != bsoncore.TypeBoolean {
				return errUnfit
			}
			b.Append(v.data[0] != 0)
			return nil
		}
	case *array.Int32Builder:
		return func(v value) error {
			n, ok := v.integer()
			if !ok || n < math.MinInt32 || n > math.MaxInt32 {
				return errUnfit
			}
			b.Append(int32(n))
			return nil
		}
	case *array.Int64Builder:
		return func(v value) error {
			n, ok := v.integer()
			if !ok {
				return errUnfit
			}
			b.Append(n)
			return nil
		}
	case *array.Float64Builder:
		return func(v value) error {
			if v.kind == bsoncore.TypeDouble {
				b.Append(v.double())
				return nil
			}
			n, ok := v.integer()
			if !ok || !fitsDouble(n) {
				return errUnfit
			}
			b.Append(float64(n))
			return nil
		}
	case *array.TimestampBuilder:
		return func(v value) error {
			if v.kind != bsoncore.TypeDateTime {
				return errUnfit
			}
			us, ok := micros(v.int64())
			if !ok {
				return errUnfit
			}
			b.Append(arrow.Timestamp(us))
			return nil
		}
	case *array.FixedSizeBinaryBuilder:
		return func(v value) error {
			subtype, data, ok := v.binaryOK()
			if !ok || subtype != bson.TypeBinaryUUID || len(data) != 16 {
				return errUnfit
			}
			b.Append(data)
			return nil
		}
	case *array.BinaryBuilder:
		return func(v value) error {
			subtype, data, ok := v.binaryOK()
			if !ok || subtype == bson.TypeBinaryUUID && len(data) == 16 {
				return errUnfit
			}
			b.Append(data)
			return nil
		}
	case *array.StringBuilder:
		return d.textAppender(c, b)
	}
	return nil
}

func (d *decoder) textAppender(c connectors.Column, b *array.StringBuilder) func(value) error {
	switch {
	case c.Type.Kind == connectors.Numeric:
		return func(v value) error {
			var ok bool
			if d.scratch, ok = appendNumber(d.scratch[:0], v); !ok {
				return errUnfit
			}
			b.BinaryBuilder.Append(d.scratch)
			return nil
		}
	case holdsIDs(c):
		return func(v value) error {
			if v.kind != bsoncore.TypeObjectID {
				return errUnfit
			}
			d.scratch = hex.AppendEncode(d.scratch[:0], v.data)
			b.BinaryBuilder.Append(d.scratch)
			return nil
		}
	case c.Type.Kind == connectors.Text:
		return func(v value) error {
			if v.kind != bsoncore.TypeString {
				return errUnfit
			}
			text, ok := v.text()
			if !ok {
				return errMalformed
			}
			if !utf8.Valid(text) {
				return errUnfit
			}
			b.BinaryBuilder.Append(text)
			return nil
		}
	}
	return nil
}

func (v value) integer() (int64, bool) {
	switch v.kind {
	case bsoncore.TypeInt32:
		return int64(v.int32()), true
	case bsoncore.TypeInt64:
		return v.int64(), true
	}
	return 0, false
}

func (v value) binaryOK() (subtype byte, data []byte, ok bool) {
	if v.kind != bsoncore.TypeBinary {
		return 0, nil, false
	}
	return v.binary()
}
