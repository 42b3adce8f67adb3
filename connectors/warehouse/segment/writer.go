package segment

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding"
)

// Info describes a finished file.
type Info struct {
	Rows  int64
	Bytes int64
	Sums  []byte // a CRC-32C of every 64 KiB
}

const (
	valueChunk = 1024
	dictBytes  = 1 << 18 // a larger dictionary is no gain
	sampleRows = 4096
)

// Writer writes one file. One goroutine uses it.
type Writer struct {
	out     *summer
	buffer  *bufio.Writer
	columns []Column
	w       *parquet.GenericWriter[any]
	group   int   // rows in the open row group
	rows    int64 // in all
	values  []parquet.Value
}

// NewWriter starts a file. The encodings are chosen by the first rows that are written.
func NewWriter(w io.Writer, columns []Column) *Writer {
	out := &summer{w: w, table: castagnoli()}
	return &Writer{out: out, buffer: bufio.NewWriterSize(out, 1<<16), columns: columns, values: make([]parquet.Value, valueChunk)}
}

// start makes the file's schema.
func (w *Writer) start(arrays []arrow.Array, rows int) error {
	fields := make([]parquet.Field, len(w.columns))
	for i, c := range w.columns {
		node, err := nodeOf(c.Type)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		var enc encoding.Encoding
		if arrays != nil {
			enc = choose(arrays[i], rows, node.Type().Kind(), c.Sort)
		}
		if enc != nil {
			node = parquet.Encoded(node, enc)
		}
		fields[i] = field{parquet.FieldID(parquet.Optional(node), c.ID+1), c.Name}
	}
	options := []parquet.WriterOption{
		parquet.NewSchema("rows", root{fields: fields}), parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.DictionaryMaxBytes(dictBytes), parquet.CreatedBy("Arus", "1", ""),
	}
	w.w = parquet.NewGenericWriter[any](w.buffer, options...)
	return nil
}

// choose picks an encoding by a sample: a dictionary where values repeat, else
// deltas for integers and the plain form for the rest.
func choose(arr arrow.Array, rows int, kind parquet.Kind, sorted bool) encoding.Encoding {
	if kind == parquet.Boolean {
		return nil
	}
	if sorted {
		return &parquet.RLEDictionary
	}
	seen := make(map[string]struct{}, 512)
	step := max(1, rows/sampleRows)
	n := 0
	for i := 0; i < rows; i += step {
		if arr.IsNull(i) {
			continue
		}
		seen[arr.ValueStr(i)] = struct{}{}
		n++
	}
	if n == 0 || len(seen)*4 <= n {
		return &parquet.RLEDictionary
	}
	switch kind {
	case parquet.Int32, parquet.Int64:
		return &parquet.DeltaBinaryPacked
	case parquet.ByteArray:
		return &parquet.DeltaLengthByteArray
	}
	return nil
}

// Write adds rows: all of the arrays, or those that order names, in that order.
func (w *Writer) Write(ctx context.Context, arrays []arrow.Array, order []int32) error {
	if len(arrays) == 0 {
		return nil
	}
	rows := arrays[0].Len()
	if order != nil {
		rows = len(order)
	}
	if w.w == nil {
		if err := w.start(arrays, arrays[0].Len()); err != nil {
			return err
		}
	}
	for from := 0; from < rows; {
		n := min(rows-from, GroupRows-w.group)
		for c, arr := range arrays {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := w.column(c, arr, order, from, n); err != nil {
				return fmt.Errorf("column %s: %w", w.columns[c].Name, err)
			}
		}
		from += n
		w.rows += int64(n)
		if w.group += n; w.group == GroupRows {
			if err := w.w.Flush(); err != nil {
				return err
			}
			w.group = 0
		}
	}
	return nil
}

func (w *Writer) column(c int, arr arrow.Array, order []int32, from, n int) error {
	value, err := valuer(arr)
	if err != nil {
		return err
	}
	out := w.w.ColumnWriters()[c]
	nulls := arr.NullN() > 0
	for done := 0; done < n; {
		chunk := w.values[:min(valueChunk, n-done)]
		for i := range chunk {
			at := from + done + i
			if order != nil {
				at = int(order[at])
			}
			if nulls && arr.IsNull(at) {
				chunk[i] = parquet.NullValue().Level(0, 0, c)
			} else {
				chunk[i] = value(at).Level(0, 1, c)
			}
		}
		if _, err := out.WriteRowValues(chunk); err != nil {
			return err
		}
		done += len(chunk)
	}
	return nil
}

// Rows counts the rows written so far.
func (w *Writer) Rows() int64 { return w.rows }

// Bytes estimates the size of the file so far, without its open row group.
func (w *Writer) Bytes() int64 { return w.out.n }

// Close writes the rest and describes the file.
func (w *Writer) Close() (Info, error) {
	if w.w == nil {
		if err := w.start(nil, 0); err != nil {
			return Info{}, err
		}
	}
	if err := w.w.Close(); err != nil {
		return Info{}, err
	}
	if err := w.buffer.Flush(); err != nil {
		return Info{}, err
	}
	return Info{Rows: w.rows, Bytes: w.out.n, Sums: w.out.all()}, nil
}

// unsafeBytes lends a string's bytes to the encoder, which only reads them.
func unsafeBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
