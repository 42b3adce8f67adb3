package upsert

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors/warehouse/schema"
)

// Encode writes a batch as AresDB's clients do.
func Encode(b *Batch) ([]byte, error) {
	le := binary.LittleEndian
	n := len(b.Columns)
	out := make([]byte, fixedHeader+4+columnHeader*n)
	le.PutUint32(out, Version)
	le.PutUint32(out[4:], uint32(b.Rows))
	le.PutUint16(out[8:], uint16(n))
	le.PutUint32(out[24:], b.Arrival)
	types := fixedHeader + 4*(n+1) + 8*n
	ids, modes := types+4*n, types+6*n
	for i, c := range b.Columns {
		le.PutUint32(out[fixedHeader+4*i:], uint32(len(out)))
		le.PutUint32(out[types+4*i:], c.Type.Code())
		le.PutUint16(out[ids+2*i:], uint16(c.ID))
		form := byte(allNull)
		if c.Values != nil && c.Values.NullN() < b.Rows {
			form = allValues
			if c.Values.NullN() > 0 {
				form = someNull
			}
			var err error
			if out, err = appendSection(out, c, b.Rows, form); err != nil {
				return nil, fmt.Errorf("column %d: %w", c.ID, err)
			}
		}
		out[modes+i] = form | byte(c.Mode)<<3
	}
	le.PutUint32(out[fixedHeader+4*n:], uint32(len(out)))
	return pad(out, 8), nil
}

func pad(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

func appendSection(out []byte, c Column, rows int, form byte) ([]byte, error) {
	if form == someNull && c.Type.Base != schema.GeoShape {
		out = appendBits(out, rows, c.Values.IsValid)
	}
	if c.Type.Array || c.Type.Base == schema.GeoShape {
		return appendVariable(out, c, rows)
	}
	out = pad(out, 8)
	if c.Type.Base == schema.Bool {
		values := c.Values.(*array.Boolean)
		return appendBits(out, rows, func(i int) bool { return values.IsValid(i) && values.Value(i) }), nil
	}
	width := c.Type.Bits() / 8
	for i := range rows {
		if c.Values.IsNull(i) {
			out = append(out, make([]byte, width)...)
			continue
		}
		var err error
		if out, err = appendValue(out, c.Values, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendBits(out []byte, n int, on func(i int) bool) []byte {
	at := len(out)
	out = append(out, make([]byte, (n+7)/8)...)
	for i := range n {
		if on(i) {
			out[at+i/8] |= 1 << (i % 8)
		}
	}
	return out
}

func appendValue(out []byte, arr arrow.Array, i int) ([]byte, error) {
	le := binary.LittleEndian
	switch a := arr.(type) {
	case *array.Int8:
		return append(out, byte(a.Value(i))), nil
	case *array.Uint8:
		return append(out, a.Value(i)), nil
	case *array.Int16:
		return le.AppendUint16(out, uint16(a.Value(i))), nil
	case *array.Uint16:
		return le.AppendUint16(out, a.Value(i)), nil
	case *array.Int32:
		return le.AppendUint32(out, uint32(a.Value(i))), nil
	case *array.Uint32:
		return le.AppendUint32(out, a.Value(i)), nil
	case *array.Int64:
		return le.AppendUint64(out, uint64(a.Value(i))), nil
	case *array.Float32:
		return le.AppendUint32(out, math.Float32bits(a.Value(i))), nil
	case *array.FixedSizeBinary:
		return append(out, a.Value(i)...), nil
	case *array.String:
		return appendPoint(out, a.Value(i))
	}
	return nil, fmt.Errorf("no form for %s", arr.DataType())
}

// appendPoint writes a point in its canonical text.
func appendPoint(out []byte, text string) ([]byte, error) {
	inner := strings.TrimSuffix(strings.TrimPrefix(text, "Point("), ")")
	lng, lat, ok := strings.Cut(inner, ",")
	x, err := strconv.ParseFloat(lng, 32)
	y, err2 := strconv.ParseFloat(lat, 32)
	if !ok || err != nil || err2 != nil {
		return nil, errPoint
	}
	out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(y)))
	return binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x))), nil
}

func appendVariable(out []byte, c Column, rows int) ([]byte, error) {
	text := c.Values.(*array.String)
	var values, places []byte
	for i := range rows {
		places = binary.LittleEndian.AppendUint32(places, uint32(len(values)))
		if text.IsNull(i) {
			continue
		}
		var err error
		if c.Type.Array {
			values, err = appendArray(values, c.Type.Base, text.Value(i))
		} else {
			values, err = appendShape(values, text.Value(i))
		}
		if err != nil {
			return nil, err
		}
		values = pad(values, 4)
	}
	places = binary.LittleEndian.AppendUint32(places, uint32(len(values)))
	return append(pad(append(pad(out, 4), places...), 8), values...), nil
}

func appendArray(out []byte, base schema.Base, text string) ([]byte, error) {
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(text), &items); err != nil {
		return nil, err
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(items)))
	is := func(i int, s string) bool { return string(items[i]) == s }
	if base == schema.Bool {
		out = appendBits(out, len(items), func(i int) bool { return is(i, "true") })
	} else {
		for i, item := range items {
			if is(i, "null") {
				out = append(out, make([]byte, schema.Of(base).Bits()/8)...)
				continue
			}
			var err error
			if out, err = appendArrayItem(out, base, item); err != nil {
				return nil, err
			}
		}
	}
	out = appendBits(out, len(items), func(i int) bool { return !is(i, "null") })
	if len(items) == 0 {
		out = append(out, 0, 0, 0, 0)
	}
	return out, nil
}

func appendArrayItem(out []byte, base schema.Base, item json.RawMessage) ([]byte, error) {
	le, bits := binary.LittleEndian, schema.Of(base).Bits()
	switch base {
	case schema.UUID, schema.GeoPoint:
		var s string
		if err := json.Unmarshal(item, &s); err != nil {
			return nil, err
		}
		if base == schema.GeoPoint {
			return appendPoint(out, s)
		}
		u, err := schema.ParseUUID(s)
		return append(out, u[:]...), err
	case schema.Float32:
		f, err := strconv.ParseFloat(string(item), 32)
		return le.AppendUint32(out, math.Float32bits(float32(f))), err
	}
	v, err := strconv.ParseInt(string(item), 10, 64)
	return append(out, le.AppendUint64(nil, uint64(v))[:bits/8]...), err
}

// appendShape writes polygons in the text that Decode gives.
func appendShape(out []byte, text string) ([]byte, error) {
	le := binary.LittleEndian
	inner, ok := strings.CutPrefix(text, "POLYGON (")
	inner, ok2 := strings.CutSuffix(inner, ")")
	if !ok || !ok2 {
		return nil, fmt.Errorf("%.40q is no shape", text)
	}
	rings := strings.Split(inner, "),(")
	if inner == "" {
		rings = nil
	}
	out = le.AppendUint32(out, uint32(len(rings)))
	for _, ring := range rings {
		ring = strings.Trim(ring, "()")
		points := strings.Split(ring, ", ")
		if ring == "" {
			points = nil
		}
		out = le.AppendUint32(out, uint32(len(points)))
		for _, p := range points {
			var err error
			if out, err = appendPoint(out, strings.Replace(p, " ", ",", 1)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
