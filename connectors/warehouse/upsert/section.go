package upsert

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

var (
	errShort   = errors.New("it ends before its values do")
	errOffsets = errors.New("the places of its values make no sense")
	errPoint   = errors.New("a point is not on the globe")
)

// section is the data of one column; places are those of the whole batch, by
// which values are aligned.
type section struct {
	data []byte // to the section's end
	at   int
	rows int
}

func (s *section) align(n int) { s.at = (s.at + n - 1) / n * n }

// take gives the next n bytes.
func (s *section) take(n int) ([]byte, error) {
	if n < 0 || s.at > len(s.data) || n > len(s.data)-s.at {
		return nil, errShort
	}
	b := s.data[s.at : s.at+n]
	s.at += n
	return b, nil
}

func bit(b []byte, i int) bool { return b[i/8]>>(i%8)&1 == 1 }

func (s *section) decode(t schema.Type, nulls bool) (arrow.Array, error) {
	var valid []byte
	var err error
	if nulls && t.Base != schema.GeoShape {
		if valid, err = s.take((s.rows + 7) / 8); err != nil {
			return nil, err
		}
	}
	if t.Array || t.Base == schema.GeoShape {
		return s.variable(t, valid)
	}
	s.align(8)
	width := t.Bits() / 8
	if t.Base == schema.Bool {
		values, err := s.take((s.rows + 7) / 8)
		if err != nil {
			return nil, err
		}
		b := array.NewBooleanBuilder(memory.DefaultAllocator)
		defer b.Release()
		b.Reserve(s.rows)
		for i := range s.rows {
			if valid != nil && !bit(valid, i) {
				b.AppendNull()
			} else {
				b.Append(bit(values, i))
			}
		}
		return b.NewArray(), nil
	}
	if s.rows > len(s.data)/width+1 {
		return nil, errShort
	}
	values, err := s.take(s.rows * width)
	if err != nil {
		return nil, err
	}
	b := array.NewBuilder(memory.DefaultAllocator, t.Stored().Arrow())
	defer b.Release()
	b.Reserve(s.rows)
	for i := range s.rows {
		if valid != nil && !bit(valid, i) {
			b.AppendNull()
		} else if err := appendFixed(b, t, values[i*width:(i+1)*width]); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// appendFixed appends one value of a fixed width.
func appendFixed(builder array.Builder, t schema.Type, v []byte) error {
	le := binary.LittleEndian
	switch b := builder.(type) {
	case *array.Int8Builder:
		b.Append(int8(v[0]))
	case *array.Uint8Builder:
		b.Append(v[0])
	case *array.Int16Builder:
		b.Append(int16(le.Uint16(v)))
	case *array.Uint16Builder:
		b.Append(le.Uint16(v))
	case *array.Int32Builder:
		b.Append(int32(le.Uint32(v)))
	case *array.Uint32Builder:
		b.Append(le.Uint32(v))
	case *array.Int64Builder:
		b.Append(int64(le.Uint64(v)))
	case *array.Float32Builder:
		b.Append(math.Float32frombits(le.Uint32(v)))
	case *array.FixedSizeBinaryBuilder:
		b.Append(v)
	case *array.StringBuilder:
		lat, lng := math.Float32frombits(le.Uint32(v)), math.Float32frombits(le.Uint32(v[4:]))
		if !(math.Abs(float64(lat)) <= 90) || !(math.Abs(float64(lng)) <= 180) {
			return errPoint
		}
		b.Append(schema.PointText(lat, lng))
	}
	return nil
}

// variable reads shapes and arrays, whose values have different lengths.
func (s *section) variable(t schema.Type, valid []byte) (arrow.Array, error) {
	s.align(4)
	if s.rows > len(s.data)/4 {
		return nil, errShort
	}
	places, err := s.take(4 * (s.rows + 1))
	if err != nil {
		return nil, err
	}
	s.align(8)
	if s.at > len(s.data) {
		s.at = len(s.data) // no values follow
	}
	values := s.data[s.at:]
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	var text []byte
	for i := range s.rows {
		from, to := binary.LittleEndian.Uint32(places[4*i:]), binary.LittleEndian.Uint32(places[4*i+4:])
		if from > to || uint64(to) > uint64(len(values)) {
			return nil, errOffsets
		}
		if from == to || valid != nil && !bit(valid, i) {
			b.AppendNull()
			continue
		}
		v := section{data: values[:to], at: int(from)}
		if t.Array {
			text, err = v.array(text[:0], t)
		} else {
			text, err = v.shape(text[:0])
		}
		if err != nil {
			return nil, err
		}
		b.Append(string(text))
	}
	return b.NewArray(), nil
}

func (s *section) uint32() (uint32, error) {
	b, err := s.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// array spells one array as JSON.
func (s *section) array(dst []byte, t schema.Type) ([]byte, error) {
	count, err := s.uint32()
	if err != nil {
		return nil, err
	}
	if uint64(count) > 8*uint64(len(s.data)) {
		return nil, errShort
	}
	n, bits := int(count), schema.Of(t.Base).Bits()
	items, err := s.take((n*bits + 7) / 8)
	if err != nil {
		return nil, err
	}
	valid, err := s.take((n + 7) / 8)
	if err != nil {
		return nil, err
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch {
		case !bit(valid, i):
			dst = append(dst, "null"...)
		case t.Base == schema.Bool:
			dst = strconv.AppendBool(dst, bit(items, i))
		default:
			if dst, err = appendItem(dst, t.Base, items[i*bits/8:(i+1)*bits/8]); err != nil {
				return nil, err
			}
		}
	}
	return append(dst, ']'), nil
}

func appendItem(dst []byte, base schema.Base, v []byte) ([]byte, error) {
	le := binary.LittleEndian
	switch base {
	case schema.Int8:
		return strconv.AppendInt(dst, int64(int8(v[0])), 10), nil
	case schema.Uint8, schema.SmallEnum:
		return strconv.AppendUint(dst, uint64(v[0]), 10), nil
	case schema.Int16:
		return strconv.AppendInt(dst, int64(int16(le.Uint16(v))), 10), nil
	case schema.Uint16, schema.BigEnum:
		return strconv.AppendUint(dst, uint64(le.Uint16(v)), 10), nil
	case schema.Int32:
		return strconv.AppendInt(dst, int64(int32(le.Uint32(v))), 10), nil
	case schema.Uint32:
		return strconv.AppendUint(dst, uint64(le.Uint32(v)), 10), nil
	case schema.Int64:
		return strconv.AppendInt(dst, int64(le.Uint64(v)), 10), nil
	case schema.Float32:
		f := math.Float32frombits(le.Uint32(v))
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return nil, errors.New("an array has a float that is not a number")
		}
		return strconv.AppendFloat(dst, float64(f), 'g', -1, 32), nil
	case schema.UUID:
		dst = connectors.AppendUUID(append(dst, '"'), v)
		return append(dst, '"'), nil
	}
	lat, lng := math.Float32frombits(le.Uint32(v)), math.Float32frombits(le.Uint32(v[4:]))
	if !(math.Abs(float64(lat)) <= 90) || !(math.Abs(float64(lng)) <= 180) {
		return nil, errPoint
	}
	return connectors.AppendJSONString(dst, schema.PointText(lat, lng)), nil
}

// shape spells polygons as text.
func (s *section) shape(dst []byte) ([]byte, error) {
	polygons, err := s.uint32()
	if err != nil {
		return nil, err
	}
	dst = append(dst, "POLYGON ("...)
	for p := range polygons {
		points, err := s.uint32()
		if err != nil {
			return nil, err
		}
		if p > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '(')
		for i := range points {
			v, err := s.take(8)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				dst = append(dst, ", "...)
			}
			lat, lng := math.Float32frombits(binary.LittleEndian.Uint32(v)), math.Float32frombits(binary.LittleEndian.Uint32(v[4:]))
			if !(math.Abs(float64(lat)) <= 90) || !(math.Abs(float64(lng)) <= 180) {
				return nil, errPoint
			}
			dst = strconv.AppendFloat(dst, float64(lng), 'g', -1, 32)
			dst = strconv.AppendFloat(append(dst, ' '), float64(lat), 'g', -1, 32)
		}
		dst = append(dst, ')')
	}
	return append(dst, ')'), nil
}
