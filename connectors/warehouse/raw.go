package warehouse

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// Raw mode: the rows land as JSON in a staging table that stays, and the typed
// table is built from the rows of the run. The staging rows are committed
// first; a kill in between leaves them and the old typed table.

const (
	rawID        = "_arus_id"
	rawExtracted = "_arus_extracted"
	rawData      = "_data"
)

// rawColumns are a staging table's, in the order of their IDs.
func rawColumns() []connectors.Column {
	return []connectors.Column{
		{Name: rawID, Type: connectors.Type{Kind: connectors.Int64}},
		{Name: connectors.MetaRunID, Type: connectors.Type{Kind: connectors.UUID}},
		{Name: rawExtracted, Type: connectors.Type{Kind: connectors.TimestampTZ}},
		{Name: rawData, Type: connectors.Type{Kind: connectors.JSON}},
	}
}

func rawSchema(name string) *schema.Table {
	t := &schema.Table{Name: name, PrimaryKeyColumns: []int{0}, Config: schema.DefaultConfig(), Version: 1, Loaded: true}
	for i, c := range rawColumns() {
		t.Columns = append(t.Columns, schema.Column{Name: c.Name, Type: schema.FromLogical(c.Type).Name(), NotNull: i != 2})
	}
	return t
}

func isRaw(t *schema.Table) bool { return sameShape(t, rawSchema(t.Name)) }

// rawLoad is a load that goes through the staging table.
type rawLoad struct {
	raw   *rawWriter
	typed connectors.Load
	req   connectors.LoadRequest
	ended bool
	rows  int64
	kept  [][]byte // see KeepRaw
}

func checkRaw(req connectors.LoadRequest) error {
	if err := checkName("load", req.Raw.Table.Name); err != nil {
		return err
	}
	if req.Raw.Table.Name == req.Target.Name {
		return &connectors.Error{
			Kind: connectors.KindInvalid, Op: "load", Object: req.Target.Name,
			Err: errors.New("the staging table and the target have one name"), Hint: "the warehouse has no schemas: rename one of them",
		}
	}
	return nil
}

func (d *Destination) beginRaw(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	direct := req
	direct.Raw = nil
	typed, err := d.begin(ctx, direct)
	if err != nil {
		return nil, err
	}
	raw, err := d.beginStaging(ctx, req)
	if err != nil {
		return nil, errors.Join(err, typed.Abort())
	}
	return &rawLoad{raw: raw, typed: typed, req: req}, nil
}

// rawWriter adds rows to a staging table.
type rawWriter struct {
	*load
	token     string
	run       [16]byte
	extracted time.Time
	base      int64 // the number of the last row before
	next      int64
	buf       []byte
}

func (d *Destination) beginStaging(ctx context.Context, req connectors.LoadRequest) (*rawWriter, error) {
	l := &load{storage: d.storage, table: d.table(req.Raw.Table.Name), req: req}
	w := &rawWriter{load: l, extracted: req.SyncedAt}
	w.run, _ = parseUUID(req.RunID)
	lock, err := l.table.lock(ctx, req.Wait())
	if err != nil {
		return nil, err
	}
	l.lock = lock
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	return w, nil
}

func (w *rawWriter) start(ctx context.Context) error {
	l := w.load
	w.token = tokenName(l.req)
	l.req = connectors.LoadRequest{Target: l.req.Raw.Table, Columns: rawColumns(), Key: []string{rawID}, Mode: connectors.Merge, RunID: l.req.RunID}
	var err error
	if l.existed = l.table.exists(); l.existed {
		if l.txn, err = l.table.begin(ctx); err != nil {
			return l.table.readError(fail(ctx, "open", l.table.name, err))
		}
		if !isRaw(l.txn.layout.table) {
			return &connectors.Error{
				Kind: connectors.KindConflict, Op: "load", Object: l.table.name,
				Err: errors.New("it is a table, but not a staging table"), Hint: "rename the table or the source",
			}
		}
		if err := l.table.sweep(l.txn.keep(), w.token); err != nil {
			return err
		}
	} else {
		if err := l.table.sweep(nil, w.token); err != nil {
			return err
		}
		layout, err := newLayout(rawSchema(l.table.name), nil)
		if err != nil {
			return err
		}
		if l.txn, err = l.table.create(ctx, layout, l.storage.now()); err != nil {
			return err
		}
	}
	w.base = l.txn.values[stateNextRow]
	w.next = w.base + 1
	l.in = &intake{layout: l.txn.layout, row: w.base}
	l.covers, l.later = true, laterWins
	l.parts = newPartWriter(l.table, l.txn.layout, l.nextPart)
	l.parts.done, l.parts.policy = l.partDone, laterWins
	return nil
}

// add lands the rows of a batch as JSON.
func (w *rawWriter) add(ctx context.Context, batch arrow.RecordBatch, columns []connectors.Column) error {
	n := int(batch.NumRows())
	return w.addRows(ctx, n, func(i int) []byte {
		w.buf = connectors.AppendRowJSON(w.buf[:0], batch, columns, i)
		return w.buf
	})
}

func (w *rawWriter) addRows(ctx context.Context, n int, data func(i int) []byte) error {
	if n == 0 {
		return nil
	}
	arrays := rawArrays(n, w.next, w.run, w.extracted, data)
	w.next += int64(n)
	defer releaseAll(arrays)
	w.in.row = w.next - 1
	w.rows += int64(n)
	if w.bulk || n >= maxLiveRows/2 {
		return w.parts.write(ctx, arrays, n, nil)
	}
	return w.writeLive(ctx, arrays, n)
}

// rawArrays are the columns of n rows of a staging table.
func rawArrays(n int, first int64, run [16]byte, extracted time.Time, data func(i int) []byte) []arrow.Array {
	ids := array.NewInt64Builder(memory.DefaultAllocator)
	runs := array.NewFixedSizeBinaryBuilder(memory.DefaultAllocator, &arrow.FixedSizeBinaryType{ByteWidth: 16})
	at := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
	rows := array.NewStringBuilder(memory.DefaultAllocator)
	for i := range n {
		ids.Append(first + int64(i))
		runs.Append(run[:])
		at.Append(arrow.Timestamp(extracted.UnixMicro()))
		rows.Append(string(data(i)))
	}
	return []arrow.Array{ids.NewArray(), runs.NewArray(), at.NewArray(), rows.NewArray()}
}

// Write adds the batch's rows to the staging table. A careful load tries the typed
// table first, so that what it refuses does not land.
func (l *rawLoad) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	if l.req.Careful {
		batch.Retain()
		if err := l.typed.Write(ctx, batch); err != nil {
			return err
		}
	}
	l.rows += batch.NumRows()
	return fail(ctx, "load", l.raw.table.name, l.raw.add(ctx, batch, l.req.Columns))
}

// KeepRaw keeps rows for the staging table alone.
func (l *rawLoad) KeepRaw(rows [][]byte) { l.kept = append(l.kept, rows...) }

// Commit commits the staging rows, builds the typed table from them and commits it.
func (l *rawLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	l.ended = true
	raw, base := l.raw.table, l.raw.base
	if err := l.raw.addRows(ctx, len(l.kept), func(i int) []byte { return l.kept[i] }); err != nil {
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", raw.name, err), l.raw.Abort(), l.typed.Abort())
	}
	if _, err := l.raw.Commit(ctx); err != nil {
		return connectors.LoadResult{}, errors.Join(err, l.typed.Abort())
	}
	if !l.req.Careful {
		if err := l.build(ctx, raw, base); err != nil {
			return connectors.LoadResult{}, errors.Join(fail(ctx, "load", l.req.Target.Name, err), l.typed.Abort())
		}
	}
	result, err := l.typed.Commit(ctx)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	result.RawRows = l.rows + int64(len(l.kept))
	return result, nil
}

// build decodes the run's staging rows, those after number base, into the typed load.
func (l *rawLoad) build(ctx context.Context, raw table, base int64) error {
	columns := l.req.Columns
	b := connectors.NewBatcher(columns, connectors.Limits{}, func(batch arrow.RecordBatch) error { return l.typed.Write(ctx, batch) })
	defer b.Release()
	row := newRowDecoder(columns, b.Builders)
	err := eachRaw(ctx, raw, base, func(r rawRow) error {
		if r.run != l.raw.run || r.isDead() {
			return nil
		}
		if err := row.decode(r.data); err != nil {
			return &connectors.Error{Kind: connectors.KindType, Op: "build from", Object: raw.name, Err: fmt.Errorf("row %d: %w", r.id, err)}
		}
		return b.EndRow(len(r.data))
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// rawRow is one row of a staging table.
type rawRow struct {
	id        int64
	run       [16]byte
	extracted arrow.Timestamp
	data      string
}

// isDead says whether the row is a dead letter of the typed table.
func (r rawRow) isDead() bool { return connectors.IsDead([]byte(r.data)) }

// eachRaw gives the rows of a staging table that come after number base, in the
// order in which they landed.
func eachRaw(ctx context.Context, t table, base int64, row func(rawRow) error) (err error) {
	v, err := t.view(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	req := connectors.ReadRequest{Table: connectors.Table{TableRef: connectors.TableRef{Name: t.name}}, Columns: rawColumns()}
	req.Window = &connectors.Window{Column: rawID, Lower: &connectors.Bound{Kind: connectors.Int64, Text: strconv.FormatInt(base+1, 10)}}
	live, err := v.LiveRows(ctx)
	if err != nil {
		return err
	}
	if live > 0 && len(v.parts) > 0 { // the files are read first, and may have the later rows
		req.OrderBy = []string{rawID}
	}
	r, err := newRead(v, req)
	if err != nil {
		return err
	}
	return r.run(ctx, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		ids, runs := batch.Column(0).(*array.Int64), batch.Column(1).(*array.FixedSizeBinary)
		at, data := batch.Column(2).(*array.Timestamp), batch.Column(3).(*array.String)
		for i := range ids.Len() {
			if err := row(rawRow{ids.Value(i), [16]byte(runs.Value(i)), at.Value(i), data.Value(i)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Abort leaves both tables as they were.
func (l *rawLoad) Abort() error {
	if l.ended {
		return nil
	}
	l.ended = true
	return errors.Join(l.raw.Abort(), l.typed.Abort())
}
