package clickhouse

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	*db
	req    connectors.LoadRequest
	target *relation // nil when it does not exist yet
	shadow connectors.TableRef
	atomic bool // the database can exchange tables
	lock   *lock

	run    uuid.UUID
	first  uint64 // version of the first row
	insert *inserter
	raw    *rawLoad // raw mode

	made    []connectors.TableRef // shadows that exist
	swapped bool                  // a swap was begun
	ended   bool
}

// Begin takes the target's lock, removes what killed loads of it left, and
// makes the shadow.
func (d *Destination) Begin(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	l := &load{db: d.db, req: req}
	if err := l.check(); err != nil {
		return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: opLoad, Object: req.Target.String(), Err: err}
	}
	if err := l.begin(ctx); err != nil {
		err = l.failed(ctx, err)
		_ = l.Abort() // the first error tells more
		return nil, err
	}
	return l, nil
}

func (l *load) failed(ctx context.Context, err error) error {
	grant := "GRANT SELECT, INSERT, ALTER, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW ON " + ident(l.req.Target.Schema) + ".* TO " + ident(l.user)
	return l.fail(ctx, opLoad, l.req.Target.String(), grant, err)
}

// check lists what is wrong with the request itself.
func (l *load) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	req := l.req
	names := []string{req.Target.Schema, req.Target.Name}
	if req.Raw != nil {
		names = append(names, req.Raw.Table.Schema, req.Raw.Table.Name)
	}
	for _, name := range names {
		if name == "" {
			fault("a target needs a schema and a name")
		}
	}
	if len(req.Columns) == 0 {
		fault("a load needs columns")
	}
	seen := map[string]bool{}
	for _, c := range req.Columns {
		names = append(names, c.Name)
		if seen[c.Name] {
			fault("column %q stands twice", c.Name)
		}
		if isMeta(c.Name) {
			fault("column %q is one that every target gets: rename or leave out the source's", c.Name)
		}
		seen[c.Name] = true
	}
	for _, name := range names {
		if len(name) > maxIdentifier || strings.IndexByte(name, 0) >= 0 {
			fault("the name %q is longer than %d bytes or holds a NUL", name, maxIdentifier)
		}
	}
	for _, k := range req.Key {
		if !seen[k] {
			fault("key column %q is not one of the load's", k)
		}
	}
	var err error
	if l.run, err = uuid.Parse(req.RunID); err != nil {
		fault("run id: %w", err)
	}
	switch req.Mode {
	case connectors.Replace:
	case connectors.Merge:
		if len(req.Key) == 0 {
			fault("a merge needs a key")
		}
	case connectors.ReplaceWindow:
		switch {
		case req.Window == nil:
			fault("replacing a window needs the window")
		case !seen[req.Window.Column]:
			fault("the window's column %q is not one of the load's", req.Window.Column)
		}
	default:
		fault("the mode %s is unknown", req.Mode)
	}
	return errors.Join(faults...)
}

func (l *load) begin(ctx context.Context) error {
	if err := l.checkKey(); err != nil {
		return err
	}
	schemas := []string{l.req.Target.Schema}
	if l.req.Raw != nil && l.req.Raw.Table.Schema != schemas[0] {
		schemas = append(schemas, l.req.Raw.Table.Schema)
	}
	for _, schema := range schemas {
		if err := l.ensureSchema(ctx, schema); err != nil {
			return err
		}
	}
	var err error
	if l.lock, err = l.takeLock(ctx, l.req.Target, l.req.Wait()); err != nil {
		return err
	}
	for _, schema := range schemas {
		if err := l.sweep(ctx, schema); err != nil {
			return err
		}
	}
	if l.target, err = l.lookUp(ctx, l.req.Target); err != nil {
		return err
	}
	if err := l.checkTarget(ctx); err != nil {
		return err
	}
	if err := l.chooseVersion(ctx); err != nil {
		return err
	}
	if err := l.makeShadow(ctx); err != nil {
		return err
	}
	if l.req.Raw != nil {
		return l.beginRaw(ctx)
	}
	return nil
}

// checkKey refuses what cannot be a sorting key.
func (l *load) checkKey() error {
	for _, c := range l.req.Columns {
		if slices.Contains(l.req.Key, c.Name) && c.Nullable {
			return &connectors.Error{
				Kind: connectors.KindConstraint, Op: opLoad, Object: l.req.Target.String(),
				Err:  fmt.Errorf("key column %q may be NULL, which no key of the server can be", c.Name),
				Hint: "choose a key of NOT NULL columns, or load without a key",
			}
		}
	}
	return nil
}

func (l *load) ensureSchema(ctx context.Context, schema string) error {
	engine, there := "", false
	err := l.query(ctx, "SELECT engine FROM system.databases WHERE name = "+literal(schema), func(rows driver.Rows) error {
		there = true
		return rows.Scan(&engine)
	})
	if err != nil {
		return err
	}
	if !there {
		err := l.exec(ctx, l.createDatabase(schema))
		if err != nil && code(err) != codeDatabaseThere {
			return l.fail(ctx, "create database", schema, "GRANT CREATE DATABASE ON "+ident(schema)+".* TO "+ident(l.user), err)
		}
		if l.version.atLeast(20, 10) {
			engine = "Atomic"
		}
	}
	if schema == l.req.Target.Schema {
		l.atomic = slices.Contains([]string{"Atomic", "Replicated", "Shared"}, engine)
	}
	return nil
}

// sweep removes what killed loads left in a schema. A target that was taken
// away by half a swap gets its name back first.
func (l *load) sweep(ctx context.Context, schema string) error {
	var names []string
	err := l.catalog(ctx, leftovers(schema, l.req.Target), func() { names = nil }, func(rows driver.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil || len(names) == 0 {
		return err
	}
	if schema == l.req.Target.Schema && slices.Contains(names, oldTable(l.req.Target).Name) {
		if err := l.recover(ctx); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := l.exec(ctx, l.drop(connectors.TableRef{Schema: schema, Name: name})); err != nil {
			return err
		}
	}
	return nil
}

// recover ends a swap that stopped between its two renames.
func (l *load) recover(ctx context.Context) error {
	target, err := l.lookUp(ctx, l.req.Target)
	if err != nil || target != nil {
		return err
	}
	old, err := l.lookUp(ctx, oldTable(l.req.Target))
	if err != nil || old == nil {
		return err
	}
	return l.exec(ctx, l.restore(l.req.Target))
}

// checkTarget refuses a target that the load cannot enter, before any row has
// travelled.
func (l *load) checkTarget(ctx context.Context) error {
	if l.target == nil {
		return nil
	}
	refuse := func(kind connectors.ErrorKind, hint, format string, args ...any) error {
		return &connectors.Error{Kind: kind, Op: opLoad, Object: l.req.Target.String(), Err: fmt.Errorf(format, args...), Hint: hint}
	}
	switch {
	case l.target.isView() && l.isOwnView():
		// A view that Arus made for another target gives way to a table.
		if err := l.exec(ctx, l.drop(l.req.Target)); err != nil {
			return err
		}
		l.target = nil
		return nil
	case !strings.HasSuffix(l.target.engine, "MergeTree"):
		return refuse(connectors.KindConflict, "load into another name, or drop it", "the target is not a table of rows but a %s", l.target.engine)
	case strings.HasPrefix(l.target.engine, "Replicated") && l.cluster == "":
		return refuse(connectors.KindConstraint, "name the cluster in the connection's option cluster", "the target is replicated")
	case l.req.Mode == connectors.Replace:
		return nil
	}
	var missing []string
	for _, c := range l.req.Columns {
		have, ok := l.target.column(c.Name)
		if !ok || have.computed {
			missing = append(missing, ident(c.Name)+" "+l.columnType(c, false))
			continue
		}
		if !accepts(c.Type, have.Type, parseNative(have.Native)) {
			return refuse(connectors.KindType, "alter the column, or run a full refresh", "column %q: %s does not fit %s", c.Name, c.Type, have.Native)
		}
	}
	for _, c := range metaColumns {
		if have, ok := l.target.column(c.Name); !ok || !accepts(c.Type, have.Type, parseNative(have.Native)) {
			missing = append(missing, ident(c.Name)+" "+l.columnType(c, false))
		}
	}
	if len(missing) > 0 {
		return refuse(connectors.KindNotFound, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" ADD COLUMN "+strings.Join(missing, ", ADD COLUMN "),
			"the target has no column %s", strings.Join(missing, ", "))
	}
	for _, c := range l.target.all {
		if !l.provides(c.Name) && !c.Nullable && !c.computed {
			return refuse(connectors.KindConstraint, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" DROP COLUMN "+ident(c.Name),
				"column %q is gone from the source and cannot be NULL", c.Name)
		}
	}
	if l.req.Mode == connectors.Merge && !slices.Equal(l.target.PrimaryKey, l.req.Key) {
		return refuse(connectors.KindConstraint, "run a full refresh",
			"the target is not a ReplacingMergeTree(%s) ordered by %s", metaVersion, strings.Join(l.req.Key, ", "))
	}
	return nil
}

func (l *load) provides(name string) bool {
	return isMeta(name) || slices.ContainsFunc(l.req.Columns, func(c connectors.Column) bool { return c.Name == name })
}

// isOwnView says whether the target's name is taken by a view of current rows.
func (l *load) isOwnView() bool {
	_, run := l.target.column(connectors.MetaRunID)
	_, synced := l.target.column(connectors.MetaSyncedAt)
	return run && synced && l.target.engine == "View" && strings.HasSuffix(l.req.Target.Name, "_current")
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

// newShadow names a table that no load of any target will name again.
func (l *load) newShadow(schema string) connectors.TableRef {
	suffix := make([]byte, 6)
	_, _ = rand.Read(suffix) // never fails
	return connectors.TableRef{Schema: schema, Name: shadowPrefix + targetHash(l.req.Target) + "_" + hex.EncodeToString(suffix)}
}

// merging says whether the rows join those of an existing target.
func (l *load) merging() bool { return l.target != nil && l.req.Mode != connectors.Replace }

func (l *load) makeShadow(ctx context.Context) error {
	l.shadow = l.newShadow(l.req.Target.Schema)
	sql, err := l.createTarget(l.shadow, l.req)
	if err != nil {
		return err
	}
	if l.merging() {
		sql = l.createLike(l.shadow, l.req.Target, l.target, l.req.Mode == connectors.ReplaceWindow)
	}
	l.made = append(l.made, l.shadow)
	if err := l.exec(ctx, sql); err != nil {
		return err
	}
	in := func(c connectors.Column) native {
		return native{c, l.columnType(c, slices.Contains(l.req.Key, c.Name))}
	}
	versioned := len(l.req.Key) > 0
	if l.merging() {
		in = func(c connectors.Column) native { have, _ := l.target.column(c.Name); return native{c, have.Native} }
		_, versioned = l.target.column(metaVersion)
	}
	var columns, meta []native
	for _, c := range l.req.Columns {
		columns = append(columns, in(c))
	}
	for _, c := range metaColumns {
		meta = append(meta, in(c))
	}
	if versioned {
		meta = append(meta, native{versionColumn, "UInt64"})
	}
	if l.insert, err = l.newInserter(ctx, l.shadow, columns, meta); err != nil {
		return err
	}
	l.insert.stamp = l.stamper(func(i int64) uint64 { return l.first + uint64(i) })
	return nil
}

var versionColumn = connectors.Column{Name: metaVersion, Type: connectors.Type{Kind: connectors.Uint64}}

// stamper fills run id, time and, where the table has it, the row's number.
func (l *load) stamper(number func(row int64) uint64) stamp {
	half := func(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
	high, low := half(l.run[:8]), half(l.run[8:])
	synced := arrow.Timestamp(l.req.SyncedAt.UnixMicro())
	text := string(appendFixedTimestamp(nil, synced, connectors.TimestampTZ))
	return func(meta []*encoder, from int64, n int) {
		for _, e := range meta {
			e.rows += n
			switch {
			case e.to.base == "String":
				for range n {
					e.texts = append(e.texts, text)
				}
			case e.Type.Kind == connectors.UUID:
				for range n {
					e.data = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(e.data, high), low)
				}
			case e.Type.Kind == connectors.TimestampTZ:
				for range n {
					e.data = binary.LittleEndian.AppendUint64(e.data, uint64(synced))
				}
			default:
				for i := range n {
					e.data = binary.LittleEndian.AppendUint64(e.data, number(from+int64(i)))
				}
			}
			if e.to.nullable {
				e.nulls = append(e.nulls, make([]byte, n)...)
			}
		}
	}
}

// Write collects the batch and sends what is enough for a part.
func (l *load) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if l.ended {
		batch.Release()
		return l.failed(ctx, errors.New("the load has ended"))
	}
	if ctx.Err() != nil {
		batch.Release()
		return l.failed(ctx, context.Cause(ctx))
	}
	write := l.insert.write
	if l.raw != nil {
		write = l.writeRaw
	}
	if err := write(ctx, batch); err != nil {
		return l.failed(ctx, err)
	}
	return nil
}

// Commit makes the rows visible.
func (l *load) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if l.ended {
		return connectors.LoadResult{}, l.failed(ctx, errors.New("the load has ended"))
	}
	result, err := l.commit(ctx)
	if err != nil {
		err = l.failed(ctx, err)
	}
	_ = l.Abort() // what cannot be dropped now the next load sweeps, or says why it cannot
	return result, err
}

func (l *load) commit(ctx context.Context) (connectors.LoadResult, error) {
	var result connectors.LoadResult
	if l.raw != nil {
		if err := l.buildFromRaw(ctx); err != nil {
			return result, err
		}
		result.RawRows = l.raw.insert.rows
	}
	if err := l.insert.flush(ctx); err != nil {
		return result, err
	}
	result.Rows = l.insert.rows
	if l.merging() && l.req.Mode == connectors.ReplaceWindow {
		if err := l.keepRest(ctx); err != nil {
			return result, err
		}
	}
	if l.lock.lost.Load() {
		return result, &connectors.Error{
			Kind: connectors.KindConflict, Op: opLoad, Object: l.req.Target.String(),
			Err: errors.New("the server ended the query that held the target's lock"), Hint: "run it again",
		}
	}
	if l.raw != nil {
		if err := l.attachRaw(ctx); err != nil {
			return result, err
		}
	}
	if l.merging() && l.req.Mode == connectors.Merge {
		if err := l.attachAll(ctx, l.req.Target, l.shadow); err != nil {
			return result, err
		}
	} else if err := l.swapIn(ctx); err != nil {
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
	var columns []string
	for _, c := range l.target.all {
		if !c.computed {
			columns = append(columns, c.Name)
		}
	}
	return l.exec(ctx, l.copyRest(l.shadow, l.req.Target, columns, where))
}

func (l *load) attachAll(ctx context.Context, target, from connectors.TableRef) error {
	var ids []string
	err := l.catalog(ctx, partitions(from), func() { ids = nil }, func(rows driver.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := l.exec(ctx, l.attach(target, from, id)); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) swapIn(ctx context.Context) error {
	sql, displaced := l.swap(l.req.Target, l.shadow, l.target != nil, l.atomic)
	l.swapped = true
	if err := l.exec(ctx, sql); err != nil {
		return err
	}
	l.made = slices.DeleteFunc(l.made, func(r connectors.TableRef) bool { return r == l.shadow })
	if displaced.Name != "" {
		l.made = append(l.made, displaced) // to be dropped at the end
	}
	return nil
}

// ensureView makes the view of current rows, or makes it anew when the columns
// have changed. A table or view of somebody else's keeps the name.
func (l *load) ensureView(ctx context.Context) error {
	viewRef := currentView(l.req.Target)
	found, err := l.describe(ctx, "database = "+literal(viewRef.Schema)+" AND table IN ("+literal(l.req.Target.Name)+", "+literal(viewRef.Name)+")")
	if err != nil {
		return err
	}
	var target, view *relation
	for _, r := range found {
		if r.TableRef == viewRef {
			view = r
		} else {
			target = r
		}
	}
	if target == nil {
		return nil // dropped by somebody since
	}
	var columns, natives []string
	for _, c := range target.all {
		if c.Name != metaVersion && !c.computed {
			columns, natives = append(columns, c.Name), append(natives, c.Native)
		}
	}
	keyed := target.replaces()
	if view != nil {
		if _, ours := view.column(connectors.MetaRunID); view.engine != "View" || !ours {
			return nil
		}
		if slices.EqualFunc(view.all, columns, func(c relationColumn, name string) bool { return c.Name == name }) &&
			slices.EqualFunc(view.all, natives, func(c relationColumn, native string) bool { return c.Native == native }) &&
			(l.target == nil || l.target.replaces() == keyed) {
			return nil
		}
		if err := l.exec(ctx, l.dropView(l.req.Target)); err != nil {
			return err
		}
	}
	err = l.exec(ctx, l.createView(l.req.Target, columns, keyed))
	if code(err) == codeTableExists {
		return nil
	}
	return err
}

// Abort removes what the load made. It has its own deadline. After a commit it
// removes the displaced table.
func (l *load) Abort() error {
	if l.ended {
		return nil
	}
	l.ended = true
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	for _, w := range l.inserters() {
		w.close()
	}
	var errs error
	if l.swapped {
		errs = l.recover(ctx)
	}
	for _, ref := range l.made {
		errs = cmp.Or(errs, l.exec(ctx, l.drop(ref)))
	}
	if l.lock != nil {
		l.lock.release()
	}
	return l.failed(ctx, errs)
}

func (l *load) inserters() []*inserter {
	var all []*inserter
	if l.insert != nil {
		all = append(all, l.insert)
	}
	if l.raw != nil {
		all = append(all, l.raw.insert)
	}
	return all
}
