package clickhouse

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"

	"arus/connectors"
)

// feed writes rows to a shadow of the target and, in raw mode, to one of the
// staging table. The server's own JSON functions are no way to make the typed
// rows from the staged ones: those of old versions know no escapes, and all go
// through doubles or lose the difference between an absent and an empty text.
type feed struct {
	columns []connectors.Column
	typed   *inserter
	raw     *inserter      // raw mode
	numbers *atomic.Uint64 // rows that have a number so far; parts share it
	careful bool           // each batch arrives, or is refused, before the next

	rows int64
	kept [][]byte // see KeepRaw
	text []byte   // of the batch's rows as JSON
	ends []int    // of each of them
}

// write takes a batch over. With care, one that is refused leaves nothing behind.
func (f *feed) write(ctx context.Context, batch arrow.RecordBatch) error {
	n := batch.NumRows()
	if n == 0 {
		batch.Release()
		return nil
	}
	from := f.numbers.Add(uint64(n)) - uint64(n)
	var staged arrow.RecordBatch
	if f.raw != nil {
		var err error
		if staged, err = f.rowsJSON(batch, f.columns); err != nil {
			batch.Release()
			return err
		}
	}
	err := f.send(ctx, f.typed, batch, from)
	if err != nil {
		if staged != nil {
			staged.Release()
		}
		return err
	}
	if staged != nil {
		if err := f.send(ctx, f.raw, staged, from); err != nil {
			return err
		}
	}
	f.rows += n
	return nil
}

func (f *feed) send(ctx context.Context, w *inserter, batch arrow.RecordBatch, from uint64) error {
	err := w.write(ctx, batch, from)
	if err == nil && f.careful {
		err = w.flush(ctx)
	}
	return err
}

// sendKept stages the kept rows, which have no typed ones.
func (f *feed) sendKept(ctx context.Context) error {
	if len(f.kept) == 0 {
		return nil
	}
	f.text, f.ends = f.text[:0], f.ends[:0]
	for _, row := range f.kept {
		f.text = append(f.text, row...)
		f.ends = append(f.ends, len(f.text))
	}
	n := uint64(len(f.kept))
	return f.raw.write(ctx, f.staged(), f.numbers.Add(n)-n)
}

// stagedRows counts what arrived in the staging table.
func (f *feed) stagedRows() int64 { return f.rows + int64(len(f.kept)) }

// flush waits until every row has arrived.
func (f *feed) flush(ctx context.Context) error {
	if err := f.sendKept(ctx); err != nil {
		return err
	}
	if f.raw != nil {
		if err := f.raw.flush(ctx); err != nil {
			return err
		}
	}
	return f.typed.flush(ctx)
}

func (f *feed) close() {
	for _, w := range []*inserter{f.typed, f.raw} {
		if w != nil {
			w.close()
		}
	}
}

// rowsJSON turns a batch into rows of the staging table.
func (f *feed) rowsJSON(batch arrow.RecordBatch, columns []connectors.Column) (arrow.RecordBatch, error) {
	if int(batch.NumCols()) != len(columns) {
		return nil, fmt.Errorf("a batch has %d columns instead of %d", batch.NumCols(), len(columns))
	}
	f.text, f.ends = f.text[:0], f.ends[:0]
	for i := range int(batch.NumRows()) {
		f.text = connectors.AppendRowJSON(f.text, batch, columns, i)
		f.ends = append(f.ends, len(f.text))
	}
	return f.staged(), nil
}

// staged is the text as rows of the staging table.
func (f *feed) staged() arrow.RecordBatch {
	builder := array.NewStringBuilder(memory.DefaultAllocator)
	defer builder.Release()
	builder.Reserve(len(f.ends))
	builder.ReserveData(len(f.text))
	from := 0
	for _, end := range f.ends {
		builder.BinaryBuilder.Append(f.text[from:end])
		from = end
	}
	rows := builder.NewArray()
	defer rows.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: rawData, Type: arrow.BinaryTypes.String}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{rows}, int64(rows.Len()))
}

// origin is what the metadata of a row says of where it came from.
type origin struct {
	run    uuid.UUID
	synced arrow.Timestamp
	number uint64 // version or staging id
	gone   uint8
}

func originOf(run uuid.UUID, synced time.Time) origin {
	return origin{run: run, synced: arrow.Timestamp(synced.UnixMicro())}
}

// numbered stamps every row with one origin and first plus its number.
func numbered(o origin, first uint64) stamp {
	return stamped(func(row uint64) origin {
		o.number = first + row
		return o
	})
}

// stamped fills the metadata columns by the rows' origins.
func stamped(of func(row uint64) origin) stamp {
	var text []byte
	var at arrow.Timestamp
	return func(meta []*encoder, from uint64, n int) {
		for _, e := range meta {
			e.rows += n
			if e.to.nullable {
				e.nulls = append(e.nulls, make([]byte, n)...)
			}
		}
		for i := range uint64(n) {
			o := of(from + i)
			for _, e := range meta {
				switch {
				case e.to.base == "String":
					if text == nil || o.synced != at {
						text, at = appendFixedTimestamp(nil, o.synced, connectors.TimestampTZ), o.synced
					}
					e.texts = append(e.texts, alias(text))
				case e.Type.Kind == connectors.UUID:
					e.data = binary.LittleEndian.AppendUint64(e.data, binary.BigEndian.Uint64(o.run[:8]))
					e.data = binary.LittleEndian.AppendUint64(e.data, binary.BigEndian.Uint64(o.run[8:]))
				case e.Type.Kind == connectors.TimestampTZ:
					e.data = binary.LittleEndian.AppendUint64(e.data, uint64(o.synced))
				case e.Type.Kind == connectors.Uint8:
					e.data = append(e.data, o.gone)
				default:
					e.data = binary.LittleEndian.AppendUint64(e.data, o.number)
				}
			}
		}
	}
}

var (
	versionColumn = connectors.Column{Name: metaVersion, Type: connectors.Type{Kind: connectors.Uint64}}
	hiddenColumn  = connectors.Column{Name: metaGone, Type: connectors.Type{Kind: connectors.Uint8}}
)
