package conformance

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// Append puts a value in canonical text, or NULL for nil, into a builder: the inverse of connectors.AppendValue.
func Append(builder array.Builder, t connectors.Type, value any) (err error) {
	if value == nil {
		builder.AppendNull()
		return nil
	}
	text := value.(string)
	switch b := builder.(type) {
	case *array.StringBuilder:
		b.Append(text)
	case *array.BooleanBuilder:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is no bool", text)
		}
		b.Append(text == "true")
	case *array.Float32Builder:
		if f, ok := notFinite[text]; ok {
			b.Append(float32(f))
			return nil
		}
		err = b.AppendValueFromString(text)
	case *array.Float64Builder:
		if f, ok := notFinite[text]; ok {
			b.Append(f)
			return nil
		}
		err = b.AppendValueFromString(text)
	case *array.Decimal128Builder:
		v, perr := connectors.ParseDecimal128(text, t.Precision, t.Scale)
		b.Append(v)
		err = perr
	case *array.Decimal256Builder:
		v, perr := connectors.ParseDecimal256(text, t.Precision, t.Scale)
		b.Append(v)
		err = perr
	case *array.Date32Builder:
		v, invalid := connectors.InvalidDate(text)
		if !invalid {
			v, err = connectors.ParseDate(text)
		}
		b.Append(v)
	case *array.Time64Builder:
		v, perr := connectors.ParseTime(text)
		b.Append(v)
		err = perr
	case *array.TimestampBuilder:
		v, invalid := connectors.InvalidTimestamp(strings.TrimSuffix(text, "Z"))
		if !invalid {
			v, _, err = connectors.ParseTimestamp(text)
		}
		b.Append(v)
	case *array.FixedSizeBinaryBuilder:
		v, perr := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if perr != nil || len(v) != 16 {
			return fmt.Errorf("%q is no uuid", text)
		}
		b.Append(v)
	case *array.BinaryBuilder:
		v, perr := base64.StdEncoding.DecodeString(text)
		b.Append(v)
		err = perr
	default: // the integers
		err = builder.AppendValueFromString(text)
	}
	return err
}

// notFinite are the floats that Arrow does not read.
var notFinite = map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}

// Batch makes one batch of rows in canonical text, nil for NULL.
func Batch(columns []connectors.Column, rows [][]any) (arrow.RecordBatch, error) {
	builder := array.NewRecordBuilder(memory.DefaultAllocator, connectors.Schema(columns))
	defer builder.Release()
	for _, row := range rows {
		for i, v := range row {
			if err := Append(builder.Field(i), columns[i].Type, v); err != nil {
				return nil, fmt.Errorf("column %s: %q: %w", columns[i].Name, v, err)
			}
		}
	}
	return builder.NewRecordBatch(), nil
}

// Texts is the inverse of Batch.
func Texts(batch arrow.RecordBatch, columns []connectors.Column) [][]any {
	rows := make([][]any, batch.NumRows())
	for i := range rows {
		rows[i] = make([]any, len(columns))
		for c, col := range columns {
			if values := batch.Column(c); !values.IsNull(i) {
				rows[i][c] = string(connectors.AppendValue(nil, values, col.Type, i))
			}
		}
	}
	return rows
}

// ReadAll reads the rows of a request in canonical text.
func ReadAll(ctx context.Context, s connectors.Source, req connectors.ReadRequest) ([][]any, error) {
	if req.Columns == nil {
		req.Columns = req.Table.Columns
	}
	rows := [][]any{}
	err := s.Read(ctx, req, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		rows = append(rows, Texts(batch, req.Columns)...)
		return nil
	})
	return rows, err
}

// Fixed is a source of one table's rows that a test wrote down.
type Fixed struct {
	connectors.Source

	Columns []connectors.Column
	Rows    [][]any
}

// Read gives the rows in the order they are in.
func (f Fixed) Read(_ context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	batch, err := Batch(f.Columns, f.Rows)
	if err != nil {
		return err
	}
	defer batch.Release()
	arrays := make([]arrow.Array, len(req.Columns))
	for i, c := range req.Columns {
		arrays[i] = batch.Column(batch.Schema().FieldIndices(c.Name)[0])
	}
	return emit(array.NewRecordBatch(connectors.Schema(req.Columns), arrays, batch.NumRows()))
}
