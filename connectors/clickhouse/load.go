package clickhouse

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"

	"arus/connectors"
)

// Destination writes to a ClickHouse server.
type Destination struct{ *db }

const opLoad = "load"

// load is one target being loaded. Its rows go into a shadow table that nobody
// reads. Commit either swaps the shadow with the target, or attaches its parts
// to the target, which is one step per partition: Arus's own tables have one.
// A merged row carries a version above all before it, so attaching rows a
// second time changes nothing that readers of current rows see.
type load struct {
	site
	req    connectors.LoadRequest
	run    uuid.UUID
	first  uint64 // version of the first row
	shadow connectors.TableRef
	staged staged // raw mode
	feed   *feed  // nil where the keys of an absent target come

	ended bool
}

// Begin takes the target's lock, removes what killed loads of it left, and
// makes the shadow.
func (d *Destination) Begin(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	l := &load{site: site{db: d.db, op: opLoad, ref: req.Target}, req: req}
	if err := l.check(); err != nil {
		return nil, l.refuse(connectors.KindInvalid, "", err)
	}
	if req.Resume != "" {
		return beginParts(ctx, l)
	}
	if err := l.begin(ctx); err != nil {
		err = l.failed(ctx, err)
		_ = l.Abort() // the first error tells more
		return nil, err
	}
	return l, nil
}

func (l *load) begin(ctx context.Context) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	if l.deletes() {
		return l.beginKeys(ctx)
	}
	if l.req.Raw != nil {
		if err := l.findStaging(ctx); err != nil {
			return err
		}
	}
	bytes := insertBytes
	if l.req.Raw != nil {
		bytes = sharedBytes
	}
	return l.makeShadow(ctx, l.dialect, new(atomic.Uint64), bytes)
}

// prepare is everything before the first shadow.
func (l *load) prepare(ctx context.Context) error {
	if err := l.checkKey(); err != nil {
		return err
	}
	schemas := []string{l.req.Target.Schema}
	if l.req.Raw != nil && l.req.Raw.Table.Schema != schemas[0] {
		schemas = append(schemas, l.req.Raw.Table.Schema)
	}
	if err := l.enter(ctx, l.req.Wait(), schemas...); err != nil {
		return err
	}
	if err := l.checkTarget(ctx); err != nil {
		return err
	}
	return l.chooseVersion(ctx)
}

// chooseVersion starts the versions of the load's rows above those of every
// row in the target, even when the clock went back.
func (l *load) chooseVersion(ctx context.Context) error {
	l.first = uint64(max(l.req.SyncedAt.UnixMicro(), 1))
	if l.target == nil || !l.target.replaces() || l.req.Mode == connectors.Replace {
		return nil
	}
	return l.query(ctx, maxVersion(l.req.Target), func(rows driver.Rows) error {
		var greatest uint64
		err := rows.Scan(&greatest)
		l.first = max(l.first, greatest+1)
		return err
	})
}

// merging says whether the rows join those of an existing target.
func (l *load) merging() bool { return l.target != nil && l.req.Mode != connectors.Replace }

// shaped says whether the shadow has the target's shape: rows join it, or it is
// declared and keeps its shape.
func (l *load) shaped() bool { return l.merging() || l.target != nil && l.target.mark != nil }

// addBrought gives the shadow of a declared table that is replaced the columns
// that the load brings beside it.
func (l *load) addBrought(ctx context.Context) error {
	if !l.shaped() || l.merging() {
		return nil
	}
	var commands []string
	for _, c := range l.req.Columns {
		if _, ok := l.target.column(c.Name); !ok {
			commands = append(commands, "ADD COLUMN "+ident(c.Name)+" "+l.columnType(c, false))
		}
	}
	if len(commands) == 0 {
		return nil
	}
	return l.exec(ctx, l.alter(l.shadow, commands))
}

// deletes says whether the load is one of keys.
func (l *load) deletes() bool {
	return l.req.Mode == connectors.Retain || l.req.Mode == connectors.Remove
}

// makeShadow makes the tables that the rows go to, and what writes them there.
func (l *load) makeShadow(ctx context.Context, d dialect, numbers *atomic.Uint64, bytes int) error {
	l.shadow = newShadow(l.req.Target.Schema, l.req.Target)
	sql, err := d.createTarget(l.shadow, l.req)
	if err != nil {
		return err
	}
	if l.shaped() {
		sql = d.createLike(l.shadow, l.req.Target, l.target, l.req.Mode != connectors.Merge)
	}
	if err := l.make(ctx, l.shadow, sql); err != nil {
		return err
	}
	if err := l.addBrought(ctx); err != nil {
		return err
	}
	in := func(c connectors.Column) native {
		return native{c, l.columnType(c, slices.Contains(l.req.Key, c.Name))}
	}
	versioned := len(l.req.Key) > 0
	if l.shaped() {
		fresh := in
		in = func(c connectors.Column) native {
			if have, ok := l.target.column(c.Name); ok {
				return native{c, have.Native}
			}
			return fresh(c)
		}
		_, versioned = l.target.column(metaVersion)
	}
	l.feed = &feed{columns: l.req.Columns, numbers: numbers, careful: l.req.Careful}
	origin := originOf(l.run, l.req.SyncedAt)
	if l.feed.typed, err = l.newInserter(l.shadow, natives(l.req.Columns, in), metaNatives(in, versioned), bytes); err != nil {
		return err
	}
	l.feed.typed.stamp = numbered(origin, l.first)
	if l.req.Raw != nil {
		l.feed.raw, err = l.makeStaging(ctx, d, bytes)
	}
	return err
}

func natives(columns []connectors.Column, in func(connectors.Column) native) []native {
	var all []native
	for _, c := range columns {
		all = append(all, in(c))
	}
	return all
}

// metaNatives are the columns that stamps fill.
func metaNatives(in func(connectors.Column) native, versioned bool) []native {
	all := natives(metaColumns, in)
	if versioned {
		all = append(all, native{versionColumn, "UInt64"})
	}
	return all
}

// Write collects the batch and sends what is enough for a part.
func (l *load) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if l.ended {
		batch.Release()
		return l.failed(ctx, errEnded)
	}
	if ctx.Err() != nil {
		batch.Release()
		return l.failed(ctx, context.Cause(ctx))
	}
	if l.feed == nil {
		batch.Release()
		return nil
	}
	if err := l.feed.write(ctx, batch); err != nil {
		return l.failed(ctx, err)
	}
	return nil
}

// KeepRaw keeps rows for the staging table alone.
func (l *load) KeepRaw(rows [][]byte) { l.feed.kept = append(l.feed.kept, rows...) }

var errEnded = errors.New("the load has ended")

// Commit makes the rows visible.
func (l *load) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if l.ended {
		return connectors.LoadResult{}, l.failed(ctx, errEnded)
	}
	commit := l.commit
	if l.deletes() {
		commit = l.commitKeys
	}
	result, err := commit(ctx)
	if err != nil {
		err = l.failed(ctx, err)
	}
	_ = l.Abort() // what cannot be dropped now the next load sweeps, or says why it cannot
	return result, err
}

func (l *load) commit(ctx context.Context) (connectors.LoadResult, error) {
	var result connectors.LoadResult
	if err := l.feed.flush(ctx); err != nil {
		return result, err
	}
	if l.merging() && l.req.Mode == connectors.ReplaceWindow {
		if err := l.keepRest(ctx); err != nil {
			return result, err
		}
	}
	if err := l.loseMoved(ctx); err != nil {
		return result, err
	}
	if err := l.held(); err != nil {
		return result, err
	}
	result.Rows = l.feed.rows
	if l.req.Raw != nil {
		result.RawRows = l.feed.stagedRows()
		if err := l.attachRaw(ctx, l.staged.shadow); err != nil {
			return result, err
		}
	}
	if l.merging() && l.req.Mode == connectors.Merge {
		if err := l.attachAll(ctx, l.req.Target, l.shadow); err != nil {
			return result, err
		}
	} else if err := l.swapIn(ctx, l.req.Target, l.shadow, l.target != nil); err != nil {
		return result, err
	}
	return result, l.ensureView(ctx)
}

// keepRest carries over what the window leaves.
func (l *load) keepRest(ctx context.Context) error {
	column, ok := l.target.column(l.req.Window.Column)
	if !ok {
		return notThere(opLoad, l.req.Target.String(), l.req.Window.Column)
	}
	where, err := l.condition(*l.req.Window, column)
	if err != nil {
		return err
	}
	return l.exec(ctx, l.copyRest(l.shadow, l.req.Target, l.target.stored(), where))
}

// Abort removes what the load made. It has its own deadline. After a commit it
// removes the displaced table.
func (l *load) Abort() error {
	if l.ended {
		return nil
	}
	l.ended = true
	if l.feed != nil {
		l.feed.close()
	}
	return l.leave()
}
