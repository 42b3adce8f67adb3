package mongodb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"arus/connectors"
)

// class is a set of kinds of values, as they were seen in one field.
type class uint32

const (
	aBool class = 1 << iota
	anInt32
	anInt64   // that a double holds exactly
	aWideInt  // that a double does not
	aDouble   //
	aDecimal  //
	aDate     //
	aFarDate  // beyond the microseconds of a timestamp
	anObject  //
	anArray   //
	anID      // ObjectId
	aString   //
	aBadText  // a string that is not UTF-8
	aUUID     // binary of subtype 4 and 16 bytes
	aBinary   // any other
	aStamp    // MongoDB's own Timestamp
	aRegex    //
	aCode     // JavaScript, with or without scope
	aSymbol   //
	aMinKey   //
	aMaxKey   //
	aPointer  // DBPointer
	undefined //
)

const (
	integers = anInt32 | anInt64 | aWideInt
	numbers  = integers | aDouble | aDecimal
	nested   = anObject | anArray
)

// classNames are MongoDB's own names of the types ($type), by bit.
var classNames = [...]string{
	"bool", "int", "long", "long", "double", "decimal", "date", "date beyond the calendar", "object", "array", "objectId",
	"string", "string that is not UTF-8", "uuid", "binData", "timestamp", "regex", "javascript", "symbol", "minKey", "maxKey", "dbPointer", "undefined",
}

func (c class) String() string {
	var names []string
	for rest := c; rest != 0; rest &= rest - 1 {
		if name := classNames[bits.TrailingZeros32(uint32(rest))]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// jsonText marks, among the native types, a text column that holds JSON.
const jsonText = " as JSON text"

// objectID is the logical type of an ObjectId: 24 hexadecimal digits.
var objectID = connectors.Type{Kind: connectors.Text, Length: 24, Fixed: true}

// logical gives the least type that holds every value of the class exactly.
// conflict is set where no type of its own was left but JSON.
func (c class) logical() (t connectors.Type, conflict bool) {
	kind := func(k connectors.Kind) (connectors.Type, bool) { return connectors.Type{Kind: k}, false }
	switch {
	case c == 0, c == aString:
		return kind(connectors.Text)
	case c == aBool:
		return kind(connectors.Bool)
	case c == anInt32:
		return kind(connectors.Int32)
	case c&^integers == 0:
		return kind(connectors.Int64)
	case c&^(anInt32|anInt64|aDouble) == 0:
		return kind(connectors.Float64)
	case c&^numbers == 0:
		return kind(connectors.Numeric)
	case c == aDate:
		return connectors.Type{Kind: connectors.TimestampTZ, Precision: 3}, false
	case c == anID:
		return objectID, false
	case c == aUUID:
		return kind(connectors.UUID)
	case c == aBinary:
		return kind(connectors.Bytes)
	}
	single := c&(c-1) == 0 && c != aBadText && c != aFarDate
	return connectors.Type{Kind: connectors.JSON}, !single && c&^nested != 0
}

// value is one BSON value: its type and its bytes, checked as far as their length.
type value struct {
	kind bsoncore.Type
	data []byte
}

var errMalformed = errors.New("the document is malformed")

// each walks the elements of a document or an array.
func each(doc []byte, visit func(key []byte, v value) error) error {
	if len(doc) < 5 || int(binary.LittleEndian.Uint32(doc)) != len(doc) || doc[len(doc)-1] != 0 {
		return errMalformed
	}
	for rest := doc[4 : len(doc)-1]; len(rest) > 0; {
		end := bytes.IndexByte(rest[1:], 0)
		if end < 0 {
			return errMalformed
		}
		key := rest[1 : 1+end]
		v, after, ok := bsoncore.ReadValue(rest[end+2:], bsoncore.Type(rest[0]))
		if !ok {
			return errMalformed
		}
		if err := visit(key, value{v.Type, v.Data}); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

func (v value) null() bool { return v.kind == bsoncore.TypeNull }

// text gives the bytes of a string, of code and of a symbol.
func (v value) text() ([]byte, bool) {
	if len(v.data) < 5 || int(binary.LittleEndian.Uint32(v.data)) != len(v.data)-4 || v.data[len(v.data)-1] != 0 {
		return nil, false
	}
	return v.data[4 : len(v.data)-1], true
}

func (v value) int32() int32 { return int32(binary.LittleEndian.Uint32(v.data)) }

func (v value) int64() int64 { return int64(binary.LittleEndian.Uint64(v.data)) }

func (v value) double() float64 { return math.Float64frombits(binary.LittleEndian.Uint64(v.data)) }

func (v value) decimal() bson.Decimal128 {
	return bson.NewDecimal128(binary.LittleEndian.Uint64(v.data[8:]), binary.LittleEndian.Uint64(v.data))
}

func (v value) binary() (subtype byte, data []byte, ok bool) {
	subtype, data, _, ok = bsoncore.ReadBinary(v.data)
	return subtype, data, ok
}

// class says what the value is. ok is false when it is malformed.
func (v value) class() (c class, ok bool) {
	switch v.kind {
	case bsoncore.TypeNull:
		return 0, true
	case bsoncore.TypeBoolean:
		return aBool, true
	case bsoncore.TypeInt32:
		return anInt32, true
	case bsoncore.TypeInt64:
		if fitsDouble(v.int64()) {
			return anInt64, true
		}
		return aWideInt, true
	case bsoncore.TypeDouble:
		return aDouble, true
	case bsoncore.TypeDecimal128:
		return aDecimal, true
	case bsoncore.TypeDateTime:
		if _, ok := micros(v.int64()); !ok {
			return aFarDate, true
		}
		return aDate, true
	case bsoncore.TypeObjectID:
		return anID, true
	case bsoncore.TypeString:
		text, ok := v.text()
		if !utf8.Valid(text) {
			return aBadText, ok
		}
		return aString, ok
	case bsoncore.TypeBinary:
		subtype, data, ok := v.binary()
		if subtype == bson.TypeBinaryUUID && len(data) == 16 {
			return aUUID, ok
		}
		return aBinary, ok
	case bsoncore.TypeEmbeddedDocument:
		return anObject, true
	case bsoncore.TypeArray:
		return anArray, true
	case bsoncore.TypeTimestamp:
		return aStamp, true
	case bsoncore.TypeRegex:
		return aRegex, true
	case bsoncore.TypeJavaScript, bsoncore.TypeCodeWithScope:
		return aCode, true
	case bsoncore.TypeSymbol:
		return aSymbol, true
	case bsoncore.TypeMinKey:
		return aMinKey, true
	case bsoncore.TypeMaxKey:
		return aMaxKey, true
	case bsoncore.TypeDBPointer:
		return aPointer, true
	case bsoncore.TypeUndefined:
		return undefined, true
	}
	return 0, false
}

// fitsDouble says whether a double holds the integer exactly.
func fitsDouble(n int64) bool {
	if n < 0 {
		if n == math.MinInt64 {
			return true
		}
		n = -n
	}
	return bits.Len64(uint64(n))-bits.TrailingZeros64(uint64(n)) <= 53
}

// micros turns a date's milliseconds into a timestamp; ok is false where they
// exceed it, or would mean one of its infinities.
func micros(ms int64) (us int64, ok bool) {
	if ms > math.MaxInt64/1000 || ms < math.MinInt64/1000 {
		return 0, false
	}
	return ms * 1000, true
}

// appendNumber writes a number as the exact decimal text of a numeric column:
// without an exponent, and a zero without a sign, for numerics have none. A
// double is the shortest decimal that reads back as the same double.
func appendNumber(dst []byte, v value) ([]byte, bool) {
	switch v.kind {
	case bsoncore.TypeInt32:
		return strconv.AppendInt(dst, int64(v.int32()), 10), true
	case bsoncore.TypeInt64:
		return strconv.AppendInt(dst, v.int64(), 10), true
	case bsoncore.TypeDouble:
		f := v.double()
		switch {
		case math.IsNaN(f):
			return append(dst, "NaN"...), true
		case math.IsInf(f, 0):
			if f < 0 {
				dst = append(dst, '-')
			}
			return append(dst, "Infinity"...), true
		case f == 0:
			return append(dst, '0'), true
		}
		return strconv.AppendFloat(dst, f, 'f', -1, 64), true
	case bsoncore.TypeDecimal128:
		return appendDecimal(dst, v.decimal()), true
	}
	return dst, false
}

func appendDecimal(dst []byte, d bson.Decimal128) []byte {
	n, exponent, err := d.BigInt()
	if err != nil {
		return append(dst, d.String()...) // NaN, Infinity, -Infinity
	}
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n.Neg(n)
	}
	digits := n.Append(nil, 10)
	if exponent >= 0 {
		dst = append(dst, digits...)
		if n.Sign() == 0 {
			exponent = 0
		}
		return append(dst, bytes.Repeat([]byte{'0'}, exponent)...)
	}
	if missing := 1 - exponent - len(digits); missing > 0 {
		digits = append(bytes.Repeat([]byte{'0'}, missing), digits...)
	}
	point := len(digits) + exponent
	dst = append(dst, digits[:point]...)
	dst = append(dst, '.')
	return append(dst, digits[point:]...)
}

// documentError is a document that no row can be made of.
type documentError struct {
	id  string
	err error
}

func (e *documentError) Error() string {
	return fmt.Sprintf("the document with _id %s: %v", e.id, e.err)
}

func (e *documentError) Unwrap() error { return e.err }

// identify names a document for people.
func identify(doc []byte) string {
	const longest = 200
	id := []byte("that is missing")
	_ = each(doc, func(key []byte, v value) error {
		if string(key) == "_id" {
			if text, err := appendJSON(nil, v); err == nil {
				id = text
			}
			return errFound
		}
		return nil
	})
	if len(id) > longest {
		return strings.ToValidUTF8(string(id[:longest]), "") + "..."
	}
	return string(id)
}

var errFound = errors.New("found")
