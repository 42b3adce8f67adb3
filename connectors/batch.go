package connectors

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Batcher collects rows in typed builders and emits a record batch whenever the
// limits are reached. A reader appends exactly one value to every builder, then
// calls EndRow.
type Batcher struct {
	Builders []array.Builder // by column; assert the concrete type once, not per value

	schema *arrow.Schema
	limits Limits
	emit   func(arrow.RecordBatch) error
	rows   int
	bytes  int
	total  int64
}

// NewBatcher makes builders in the Arrow forms of the columns.
func NewBatcher(columns []Column, limits Limits, emit func(arrow.RecordBatch) error) *Batcher {
	b := &Batcher{schema: Schema(columns), limits: limits.OrDefault(), emit: emit}
	b.Builders = make([]array.Builder, len(columns))
	for i, f := range b.schema.Fields() {
		b.Builders[i] = array.NewBuilder(memory.DefaultAllocator, f.Type)
	}
	return b
}

// breatheEvery is how many rows are read between two breaths: some hundred
// microseconds.
const breatheEvery = 128

// EndRow closes a row that took about size bytes and emits the batch when it is full.
func (b *Batcher) EndRow(size int) error {
	b.rows++
	b.bytes += size
	if b.rows%breatheEvery == 0 && b.limits.Breathe != nil {
		b.limits.Breathe()
	}
	if b.rows >= b.limits.Rows || b.bytes >= b.limits.Bytes {
		return b.Flush()
	}
	return nil
}

// Flush emits the rows collected so far; with none it does nothing.
func (b *Batcher) Flush() error {
	if b.rows == 0 {
		return nil
	}
	arrays := make([]arrow.Array, len(b.Builders))
	texts := make([]int, len(b.Builders))
	for i, builder := range b.Builders {
		if t, ok := builder.(texting); ok {
			texts[i] = t.DataLen()
		}
		arrays[i] = builder.NewArray()
	}
	batch := array.NewRecordBatch(b.schema, arrays, int64(b.rows))
	for _, a := range arrays {
		a.Release()
	}
	full := b.rows
	b.total += int64(b.rows)
	b.rows, b.bytes = 0, 0
	if err := b.emit(batch); err != nil {
		return err
	}
	// Only now is room made for as much again: emit may have had to wait.
	for i, builder := range b.Builders {
		builder.Reserve(full)
		if t, ok := builder.(texting); ok {
			t.ReserveData(texts[i] + texts[i]/16)
		}
	}
	return nil
}

// texting is a builder of texts or bytes.
type texting interface {
	DataLen() int
	ReserveData(n int)
}

// Rows counts the rows ended so far, emitted or not.
func (b *Batcher) Rows() int64 { return b.total + int64(b.rows) }

// Release frees the builders; call it when reading ends.
func (b *Batcher) Release() {
	for _, builder := range b.Builders {
		builder.Release()
	}
}
