package warehouse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/connectors"
)

// Rebuild makes the target anew from its staging table and swaps it in. Each row
// keeps the run that brought it. Where the target marks deleted rows, the newest
// row of a deleted key stays, with the mark of its tombstone.
func (d *Destination) Rebuild(ctx context.Context, req connectors.RebuildRequest) (connectors.LoadResult, error) {
	direct := connectors.LoadRequest{
		Target: req.Target, Columns: req.Columns, Key: req.Key, Mode: connectors.Replace, RunID: uuid.Nil.String(), SyncedAt: time.Unix(0, 0),
		Raw: &connectors.RawTarget{Table: req.Raw},
	}
	if err := errors.Join(checkRequest(direct), checkRaw(direct)); err != nil {
		return connectors.LoadResult{}, err
	}
	raw := d.table(req.Raw.Name)
	base, err := findBase(ctx, raw, "rebuild", req.Base)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	l, err := d.begin(ctx, direct)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	if err := l.refill(ctx, raw, base, req); err != nil {
		return connectors.LoadResult{}, errors.Join(fail(ctx, "rebuild", req.Target.Name, err), l.Abort())
	}
	return l.Commit(ctx)
}

// findBase gives the number of the staging table's last row that does not count:
// the one before the first of the run base. Staging rows are written by one load
// after the other. A full load that found no rows left none; run IDs that grow
// with time then tell the later rows.
func findBase(ctx context.Context, raw table, op, base string) (int64, error) {
	missing := func(err error) error {
		return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: raw.name, Err: err, Hint: "run a full refresh"}
	}
	if !raw.exists() {
		return 0, missing(errors.New("the staging table does not exist"))
	}
	if base == "" {
		return 0, nil
	}
	id, err := uuid.Parse(base)
	if err != nil {
		return 0, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: raw.name, Err: fmt.Errorf("base run id: %w", err)}
	}
	const none = 1<<63 - 1
	first, later := int64(none), int64(none)
	err = eachRaw(ctx, raw, 0, func(r rawRow) error {
		if r.run == id {
			first = min(first, r.id)
		} else if string(r.run[:]) > string(id[:]) {
			later = min(later, r.id)
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case first != none:
		return first - 1, nil
	case id.Version() != 7:
		return 0, missing(fmt.Errorf("it has no row of the run %s", base))
	case later != none:
		return later - 1, nil
	}
	return none - 1, nil
}

// staged is a row of a staging table on its way through a sorter: its number, its
// run, when it was extracted, and its JSON.
const stagedHead = 8 + 16 + 8

func (r rawRow) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.id))
	dst = append(dst, r.run[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.extracted))
	return append(dst, r.data...)
}

func parseStaged(b []byte) (rawRow, error) {
	if len(b) < stagedHead {
		return rawRow{}, errRow
	}
	return rawRow{
		id: int64(binary.BigEndian.Uint64(b)), run: [16]byte(b[8:24]), extracted: arrow.Timestamp(binary.BigEndian.Uint64(b[24:])), data: string(b[stagedHead:]),
	}, nil
}

// stagedKeys reads the key and the tombstone's mark of staging rows.
type stagedKeys struct {
	columns []connectors.Column
	batcher *connectors.Batcher
	decode  *rowDecoder
	rows    []rawRow
	each    func(key []byte, stone bool, r rawRow) error
}

func newStagedKeys(req connectors.RebuildRequest, each func(key []byte, stone bool, r rawRow) error) *stagedKeys {
	k := &stagedKeys{each: each}
	for _, name := range req.Key {
		i := slices.IndexFunc(req.Columns, func(c connectors.Column) bool { return c.Name == name })
		k.columns = append(k.columns, req.Columns[i])
	}
	k.columns = append(k.columns, connectors.Column{Name: connectors.MetaDeletedAt, Type: connectors.Type{Kind: connectors.TimestampTZ}})
	k.batcher = connectors.NewBatcher(k.columns, limits(keyBatch), k.flush)
	k.decode = newRowDecoder(k.columns, k.batcher.Builders)
	return k
}

func (k *stagedKeys) add(r rawRow) error {
	if err := k.decode.decode(r.data); err != nil {
		return fmt.Errorf("row %d of the staging table: %w", r.id, err)
	}
	k.rows = append(k.rows, r)
	return k.batcher.EndRow(len(r.data))
}

func (k *stagedKeys) flush(b arrow.RecordBatch) error {
	defer b.Release()
	var parts []orderer
	for i, c := range k.columns[:len(k.columns)-1] {
		p, err := newOrderer(b.Column(i), c.Type, true)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	var key []byte
	for i, r := range k.rows {
		key = key[:0]
		for _, p := range parts {
			key = p(key, i)
		}
		if err := k.each(key, !b.Column(len(k.columns)-1).IsNull(i), r); err != nil {
			return err
		}
	}
	k.rows = k.rows[:0]
	return nil
}

// refill writes what the target is to hold.
func (l *load) refill(ctx context.Context, raw table, base int64, req connectors.RebuildRequest) error {
	run := connectors.Column{Name: connectors.MetaRunID, Type: connectors.Type{Kind: connectors.UUID}}
	synced := connectors.Column{Name: connectors.MetaSyncedAt, Type: connectors.Type{Kind: connectors.TimestampTZ}}
	columns := append(slices.Clone(req.Columns), run, synced)
	in, err := newIntake(l.txn.layout, connectors.LoadRequest{Columns: columns, RunID: l.req.RunID}, l.txn.values[stateNextRow], l.in.now)
	if err != nil {
		return err
	}
	l.in = in
	b := connectors.NewBatcher(columns, connectors.Limits{}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		return l.write(ctx, batch)
	})
	defer b.Release()
	row := newRowDecoder(req.Columns, b.Builders[:len(req.Columns)])
	marked := slices.IndexFunc(req.Columns, func(c connectors.Column) bool { return c.Name == connectors.MetaDeletedAt })
	put := func(r rawRow, stone *rawRow) error {
		if stone != nil && marked >= 0 {
			data, err := withMark(r.data, stone.data)
			if err != nil {
				return err
			}
			r.data = data
		}
		if err := row.decode(r.data); err != nil {
			return &connectors.Error{Kind: connectors.KindType, Op: "build from", Object: raw.name, Err: fmt.Errorf("row %d: %w", r.id, err)}
		}
		b.Builders[len(columns)-2].(*array.FixedSizeBinaryBuilder).Append(r.run[:])
		b.Builders[len(columns)-1].(*array.TimestampBuilder).Append(r.extracted)
		return b.EndRow(len(r.data))
	}
	if len(req.Key) == 0 {
		keys := newStagedKeys(req, func(_ []byte, stone bool, r rawRow) error {
			if stone {
				return nil
			}
			return put(r, nil)
		})
		defer keys.batcher.Release()
		err = errors.Join(eachRaw(ctx, raw, base, fitting(req.Fitting, keys.add)), keys.batcher.Flush())
	} else {
		err = newest(ctx, l.table.path, raw, base, req, func(rows []rawRow, stones []bool) error {
			last := len(rows) - 1
			if !stones[last] {
				return put(rows[last], nil)
			}
			for i := last - 1; marked >= 0 && i >= 0; i-- {
				if !stones[i] {
					return put(rows[i], &rows[last])
				}
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	return b.Flush()
}

// fitting leaves dead letters out, if it is asked to.
func fitting(only bool, row func(rawRow) error) func(rawRow) error {
	return func(r rawRow) error {
		if only && r.isDead() {
			return nil
		}
		return row(r)
	}
}

// newest gives the staging rows of each key together, by their numbers.
func newest(ctx context.Context, dir string, raw table, base int64, req connectors.RebuildRequest, group func(rows []rawRow, stones []bool) error) error {
	s := newSorter(dir)
	defer s.close()
	var value []byte
	keys := newStagedKeys(req, func(key []byte, stone bool, r rawRow) error {
		value = append(value[:0], 0)
		if stone {
			value[0] = 1
		}
		value = r.append(value)
		return s.add(key, value)
	})
	defer keys.batcher.Release()
	if err := eachRaw(ctx, raw, base, fitting(req.Fitting, keys.add)); err != nil {
		return err
	}
	if err := keys.batcher.Flush(); err != nil {
		return err
	}
	var rows []rawRow
	var stones []bool
	var last []byte
	err := s.each(func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(rows) > 0 && string(key) != string(last) {
			if err := group(rows, stones); err != nil {
				return err
			}
			rows, stones = rows[:0], stones[:0]
		}
		r, err := parseStaged(value[1:])
		if err != nil {
			return err
		}
		last = append(last[:0], key...)
		rows, stones = append(rows, r), append(stones, value[0] == 1)
		return nil
	})
	if err == nil && len(rows) > 0 {
		err = group(rows, stones)
	}
	return err
}

// withMark puts the mark of a tombstone into a row.
func withMark(row, stone string) (string, error) {
	mark := ""
	if err := eachMember(stone, func(name, literal string) error {
		if name == connectors.MetaDeletedAt {
			mark = literal
		}
		return nil
	}); err != nil {
		return "", err
	}
	out := append([]byte(nil), '{')
	err := eachMember(row, func(name, literal string) error {
		if name != connectors.MetaDeletedAt {
			out = append(connectors.AppendJSONString(out, name), ':')
			out = append(append(out, literal...), ',')
		}
		return nil
	})
	out = append(connectors.AppendJSONString(out, connectors.MetaDeletedAt), ':')
	return string(append(append(out, mark...), '}')), err
}

// PruneRaw deletes staging rows that no rebuild needs.
func (d *Destination) PruneRaw(ctx context.Context, req connectors.RebuildRequest, before time.Time) (int64, error) {
	const op = "prune"
	if err := checkName(op, req.Raw.Name); err != nil {
		return 0, err
	}
	raw := d.table(req.Raw.Name)
	base, err := findBase(ctx, raw, op, req.Base)
	if err != nil || req.Base == "" && len(req.Key) == 0 {
		return 0, err // without a key and a base each row counts
	}
	lock, err := raw.lock(ctx, connectors.DefaultLockWait)
	if err != nil {
		return 0, err
	}
	defer func() { _ = lock.Close() }()
	old := func(r rawRow) bool {
		return r.extracted < arrow.Timestamp(before.UnixMicro()) && (req.Base == "" || r.id <= base)
	}
	var gone []int64
	if len(req.Key) == 0 {
		err = eachRaw(ctx, raw, 0, func(r rawRow) error {
			if old(r) {
				gone = append(gone, r.id)
			}
			return nil
		})
	} else {
		fits := req
		fits.Fitting = true
		err = newest(ctx, raw.path, raw, 0, fits, func(rows []rawRow, _ []bool) error {
			for _, r := range rows[:len(rows)-1] {
				if old(r) {
					gone = append(gone, r.id)
				}
			}
			return nil
		})
	}
	if err == nil && len(req.Key) > 0 && req.Base != "" {
		err = eachRaw(ctx, raw, 0, func(r rawRow) error {
			if r.isDead() && old(r) {
				gone = append(gone, r.id)
			}
			return nil
		})
	}
	if err != nil || len(gone) == 0 {
		return 0, fail(ctx, op, raw.name, err)
	}
	slices.Sort(gone)
	_, err = d.perform(ctx, raw, op, d.now(), func(j *job) error { return j.deleteIDs(ctx, gone) })
	if err != nil {
		return 0, err
	}
	d.tidy(ctx, raw)
	return int64(len(gone)), nil
}

// deleteIDs deletes the rows of a staging table that have the given numbers, which ascend.
func (x *txn) deleteIDs(ctx context.Context, gone []int64) error {
	v := x.reading()
	defer v.closeFiles()
	for _, p := range x.parts {
		err := v.eachPart(ctx, p, []int{0}, func(b arrow.RecordBatch, at []int64) error {
			ids := b.Column(0).(*array.Int64)
			for i := range ids.Len() {
				if _, ok := slices.BinarySearch(gone, ids.Value(i)); ok {
					x.mark(p, at[i])
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var keys [][]byte
	err := x.eachLive(ctx, []int{0}, func(live [][]byte, b arrow.RecordBatch) error {
		ids := b.Column(0).(*array.Int64)
		for i := range ids.Len() {
			if _, ok := slices.BinarySearch(gone, ids.Value(i)); ok {
				keys = append(keys, live[i])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.deleteKeys(ctx, keys)
}
