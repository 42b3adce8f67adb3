package clickhouse

import (
	"bufio"
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
	insertBytes = 12 << 20
	sharedBytes = 4 << 20
	longRow     = 16 << 10  // bytes from which on rows make small blocks
	sentRows    = 16 << 10  // that travel at a time, so that the driver's memory stays small and is used again;
	sentBytes   = 512 << 10 // fewer where rows are long
)

// partsPatience is how long an INSERT waits for the server's merges.
const partsPatience = 5 * time.Minute

// inserter writes rows to one table, a block an INSERT. A block is written whole
// or not at all. While it is on its way, the rows of the next wait as batches: a
// second block would take as much memory for little time.
type inserter struct {
	*db
	table connectors.TableRef
	stamp stamp
	bytes int           // of a block
	block *block        // being collected
	wire  *bufio.Reader // of the columns being sent
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

func (d *db) newInserter(table connectors.TableRef, columns, meta []native, bytes int) (*inserter, error) {
	w := &inserter{db: d, table: table, bytes: bytes, block: &block{}, wire: bufio.NewReaderSize(nil, wireBuffer)}
	for _, side := range []struct {
		columns []native
		to      *[]*encoder
	}{{columns, &w.block.columns}, {meta, &w.block.meta}} {
		for _, c := range side.columns {
			e, err := newEncoder(d.version, c.Column, c.native)
			if err != nil {
				return nil, err
			}
			*side.to = append(*side.to, e)
		}
	}
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
		return w.flush(ctx)
	}
	return nil
}

// flush sends what was collected and waits until it has arrived.
func (w *inserter) flush(ctx context.Context) error {
	if w.block.rows == 0 {
		return nil
	}
	err := w.deliver(ctx, w.block)
	w.block.reset()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// close lets the collected rows go.
func (w *inserter) close() { w.block.reset() }

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
			if err := e.fill(columns[i], from, min(from+piece, full.rows), w.wire); err != nil {
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
