package connectors

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
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
	builder := array.NewBuilder(memory.DefaultAllocator, arr.DataType())
	defer builder.Release()
	builder.Reserve(len(rows))
	switch a := arr.(type) {
	case *array.Boolean:
		selectInto(rows, a, a.Value, builder.(*array.BooleanBuilder))
	case *array.Int8:
		selectInto(rows, a, a.Value, builder.(*array.Int8Builder))
	case *array.Int16:
		selectInto(rows, a, a.Value, builder.(*array.Int16Builder))
	case *array.Int32:
		selectInto(rows, a, a.Value, builder.(*array.Int32Builder))
	case *array.Int64:
		selectInto(rows, a, a.Value, builder.(*array.Int64Builder))
	case *array.Uint8:
		selectInto(rows, a, a.Value, builder.(*array.Uint8Builder))
	case *array.Uint16:
		selectInto(rows, a, a.Value, builder.(*array.Uint16Builder))
	case *array.Uint32:
		selectInto(rows, a, a.Value, builder.(*array.Uint32Builder))
	case *array.Uint64:
		selectInto(rows, a, a.Value, builder.(*array.Uint64Builder))
	case *array.Float32:
		selectInto(rows, a, a.Value, builder.(*array.Float32Builder))
	case *array.Float64:
		selectInto(rows, a, a.Value, builder.(*array.Float64Builder))
	case *array.Decimal128:
		selectInto(rows, a, a.Value, builder.(*array.Decimal128Builder))
	case *array.Decimal256:
		selectInto(rows, a, a.Value, builder.(*array.Decimal256Builder))
	case *array.Date32:
		selectInto(rows, a, a.Value, builder.(*array.Date32Builder))
	case *array.Time64:
		selectInto(rows, a, a.Value, builder.(*array.Time64Builder))
	case *array.Timestamp:
		selectInto(rows, a, a.Value, builder.(*array.TimestampBuilder))
	case *array.String:
		selectInto(rows, a, a.Value, builder.(*array.StringBuilder))
	case *array.Binary:
		selectInto(rows, a, a.Value, builder.(*array.BinaryBuilder))
	case *array.FixedSizeBinary:
		selectInto(rows, a, a.Value, builder.(*array.FixedSizeBinaryBuilder))
	default:
		panic("connectors: " + arr.DataType().String() + " is no Arrow form of a logical type")
	}
	return builder.NewArray()
}

func selectInto[I int | int32, T any](rows []I, arr arrow.Array, value func(int) T, builder interface {
	Append(T)
	AppendNull()
}) {
	for _, row := range rows {
		i := int(row)
		if arr.IsNull(i) {
			builder.AppendNull()
		} else {
			builder.Append(value(i))
		}
	}
}
