package segment

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
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
	valid  []bool
	rooms  []any // *[]T of several types, see room
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
	AppendValues(values []T, valid []bool)
}

// numbers appends n rows; the first present value is values[at], or that of index[at].
func numbers[S, T any](d *pageData, b sink[T], values []S, levels []byte, at, n int, conv func([]T, []S)) {
	index := d.index
	if index != nil { // so many values as there are, in their order
		picked := room[S](d, n)
		places := index[at:min(len(index), at+n)]
		for k, i := range places {
			picked[k] = values[i]
		}
		values, at = picked[:len(places)], 0
	}
	if levels == nil {
		out := room[T](d, n)
		conv(out, values[at:at+n])
		b.AppendValues(out, nil)
		return
	}
	present := 0
	d.valid = slices.Grow(d.valid[:0], n)[:n]
	for r, level := range levels {
		d.valid[r] = level != 0
		present += int(level)
	}
	out := room[T](d, n)
	conv(out[n-present:], values[at:at+present])
	// The values stand at the end: each moves down to its row, over those that moved.
	for r, k := 0, n-present; k < n; r++ {
		if d.valid[r] {
			out[r] = out[k]
			k++
		}
	}
	b.AppendValues(out, d.valid)
}

// room gives n values to write to. What it gave before may be overwritten.
func room[T any](d *pageData, n int) []T {
	for _, r := range d.rooms {
		if have, ok := r.(*[]T); ok && cap(*have) >= n {
			return (*have)[:n]
		}
	}
	d.rooms = slices.DeleteFunc(d.rooms, func(r any) bool { _, ok := r.(*[]T); return ok })
	fresh := make([]T, max(n, 4096))
	d.rooms = append(d.rooms, &fresh)
	return fresh[:n]
}

func cast[T, S whole](dst []T, src []S) {
	for i, v := range src {
		dst[i] = T(v)
	}
}

func as[T any](dst, src []T) { copy(dst, src) }

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
		numbers(d, b, d.values.Int32(), levels, at, n, cast[int8, int32])
	case *array.Int16Builder:
		numbers(d, b, d.values.Int32(), levels, at, n, cast[int16, int32])
	case *array.Int32Builder:
		numbers(d, b, d.values.Int32(), levels, at, n, as[int32])
	case *array.Int64Builder:
		numbers(d, b, d.values.Int64(), levels, at, n, as[int64])
	case *array.Uint8Builder:
		numbers(d, b, d.values.Int32(), levels, at, n, cast[uint8, int32])
	case *array.Uint16Builder:
		numbers(d, b, d.values.Int32(), levels, at, n, cast[uint16, int32])
	case *array.Uint32Builder:
		numbers(d, b, d.values.Int32(), levels, at, n, cast[uint32, int32])
	case *array.Uint64Builder:
		numbers(d, b, d.values.Int64(), levels, at, n, cast[uint64, int64])
	case *array.Float32Builder:
		numbers(d, b, d.values.Float(), levels, at, n, as[float32])
	case *array.Float64Builder:
		numbers(d, b, d.values.Double(), levels, at, n, as[float64])
	case *array.Date32Builder:
		numbers(d, b, d.values.Int32(), levels, at, n, cast[arrow.Date32, int32])
	case *array.Time64Builder:
		numbers(d, b, d.values.Int64(), levels, at, n, cast[arrow.Time64, int64])
	case *array.TimestampBuilder:
		numbers(d, b, d.values.Int64(), levels, at, n, cast[arrow.Timestamp, int64])
	case *array.Decimal128Builder:
		switch {
		case t.Precision <= maxTiny:
			numbers(d, b, d.values.Int32(), levels, at, n, func(dst []decimal128.Num, src []int32) {
				for i, v := range src {
					dst[i] = wideDecimal(v)
				}
			})
			return nil
		case t.Precision <= maxShort:
			numbers(d, b, d.values.Int64(), levels, at, n, func(dst []decimal128.Num, src []int64) {
				for i, v := range src {
					dst[i] = longDecimal(v)
				}
			})
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
