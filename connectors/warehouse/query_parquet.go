package warehouse

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/segment"
)

// parquetWriter writes a result as a Parquet file, in the form of the tables' own
// files.
type parquetWriter struct{ out *segment.Writer }

// newParquetWriter begins a file. Columns of one name are told apart by a number:
// a file has no two of a name.
func newParquetWriter(w io.Writer, s *arrow.Schema) parquetWriter {
	columns := make([]segment.Column, s.NumFields())
	seen := map[string]bool{}
	for i, f := range s.Fields() {
		name := f.Name
		for n := 2; seen[name]; n++ {
			name = fmt.Sprintf("%s_%d", f.Name, n)
		}
		seen[name] = true
		columns[i] = segment.Column{ID: i, Name: name, Type: connectors.Type{Kind: kindOf(f.Type)}}
	}
	return parquetWriter{segment.NewWriter(w, columns, map[int]bool{})}
}

// kindOf is the kind of one of the types that arrowSink chooses.
func kindOf(t arrow.DataType) connectors.Kind {
	switch t.ID() {
	case arrow.INT64:
		return connectors.Int64
	case arrow.FLOAT64:
		return connectors.Float64
	case arrow.BINARY:
		return connectors.Bytes
	}
	return connectors.Text
}

// Write adds a batch.
func (p parquetWriter) Write(batch arrow.RecordBatch) error {
	return p.out.Write(context.Background(), batch.Columns(), nil)
}

// Close writes the file's end.
func (p parquetWriter) Close() error {
	_, err := p.out.Close()
	return err
}
