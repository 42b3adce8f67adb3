package connectors

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// SelectRows makes a batch of the given rows, in the given order. It does not
// release the batch.
func SelectRows[I int | int32](batch arrow.RecordBatch, rows []I) arrow.RecordBatch {
	columns := make([]arrow.Array, batch.NumCols())
	for c := range columns {
		columns[c] = SelectValues(batch.Column(c), rows)
	}
	out := array.NewRecordBatch(batch.Schema(), columns, int64(len(rows)))
	for _, col := range columns {
		col.Release()
	}
	return out
}

// SelectValues makes an array of the given rows of another, in the given order.
func SelectValues[I int | int32](arr arrow.Array, rows []I) arrow.Array {
	data := arr.Data()
	n, offset := len(rows), data.Offset()
	var bitmap *memory.Buffer
	nulls := 0
	if arr.NullN() > 0 {
		bits := make([]byte, bitutil.BytesForBits(int64(n)))
		for i, k := range rows {
			if arr.IsNull(int(k)) {
				nulls++
			} else {
				bitutil.SetBit(bits, i)
			}
		}
		bitmap = memory.NewBufferBytes(bits)
	}
	var buffers []*memory.Buffer
	switch a := arr.(type) {
	case *array.Boolean:
		bits := make([]byte, bitutil.BytesForBits(int64(n)))
		for i, k := range rows {
			if a.Value(int(k)) {
				bitutil.SetBit(bits, i)
			}
		}
		buffers = []*memory.Buffer{bitmap, memory.NewBufferBytes(bits)}
	case array.BinaryLike:
		size := 0
		for _, k := range rows {
			size += a.ValueLen(int(k))
		}
		offsets := make([]int32, n+1)
		bytes := make([]byte, 0, size)
		raw, first := a.ValueBytes(), a.ValueOffset64(0)
		for i, k := range rows {
			from := a.ValueOffset64(int(k)) - first
			bytes = append(bytes, raw[from:from+int64(a.ValueLen(int(k)))]...)
			offsets[i+1] = int32(len(bytes))
		}
		buffers = []*memory.Buffer{bitmap, memory.NewBufferBytes(arrow.GetBytes(offsets)), memory.NewBufferBytes(bytes)}
	default:
		width := arr.DataType().(arrow.FixedWidthDataType).Bytes()
		raw := data.Buffers()[1].Bytes()[offset*width:]
		buffers = []*memory.Buffer{bitmap, memory.NewBufferBytes(selectFixed(raw, width, rows))}
	}
	taken := array.NewData(arr.DataType(), n, buffers, nil, nulls, 0)
	defer taken.Release()
	return array.MakeFromData(taken)
}

func selectFixed[I int | int32](raw []byte, width int, rows []I) []byte {
	out := make([]byte, len(rows)*width)
	switch width {
	case 8:
		from, to := arrow.GetData[uint64](raw[:len(raw)/8*8]), arrow.GetData[uint64](out)
		for i, k := range rows {
			to[i] = from[k]
		}
	case 4:
		from, to := arrow.GetData[uint32](raw[:len(raw)/4*4]), arrow.GetData[uint32](out)
		for i, k := range rows {
			to[i] = from[k]
		}
	default:
		for i, k := range rows {
			copy(out[i*width:(i+1)*width], raw[int(k)*width:])
		}
	}
	return out
}
