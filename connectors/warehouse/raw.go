package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// Raw mode: the rows land as JSON in a staging table that stays, and the typed
// table is built from the rows of the run. The staging rows are committed
// first; a kill in between leaves them and the old typed table.

const (
	rawID        = "_arus_id"
	rawExtracted = "_arus_extracted"
	rawData      = "_data"
)

func rawSchema(name string) *schema {
	s := newSchema(name)
	s.add(rawID, connectors.Type{Kind: connectors.Int64}, true)
	s.add(connectors.MetaRunID, connectors.Type{Kind: connectors.UUID}, true)
	s.add(rawExtracted, connectors.Type{Kind: connectors.TimestampTZ}, false)
	s.add(rawData, connectors.Type{Kind: connectors.JSON}, true)
	s.PrimaryKeyColumns = []int{0}
	return s
}

func (s *schema) isRaw() bool { return s.same(rawSchema(s.Name)) }

// rawLoad is a load that goes through the staging table.
type rawLoad struct {
	raw   *load
	typed *load
	base  int64 // the highest _arus_id before the load
	ended bool
	buf   []byte
}

func (d *Destination) beginRaw(ctx context.Context, req connectors.LoadRequest, wanted *schema) (connectors.Load, error) {
	if err := checkName("load", req.Raw.Table.Name); err != nil {
		return nil, err
	}
	if req.Raw.Table.Name == req.Target.Name {
		return nil, &connectors.Error{
			Kind: connectors.KindInvalid, Op: "load", Object: req.Target.Name,
			Err: errors.New("the staging table and the target have one name"), Hint: "the warehouse has no schemas: rename one of them",
		}
	}
	typed, err := d.begin(ctx, req, wanted)
	if err != nil {
		return nil, err
	}
	l := &rawLoad{typed: typed, raw: &load{table: tableOf(d.dir, req.Raw.Table.Name), req: connectors.LoadRequest{RunID: req.RunID, Mode: connectors.Replace}}}
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(fail(ctx, "load", l.raw.table.name, err), l.Abort())
	}
	return l, nil
}

func (l *rawLoad) start(ctx context.Context) error {
	r := l.raw
	lock, err := r.table.lock()
	if err != nil {
		return err
	}
	r.lock = lock
	m, current, err := r.table.recover(ctx)
	if err != nil {
		return err
	}
	r.old, r.schema = m, rawSchema(r.table.name)
	if m == nil {
		r.changed = true
		r.file = "live-1.db"
		if err := r.createRaw(ctx); err != nil {
			return err
		}
	} else {
		if !current.isRaw() {
			return &connectors.Error{
				Kind: connectors.KindConflict, Op: "load", Object: r.table.name,
				Err: errors.New("it is a table, but not a staging table"), Hint: "rename the table or the source",
			}
		}
		lv, err := r.table.openFile(ctx, *m, lite.ReadWrite, "BEGIN IMMEDIATE")
		if err != nil {
			return err
		}
		r.conn = lv.conn
		base, err := r.conn.One(ctx, "SELECT max(c0) FROM rows")
		if err != nil {
			return err
		}
		l.base = lite.Int(base)
	}
	literals := ", '" + strings.ToLower(r.req.RunID) + "', " + strconv.FormatInt(time.Now().UnixMicro(), 10)
	r.insert, err = newInserter(ctx, r.conn, "INSERT INTO rows (c3, c1, c2)", literals, "", 1)
	return err
}

// createRaw makes the first live file of a staging table: it is committed like
// any new generation.
func (l *load) createRaw(ctx context.Context) error {
	c, err := lite.Open(sqliteDriver(), l.table.file(l.file), lite.Create, "")
	if err != nil {
		return err
	}
	l.conn = c
	for _, sql := range []string{
		"PRAGMA page_size = 8192", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF",
		"PRAGMA user_version = " + strconv.Itoa(l.schema.Version), "BEGIN", l.schema.createSQL(),
	} {
		if err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// Write adds the batch's rows to the staging table.
func (l *rawLoad) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	for i := range int(batch.NumRows()) {
		l.buf = connectors.AppendRowJSON(l.buf[:0], batch, l.typed.req.Columns, i)
		l.raw.insert.set(0, string(l.buf))
		if err := l.raw.insert.endRow(ctx); err != nil {
			return fail(ctx, "load", l.raw.table.name, err)
		}
	}
	l.raw.rows += batch.NumRows()
	return fail(ctx, "load", l.raw.table.name, l.raw.insert.flush(ctx))
}

// Commit commits the staging rows, builds the typed table from them and commits it.
func (l *rawLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	l.ended = true
	rows, raw := l.raw.rows, l.raw.table
	if _, err := l.raw.Commit(ctx); err != nil {
		return connectors.LoadResult{}, errors.Join(err, l.typed.Abort())
	}
	if err := l.build(ctx, raw); err != nil {
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", l.typed.table.name, err), l.typed.Abort())
	}
	result, err := l.typed.Commit(ctx)
	result.RawRows = rows
	if err != nil {
		return connectors.LoadResult{}, err
	}
	return result, nil
}

// build decodes the run's staging rows into the typed load.
func (l *rawLoad) build(ctx context.Context, raw tableDir) error {
	lv, err := raw.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lv.close() }()
	columns := l.typed.req.Columns
	b := connectors.NewBatcher(columns, connectors.Limits{}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		return l.typed.write(ctx, batch)
	})
	defer b.Release()
	row := newRowDecoder(columns, b.Builders)
	args := []driver.Value{l.base, strings.ToLower(l.typed.req.RunID)}
	err = lv.conn.Each(ctx, "SELECT c3, c0 FROM rows WHERE c0 > ? AND c1 = ? ORDER BY c0", args, func(v []driver.Value) error {
		text := lite.String(v[0])
		if err := row.decode(text); err != nil {
			return &connectors.Error{Kind: connectors.KindType, Op: "build from", Object: raw.name, Err: fmt.Errorf("row %d: %w", lite.Int(v[1]), err)}
		}
		return b.EndRow(len(text))
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// Abort leaves both tables as they were.
func (l *rawLoad) Abort() error {
	if l.ended {
		return nil
	}
	l.ended = true
	return errors.Join(l.raw.Abort(), l.typed.Abort())
}
