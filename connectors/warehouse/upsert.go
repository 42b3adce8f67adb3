package warehouse

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/upsert"
)

// change is a batch of rows to be merged by key.
type change struct {
	arrays []arrow.Array // by column ID, in the stored form; nil = not given
	rows   int
	modes  []upsert.Mode // by column ID; nil = every value replaces, nulls too
	// arrival is the time of rows without an event time, 0 where those are refused.
	arrival int64
	// defaults gives new rows the defaults of columns that are null, too.
	defaults bool
	// whole says that rows bring all columns, and that nobody asks which of them
	// were there: nothing is read of the rows that they replace but their time.
	whole bool
}

// outcome is what became of one row of a change.
type outcome uint8

const (
	inserted outcome = iota + 1
	updated
	refusedTime // the key has a row of another time
)

// merge puts rows into the live table: new ones, and changed ones in the place of
// those that have their key, wherever these are.
func (x *txn) merge(ctx context.Context, c change, done func(row int, o outcome)) error {
	if c.rows == 0 {
		return nil
	}
	keyOf, err := x.layout.keyOrderer(c.arrays)
	if err != nil {
		return err
	}
	w, err := x.layout.newRowWriter(c.arrays)
	if err != nil {
		return err
	}
	if c.whole {
		return x.replace(ctx, c, keyOf, w, done)
	}
	m := &merger{txn: x, change: c, cells: make([]cell, len(x.layout.columns)), old: make([]cell, len(x.layout.columns)), puts: w.put}
	if m.stored, err = m.lookup(ctx, keyOf); err != nil {
		return err
	}
	if m.read, err = x.conn.PrepareQuery(ctx, "SELECT t, v FROM rows WHERE k = ?"); err != nil {
		return err
	}
	defer func() { _ = m.read.Close() }()
	var key []byte
	for i := range c.rows {
		key = keyOf(key[:0], i)
		o, err := m.row(ctx, i, key)
		if err != nil {
			return err
		}
		if done != nil {
			done(i, o)
		}
	}
	return nil
}

// archivedRow is a row of a file that a change may replace.
type archivedRow struct {
	at  found
	row []byte // as a live row
}

type merger struct {
	*txn
	change
	read   *lite.Reader
	puts   []cellPutter
	stored map[rowKey]archivedRow
	cells  []cell
	old    []cell
	buf    []byte
	arena  []byte
}

// hits finds the rows of the files whose keys rows of a change have: of each part
// ascending, with the last row of the change that has the key.
func (x *txn) hits(ctx context.Context, rows int, keyOf orderer) (*keySet, []found, error) {
	if len(x.parts) == 0 || x.layout.hidden() {
		return nil, nil, nil
	}
	set := &keySet{}
	var key, lo, hi []byte
	for i := range rows {
		key = keyOf(key[:0], i)
		if i == 0 || bytes.Compare(key, lo) < 0 {
			lo = append(lo[:0], key...)
		}
		if i == 0 || bytes.Compare(key, hi) > 0 {
			hi = append(hi[:0], key...)
		}
		set.add(x.layout.keyer.key(key))
	}
	var hits []found
	err := x.find(ctx, set, lo, hi, x.parts, func(f found) error {
		hits = append(hits, f)
		return nil
	})
	slices.SortFunc(hits, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.part.id, b.part.id), cmp.Compare(a.row, b.row))
	})
	return set, hits, err
}

// lookup finds the rows of the files whose keys the change has.
func (m *merger) lookup(ctx context.Context, keyOf orderer) (map[rowKey]archivedRow, error) {
	set, hits, err := m.hits(ctx, m.rows, keyOf)
	if err != nil || len(hits) == 0 {
		return nil, err
	}
	stored := make(map[rowKey]archivedRow, len(hits))
	err = m.fetch(ctx, hits, m.layout.liveIDs(), func(f found, cells []cell) error {
		stored[set.key(f.key)] = archivedRow{f, m.layout.joinRow(nil, cells)}
		return nil
	})
	return stored, err
}

// replace puts whole rows into the live table, in place of those of their keys.
// A fact whose key has a row of another time is refused.
func (x *txn) replace(ctx context.Context, c change, keyOf orderer, w *rowWriter, done func(row int, o outcome)) error {
	set, hits, err := x.hits(ctx, c.rows, keyOf)
	if err != nil {
		return err
	}
	hitOf := make([]int32, c.rows) // by the last row of a key: its hit plus one
	times := make([]int64, len(hits))
	for n, f := range hits {
		hitOf[f.key] = int32(n + 1)
	}
	if x.layout.isFact() {
		n := 0
		if err := x.fetch(ctx, hits, []int{0}, func(_ found, cells []cell) error {
			times[n] = -1
			if cells[0] != nil {
				times[n] = int64(natural(cells[0]))
			}
			n++
			return nil
		}); err != nil {
			return err
		}
	}
	put, err := x.conn.Prepare(ctx, "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET t = excluded.t, v = excluded.v WHERE t IS excluded.t", 3)
	if err != nil {
		return err
	}
	defer func() { _ = put.Close() }()
	var key, row []byte
	for i := range c.rows {
		key = keyOf(key[:0], i)
		var t driver.Value
		hit := -1
		if set != nil && len(hits) > 0 {
			last, _ := set.find(set.key(i))
			hit = int(hitOf[last]) - 1
		}
		if x.layout.isFact() {
			at := timeOf(c.arrays[0], i)
			if t = at; hit >= 0 && times[hit] != at {
				done(i, refusedTime)
				continue
			}
		}
		row = w.append(row[:0], i)
		put.Set(0, key)
		put.Set(1, t)
		put.Set(2, row)
		switch n, err := put.Changed(ctx); {
		case err != nil:
			return err
		case n == 0:
			done(i, refusedTime)
		case hit >= 0:
			x.mark(hits[hit].part, hits[hit].row)
		}
	}
	return nil
}

// row merges one row.
func (m *merger) row(ctx context.Context, i int, key []byte) (outcome, error) {
	old, isLive, err := m.live(ctx, key)
	if err != nil {
		return 0, err
	}
	var hit archivedRow
	if !isLive && m.stored != nil {
		if hit = m.stored[m.layout.keyer.key(key)]; hit.row != nil {
			old = hit.row
		}
	}
	if old != nil {
		if err := m.layout.splitRow(old, m.old); err != nil {
			return 0, err
		}
		if m.layout.isFact() && m.otherTime(i) {
			return refusedTime, nil
		}
	}
	m.arena = m.arena[:0]
	for id := range m.cells {
		m.cells[id] = m.value(id, i, old != nil)
	}
	var t driver.Value
	if m.layout.isFact() {
		if t = m.arrival; m.cells[0] != nil {
			t = int64(binary.LittleEndian.Uint32(m.cells[0]))
		}
	}
	m.buf = m.layout.joinRow(m.buf[:0], m.cells)
	if err := m.putRow(ctx, key, t, m.buf); err != nil {
		return 0, err
	}
	if old == nil {
		return inserted, nil
	}
	if hit.row != nil {
		m.mark(hit.at.part, hit.at.row)
		delete(m.stored, m.layout.keyer.key(key))
	}
	return updated, nil
}

func (m *merger) live(ctx context.Context, key []byte) ([]byte, bool, error) {
	row, ok, err := m.read.Row(ctx, key)
	if err != nil || !ok {
		return nil, false, err
	}
	data, _ := row[1].([]byte)
	return data, true, nil
}

// otherTime says whether row i has another time than the stored one.
func (m *merger) otherTime(i int) bool {
	arr := m.arrays[0]
	if arr == nil || arr.IsNull(i) {
		return m.old[0] != nil && arr != nil && m.arrival == 0
	}
	return m.old[0] == nil || uint32(timeOf(arr, i)) != binary.LittleEndian.Uint32(m.old[0])
}

// value is what column id of the merged row has.
func (m *merger) value(id, i int, exists bool) cell {
	c := m.layout.columns[id]
	if c.deleted {
		return nil
	}
	before := c.def
	if exists {
		before = m.old[id]
	}
	arr := m.arrays[id]
	if arr == nil {
		return before
	}
	mode := upsert.OverwriteNull
	if m.modes != nil {
		mode = m.modes[id]
	}
	if arr.IsNull(i) {
		if mode == upsert.OverwriteNull && (exists || !m.defaults) {
			return nil
		}
		return before
	}
	at := len(m.arena)
	m.arena = m.puts[id](m.arena, i)
	given := cell(m.arena[at:len(m.arena):len(m.arena)])
	if given == nil {
		given = cell{}
	}
	if before == nil || mode == upsert.Overwrite || mode == upsert.OverwriteNull {
		return given
	}
	return combine(c.stored.Kind, mode, before, given)
}

// combine adds two numbers or takes the lesser or the greater one. A sum beyond
// the type is the type's limit.
func combine(k connectors.Kind, mode upsert.Mode, a, b cell) cell {
	le := binary.LittleEndian
	switch k {
	case connectors.Float32:
		x, y := float64(math.Float32frombits(le.Uint32(a))), float64(math.Float32frombits(le.Uint32(b)))
		v := pick(mode, x, y, max(-math.MaxFloat32, min(math.MaxFloat32, x+y)))
		return le.AppendUint32(nil, math.Float32bits(float32(v)))
	case connectors.Float64:
		x, y := math.Float64frombits(le.Uint64(a)), math.Float64frombits(le.Uint64(b))
		v := pick(mode, x, y, max(-math.MaxFloat64, min(math.MaxFloat64, x+y)))
		return le.AppendUint64(nil, math.Float64bits(v))
	}
	low, high := intRange(k)
	if low == 0 { // natural numbers
		x, y := natural(a), natural(b)
		sum := x + y
		if sum < x || sum > high {
			sum = high
		}
		return le.AppendUint64(nil, pick(mode, x, y, sum))[:len(a):len(a)]
	}
	x, y := integer(a), integer(b)
	sum := x + y
	switch {
	case x > 0 && y > 0 && (sum < 0 || sum > int64(high)):
		sum = int64(high)
	case x < 0 && y < 0 && (sum >= 0 || sum < low):
		sum = low
	}
	return le.AppendUint64(nil, uint64(pick(mode, x, y, sum)))[:len(a):len(a)]
}

func pick[T cmp.Ordered](mode upsert.Mode, x, y, sum T) T {
	switch mode {
	case upsert.Min:
		return min(x, y)
	case upsert.Max:
		return max(x, y)
	}
	return sum
}

func natural(c cell) uint64 {
	var b [8]byte
	copy(b[:], c)
	return binary.LittleEndian.Uint64(b[:])
}

func integer(c cell) int64 {
	shift := 64 - 8*len(c)
	return int64(natural(c)<<shift) >> shift
}
