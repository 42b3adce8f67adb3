package segment

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"arus/connectors"
)

// pageData is a page's values without its nulls. With a dictionary index holds
// the place of every value in it.
type pageData struct {
	values encoding.Values
	index  []int32
	bools  []bool
	buffer []parquet.Value
}

func (d *pageData) load(page parquet.Page, kind parquet.Kind) error {
	d.index = nil
	if kind == parquet.Boolean { // a cut page of bits does not say where it begins
		return d.loadBools(page)
	}
	data := page.Data()
	if dict := page.Dictionary(); dict != nil {
		d.index = data.Int32()
		data = dict.Page().Data()
		n := int32(dict.Len())
		for _, i := range d.index {
			if i < 0 || i >= n {
				return errors.New("a value is beyond the dictionary")
			}
		}
	}
	d.values = data
	return nil
}

func (d *pageData) loadBools(page parquet.Page) error {
	if d.buffer == nil {
		d.buffer = make([]parquet.Value, 1024)
	}
	d.bools = d.bools[:0]
	reader := page.Values()
	for {
		n, err := reader.ReadValues(d.buffer)
		for _, v := range d.buffer[:n] {
			if !v.IsNull() {
				d.bools = append(d.bools, v.Boolean())
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sink is a builder of values of a fixed width.
type sink[T any] interface {
	UnsafeAppend(T)
	UnsafeAppendBoolToBitmap(bool)
}

// numbers appends n rows; the first present value is values[at], or that of index[at].
func numbers[S, T any](b sink[T], values []S, index []int32, levels []byte, at, n int, conv func(S) T) {
	switch {
	case levels == nil && index == nil:
		for _, v := range values[at : at+n] {
			b.UnsafeAppend(conv(v))
		}
	case levels == nil:
		for _, i := range index[at : at+n] {
			b.UnsafeAppend(conv(values[i]))
		}
	default:
		for _, level := range levels {
			switch {
			case level == 0:
				b.UnsafeAppendBoolToBitmap(false)
				continue
			case index == nil:
				b.UnsafeAppend(conv(values[at]))
			default:
				b.UnsafeAppend(conv(values[index[at]]))
			}
			at++
		}
	}
}

// each calls put with the place of every row's value, -1 for a null.
func each(index []int32, levels []byte, at, n int, put func(i int)) {
	for r := range n {
		if levels != nil && levels[r] == 0 {
			put(-1)
			continue
		}
		i := at
		if index != nil {
			i = int(index[at])
		}
		put(i)
		at++
	}
}

// append appends n rows to a builder, whose room is reserved.
func (d *pageData) append(builder array.Builder, t connectors.Type, levels []byte, at, n int) error {
	x := d.index
	if x == nil && levels == nil {
		// What is stored as it is read goes over in one piece.
		switch b := builder.(type) {
		case *array.Int32Builder:
			b.AppendValues(d.values.Int32()[at:at+n], nil)
			return nil
		case *array.Int64Builder:
			b.AppendValues(d.values.Int64()[at:at+n], nil)
			return nil
		case *array.Float32Builder:
			b.AppendValues(d.values.Float()[at:at+n], nil)
			return nil
		case *array.Float64Builder:
			b.AppendValues(d.values.Double()[at:at+n], nil)
			return nil
		}
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		each(nil, levels, at, n, func(i int) {
			if i < 0 {
				b.AppendNull()
			} else {
				b.Append(d.bools[i])
			}
		})
	case *array.Int8Builder:
		numbers(b, d.values.Int32(), x, levels, at, n, func(v int32) int8 { return int8(v) })
	case *array.Int16Builder:
		numbers(b, d.values.Int32(), x, levels, at, n, func(v int32) int16 { return int16(v) })
	case *array.Int32Builder:
		numbers(b, d.values.Int32(), x, levels, at, n, func(v int32) int32 { return v })
	case *array.Int64Builder:
		numbers(b, d.values.Int64(), x, levels, at, n, func(v int64) int64 { return v })
	case *array.Uint8Builder:
		numbers(b, d.values.Int32(), x, levels, at, n, func(v int32) uint8 { return uint8(v) })
	case *array.Uint16Builder:
		numbers(b, d.values.Int32(), x, levels, at, n, func(v int32) uint16 { return uint16(v) })
	case *array.Uint32Builder:
		numbers(b, d.values.Int32(), x, levels, at, n, func(v int32) uint32 { return uint32(v) })
	case *array.Uint64Builder:
		numbers(b, d.values.Int64(), x, levels, at, n, func(v int64) uint64 { return uint64(v) })
	case *array.Float32Builder:
		numbers(b, d.values.Float(), x, levels, at, n, func(v float32) float32 { return v })
	case *array.Float64Builder:
		numbers(b, d.values.Double(), x, levels, at, n, func(v float64) float64 { return v })
	case *array.Date32Builder:
		numbers(b, d.values.Int32(), x, levels, at, n, func(v int32) arrow.Date32 { return arrow.Date32(v) })
	case *array.Time64Builder:
		numbers(b, d.values.Int64(), x, levels, at, n, func(v int64) arrow.Time64 { return arrow.Time64(v) })
	case *array.TimestampBuilder:
		numbers(b, d.values.Int64(), x, levels, at, n, func(v int64) arrow.Timestamp { return arrow.Timestamp(v) })
	case *array.Decimal128Builder:
		switch {
		case t.Precision <= maxTiny:
			numbers(b, d.values.Int32(), x, levels, at, n, wideDecimal)
			return nil
		case t.Precision <= maxShort:
			numbers(b, d.values.Int64(), x, levels, at, n, longDecimal)
			return nil
		}
		data, _ := d.values.FixedLenByteArray()
		each(x, levels, at, n, func(i int) {
			if i < 0 {
				b.AppendNull()
			} else {
				b.Append(getDecimal128(data[16*i:]))
			}
		})
	case *array.Decimal256Builder:
		data, _ := d.values.FixedLenByteArray()
		each(x, levels, at, n, func(i int) {
			if i < 0 {
				b.AppendNull()
			} else {
				b.Append(getDecimal256(data[32*i:]))
			}
		})
	case *array.FixedSizeBinaryBuilder:
		data, size := d.values.FixedLenByteArray()
		each(x, levels, at, n, func(i int) {
			if i < 0 {
				b.AppendNull()
			} else {
				b.Append(data[size*i : size*(i+1)])
			}
		})
	case *array.StringBuilder:
		data, offsets := d.values.ByteArray()
		each(x, levels, at, n, func(i int) {
			if i < 0 {
				b.AppendNull()
			} else {
				b.Append(unsafeString(data[offsets[i]:offsets[i+1]]))
			}
		})
	case *array.BinaryBuilder:
		data, offsets := d.values.ByteArray()
		each(x, levels, at, n, func(i int) {
			if i < 0 {
				b.AppendNull()
			} else {
				b.Append(data[offsets[i]:offsets[i+1]])
			}
		})
	default:
		return fmt.Errorf("no Parquet form for Arrow type %s", builder.Type())
	}
	return nil
}
