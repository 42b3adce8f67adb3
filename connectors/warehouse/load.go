package warehouse

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// Table describes a target without the metadata columns.
func (d *Destination) Table(ctx context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	if err := checkName("find", ref.Name); err != nil {
		return connectors.Table{}, false, err
	}
	t := d.table(ref.Name)
	if !t.exists() {
		return connectors.Table{}, false, nil
	}
	v, err := t.look(ctx)
	if err != nil {
		return connectors.Table{}, false, t.readError(fail(ctx, "open", t.name, err))
	}
	out := v.layout.describe()
	out.TableRef = ref
	out.RowEstimate, err = v.Rows(ctx)
	return out, true, fail(ctx, "open", t.name, errors.Join(err, v.Close()))
}

// Begin starts a load. Its rows are written beside the table: whole tables and
// long loads straight into Parquet files, some rows of a table into its live
// database. They become visible by one commit of that database.
func (d *Destination) Begin(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	if err := checkRequest(req); err != nil {
		return nil, err
	}
	if req.Raw != nil {
		if err := checkRaw(req); err != nil {
			return nil, err
		}
	}
	switch {
	case req.Mode == connectors.Retain || req.Mode == connectors.Remove:
		return d.beginRetain(ctx, req)
	case req.Resume != "" && req.Mode == connectors.Replace:
		return d.beginParts(ctx, req)
	case req.Raw != nil:
		return d.beginRaw(ctx, req)
	}
	return d.begin(ctx, req)
}

func checkRequest(req connectors.LoadRequest) error {
	const op = "load"
	invalid := func(kind connectors.ErrorKind, err error, hint string) error {
		return &connectors.Error{Kind: kind, Op: op, Object: req.Target.Name, Err: err, Hint: hint}
	}
	if err := checkName(op, req.Target.Name); err != nil {
		return err
	}
	if err := checkColumns(req.Columns); err != nil {
		return invalid(connectors.KindUnsupported, err, "rename or leave out the column")
	}
	if _, ok := parseUUID(req.RunID); !ok {
		return invalid(connectors.KindInvalid, fmt.Errorf("the run %q is no UUID", req.RunID), "")
	}
	if req.Mode < connectors.Replace || req.Mode > connectors.Remove || req.Mode != connectors.Replace && req.Mode != connectors.ReplaceWindow && len(req.Key) == 0 {
		return invalid(connectors.KindInvalid, fmt.Errorf("a table without a key cannot be loaded by mode %s", req.Mode), "")
	}
	if _, err := forLoad(req.Target.Name, req.Columns, req.Key); err != nil {
		return invalid(connectors.KindInvalid, err, "choose the key among the columns")
	}
	return nil
}

// load is one table being loaded.
type load struct {
	storage *storage
	table   table
	req     connectors.LoadRequest
	lock    *os.File
	existed bool

	txn    *txn
	in     *intake
	parts  *partWriter
	sort   *sorter // of a fact table's rows on their way into parts
	bulk   bool    // rows go into parts
	later  duplicate
	covers bool // rows bring all columns
	live   int64
	seq    int64
	made   []string // new files
	rows   int64
	wait   keySet // keys of rows that went live, whose older rows are still to be hidden
	lo, hi []byte
	buf    []byte
	key    []byte
}

// maxLiveRows is how many rows of one load go live; more make a file.
const maxLiveRows = 100_000

func (d *Destination) begin(ctx context.Context, req connectors.LoadRequest) (*load, error) {
	l := &load{storage: d.storage, table: d.table(req.Target.Name), req: req}
	lock, err := l.table.lock(ctx, req.Wait())
	if err != nil {
		return nil, err
	}
	l.lock = lock
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(fail(ctx, "load", l.table.name, l.table.openError(err)), l.Abort())
	}
	return l, nil
}

// openError keeps what is the table's fault apart from what is the load's.
func (t table) openError(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamage) {
		return t.readError(err)
	}
	return err
}

// errDamage marks errors of a table's own files.
var errDamage = errors.New("the table is damaged")

func (l *load) start(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	var err error
	if l.in, err = newIntake(l.txn.layout, l.req, l.txn.values[stateNextRow], l.storage.now().Unix()); err != nil {
		return err
	}
	l.covers = l.in.covers()
	l.parts = newPartWriter(l.table, l.txn.layout, l.nextPart)
	l.parts.done = l.partDone
	if l.req.Mode == connectors.Merge {
		l.later = laterWins
	}
	l.parts.policy = l.later
	l.bulk = !l.existed || l.req.Mode == connectors.Replace
	if l.existed && l.req.Mode == connectors.ReplaceWindow {
		return l.deleteWindow(ctx)
	}
	return nil
}

// open begins the change and settles the schema.
func (l *load) open(ctx context.Context) error {
	wanted, err := forLoad(l.req.Target.Name, l.req.Columns, l.req.Key)
	if err != nil {
		return err
	}
	now := l.storage.now()
	if l.existed = l.table.exists(); !l.existed {
		if err := l.table.sweep(nil, tokenName(l.req)); err != nil {
			return err
		}
		layout, err := newLayout(wanted, nil)
		if err != nil {
			return err
		}
		l.txn, err = l.table.create(ctx, layout, now)
		return err
	}
	if l.txn, err = l.table.begin(ctx); err != nil {
		return l.table.readError(fail(ctx, "open", l.table.name, err))
	}
	if err := l.table.sweep(l.txn.keep(), tokenName(l.req)); err != nil {
		return err
	}
	current := l.txn.layout
	next, err := l.settle(wanted, current)
	if err != nil {
		return err
	}
	if l.req.Mode == connectors.Replace {
		if err := l.txn.clear(ctx); err != nil {
			return err
		}
	}
	if next == current.table {
		return nil
	}
	enums := current.enums
	if next == wanted {
		enums = nil
	}
	layout, err := newLayout(next, enums)
	if err != nil {
		return err
	}
	return l.txn.setSchema(ctx, layout, now)
}

// settle gives the schema that the load brings about: the table's own when that
// can stay.
func (l *load) settle(wanted *schema.Table, current *layout) (*schema.Table, error) {
	if !current.table.Loaded || l.req.Mode != connectors.Replace {
		return l.extend(current)
	}
	if sameShape(wanted, current.table) {
		return current.table, nil
	}
	wanted.Version, wanted.Incarnation = current.table.Version+1, current.table.Incarnation+1
	return wanted, nil
}

// nextPart numbers a new file.
func (l *load) nextPart() int64 {
	n := l.txn.values[stateNextPart] + 1
	l.txn.values[stateNextPart] = n
	return n
}

// partDone takes a finished file into the table: the older rows of its keys are
// hidden.
func (l *load) partDone(ctx context.Context, p *part, w *partWriter) error {
	l.made = append(l.made, p.file)
	if !l.txn.layout.hidden() {
		if err := l.hideOlder(ctx, p, w); err != nil {
			return err
		}
	}
	if err := l.txn.addPart(ctx, p); err != nil {
		return err
	}
	if p.deadRows > 0 { // of the part itself
		rows := p.dead
		p.dead, p.deadRows = nil, 0
		for r := range p.info.Rows {
			if rows.get(r) {
				l.txn.mark(p, r)
			}
		}
	}
	p.keys = nil
	return nil
}

// hideOlder finds the rows that have keys of a new part.
func (l *load) hideOlder(ctx context.Context, p *part, w *partWriter) error {
	fact := l.txn.layout.isFact()
	var same []found
	err := l.txn.find(ctx, &w.set, p.lo, p.hi, l.txn.parts, func(f found) error {
		switch {
		case l.later == refuseDuplicates && slices.Contains(l.made, f.part.file):
			return w.errTwice()
		case fact && f.part.day != p.day:
			return l.errTime()
		case fact:
			same = append(same, f)
		default:
			l.txn.mark(f.part, f.row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(same) > 0 {
		if err := l.txn.fetch(ctx, same, []int{0}, func(f found, cells []cell) error {
			if int64(natural(cells[0])) != w.times[f.key] {
				return l.errTime()
			}
			l.txn.mark(f.part, f.row)
			return nil
		}); err != nil {
			return err
		}
	}
	return l.hideLive(ctx, w)
}

// hideLive removes the live rows that have keys of a new part, which is newer.
func (l *load) hideLive(ctx context.Context, w *partWriter) error {
	n, err := l.txn.conn.One(ctx, "SELECT 1 FROM rows LIMIT 1")
	if err != nil || n == nil {
		return err
	}
	var gone [][]byte
	err = l.txn.conn.Each(ctx, "SELECT k, t FROM rows WHERE k BETWEEN ? AND ?", []driver.Value{w.part.lo, w.part.hi}, func(row []driver.Value) error {
		key, _ := row[0].([]byte)
		i, ok := w.set.find(l.txn.layout.keyer.key(key))
		if !ok {
			return nil
		}
		if l.txn.layout.isFact() {
			if t, _ := row[1].(int64); t != w.times[i] {
				return l.errTime()
			}
		}
		gone = append(gone, bytes.Clone(key))
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range gone {
		if err := l.txn.conn.Exec(ctx, "DELETE FROM rows WHERE k = ?", key); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) errTime() error {
	return &connectors.Error{
		Kind: connectors.KindConstraint, Op: "load", Object: l.table.name, Err: errors.New("a row has another time than the row of its key in the table"),
		Hint: "the time of a fact does not change: choose another time column, or load the table as a dimension table",
	}
}

// Write adds the batch's rows.
func (l *load) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	return fail(ctx, "load", l.table.name, l.write(ctx, batch))
}

func (l *load) write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	arrays, err := l.in.arrays(batch)
	if err != nil {
		return err
	}
	defer releaseAll(arrays)
	rows := int(batch.NumRows())
	if l.req.Careful && l.bulk && l.later == refuseDuplicates {
		if err := l.checkKeys(ctx, arrays, rows); err != nil {
			return err
		}
	}
	switch {
	case l.txn.layout.isFact():
		err = l.writeFacts(ctx, arrays, rows)
	case l.bulk:
		err = l.parts.write(ctx, l.full(arrays, rows), rows, nil)
	case !l.covers:
		err = l.txn.merge(ctx, change{arrays: arrays, rows: rows}, nil)
	default:
		err = l.writeLive(ctx, arrays, rows)
	}
	if err == nil {
		l.rows += int64(rows)
	}
	return err
}

// full adds the defaults of the columns that the rows do not bring.
func (l *load) full(arrays []arrow.Array, rows int) []arrow.Array {
	for id, c := range l.txn.layout.columns {
		if arrays[id] == nil && !c.deleted {
			arrays[id] = repeat(c, rows)
		}
	}
	return arrays
}

// checkKeys refuses a batch with a key that the load has already, or has twice.
func (l *load) checkKeys(ctx context.Context, arrays []arrow.Array, rows int) error {
	if l.txn.layout.hidden() || rows == 0 {
		return nil
	}
	keyOf, err := l.txn.layout.keyOrderer(arrays)
	if err != nil {
		return err
	}
	var set keySet
	var lo, hi []byte
	for i := range rows {
		key := keyOf(nil, i)
		if lo == nil || string(key) < string(lo) {
			lo = key
		}
		if hi == nil || string(key) > string(hi) {
			hi = key
		}
		k := l.txn.layout.keyer.key(key)
		_, there := l.parts.set.find(k)
		there = there && l.parts.seg != nil
		if there || set.put(k) >= 0 || l.txn.layout.isFact() && l.wait.has(k) {
			return l.parts.errTwice()
		}
	}
	if l.txn.layout.isFact() {
		for i := range set.n {
			l.wait.add(set.key(i))
		}
	}
	return l.txn.find(ctx, &set, lo, hi, l.txn.parts, func(found) error { return l.parts.errTwice() })
}

// writeLive puts rows that bring all columns into the live database.
func (l *load) writeLive(ctx context.Context, arrays []arrow.Array, rows int) error {
	keyOf, err := l.txn.layout.keyOrderer(arrays)
	if err != nil {
		return err
	}
	w, err := l.txn.layout.newRowWriter(arrays)
	if err != nil {
		return err
	}
	hidden := l.txn.layout.hidden()
	for i := range rows {
		l.key = keyOf(l.key[:0], i)
		l.buf = w.append(l.buf[:0], i)
		if err := l.txn.putRow(ctx, l.key, nil, l.buf); err != nil {
			return err
		}
		if !hidden {
			l.waitFor(l.key)
		}
	}
	if l.live += int64(rows); l.live >= maxLiveRows {
		l.bulk = true
	}
	if l.bulk || l.wait.n >= 4*maxLiveRows {
		return l.hideWaiting(ctx)
	}
	return nil
}

func (l *load) waitFor(key []byte) {
	if l.lo == nil || string(key) < string(l.lo) {
		l.lo = append(l.lo[:0], key...)
	}
	if l.hi == nil || string(key) > string(l.hi) {
		l.hi = append(l.hi[:0], key...)
	}
	l.wait.add(l.txn.layout.keyer.key(key))
}

// hideWaiting hides the rows of the files that live ones replace.
func (l *load) hideWaiting(ctx context.Context) error {
	if l.wait.n == 0 || l.txn.layout.isFact() {
		return nil
	}
	err := l.txn.find(ctx, &l.wait, l.lo, l.hi, l.txn.parts, func(f found) error {
		l.txn.mark(f.part, f.row)
		return nil
	})
	l.wait.reset()
	l.lo, l.hi = nil, nil
	return err
}

// Commit makes the load durable and visible.
func (l *load) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if err := l.commit(ctx); err != nil {
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	return connectors.LoadResult{Rows: l.rows}, nil
}

func (l *load) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.finishFacts(ctx); err != nil {
		return err
	}
	if err := l.parts.finish(ctx); err != nil {
		return err
	}
	if err := l.hideWaiting(ctx); err != nil {
		return err
	}
	if l.in.grown {
		layout, err := newLayout(l.txn.layout.table, l.in.enums)
		if err != nil {
			return err
		}
		l.txn.layout = layout
		if err := l.txn.setCases(ctx, l.in.enums); err != nil {
			return err
		}
	}
	for name, v := range map[string]int64{
		stateNextRow: l.in.row, stateNextPart: l.txn.values[stateNextPart], stateUpserts: l.txn.values[stateUpserts] + l.live,
	} {
		delete(l.txn.values, name)
		if err := l.txn.set(ctx, name, v); err != nil {
			return err
		}
	}
	if err := l.txn.commit(ctx); err != nil {
		return err
	}
	l.made = nil
	l.storage.tidy(ctx, l.table)
	l.unlock()
	return nil
}

func (l *load) unlock() {
	if l.lock != nil {
		_ = l.lock.Close()
		l.lock = nil
	}
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Abort leaves the table as it was.
func (l *load) Abort() error {
	if l.lock == nil {
		return nil // it has ended
	}
	var errs []error
	if l.sort != nil {
		l.sort.close()
	}
	if l.parts != nil {
		l.parts.abort()
	}
	visible := false
	if l.txn != nil {
		visible = l.txn.visible
		errs = append(errs, l.txn.rollback())
	}
	if !visible { // else they are the table's, and what failed came after
		for _, name := range l.made {
			if err := l.table.fs.Remove(l.table.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		l.table.removeEmpty()
		if !l.existed {
			l.table.removeAborted()
		}
	}
	l.unlock()
	if err := errors.Join(errs...); err != nil {
		return fileError("abort the load of", l.table.name, err)
	}
	return nil
}

// deleteWindow hides the rows that a load's window replaces.
func (l *load) deleteWindow(ctx context.Context) error {
	f, err := newFilter(l.txn.layout, l.req.Window, nil)
	if err != nil {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "load", Object: l.table.name, Err: err, Hint: "run a full refresh"}
	}
	return l.txn.deleteWhere(ctx, f)
}
