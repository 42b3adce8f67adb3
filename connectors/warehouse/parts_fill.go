package warehouse

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// partFill is one part being filled.
type partFill struct {
	load          *partLoad
	id            string
	typed, raw    *partWriter
	list, rawList partList
	sort          *sorter
	seq           int64
	key, buf      []byte
	kept          [][]byte // see KeepRaw
	ended         bool
}

// Write adds rows to the part.
func (p *partFill) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	return fail(ctx, "load", p.load.table.name, p.write(ctx, batch))
}

func (p *partFill) write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l := p.load
	l.mu.Lock()
	arrays, err := l.in.arrays(batch)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	defer releaseAll(arrays)
	n := int(batch.NumRows())
	for id, c := range l.layout.columns {
		if arrays[id] == nil && !c.deleted {
			arrays[id] = repeat(c, n)
		}
	}
	if l.req.Careful {
		if err := p.checkKeys(arrays, n); err != nil {
			return err
		}
	}
	if l.layout.isFact() {
		err = p.sortRows(arrays, n)
	} else {
		err = p.typed.write(ctx, arrays, n, nil)
	}
	if err != nil || p.raw == nil {
		p.list.Rows += int64(n)
		return err
	}
	p.list.Rows += int64(n)
	return p.land(ctx, batch)
}

// checkKeys refuses a batch with a key that the part has already, or has twice.
func (p *partFill) checkKeys(arrays []arrow.Array, n int) error {
	if p.load.layout.hidden() {
		return nil
	}
	keyOf, err := p.load.layout.keyOrderer(arrays)
	if err != nil {
		return err
	}
	var set keySet
	for i := range n {
		p.key = keyOf(p.key[:0], i)
		k := p.load.layout.keyer.key(p.key)
		if set.put(k) >= 0 || p.typed.seg != nil && p.typed.set.has(k) {
			return p.typed.errTwice()
		}
	}
	return nil
}

func (p *partFill) sortRows(arrays []arrow.Array, n int) error {
	if p.sort == nil {
		p.sort = newSorter(p.load.table.path)
	}
	order, err := p.load.layout.sortOrderer(arrays)
	if err != nil {
		return err
	}
	w, err := p.load.layout.newRowWriter(arrays)
	if err != nil {
		return err
	}
	for i := range n {
		p.key = order(p.key[:0], i)
		p.buf = w.append(binary.LittleEndian.AppendUint64(p.buf[:0], uint64(p.seq)), i)
		p.seq++
		if err := p.sort.add(p.key, p.buf); err != nil {
			return err
		}
	}
	return nil
}

// land writes the rows as JSON for the staging table.
func (p *partFill) land(ctx context.Context, batch arrow.RecordBatch) error {
	return p.landRows(ctx, int(batch.NumRows()), func(i int) []byte {
		p.buf = connectors.AppendRowJSON(p.buf[:0], batch, p.load.req.Columns, i)
		return p.buf
	})
}

// KeepRaw keeps rows for the staging table alone.
func (p *partFill) KeepRaw(rows [][]byte) { p.kept = append(p.kept, rows...) }

func (p *partFill) landRows(ctx context.Context, n int, data func(i int) []byte) error {
	r := p.load.raw
	r.mu.Lock()
	first := r.next
	r.next += int64(n)
	r.mu.Unlock()
	arrays := rawArrays(n, first, r.run, p.load.req.SyncedAt, data)
	defer releaseAll(arrays)
	p.rawList.Rows += int64(n)
	p.rawList.Last = first + int64(n) - 1
	return p.raw.write(ctx, arrays, n, nil)
}

// Commit makes the part's rows durable.
func (p *partFill) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if err := p.commit(ctx); err != nil {
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", p.load.table.name, err), p.Abort())
	}
	p.ended = true
	return connectors.LoadResult{Rows: p.list.Rows, RawRows: p.rawList.Rows}, nil
}

func (p *partFill) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.sort != nil {
		if err := p.typed.writeSorted(ctx, p.sort); err != nil {
			return err
		}
		p.sort.close()
	}
	if err := p.typed.finish(ctx); err != nil {
		return err
	}
	l := p.load
	if p.raw != nil {
		if len(p.kept) > 0 {
			if err := p.landRows(ctx, len(p.kept), func(i int) []byte { return p.kept[i] }); err != nil {
				return err
			}
		}
		if err := p.raw.finish(ctx); err != nil {
			return err
		}
		if err := l.raw.table.writeList(l.token, p.id, p.rawList); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.list.Enums = l.in.enums
	if err := l.table.writeList(l.token, p.id, p.list); err != nil {
		return err
	}
	l.done[p.id] = p.list
	return nil
}

func (t table) writeList(token, id string, list partList) error {
	dir := filepath.Join(t.file(partsDir), token)
	if err := t.fs.MkdirAll(dir); err != nil {
		return err
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return replaceFile(t.fs, filepath.Join(dir, id+".json"), data)
}

// Abort removes what the part wrote.
func (p *partFill) Abort() error {
	if p.ended {
		return nil
	}
	p.ended = true
	if p.sort != nil {
		p.sort.close()
	}
	remove := func(t table, w *partWriter, list partList) {
		w.abort()
		for _, f := range list.Files {
			_ = t.fs.Remove(t.file(f.File))
		}
	}
	remove(p.load.table, p.typed, p.list)
	if p.raw != nil {
		remove(p.load.raw.table, p.raw, p.rawList)
	}
	return nil
}
