package clickhouse

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	chproto "github.com/ClickHouse/ch-go/proto"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"arus/connectors"
)

// encoder collects one column's values until they fill a block. Values of fixed
// size are kept as the bytes of the wire, which the driver's column then decodes
// at once: whole Arrow buffers are copied, no value is boxed. Texts are kept as
// strings that share the batch's memory.
type encoder struct {
	connectors.Column
	to    nativeType
	first int64 // of DateTime64 in microseconds, of Date32 in days
	last  int64

	nulls []byte
	data  []byte
	texts []string
	arena []byte // texts that are written here

	pointers []*string // to the texts being sent
	rows     int
	began    [4]int
	append   func(arrow.Array) error
}

func newEncoder(v version, c connectors.Column, native string) (*encoder, error) {
	e := &encoder{Column: c, to: parseNative(native)}
	firstYear, lastYear := v.years()
	e.first, e.last = int64(connectors.DaysFromCivil(firstYear, 1, 1)), int64(connectors.DaysFromCivil(lastYear, 12, 31))
	const day = 86_400_000_000
	e.append = e.appender()
	if e.append == nil {
		return nil, &valueError{kind: connectors.KindType, column: c.Name, err: fmt.Errorf("a %s cannot be written to %s", c.Type, native)}
	}
	if c.Type.Kind != connectors.Date {
		e.first, e.last = e.first*day, (e.last+1)*day-1
	}
	return e, nil
}

// appender chooses how arrays of the column's kind enter its native type.
func (e *encoder) appender() func(arrow.Array) error {
	if e.to.base == "String" {
		switch e.Type.Kind {
		case connectors.Bytes:
			return e.appendBinary
		case connectors.Date, connectors.Time, connectors.Timestamp, connectors.TimestampTZ, connectors.Decimal:
			return e.appendFormatted
		}
		if e.Type.Kind.IsInteger() || e.Type.Arrow().ID() != arrow.STRING {
			return nil
		}
		return e.appendString
	}
	kind := e.Type.Kind
	switch {
	case kind.IsInteger() && logical(e.to).Kind.IsInteger() && !keeps(e.Type, e.to):
		return e.appendNarrowed
	case !keeps(e.Type, e.to):
		return nil
	case kind.IsInteger(), kind == connectors.Float32, kind == connectors.Float64:
		return e.appendNumber
	case kind == connectors.Bool:
		return e.appendBool
	case kind == connectors.Decimal:
		return e.appendDecimal
	case kind == connectors.Date:
		return e.appendDate
	case kind == connectors.Timestamp, kind == connectors.TimestampTZ:
		return e.appendTimestamp
	case kind == connectors.UUID:
		return e.appendUUID
	}
	return nil
}

var errNull = errors.New("a NULL stands where the target takes none")

// add appends an array's values.
func (e *encoder) add(a arrow.Array) error {
	n := a.Len()
	if a.NullN() > 0 && !e.to.nullable {
		return &valueError{
			kind: connectors.KindConstraint, column: e.Name, err: errNull,
			hint: "choose a key without NULLs, or run a full refresh so that the column is made anew",
		}
	}
	if e.to.nullable {
		at := len(e.nulls)
		e.nulls = append(e.nulls, make([]byte, n)...)
		if a.NullN() > 0 {
			for i := range n {
				if a.IsNull(i) {
					e.nulls[at+i] = 1
				}
			}
		}
	}
	e.rows += n
	return e.append(a)
}

// begin remembers where the next values start, takeBack removes what came since.
func (e *encoder) begin() { e.began = [4]int{len(e.nulls), len(e.data), len(e.texts), e.rows} }

func (e *encoder) takeBack() {
	clear(e.texts[e.began[2]:])
	e.nulls, e.data, e.texts, e.rows = e.nulls[:e.began[0]], e.data[:e.began[1]], e.texts[:e.began[2]], e.began[3]
}

func (e *encoder) reset() {
	clear(e.texts)
	e.nulls, e.data, e.texts, e.arena, e.rows = e.nulls[:0], e.data[:0], e.texts[:0], e.arena[:0], 0
}

// size is what the values take in memory, without what the texts share.
func (e *encoder) size() int {
	const header = int(unsafe.Sizeof(""))
	return len(e.nulls) + len(e.data) + len(e.texts)*header + len(e.arena)
}

// wireBuffer is the size of the buffer that the driver's decoding asks for: one
// of this size is taken as it is, instead of a new one for every column.
const wireBuffer = 128 << 10

// fill moves the values of some rows into the driver's column, those of fixed
// size by way of the reader.
func (e *encoder) fill(to chcolumn.Interface, from, until int, wire *bufio.Reader) error {
	var nulls []byte
	if e.to.nullable {
		nulls = e.nulls[from:until]
	}
	if e.to.base != "String" {
		width := len(e.data) / e.rows
		wire.Reset(io.MultiReader(bytes.NewReader(nulls), bytes.NewReader(e.data[from*width:until*width])))
		return to.Decode(chproto.NewReader(wire), until-from)
	}
	texts := e.texts[from:until]
	if !e.to.nullable {
		_, err := to.Append(texts)
		return err
	}
	e.pointers = slices.Grow(e.pointers[:0], len(texts))[:len(texts)]
	for i := range texts {
		e.pointers[i] = nil
		if nulls[i] == 0 {
			e.pointers[i] = &texts[i]
		}
	}
	_, err := to.Append(e.pointers)
	return err
}

// buffer gives the bytes of a fixed-width array's values; an array of nulls may
// have none.
func (e *encoder) buffer(a arrow.Array, width int) []byte {
	data := a.Data()
	if buffers := data.Buffers(); len(buffers) > 1 && buffers[1] != nil {
		from, to := data.Offset()*width, (data.Offset()+data.Len())*width
		if b := buffers[1].Bytes(); len(b) >= to {
			return b[from:to]
		}
	}
	return make([]byte, data.Len()*width)
}

func (e *encoder) appendNumber(a arrow.Array) error {
	from := a.DataType().(arrow.FixedWidthDataType).Bytes()
	to := map[string]int{"Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Int64": 8, "UInt64": 8, "Float32": 4, "Float64": 8}[e.to.base]
	if from == to {
		e.data = append(e.data, e.buffer(a, to)...)
		return nil
	}
	for i := range a.Len() { // the target is wider
		var v uint64
		if !a.IsNull(i) {
			v = wideBits(a, i)
		}
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], v)
		e.data = append(e.data, word[:to]...)
	}
	return nil
}

// wideBits is a number in 64 bits: sign-extended, or as a double.
func wideBits(a arrow.Array, i int) uint64 {
	switch a := a.(type) {
	case *array.Int8:
		return uint64(a.Value(i))
	case *array.Int16:
		return uint64(a.Value(i))
	case *array.Int32:
		return uint64(a.Value(i))
	case *array.Uint8:
		return uint64(a.Value(i))
	case *array.Uint16:
		return uint64(a.Value(i))
	case *array.Uint32:
		return uint64(a.Value(i))
	case *array.Float32:
		return math.Float64bits(float64(a.Value(i)))
	}
	return 0
}

// appendNarrowed writes integers to a type that does not hold all of their kind.
func (e *encoder) appendNarrowed(a arrow.Array) error {
	signed := logical(e.to).Kind < connectors.Uint8
	width := map[string]int{"Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Int64": 8, "UInt64": 8}[e.to.base]
	for i := range a.Len() {
		var v uint64
		if !a.IsNull(i) {
			negative := false
			switch a := a.(type) {
			case *array.Int64:
				v, negative = uint64(a.Value(i)), a.Value(i) < 0
			case *array.Uint64:
				v = a.Value(i)
			default:
				v = wideBits(a, i)
				negative = e.Type.Kind < connectors.Uint8 && int64(v) < 0
			}
			most := uint64(1)<<(8*width-1)*2 - 1
			if signed {
				most /= 2
			}
			if !negative && v > most || negative && (!signed || int64(v) < -int64(most)-1) {
				return &valueError{
					kind: connectors.KindType, column: e.Name, err: fmt.Errorf("%s lies outside %s", connectors.AppendValue(nil, a, e.Type, i), e.to.base),
					hint: "filter such rows, or convert the column by a transform",
				}
			}
		}
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], v)
		e.data = append(e.data, word[:width]...)
	}
	return nil
}

func (e *encoder) appendBool(a arrow.Array) error {
	values := a.(*array.Boolean)
	for i := range values.Len() {
		var bit byte
		if values.IsValid(i) && values.Value(i) {
			bit = 1
		}
		e.data = append(e.data, bit)
	}
	return nil
}

var errNaN = errors.New("a decimal of the server cannot be NaN")

func (e *encoder) decimalError(err error) error {
	return &valueError{kind: connectors.KindType, column: e.Name, err: err, hint: "filter such rows, or cast the column to a floating-point number or to text"}
}

// appendDecimal writes the low bytes of the two's complement form.
func (e *encoder) appendDecimal(a arrow.Array) error {
	width := 32
	switch p := e.to.precision; {
	case p <= 9:
		width = 4
	case p <= 18:
		width = 8
	case p <= 38:
		width = 16
	}
	switch values := a.(type) {
	case *array.Decimal128:
		for i := range values.Len() {
			var v decimal128.Num
			if values.IsValid(i) {
				v = values.Value(i)
			}
			if v == connectors.DecimalNaN128 {
				return e.decimalError(errNaN)
			}
			var word [32]byte
			binary.LittleEndian.PutUint64(word[0:], v.LowBits())
			binary.LittleEndian.PutUint64(word[8:], uint64(v.HighBits()))
			sign := uint64(v.HighBits() >> 63)
			binary.LittleEndian.PutUint64(word[16:], sign)
			binary.LittleEndian.PutUint64(word[24:], sign)
			e.data = append(e.data, word[:width]...)
		}
	case *array.Decimal256:
		for i := range values.Len() {
			var v decimal256.Num
			if values.IsValid(i) {
				v = values.Value(i)
			}
			if v == connectors.DecimalNaN256 {
				return e.decimalError(errNaN)
			}
			for _, word := range v.Array() {
				e.data = binary.LittleEndian.AppendUint64(e.data, word)
			}
		}
	}
	return nil
}

var errRange = errors.New("lies outside the years that the server's type holds")

func (e *encoder) rangeError(text []byte) error {
	return &valueError{
		kind: connectors.KindType, column: e.Name, err: fmt.Errorf("%s %w", text, errRange),
		hint: "filter such rows, replace the value, or cast the column to text",
	}
}

func (e *encoder) appendDate(a arrow.Array) error {
	values := a.(*array.Date32)
	for i := range values.Len() {
		var v arrow.Date32
		if values.IsValid(i) {
			if v = values.Value(i); int64(v) < e.first || int64(v) > e.last {
				return e.rangeError(connectors.AppendDate(nil, v))
			}
		}
		e.data = binary.LittleEndian.AppendUint32(e.data, uint32(v))
	}
	return nil
}

func (e *encoder) appendTimestamp(a arrow.Array) error {
	values := a.(*array.Timestamp)
	for i := range values.Len() {
		var v arrow.Timestamp
		if values.IsValid(i) {
			if v = values.Value(i); int64(v) < e.first || int64(v) > e.last {
				return e.rangeError(connectors.AppendTimestamp(nil, v, ' '))
			}
		}
		e.data = binary.LittleEndian.AppendUint64(e.data, uint64(v))
	}
	return nil
}

// appendUUID turns each half round, as the server keeps two 64-bit numbers.
func (e *encoder) appendUUID(a arrow.Array) error {
	at := len(e.data)
	e.data = append(e.data, e.buffer(a, 16)...)
	for b := e.data[at:]; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, bits.ReverseBytes64(binary.LittleEndian.Uint64(b)))
	}
	return nil
}

func (e *encoder) appendString(a arrow.Array) error {
	values, ok := a.(*array.String)
	if !ok {
		return fmt.Errorf("column %q: a batch holds %s instead of text", e.Name, a.DataType())
	}
	for i := range values.Len() {
		if values.IsNull(i) {
			e.texts = append(e.texts, "")
		} else {
			e.texts = append(e.texts, values.Value(i))
		}
	}
	return nil
}

func (e *encoder) appendBinary(a arrow.Array) error {
	values, ok := a.(*array.Binary)
	if !ok {
		return fmt.Errorf("column %q: a batch holds %s instead of bytes", e.Name, a.DataType())
	}
	for i := range values.Len() {
		if values.IsNull(i) {
			e.texts = append(e.texts, "")
		} else {
			e.texts = append(e.texts, alias(values.Value(i)))
		}
	}
	return nil
}

// alias is a string over bytes that nobody changes while it lives.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendFormatted writes values that the server keeps as text.
func (e *encoder) appendFormatted(a arrow.Array) error {
	for i := range a.Len() {
		if a.IsNull(i) {
			e.texts = append(e.texts, "")
			continue
		}
		if cap(e.arena)-len(e.arena) < 128 { // strings keep the old one alive
			e.arena = make([]byte, 0, max(64<<10, 2*cap(e.arena)))
		}
		from := len(e.arena)
		switch values := a.(type) {
		case *array.Timestamp:
			e.arena = appendFixedTimestamp(e.arena, values.Value(i), e.Type.Kind)
		default:
			e.arena = connectors.AppendValue(e.arena, a, e.Type, i)
		}
		e.texts = append(e.texts, alias(e.arena[from:]))
	}
	return nil
}

// appendFixedTimestamp writes a timestamp with all six fractional digits, so
// that texts of equal years sort by time.
func appendFixedTimestamp(dst []byte, ts arrow.Timestamp, kind connectors.Kind) []byte {
	if ts == connectors.TimestampInfinity || ts == connectors.TimestampMinInfinity {
		return connectors.AppendTimestamp(dst, ts, 'T')
	}
	from := len(dst)
	dst = connectors.AppendTimestamp(dst, ts, 'T')
	point := bytes.LastIndexByte(dst[from:], '.')
	missing := 6
	if point < 0 {
		dst = append(dst, '.')
	} else {
		missing = 6 - (len(dst) - from - point - 1)
	}
	dst = append(dst, "000000"[:missing]...)
	if kind == connectors.TimestampTZ {
		dst = append(dst, 'Z')
	}
	return dst
}
