package warehouse

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// Format is how a result is written.
type Format string

// The formats.
const (
	JSON   Format = "json"   // one array of objects
	NDJSON Format = "ndjson" // an object a line
	CSV    Format = "csv"    // with the names of the columns; a null is empty
	Arrow  Format = "arrow"  // an Arrow IPC stream
	// Parquet is a Parquet file, zstd within; it is complete at its end only.
	Parquet Format = "parquet"
)

// ContentType is the format's name on the web.
func (f Format) ContentType() string {
	switch f {
	case JSON:
		return "application/json"
	case CSV:
		return "text/csv; charset=utf-8"
	case Arrow:
		return "application/vnd.apache.arrow.stream"
	case Parquet:
		return "application/vnd.apache.parquet"
	}
	return "application/x-ndjson"
}

// FormatOf reads a format's name or its content type.
func FormatOf(name string) (Format, bool) {
	name, _, _ = strings.Cut(name, ";")
	for _, f := range []Format{JSON, NDJSON, CSV, Arrow, Parquet} {
		content, _, _ := strings.Cut(f.ContentType(), ";")
		if name = strings.TrimSpace(name); strings.EqualFold(name, string(f)) || strings.EqualFold(name, content) {
			return f, true
		}
	}
	return "", false
}

// flushRows is after how many rows what is written goes out.
const flushRows = 1000

// Write writes the rows that are left, as they come; flush, which may be nil, is
// called now and then. Integers are written in full; bytes that are no text are
// base64 in JSON and CSV. It does not close the rows.
func (r *Rows) Write(w io.Writer, f Format, flush func() error) error {
	out := bufio.NewWriterSize(w, 1<<15)
	var sink interface {
		row([]any) error
		end() error
	}
	switch f {
	case CSV:
		sink = &csvSink{w: csv.NewWriter(out), columns: r.Columns()}
	case Arrow:
		sink = &arrowSink{columns: r.Columns(), open: func(s *arrow.Schema) batchWriter { return ipc.NewWriter(out, ipc.WithSchema(s)) }}
	case Parquet:
		sink = &arrowSink{columns: r.Columns(), open: func(s *arrow.Schema) batchWriter { return newParquetWriter(out, s) }}
	case JSON, NDJSON:
		sink = &jsonSink{w: out, columns: r.Columns(), list: f == JSON}
	default:
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "write", Err: fmt.Errorf("there is no format %q", f), Hint: "json, ndjson, csv, arrow and parquet are the formats"}
	}
	for n := 1; ; n++ {
		row, ok := r.Next()
		if !ok {
			break
		}
		if err := sink.row(row); err != nil {
			return err
		}
		if n%flushRows == 0 && flush != nil {
			if err := errors.Join(out.Flush(), flush()); err != nil {
				return err
			}
		}
	}
	if r.Err() != nil {
		return errors.Join(r.Err(), out.Flush())
	}
	return errors.Join(sink.end(), out.Flush())
}

type jsonSink struct {
	w       *bufio.Writer
	columns []string
	list    bool
	rows    int
	line    []byte
}

func (s *jsonSink) row(values []any) error {
	s.line = s.line[:0]
	if s.list {
		s.line = append(s.line, "[,"[min(s.rows, 1)], '\n')
	}
	s.rows++
	for i, c := range s.columns {
		s.line = append(s.line, "{,"[min(i, 1)])
		s.line = append(connectors.AppendJSONString(s.line, c), ':')
		s.line = appendJSON(s.line, values[i])
	}
	s.line = append(s.line, '}')
	if !s.list {
		s.line = append(s.line, '\n')
	}
	_, err := s.w.Write(s.line)
	return err
}

func (s *jsonSink) end() error {
	text := ""
	if s.list {
		if text = "\n]\n"; s.rows == 0 {
			text = "[]\n"
		}
	}
	_, err := s.w.WriteString(text)
	return err
}

func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			text, err := json.Marshal(v)
			if err == nil {
				return append(dst, text...)
			}
		}
		return connectors.AppendJSONString(dst, fmt.Sprint(v))
	case []byte:
		return connectors.AppendJSONString(dst, bytesText(v))
	}
	return connectors.AppendJSONString(dst, fmt.Sprint(v))
}

// bytesText is bytes as text, in base64 where they are none.
func bytesText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

type csvSink struct {
	w       *csv.Writer
	columns []string
	begun   bool
	fields  []string
}

func (s *csvSink) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	return s.w.Write(s.columns)
}

func (s *csvSink) row(values []any) error {
	if err := s.begin(); err != nil {
		return err
	}
	s.fields = s.fields[:0]
	for _, v := range values {
		s.fields = append(s.fields, plainText(v))
	}
	if err := s.w.Write(s.fields); err != nil {
		return err
	}
	s.w.Flush()
	return s.w.Error()
}

func (s *csvSink) end() error {
	err := s.begin()
	s.w.Flush()
	return errors.Join(err, s.w.Error())
}

func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		return bytesText(v)
	}
	return fmt.Sprint(v)
}

// arrowRows is by how many rows the type of an Arrow column is chosen; SQLite's
// columns have none.
const arrowRows = 1 << 14

// batchWriter is what record batches are written to.
type batchWriter interface {
	Write(batch arrow.RecordBatch) error
	Close() error
}

// arrowSink makes record batches. A column is of integers, reals, bytes or texts
// as its first rows are; a text column takes everything.
type arrowSink struct {
	columns []string
	open    func(s *arrow.Schema) batchWriter
	first   [][]any
	out     batchWriter
	build   *array.RecordBuilder
	rows    int
}

func (s *arrowSink) row(values []any) error {
	if s.out == nil {
		if s.first = append(s.first, append([]any{}, values...)); len(s.first) < arrowRows {
			return nil
		}
		return s.begin()
	}
	return s.put(values)
}

func (s *arrowSink) begin() error {
	fields := make([]arrow.Field, len(s.columns))
	for i, name := range s.columns {
		var typ arrow.DataType
		for _, row := range s.first {
			var t arrow.DataType
			switch row[i].(type) {
			case nil:
				continue
			case int64:
				t = arrow.PrimitiveTypes.Int64
			case float64:
				t = arrow.PrimitiveTypes.Float64
			case []byte:
				t = arrow.BinaryTypes.Binary
			default:
				t = arrow.BinaryTypes.String
			}
			switch {
			case typ == nil || typ == t:
				typ = t
			case (t.ID() == arrow.INT64 || t.ID() == arrow.FLOAT64) && (typ.ID() == arrow.INT64 || typ.ID() == arrow.FLOAT64):
				typ = arrow.PrimitiveTypes.Float64
			default:
				typ = arrow.BinaryTypes.String
			}
		}
		if typ == nil {
			typ = arrow.BinaryTypes.String
		}
		fields[i] = arrow.Field{Name: name, Type: typ, Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	s.out = s.open(schema)
	s.build = array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, row := range s.first {
		if err := s.put(row); err != nil {
			return err
		}
	}
	s.first = nil
	return nil
}

func (s *arrowSink) put(values []any) error {
	for i, v := range values {
		wrong := false
		switch b := s.build.Field(i).(type) {
		case *array.Int64Builder:
			switch v := v.(type) {
			case nil:
				b.AppendNull()
			case int64:
				b.Append(v)
			default:
				wrong = true
			}
		case *array.Float64Builder:
			switch v := v.(type) {
			case nil:
				b.AppendNull()
			case int64:
				if b.Append(float64(v)); int64(float64(v)) != v {
					wrong = true
				}
			case float64:
				b.Append(v)
			default:
				wrong = true
			}
		case *array.BinaryBuilder:
			switch v := v.(type) {
			case nil:
				b.AppendNull()
			case []byte:
				b.Append(v)
			default:
				wrong = true
			}
		case *array.StringBuilder:
			if v == nil {
				b.AppendNull()
			} else {
				b.Append(plainText(v))
			}
		}
		if wrong {
			return &connectors.Error{
				Kind: connectors.KindType, Op: "write", Object: s.columns[i], Err: fmt.Errorf("the first rows are %s, and here comes %T", s.build.Field(i).Type(), v),
				Hint: "write CAST(... AS TEXT) or CAST(... AS REAL) around the column",
			}
		}
	}
	if s.rows++; s.rows < arrowRows {
		return nil
	}
	return s.flush()
}

func (s *arrowSink) flush() error {
	if s.rows == 0 {
		return nil
	}
	s.rows = 0
	batch := s.build.NewRecordBatch()
	defer batch.Release()
	return s.out.Write(batch)
}

func (s *arrowSink) end() error {
	if s.out == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	defer s.build.Release()
	return errors.Join(s.flush(), s.out.Close())
}
