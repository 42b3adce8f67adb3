package segment

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Info describes a finished file.
type Info struct {
	Rows  int64
	Bytes int64
	Sums  []byte // a CRC-32C of every 64 KiB
}

const (
	dictBytes = 1 << 18 // a larger dictionary is no gain
	// groupBytes bounds a row group by the size of its values: its pages are in
	// memory until it is whole.
	groupBytes = 16 << 20
	// longValue is the length from which on a column's values have no bounds in the
	// file, which would be in memory until its end.
	longValue = 4 << 10
	// sharedValues is how many values are worth a second goroutine.
	sharedValues = 1 << 14
)

// Writer writes files of one form, one after the other. One goroutine uses it.
//
// Values are copied from the arrays into the open page of their column, so many at
// a time as an encoding takes; a finished page is kept encoded and compressed until
// its row group is whole. Columns know nothing of each other: they are shared out
// among as many goroutines as there are processors.
type Writer struct {
	out      *summer
	buffer   *bufio.Writer
	columns  []Column
	leaves   []*leaf
	encoders []*encoder
	started  bool
	group    int   // rows in the open row group
	size     int   // bytes of its values
	rows     int64 // in all
	at       int64 // bytes
	long     map[int]bool
	full     bool

	groups  []format.RowGroup
	offsets [][]format.OffsetIndex
}

// NewWriter starts a file. The encodings are chosen by the first rows that are
// written. long has the places of the columns that are known to have long values;
// those that turn out to have some are added.
func NewWriter(w io.Writer, columns []Column, long map[int]bool) *Writer {
	out := &Writer{columns: columns, long: long}
	out.Reset(w)
	return out
}

// Reset starts another file, of the same columns.
func (w *Writer) Reset(out io.Writer) {
	w.out = &summer{w: out, table: castagnoli()}
	if w.buffer == nil {
		w.buffer = bufio.NewWriterSize(w.out, 1<<16)
	} else {
		w.buffer.Reset(w.out)
	}
	w.started, w.full = false, false
	w.group, w.size, w.rows, w.at = 0, 0, 0, 0
	w.groups, w.offsets = nil, nil
	for _, l := range w.leaves {
		l.reset()
	}
}

// start writes the file's head and chooses the encodings.
func (w *Writer) start(arrays []arrow.Array, order []int32) error {
	w.started = true
	if w.leaves == nil {
		for range min(runtime.GOMAXPROCS(0), max(1, len(w.columns))) {
			e, err := newEncoder()
			if err != nil {
				return err
			}
			w.encoders = append(w.encoders, e)
		}
		for _, c := range w.columns {
			l, err := newLeaf(c, len(w.columns))
			if err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
			w.leaves = append(w.leaves, l)
		}
	}
	for i, l := range w.leaves {
		if arrays != nil {
			if err := l.choose(arrays[i], order); err != nil {
				return fmt.Errorf("column %s: %w", l.column.Name, err)
			}
			w.long[i] = w.long[i] || l.long
		}
		l.long = w.long[i]
	}
	return w.write([]byte("PAR1"))
}

func (w *Writer) write(p []byte) error {
	n, err := w.buffer.Write(p)
	w.at += int64(n)
	return err
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
	if !w.started {
		if err := w.start(arrays, order); err != nil {
			return err
		}
	}
	step := rows
	if size := sizeOf(arrays); size > groupBytes/4 {
		step = max(1, int(int64(arrays[0].Len())*(groupBytes/4)/int64(size)))
	}
	for from := 0; from < rows; {
		n := min(rows-from, GroupRows-w.group, step)
		err := w.each(n, func(i int, e *encoder) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return w.leaves[i].add(e, arrays[i], order, from, n)
		})
		if err != nil {
			return err
		}
		for i, l := range w.leaves {
			w.size += l.taken
			l.taken = 0
			if l.long && !w.long[i] {
				w.long[i], w.full = true, true
			}
		}
		from += n
		w.rows += int64(n)
		if w.group += n; w.group == GroupRows || w.size >= groupBytes {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// each does the same for all columns, for n rows of which it is worth another goroutine or not.
func (w *Writer) each(n int, do func(i int, e *encoder) error) error {
	name := func(i int, err error) error {
		if err != nil {
			err = fmt.Errorf("column %s: %w", w.columns[i].Name, err)
		}
		return err
	}
	if n*len(w.leaves) < sharedValues || len(w.encoders) == 1 {
		for i := range w.leaves {
			if err := do(i, w.encoders[0]); err != nil {
				return name(i, err)
			}
		}
		return nil
	}
	errs := make([]error, len(w.encoders))
	var next atomic.Int64
	var all sync.WaitGroup
	for k, e := range w.encoders {
		all.Go(func() {
			for errs[k] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(w.leaves) {
					return
				}
				errs[k] = name(i, do(i, e))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// flush writes the open row group.
func (w *Writer) flush() error {
	if w.group == 0 {
		return nil
	}
	if err := w.each(GroupRows, func(i int, e *encoder) error { return w.leaves[i].finish(e) }); err != nil {
		return err
	}
	group := format.RowGroup{NumRows: int64(w.group), FileOffset: w.at, Ordinal: int16(len(w.groups))}
	var offsets []format.OffsetIndex
	for _, l := range w.leaves {
		m := l.meta()
		if len(l.first) > 0 {
			m.DictionaryPageOffset = w.at
			if err := w.write(l.first); err != nil {
				return err
			}
		}
		m.DataPageOffset = w.at
		for i := range l.locations {
			l.locations[i].Offset += w.at
		}
		if err := w.write(l.pages); err != nil {
			return err
		}
		group.TotalByteSize += m.TotalUncompressedSize
		group.TotalCompressedSize += m.TotalCompressedSize
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: m})
		offsets = append(offsets, format.OffsetIndex{PageLocations: l.locations})
		l.locations = nil
		l.reset()
	}
	w.groups, w.offsets = append(w.groups, group), append(w.offsets, offsets)
	w.group, w.size = 0, 0
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
func (w *Writer) Bytes() int64 { return w.at }

// Close writes the rest and describes the file.
func (w *Writer) Close() (Info, error) {
	if !w.started {
		if err := w.start(nil, nil); err != nil {
			return Info{}, err
		}
	}
	if err := w.flush(); err != nil {
		return Info{}, err
	}
	if err := w.foot(); err != nil {
		return Info{}, err
	}
	if err := w.buffer.Flush(); err != nil {
		return Info{}, err
	}
	return Info{Rows: w.rows, Bytes: w.out.n, Sums: w.out.all()}, nil
}

// foot writes the places of the pages and the file's description.
func (w *Writer) foot() error {
	var buf bytes.Buffer
	encode := func(v any) error {
		buf.Reset()
		if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&buf)).Encode(v); err != nil {
			return err
		}
		return w.write(buf.Bytes())
	}
	for g, offsets := range w.offsets {
		for c := range offsets {
			chunk := &w.groups[g].Columns[c]
			chunk.OffsetIndexOffset = w.at
			if err := encode(&offsets[c]); err != nil {
				return err
			}
			chunk.OffsetIndexLength = int32(w.at - chunk.OffsetIndexOffset)
		}
	}
	meta := format.FileMetaData{Version: 2, NumRows: w.rows, RowGroups: w.groups, CreatedBy: "Arus version 1 (build 1)"}
	root := format.SchemaElement{Name: "rows"}
	root.NumChildren.Set(int32(len(w.leaves)))
	meta.Schema = append(meta.Schema, root)
	for _, l := range w.leaves {
		meta.Schema = append(meta.Schema, l.element)
		meta.ColumnOrders = append(meta.ColumnOrders, l.order)
	}
	begin := w.at
	if err := encode(&meta); err != nil {
		return err
	}
	return w.write(append(binary.LittleEndian.AppendUint32(nil, uint32(w.at-begin)), "PAR1"...))
}

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
