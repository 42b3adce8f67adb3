package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/model"
	"arus/connectors"
)

// refusal is an error of a load for what its rows contain: the load is tried
// again carefully.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// refused marks an error of Write or Commit that rows brought about.
func refused(err error) error {
	switch connectors.KindOf(err) {
	case connectors.KindType, connectors.KindConstraint:
		return refusal{err}
	}
	return err
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[refusal](err)
	return ok
}

// maxLetterBytes bounds what the dead letters of one flow take in memory.
const maxLetterBytes = 32 << 20

// tolerance counts a table's dead letters, over all its flows.
type tolerance struct {
	limits model.Tolerance
	target string

	mu   sync.Mutex
	rows int64
}

// intolerable says that too many rows would be dead letters.
type intolerable struct{ error }

func (e intolerable) Unwrap() error { return e.error }

func (t *tolerance) fail(format string, args ...any) error {
	return intolerable{&connectors.Error{
		Kind: connectors.KindType, Op: "load", Object: t.target, Err: fmt.Errorf(format, args...),
		Hint: "mend them at the source, set the pipeline's policy for such values to replace, or raise its tolerance for dead letters",
	}}
}

// add counts n more dead letters.
func (t *tolerance) add(n int, reason string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows += int64(n)
	if limit := t.limits.OrDefault().MaxRows; t.rows > limit {
		return t.fail("more than %d rows would be dead letters, the last because of %s", limit, reason)
	}
	return nil
}

// take forgets n of them: their load starts again.
func (t *tolerance) take(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows -= int64(n)
}

// check compares the dead letters with the rows read, once all are read.
func (t *tolerance) check(letters, read int64) error {
	if share := t.limits.MaxShare; share > 0 && float64(letters) > share*float64(read) {
		return t.fail("%d of %d rows would be dead letters, more than the %.4g %% that are tolerated", letters, read, share*100)
	}
	return nil
}

// keepLetters takes rows out of the load, as long as they are tolerable.
func (f *flow) keepLetters(bad []badRow) error {
	for _, b := range bad {
		f.letterBytes += len(b.data) + len(b.raw) + len(b.reason)
	}
	f.letters = append(f.letters, bad...)
	if len(bad) == 0 {
		return nil
	}
	last := bad[len(bad)-1].reason
	if f.letterBytes > maxLetterBytes {
		return f.copy.tolerance.fail("%d rows of %d MB in all would be dead letters, the last because of %s", len(f.letters), f.letterBytes>>20, last)
	}
	return f.copy.tolerance.add(len(bad), last)
}

// write gives a batch to the load, less the rows that the policies take out.
func (f *flow) write(ctx context.Context, p parcel) error {
	if f.careful {
		defer p.batch.Release()
		return f.writeCarefully(ctx, p)
	}
	fitting, bad, err := f.prepare(p)
	if err == nil {
		err = f.keepLetters(bad)
	}
	if err != nil || fitting == nil {
		if fitting != nil {
			fitting.Release()
		}
		return err
	}
	f.findVoids(fitting)
	return refused(f.load.Write(ctx, fitting))
}

// findVoids looks for rows without a value in a required column.
func (f *flow) findVoids(batch arrow.RecordBatch) {
	for i, col := range f.copy.shape.load {
		f.voids = f.voids || f.copy.required(col) && batch.Column(i).NullN() > 0
	}
}

// keepRows notes the rows that raw mode keeps, before they are letters as they
// were read.
func (f *flow) keepRows(bad []badRow) {
	if f.copy.plan.raw == nil {
		return
	}
	for i := range bad {
		bad[i].raw = bad[i].data
	}
}

// keepRaw stages the dead letters: raw mode keeps everything. A row that made
// its way to no columns, or that the staging table's JSON would change, is a
// letter alone.
func (f *flow) keepRaw() {
	keeper, ok := f.load.(connectors.RawKeeper)
	if !ok || f.copy.plan.raw == nil {
		return
	}
	nul := f.copy.destination.Holds().NUL
	var rows [][]byte
	for i := range f.letters {
		l := &f.letters[i]
		if l.raw != nil && (nul || bytes.Equal(l.raw, withoutNUL(l.raw))) {
			rows = append(rows, connectors.MarkDead(l.raw))
		}
		l.raw = nil
	}
	keeper.KeepRaw(rows)
}

// prepare gives a batch the load's columns and makes its values fit. The batch
// is the caller's until prepare returns, then the result is.
func (f *flow) prepare(p parcel) (arrow.RecordBatch, []badRow, error) {
	n := int(p.batch.NumRows())
	shaped, bad := f.copy.shape.apply(p.batch)
	f.keepRows(bad)
	p.original(f.columns, bad, without(n, nil))
	if shaped == nil {
		return nil, bad, nil
	}
	fitting, more, err := f.fitter.fit(shaped)
	if len(more) > 0 {
		f.keepRows(more)
		p.original(f.columns, more, without(n, bad))
	}
	return fitting, append(bad, more...), err
}

// writeCarefully halves a batch that the destination refuses until the bad rows
// are alone; those become dead letters as the source has them. The batch stays
// the caller's.
func (f *flow) writeCarefully(ctx context.Context, p parcel) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	replaced := maps.Clone(f.fitter.replaced)
	p.batch.Retain()
	fitting, bad, err := f.prepare(p)
	if err != nil {
		return err
	}
	if fitting == nil {
		return f.keepLetters(bad)
	}
	err = f.load.Write(ctx, fitting)
	if err == nil {
		return f.keepLetters(bad)
	}
	if !isRefusal(refused(err)) {
		return err
	}
	f.fitter.replaced = replaced
	n := int(p.batch.NumRows())
	if n == 1 {
		letter := badRow{reason: err.Error()}
		if p.source != nil {
			letter.data = connectors.AppendRowJSON(nil, p.source, f.columns, p.row(0))
		} else {
			letter.data = connectors.AppendRowJSON(nil, p.batch, f.columns, 0)
		}
		if f.copy.plan.raw != nil {
			letter.raw = connectors.AppendRowJSON(nil, p.batch, f.copy.shape.read, 0)
		}
		return f.keepLetters([]badRow{letter})
	}
	for _, span := range [][2]int{{0, n / 2}, {n / 2, n}} {
		rows := make([]int, 0, span[1]-span[0])
		for i := span[0]; i < span[1]; i++ {
			rows = append(rows, i)
		}
		half := p.part(rows)
		err := f.writeCarefully(ctx, half)
		half.batch.Release()
		if err != nil {
			return err
		}
	}
	return nil
}
