package mongodb

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"arus/connectors"
)

// maxDepth is beyond what a server stores (it stops at 180 or so).
const maxDepth = 1000

// The dates that MongoDB's relaxed JSON spells: the years 1970 to 9999.
const lastSpelledDate = 253402300799999

// appendJSON writes a value as exact JSON: MongoDB's extended JSON, relaxed where
// nothing is lost by it. The keys keep their order, and a key that stands twice
// stands twice.
//
//	string, bool, null  themselves
//	int, long           a number, of any size
//	double              a number with a point or an exponent: 1.0, -0.0, 1e+21;
//	                    {"$numberDouble":"NaN"}, "Infinity", "-Infinity"
//	decimal             {"$numberDecimal":"1.50"}
//	ObjectId            {"$oid":"507f1f77bcf86cd799439011"}
//	date                {"$date":"2026-01-31T15:04:05.999Z"}; outside the years 1970
//	                    to 9999 {"$date":{"$numberLong":"-1"}}, milliseconds
//	UUID                {"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}
//	other binary        {"$binary":{"base64":"AQI=","subType":"00"}}
//	Timestamp           {"$timestamp":{"t":1,"i":2}}
//	regular expression  {"$regularExpression":{"pattern":"^a","options":"i"}}
//	JavaScript          {"$code":"..."}, with a scope {"$code":"...","$scope":{...}}
//	the rest            {"$symbol":"..."}, {"$minKey":1}, {"$maxKey":1}, {"$undefined":true},
//	                    {"$dbPointer":{"$ref":"...","$id":{"$oid":"..."}}}
//	not UTF-8           a string, as {"$string":{"base64":"/w=="}}: JSON has no other place for it
//
// A document whose own keys look like one of these reads like it, as in all
// extended JSON.
func appendJSON(dst []byte, v value) ([]byte, error) { return appendNested(dst, v, 0) }

var errDepth = errors.New("the document is nested too deeply")

func appendNested(dst []byte, v value, depth int) (_ []byte, err error) {
	switch v.kind {
	case bsoncore.TypeNull:
		return append(dst, "null"...), nil
	case bsoncore.TypeBoolean:
		return strconv.AppendBool(dst, v.data[0] != 0), nil
	case bsoncore.TypeInt32:
		return strconv.AppendInt(dst, int64(v.int32()), 10), nil
	case bsoncore.TypeInt64:
		return strconv.AppendInt(dst, v.int64(), 10), nil
	case bsoncore.TypeDouble:
		return appendDouble(dst, v.double()), nil
	case bsoncore.TypeDecimal128:
		dst = append(dst, `{"$numberDecimal":"`...)
		return append(append(dst, v.decimal().String()...), `"}`...), nil
	case bsoncore.TypeString:
		text, ok := v.text()
		if !ok {
			return dst, errMalformed
		}
		return appendString(dst, text), nil
	case bsoncore.TypeObjectID:
		return appendOID(dst, v.data), nil
	case bsoncore.TypeDateTime:
		return appendDate(dst, v.int64()), nil
	case bsoncore.TypeBinary:
		return appendBinary(dst, v)
	case bsoncore.TypeEmbeddedDocument, bsoncore.TypeArray:
		return appendElements(dst, v, depth+1)
	case bsoncore.TypeTimestamp:
		dst = append(dst, `{"$timestamp":{"t":`...)
		dst = strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(v.data[4:])), 10)
		dst = append(dst, `,"i":`...)
		dst = strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(v.data)), 10)
		return append(dst, `}}`...), nil
	case bsoncore.TypeMinKey:
		return append(dst, `{"$minKey":1}`...), nil
	case bsoncore.TypeMaxKey:
		return append(dst, `{"$maxKey":1}`...), nil
	case bsoncore.TypeUndefined:
		return append(dst, `{"$undefined":true}`...), nil
	}
	return appendRare(dst, v, depth)
}

// appendRare writes what hardly a document has.
func appendRare(dst []byte, v value, depth int) ([]byte, error) {
	switch v.kind {
	case bsoncore.TypeRegex:
		pattern, flags, _, ok := bsoncore.ReadRegex(v.data)
		if !ok {
			return dst, errMalformed
		}
		dst = appendString(append(dst, `{"$regularExpression":{"pattern":`...), []byte(pattern))
		dst = appendString(append(dst, `,"options":`...), []byte(flags))
		return append(dst, `}}`...), nil
	case bsoncore.TypeJavaScript, bsoncore.TypeSymbol:
		text, ok := v.text()
		if !ok {
			return dst, errMalformed
		}
		name := `{"$code":`
		if v.kind == bsoncore.TypeSymbol {
			name = `{"$symbol":`
		}
		return append(appendString(append(dst, name...), text), '}'), nil
	case bsoncore.TypeCodeWithScope:
		code, scope, _, ok := bsoncore.ReadCodeWithScope(v.data)
		if !ok {
			return dst, errMalformed
		}
		dst = appendString(append(dst, `{"$code":`...), []byte(code))
		dst, err := appendElements(append(dst, `,"$scope":`...), value{bsoncore.TypeEmbeddedDocument, scope}, depth+1)
		return append(dst, '}'), err
	case bsoncore.TypeDBPointer:
		name, id, _, ok := bsoncore.ReadDBPointer(v.data)
		if !ok {
			return dst, errMalformed
		}
		dst = appendString(append(dst, `{"$dbPointer":{"$ref":`...), []byte(name))
		dst = appendOID(append(dst, `,"$id":`...), id[:])
		return append(dst, `}}`...), nil
	}
	return dst, errMalformed
}

func appendElements(dst []byte, v value, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errDepth
	}
	open, end := byte('{'), byte('}')
	if v.kind == bsoncore.TypeArray {
		open, end = '[', ']'
	}
	dst = append(dst, open)
	first := true
	err := each(v.data, func(key []byte, v value) (err error) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if end == '}' {
			if !utf8.Valid(key) {
				return errKey
			}
			dst = append(connectors.AppendJSONString(dst, string(key)), ':')
		}
		dst, err = appendNested(dst, v, depth)
		return err
	})
	return append(dst, end), err
}

var errKey = errors.New("the name of a field is not UTF-8")

func appendString(dst, text []byte) []byte {
	if utf8.Valid(text) {
		return connectors.AppendJSONString(dst, string(text))
	}
	dst = append(dst, `{"$string":{"base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, text), `"}}`...)
}

func appendOID(dst, id []byte) []byte {
	return append(hex.AppendEncode(append(dst, `{"$oid":"`...), id), `"}`...)
}

// appendDouble always writes a point or an exponent, so that a double does not
// read as an integer.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `{"$numberDouble":"NaN"}`...)
	case math.IsInf(f, 1):
		return append(dst, `{"$numberDouble":"Infinity"}`...)
	case math.IsInf(f, -1):
		return append(dst, `{"$numberDouble":"-Infinity"}`...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

func appendDate(dst []byte, ms int64) []byte {
	if ms < 0 || ms > lastSpelledDate {
		dst = strconv.AppendInt(append(dst, `{"$date":{"$numberLong":"`...), ms, 10)
		return append(dst, `"}}`...)
	}
	dst = connectors.AppendTimestamp(append(dst, `{"$date":"`...), arrow.Timestamp(ms*1000), 'T')
	return append(dst, `Z"}`...)
}

func appendBinary(dst []byte, v value) ([]byte, error) {
	subtype, data, ok := v.binary()
	if !ok {
		return dst, errMalformed
	}
	if subtype == bson.TypeBinaryUUID && len(data) == 16 {
		return append(connectors.AppendUUID(append(dst, `{"$uuid":"`...), data), `"}`...), nil
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, `{"$binary":{"base64":"`...), data)
	dst = hex.AppendEncode(append(dst, `","subType":"`...), []byte{subtype})
	return append(dst, `"}}`...), nil
}
