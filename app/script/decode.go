package script

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform"
	"arus/connectors"
)

var errFrame = errors.New("the worker's answer cannot be read")

// frame reads an answer; the first thing that is not there spoils the rest.
type frame struct {
	body []byte
	err  error
}

func (f *frame) take(n int) []byte {
	if f.err != nil || n < 0 || n > len(f.body) {
		f.err = errFrame
		return nil
	}
	part := f.body[:n]
	f.body = f.body[n:]
	return part
}

func (f *frame) number() int {
	part := f.take(4)
	if f.err != nil {
		return 0
	}
	return int(binary.LittleEndian.Uint32(part))
}

func (f *frame) block() []byte { return f.take(f.number()) }

// decode reads an answer to a batch. Rows of the answer are counted from zero within the given batch.
func decode(body []byte, given arrow.RecordBatch, in, out []connectors.Column) (transform.ScriptResult, error) {
	f := &frame{body: body}
	rows, told := f.number(), f.number()
	var failures [][2]any
	if err := json.Unmarshal(f.take(told), &failures); err != nil || rows > int(given.NumRows()) {
		return transform.ScriptResult{}, errFrame
	}
	var result transform.ScriptResult
	for _, pair := range failures {
		row, isNumber := pair[0].(float64)
		reason, isText := pair[1].(string)
		if !isNumber || !isText || row < 0 || int64(row) >= given.NumRows() {
			return transform.ScriptResult{}, errFrame
		}
		result.Failed = append(result.Failed, transform.ScriptFailure{Row: int(row), Reason: reason})
	}
	origin := f.take(4 * rows)
	if f.err != nil {
		return transform.ScriptResult{}, f.err
	}
	result.Rows = make([]int32, rows)
	whole := rows == int(given.NumRows())
	for i := range result.Rows {
		row := binary.LittleEndian.Uint32(origin[4*i:])
		if int64(row) >= given.NumRows() {
			return transform.ScriptResult{}, errFrame
		}
		result.Rows[i] = int32(row)
		whole = whole && int(row) == i
	}
	if rows == 0 {
		return result, nil
	}
	arrays := make([]arrow.Array, 0, len(out))
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	bad := map[int]string{}
	for _, c := range out {
		kind := f.take(1)
		if f.err != nil {
			return transform.ScriptResult{}, f.err
		}
		if kind[0] == '=' {
			arrays = append(arrays, unchanged(given, in, c.Name, result.Rows, whole))
			continue
		}
		arr, err := decodeColumn(f, kind[0], rows, c, bad)
		if err != nil {
			return transform.ScriptResult{}, err
		}
		arrays = append(arrays, arr)
	}
	batch := array.NewRecordBatch(connectors.Schema(out), arrays, int64(rows))
	if len(bad) == 0 {
		result.Batch = batch
		return result, nil
	}
	defer batch.Release()
	var keep []int
	var kept []int32
	for i, row := range result.Rows {
		if why, failed := bad[i]; failed {
			result.Failed = append(result.Failed, transform.ScriptFailure{Row: int(row), Reason: why})
			continue
		}
		keep, kept = append(keep, i), append(kept, row)
	}
	result.Rows = kept
	if len(keep) > 0 {
		result.Batch = connectors.SelectRows(batch, keep)
	}
	return result, nil
}

// unchanged is an input column, of the rows that are left.
func unchanged(given arrow.RecordBatch, in []connectors.Column, name string, rows []int32, whole bool) arrow.Array {
	for i, c := range in {
		if c.Name != name {
			continue
		}
		if arr := given.Column(i); !whole {
			return connectors.SelectValues(arr, rows)
		}
		given.Column(i).Retain()
		return given.Column(i)
	}
	panic("script: a kept column that did not come in")
}

// decodeColumn reads one packed column; what its type does not hold goes to bad, by row of the answer.
func decodeColumn(f *frame, kind byte, rows int, c connectors.Column, bad map[int]string) (arrow.Array, error) {
	nulls := f.block()
	builder := array.NewBuilder(memory.DefaultAllocator, c.Type.Arrow())
	defer builder.Release()
	builder.Reserve(rows)
	each := func(put func(i int) error) error {
		if f.err != nil || len(nulls) != 0 && len(nulls) != rows {
			return errFrame
		}
		for i := range rows {
			if len(nulls) > 0 && nulls[i] != 0 {
				builder.AppendNull()
				continue
			}
			if err := put(i); err != nil {
				builder.AppendNull()
				if _, known := bad[i]; !known {
					bad[i] = fmt.Sprintf("column %s: %s", c.Name, err)
				}
			}
		}
		return nil
	}
	var err error
	switch kind {
	case 'i':
		data := f.take(8 * rows)
		err = each(func(i int) error { return appendInt(builder, int64(binary.LittleEndian.Uint64(data[8*i:]))) })
	case 'f':
		data := f.take(8 * rows)
		err = each(func(i int) error {
			v := math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
			switch b := builder.(type) {
			case *array.Float64Builder:
				b.Append(v)
			case *array.Float32Builder:
				b.Append(float32(v))
			default:
				return errFrame
			}
			return nil
		})
	case 'b':
		data := f.take(rows)
		b, ok := builder.(*array.BooleanBuilder)
		if !ok {
			return nil, errFrame
		}
		err = each(func(i int) error {
			b.Append(data[i] != 0)
			return nil
		})
	case 't', 'x':
		offsets, data := f.block(), f.block()
		if f.err != nil || len(offsets) != 4*(rows+1) {
			return nil, errFrame
		}
		for i := range rows {
			if from, to := binary.LittleEndian.Uint32(offsets[4*i:]), binary.LittleEndian.Uint32(offsets[4*i+4:]); from > to || int64(to) > int64(len(data)) {
				return nil, errFrame
			}
		}
		err = each(func(i int) error {
			value := data[binary.LittleEndian.Uint32(offsets[4*i:]):binary.LittleEndian.Uint32(offsets[4*i+4:])]
			if b, ok := builder.(*array.BinaryBuilder); ok && kind == 'x' {
				b.Append(value)
				return nil
			}
			if b, ok := builder.(*array.StringBuilder); ok && c.Type.Kind == connectors.Text {
				b.Append(string(value)) // over-long and undecodable text meets the pipeline's policies
				return nil
			}
			if err := connectors.AppendParsed(builder, c.Type, string(value)); err != nil {
				return fmt.Errorf("%.80q does not fit %s: %w", value, c.Type, err)
			}
			return nil
		})
	default:
		return nil, errFrame
	}
	if err != nil {
		return nil, err
	}
	return builder.NewArray(), nil
}

func appendInt(builder array.Builder, v int64) error {
	fits := func(low, high int64) error {
		if v < low || v > high {
			return fmt.Errorf("%d is out of the range %d to %d", v, low, high)
		}
		return nil
	}
	var err error
	switch b := builder.(type) {
	case *array.Int64Builder:
		b.Append(v)
	case *array.Int32Builder:
		if err = fits(math.MinInt32, math.MaxInt32); err == nil {
			b.Append(int32(v))
		}
	case *array.Int16Builder:
		if err = fits(math.MinInt16, math.MaxInt16); err == nil {
			b.Append(int16(v))
		}
	case *array.Int8Builder:
		if err = fits(math.MinInt8, math.MaxInt8); err == nil {
			b.Append(int8(v))
		}
	case *array.Uint32Builder:
		if err = fits(0, math.MaxUint32); err == nil {
			b.Append(uint32(v))
		}
	case *array.Uint16Builder:
		if err = fits(0, math.MaxUint16); err == nil {
			b.Append(uint16(v))
		}
	case *array.Uint8Builder:
		if err = fits(0, math.MaxUint8); err == nil {
			b.Append(uint8(v))
		}
	default:
		err = errFrame
	}
	return err
}
