package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Bounds of one INSERT. Each makes one part, and the server merges parts in the
// background: few large ones are what it wants.
const (
	insertRows  = 512 << 10
	insertBytes = 32 << 20
)

// partsPatience is how long an INSERT waits for the server's merges.
const partsPatience = 5 * time.Minute

// inserter writes rows to one table, a block an INSERT. A block is written
// whole or not at all, and its failure is told at once.
type inserter struct {
	*db
	table    connectors.TableRef
	columns  []*encoder // in the order of the batches
	meta     []*encoder
	stamp    stamp
	retained []arrow.RecordBatch
	pending  int
	bytes    int
	rows     int64
}

// stamp gives the metadata of a run of rows: from is the number of the first.
type stamp func(meta []*encoder, from int64, n int)

// write collects a batch, which it takes over.
func (w *inserter) write(ctx context.Context, batch arrow.RecordBatch) error {
	n := int(batch.NumRows())
	if n == 0 {
		batch.Release()
		return nil
	}
	if int(batch.NumCols()) != len(w.columns) {
		batch.Release()
		return fmt.Errorf("a batch has %d columns instead of %d", batch.NumCols(), len(w.columns))
	}
	w.retained = append(w.retained, batch)
	for i, e := range w.columns {
		if err := e.add(batch.Column(i)); err != nil {
			return err
		}
		w.bytes += sizeOf(batch.Column(i))
	}
	w.stamp(w.meta, w.rows+int64(w.pending), n)
	w.pending += n
	w.bytes += 32 * n
	if w.pending >= insertRows || w.bytes >= insertBytes {
		return w.flush(ctx)
	}
	return nil
}

func sizeOf(a arrow.Array) int {
	size := 0
	for _, b := range a.Data().Buffers() {
		if b != nil {
			size += b.Len()
		}
	}
	return size
}

// flush sends what was collected. The server refuses blocks while it has too
// many parts to merge; it is asked again then.
func (w *inserter) flush(ctx context.Context) error {
	if w.pending == 0 {
		return nil
	}
	deadline := time.Now().Add(partsPatience)
	for {
		err := w.send(ctx)
		if err == nil {
			break
		}
		if code(err) != codeTooManyParts || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	w.rows += int64(w.pending)
	w.release()
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// release lets the collected rows go.
func (w *inserter) release() {
	for _, e := range w.columns {
		e.reset()
	}
	for _, e := range w.meta {
		e.reset()
	}
	for _, batch := range w.retained {
		batch.Release()
	}
	clear(w.retained)
	w.retained = w.retained[:0]
	w.pending, w.bytes = 0, 0
}

// statement names all columns, because old servers tell the columns of a native
// block only then. The driver takes the text apart by patterns that know no
// quotes: the names are spelled so that nothing in them means anything, and the
// two spaces keep the driver from comparing that spelling with the columns.
func (w *inserter) statement() string {
	var b strings.Builder
	b.WriteString("INSERT  INTO " + spelledOut(w.table.Schema) + "." + spelledOut(w.table.Name) + "(")
	for i, e := range slices.Concat(w.columns, w.meta) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(spelledOut(e.Name))
	}
	return b.String() + ")"
}

// spelledOut quotes a name with every unusual byte as an escape sequence.
func spelledOut(name string) string {
	const digits = "0123456789abcdef"
	b := []byte{'`'}
	for _, c := range []byte(name) {
		if c == '_' || c-'0' <= 9 || c-'a' <= 25 || c-'A' <= 25 {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		}
	}
	return string(append(b, '`'))
}

func (w *inserter) send(ctx context.Context) (err error) {
	pool, err := w.connect()
	if err != nil {
		return err
	}
	settings := ch.Settings{}
	if w.version.hasLowCardinality() {
		settings["low_cardinality_allow_in_native_format"] = 0 // the server builds the dictionaries
	}
	query, done := w.begin(ctx, settings)
	defer done()
	batch, err := pool.PrepareBatch(query, w.statement())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreSent(batch.Abort()))
		}
	}()
	encoders := slices.Concat(w.columns, w.meta)
	columns := batch.Columns()
	if len(columns) != len(encoders) {
		return fmt.Errorf("the server takes %d columns instead of %d", len(columns), len(encoders))
	}
	for i, e := range encoders {
		if err := e.fill(columns[i]); err != nil {
			return err
		}
	}
	return batch.Send()
}

func ignoreSent(err error) error {
	if errors.Is(err, ch.ErrBatchAlreadySent) {
		return nil
	}
	return err
}
