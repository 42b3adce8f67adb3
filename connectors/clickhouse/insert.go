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
// background: few large ones are what it wants. Where several inserters work for
// one load, or several loads for one table, each gets a share.
const (
	insertRows  = 512 << 10
	insertBytes = 14 << 20
	sharedBytes = 7 << 20
	longRow     = 16 << 10 // bytes from which on rows make small blocks
	sentRows    = 32 << 10 // that travel at a time, so that the driver's memory stays small and is used again;
	sentBytes   = 4 << 20  // fewer where rows are long
)

// partsPatience is how long an INSERT waits for the server's merges.
const partsPatience = 5 * time.Minute

// inserter writes rows to one table, a block an INSERT. A block is written
// whole or not at all, and its failure is told by the next call. While one block
// is on its way the next is collected.
type inserter struct {
	*db
	table  connectors.TableRef
	stamp  stamp
	bytes  int             // of a block
	ctx    context.Context // of the blocks on their way: a call's own may end with the call
	cancel context.CancelFunc

	block   *block // being collected
	spare   *block
	sending chan error // of the block on its way; nil when there is none
}

// block is what one INSERT carries.
type block struct {
	columns  []*encoder // in the order of the batches
	meta     []*encoder
	retained []arrow.Array // whose memory the texts share
	rows     int
	texts    int // bytes of those
	bytes    int // in memory
}

func (d *db) newInserter(ctx context.Context, table connectors.TableRef, columns, meta []native, bytes int) (*inserter, error) {
	w := &inserter{db: d, table: table, bytes: bytes}
	for _, b := range []**block{&w.block, &w.spare} {
		*b = &block{}
		for _, side := range []struct {
			columns []native
			to      *[]*encoder
		}{{columns, &(*b).columns}, {meta, &(*b).meta}} {
			for _, c := range side.columns {
				e, err := newEncoder(d.version, c.Column, c.native)
				if err != nil {
					return nil, err
				}
				*side.to = append(*side.to, e)
			}
		}
	}
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return w, nil
}

// native is a column with the type that it has in the table.
type native struct {
	connectors.Column
	native string
}

// stamp gives the metadata of a run of rows: from is the number of the first.
type stamp func(meta []*encoder, from uint64, n int)

// add collects a batch, which it takes over: its rows have numbers from from on.
// A batch that the columns refuse leaves nothing behind.
func (w *inserter) add(batch arrow.RecordBatch, from uint64) error {
	n := int(batch.NumRows())
	b := w.block
	if int(batch.NumCols()) != len(b.columns) {
		batch.Release()
		return fmt.Errorf("a batch has %d columns instead of %d", batch.NumCols(), len(b.columns))
	}
	defer batch.Release()
	for _, e := range b.columns {
		e.begin()
	}
	for i, e := range b.columns {
		if err := e.add(batch.Column(i)); err != nil {
			b.takeBack()
			return err
		}
	}
	w.stamp(b.meta, from, n)
	b.rows += n
	for i, e := range b.columns {
		if e.to.base == "String" {
			column := batch.Column(i)
			column.Retain()
			b.retained = append(b.retained, column)
			b.texts += sizeOf(column)
		}
	}
	b.bytes = b.texts
	for _, side := range [][]*encoder{b.columns, b.meta} {
		for _, e := range side {
			b.bytes += e.size()
		}
	}
	return nil
}

// takeBack removes the batch that was not added whole.
func (b *block) takeBack() {
	for _, e := range b.columns {
		e.takeBack()
	}
}

// write collects a batch and sends what is enough for a part.
func (w *inserter) write(ctx context.Context, batch arrow.RecordBatch, from uint64) error {
	if err := w.add(batch, from); err != nil {
		return err
	}
	enough := w.bytes
	if w.block.bytes/max(1, w.block.rows) >= longRow {
		enough = min(enough, sharedBytes)
	}
	if w.block.rows >= insertRows || w.block.bytes >= enough {
		return w.dispatch(ctx)
	}
	return nil
}

// dispatch sends the block off once the one before has arrived.
func (w *inserter) dispatch(ctx context.Context) error {
	if err := w.wait(ctx); err != nil {
		return err
	}
	if w.block.rows == 0 {
		return nil
	}
	full := w.block
	w.block, w.spare = w.spare, full
	sending := make(chan error, 1)
	w.sending = sending
	go func() { sending <- w.deliver(w.ctx, full) }()
	return nil
}

// wait lets the block on its way arrive.
func (w *inserter) wait(ctx context.Context) error {
	if w.sending == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, w.cancel)
	defer stop()
	err := <-w.sending
	w.sending = nil
	w.spare.reset()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// flush sends what was collected and waits until it has arrived.
func (w *inserter) flush(ctx context.Context) error {
	if err := w.dispatch(ctx); err != nil {
		return err
	}
	return w.wait(ctx)
}

// close ends what is on its way and lets the collected rows go.
func (w *inserter) close() {
	w.cancel()
	_ = w.wait(w.ctx)
	w.block.reset()
}

// reset empties the block.
func (b *block) reset() {
	for _, e := range slices.Concat(b.columns, b.meta) {
		e.reset()
	}
	for _, column := range b.retained {
		column.Release()
	}
	clear(b.retained)
	b.retained, b.texts, b.rows, b.bytes = b.retained[:0], 0, 0, 0
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

// deliver sends a block. The server refuses blocks while it has too many parts
// to merge; it is asked again then.
func (w *inserter) deliver(ctx context.Context, b *block) error {
	deadline := time.Now().Add(partsPatience)
	for {
		err := w.send(ctx, b)
		if code(err) != codeTooManyParts || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
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

// statement names all columns, because old servers tell the columns of a native
// block only then. The driver takes the text apart by patterns that know no
// quotes: the names are spelled so that nothing in them means anything, and the
// two spaces keep the driver from comparing that spelling with the columns.
func (w *inserter) statement(columns []*encoder) string {
	var b strings.Builder
	b.WriteString("INSERT  INTO " + spelledOut(w.table.Schema) + "." + spelledOut(w.table.Name) + "(")
	for i, e := range columns {
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

func (w *inserter) send(ctx context.Context, full *block) (err error) {
	pool, err := w.connect()
	if err != nil {
		return err
	}
	encoders := slices.Concat(full.columns, full.meta)
	settings := ch.Settings{}
	if w.version.hasLowCardinality() {
		settings["low_cardinality_allow_in_native_format"] = 0 // the server builds the dictionaries
	}
	query, done := w.begin(ctx, settings)
	defer done()
	batch, err := pool.PrepareBatch(query, w.statement(encoders))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreSent(batch.Abort()))
		}
	}()
	columns := batch.Columns()
	if len(columns) != len(encoders) {
		return fmt.Errorf("the server takes %d columns instead of %d", len(columns), len(encoders))
	}
	piece := max(1, min(sentRows, int(int64(full.rows)*sentBytes/int64(max(1, full.bytes)))))
	for from := 0; from < full.rows; from += piece {
		if from > 0 { // the server puts the pieces of one INSERT together again
			if err := batch.Flush(); err != nil {
				return err
			}
		}
		for i, e := range encoders {
			if err := e.fill(columns[i], from, min(from+piece, full.rows)); err != nil {
				return err
			}
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
