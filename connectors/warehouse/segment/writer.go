package segment

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
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
	chunkBytes = 1 << 20 // of long values that make a page of their own
	dictBytes  = 1 << 18 // a larger dictionary is no gain
	sampleRows = 4096
	// groupBytes bounds a row group by the size of its values: it is in memory
	// until it is whole.
	groupBytes = 16 << 20
	pageBytes  = 16 << 10 // steps by which the memory of a column's pages grows
	// longValue is the length from which on a column's values have no bounds in the
	// file, which would be in memory until its end.
	longValue = 4 << 10
)

// Writer writes one file. One goroutine uses it.
type Writer struct {
	out     *summer
	buffer  *bufio.Writer
	columns []Column
	w       *parquet.GenericWriter[any]
	group   int   // rows in the open row group
	size    int   // bytes of its values
	rows    int64 // in all
	long    map[int]bool
	full    bool
	values  []parquet.Value
}

// NewWriter starts a file. The encodings are chosen by the first rows that are
// written. long has the places of the columns that are known to have long values;
// those that turn out to have some are added.
func NewWriter(w io.Writer, columns []Column, long map[int]bool) *Writer {
	out := &summer{w: w, table: castagnoli()}
	return &Writer{out: out, buffer: bufio.NewWriterSize(out, 1<<16), columns: columns, values: make([]parquet.Value, valueChunk), long: long}
}

// start makes the file's schema.
func (w *Writer) start(arrays []arrow.Array, rows int) error {
	fields := make([]parquet.Field, len(w.columns))
	options := []parquet.WriterOption{
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.DictionaryMaxBytes(dictBytes),
		parquet.ColumnPageBuffers(parquet.NewChunkBufferPool(pageBytes)), parquet.CreatedBy("Arus", "1", ""),
		// A page's header would repeat, four times and not compressed, the bounds that the index of pages has.
		parquet.DataPageStatistics(false),
	}
	for i, c := range w.columns {
		node, err := nodeOf(c.Type)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		var enc encoding.Encoding
		if arrays != nil {
			enc = choose(arrays[i], rows, node.Type().Kind(), c.Sort)
			w.long[i] = w.long[i] || longest(arrays[i]) >= longValue
		}
		if w.long[i] {
			options = append(options, parquet.SkipPageBounds(c.Name))
		}
		if enc != nil {
			node = parquet.Encoded(node, enc)
		}
		fields[i] = field{parquet.FieldID(parquet.Optional(node), c.ID+1), c.Name}
	}
	options = append(options, parquet.NewSchema("rows", root{fields: fields}))
	w.w = parquet.NewGenericWriter[any](w.buffer, options...)
	return nil
}

// longest is the length of an array's longest value, 0 where values have one width.
func longest(arr arrow.Array) int {
	var lengthOf func(i int) int
	switch a := arr.(type) {
	case *array.String:
		lengthOf = a.ValueLen
	case *array.Binary:
		lengthOf = a.ValueLen
	default:
		return 0
	}
	n := 0
	for i := range arr.Len() {
		n = max(n, lengthOf(i))
	}
	return n
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
	step := rows
	if size := sizeOf(arrays); size > groupBytes/4 {
		step = max(1, int(int64(arrays[0].Len())*(groupBytes/4)/int64(size)))
	}
	for from := 0; from < rows; {
		n := min(rows-from, GroupRows-w.group, step)
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
		if w.group += n; w.group == GroupRows || w.size >= groupBytes {
			if err := w.w.Flush(); err != nil {
				return err
			}
			w.group, w.size = 0, 0
		}
	}
	return nil
}

// column writes n rows of a column. Long values go into pages of their own.
func (w *Writer) column(c int, arr arrow.Array, order []int32, from, n int) error {
	value, err := valuer(arr)
	if err != nil {
		return err
	}
	out := w.w.ColumnWriters()[c]
	nulls, width := arr.NullN() > 0, 0
	if fixed, ok := arr.DataType().(arrow.FixedWidthDataType); ok {
		width = fixed.Bytes()
	}
	for done := 0; done < n; {
		chunk := w.values[:0]
		size := 0
		for i := done; i < n && len(chunk) < valueChunk && size < chunkBytes; i++ {
			at := from + i
			if order != nil {
				at = int(order[at])
			}
			if nulls && arr.IsNull(at) {
				chunk = append(chunk, parquet.NullValue().Level(0, 0, c))
				continue
			}
			v := value(at)
			if width == 0 {
				length := len(v.ByteArray())
				size += length
				if length >= longValue && !w.long[c] {
					w.long[c], w.full = true, true
				}
			}
			chunk = append(chunk, v.Level(0, 1, c))
		}
		if _, err := out.WriteRowValues(chunk); err != nil {
			return err
		}
		if size >= chunkBytes { // a dictionary does not count what its values take
			if err := out.Flush(); err != nil {
				return err
			}
		}
		done += len(chunk)
		w.size += size + len(chunk)*width
	}
	return nil
}

// sizeOf is what arrays have in memory.
func sizeOf(arrays []arrow.Array) int {
	n := 0
	for _, a := range arrays {
		n += int(a.Data().SizeInBytes())
	}
	return n
}

// Rows counts the rows written so far.
func (w *Writer) Rows() int64 { return w.rows }

// Full says that the file had better end: a column turned out to have long values.
func (w *Writer) Full() bool { return w.full }

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
