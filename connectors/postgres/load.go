package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// Destination writes to a PostgreSQL database.
type Destination struct{ *db }

// Table describes an existing target.
func (d *Destination) Table(ctx context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return connectors.Table{}, false, err
	}
	defer d.release(conn)
	r, err := lookUp(ctx, conn, ref)
	if err != nil || r == nil {
		return connectors.Table{}, false, d.fail(ctx, "describe", ref.String(), "", err)
	}
	all := len(r.Columns)
	r.Columns = slices.DeleteFunc(r.Columns, func(c connectors.Column) bool { return isMeta(c.Name) })
	r.Managed = len(r.Columns) < all
	return r.Table, true, nil
}

func isMeta(name string) bool { return name == connectors.MetaRunID || name == connectors.MetaSyncedAt }

// lookUp describes one relation; nil when there is none of that name.
func lookUp(ctx context.Context, conn *pgconn.PgConn, ref connectors.TableRef) (*relation, error) {
	found, err := describe(ctx, conn, nil, tableQuery, ref.Schema, ref.Name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// load is one target being loaded, in one transaction on one connection. The
// rows go into a filling table first: the shadow that becomes the target, or a
// temporary table that is merged into it.
type load struct {
	*db
	conn     *pgconn.PgConn
	req      connectors.LoadRequest
	target   *relation // nil when it does not exist yet
	filling  string    // quoted name of the filling table
	shadow   string    // bare name of the filling table when it is the shadow
	runID    string    // literals
	syncedAt string
	rawBase  int64 // highest _arus_id before this load

	copy    *copyIn
	encoder encoder
	chunk   []byte
	rows    int64
	ended   bool
}

// Begin opens the load's transaction, takes the target's lock for as long as it
// lasts, and makes the filling table. Schemas are made before it: inside, the
// first loads into a new schema would wait for each other.
func (d *Destination) Begin(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	l := &load{db: d.db, req: req}
	if err := l.check(); err != nil {
		return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: opLoad, Object: req.Target.String(), Err: err}
	}
	conn, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	l.encoder = encoder{columns: req.Columns, major: major(conn)}
	if err := l.begin(ctx); err != nil {
		l.rollBack()
		return nil, l.failed(ctx, err)
	}
	return l, nil
}

const opLoad = "load"

func (l *load) failed(ctx context.Context, err error) error {
	if fault, ok := errors.AsType[*valueError](err); ok {
		return typeError(opLoad, l.req.Target.String(), fault.column, fault.hint, fault.err)
	}
	schema, user := ident(l.req.Target.Schema), ident(l.user)
	grant := "GRANT USAGE, CREATE ON SCHEMA " + schema + " TO " + user
	if l.target != nil {
		grant += "; GRANT SELECT, INSERT, UPDATE, DELETE ON " + qualified(l.req.Target) + " TO " + user
	}
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
	id, err := uuid.Parse(req.RunID)
	if err != nil {
		fault("run id: %w", err)
	}
	l.runID = mustLiteral(id.String()) + "::pg_catalog.uuid"
	synced := connectors.AppendTimestamp(nil, arrow.Timestamp(req.SyncedAt.UnixMicro()), 'T')
	l.syncedAt = mustLiteral(historic(string(synced)+"Z")) + "::pg_catalog.timestamptz"
	switch req.Mode {
	case connectors.Replace:
	case connectors.Merge:
		if len(req.Key) == 0 {
			fault("a merge needs a key")
		}
	case connectors.ReplaceWindow:
		if req.Window == nil {
			fault("replacing a window needs the window")
		} else if _, err := condition(*req.Window); err != nil {
			faults = append(faults, err)
		}
	default:
		fault("the mode %s is unknown", req.Mode)
	}
	return errors.Join(faults...)
}

func (l *load) begin(ctx context.Context) error {
	schemas := []string{l.req.Target.Schema}
	if l.req.Raw != nil && l.req.Raw.Table.Schema != schemas[0] {
		schemas = append(schemas, l.req.Raw.Table.Schema)
	}
	for _, schema := range schemas {
		if err := l.ensureSchema(ctx, schema); err != nil {
			return err
		}
	}
	if err := exec(ctx, l.conn, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"); err != nil {
		return err
	}
	if err := l.takeLock(ctx); err != nil {
		return err
	}
	var err error
	if l.target, err = lookUp(ctx, l.conn, l.req.Target); err != nil {
		return err
	}
	if err := l.checkTarget(); err != nil {
		return err
	}
	if l.req.Raw != nil {
		if err := l.prepareStaging(ctx); err != nil {
			return err
		}
	}
	return l.makeFilling(ctx)
}

// takeLock takes the target's lock until the transaction ends.
func (l *load) takeLock(ctx context.Context) error {
	if err := exec(ctx, l.conn, "SET LOCAL lock_timeout = "+strconv.FormatInt(l.req.Wait().Milliseconds(), 10)); err != nil {
		return err
	}
	_, err := query(ctx, l.conn, "SELECT pg_catalog.pg_advisory_xact_lock($1)", lockKey(l.req.Target))
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "55P03" {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: opLoad, Object: l.req.Target.String(),
			Err: errors.New("another load of this table is under way"), Hint: "wait for it to end, or stop the other Arus",
		}
	}
	if err != nil {
		return err
	}
	return exec(ctx, l.conn, "SET LOCAL lock_timeout = 0")
}

func (l *load) ensureSchema(ctx context.Context, schema string) error {
	rows, err := query(ctx, l.conn, "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", schema)
	if err != nil || len(rows) > 0 {
		return err
	}
	err = exec(ctx, l.conn, "CREATE SCHEMA IF NOT EXISTS "+ident(schema))
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "23505" || e.Code == "42P06") {
		return nil // another load made it at the same moment
	}
	grant := "GRANT CREATE ON DATABASE " + ident(l.config.Database) + " TO " + ident(l.user)
	return l.fail(ctx, "create schema", schema, grant, err)
}

// lockKey names a target among advisory locks, which are per database.
func lockKey(ref connectors.TableRef) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte("arus\x00" + ref.Schema + "\x00" + ref.Name))
	return strconv.FormatInt(int64(h.Sum64()), 10)
}

// checkTarget refuses a target that the load cannot be merged into, before any
// row has travelled.
func (l *load) checkTarget() error {
	if l.target == nil {
		return nil
	}
	refuse := func(kind connectors.ErrorKind, hint, format string, args ...any) error {
		return &connectors.Error{Kind: kind, Op: opLoad, Object: l.req.Target.String(), Err: fmt.Errorf(format, args...), Hint: hint}
	}
	if l.target.kind != 'r' && l.target.kind != 'p' {
		return refuse(connectors.KindConflict, "load into another name, or drop it", "the target is a view or a foreign table")
	}
	if l.req.Mode == connectors.Replace {
		return nil
	}
	var missing []string
	for _, c := range l.req.Columns {
		have, ok := l.target.exact(c.Name)
		if !ok {
			missing = append(missing, ident(c.Name)+" "+native(c.Type))
			continue
		}
		if why := narrows(c.Type, have.Type); why != "" {
			return refuse(connectors.KindType, "alter the column, or run a full refresh", "column %q: %s", c.Name, why)
		}
	}
	for _, meta := range []string{connectors.MetaRunID + " uuid", connectors.MetaSyncedAt + " timestamptz DEFAULT now()"} {
		if name, _, _ := strings.Cut(meta, " "); !l.target.has(name) {
			missing = append(missing, meta)
		}
	}
	if len(missing) > 0 {
		return refuse(connectors.KindNotFound, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" ADD COLUMN "+strings.Join(missing, ", ADD COLUMN "),
			"the target has no column %s", strings.Join(missing, ", "))
	}
	if l.req.Mode == connectors.Merge && !slices.ContainsFunc(l.target.uniques, func(columns []string) bool { return sameSet(columns, l.req.Key) }) {
		return refuse(connectors.KindConstraint, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" ADD PRIMARY KEY ("+connectors.QuoteList(l.req.Key, '"')+")",
			"the target has no unique index on %s", strings.Join(l.req.Key, ", "))
	}
	return nil
}

func (r *relation) exact(name string) (connectors.Column, bool) {
	i := slices.IndexFunc(r.Columns, func(c connectors.Column) bool { return c.Name == name })
	if i < 0 {
		return connectors.Column{}, false
	}
	return r.Columns[i], true
}

func (r *relation) has(name string) bool { _, ok := r.exact(name); return ok }

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}

// makeFilling creates the table that the rows go into. A shadow carries the
// metadata as defaults, so that no row needs to; the constraints come later.
func (l *load) makeFilling(ctx context.Context) error {
	if l.req.Mode == connectors.Replace {
		suffix := make([]byte, 6)
		_, _ = rand.Read(suffix) // never fails
		l.shadow = "_arus_new_" + hex.EncodeToString(suffix)
		l.filling = qualified(connectors.TableRef{Schema: l.req.Target.Schema, Name: l.shadow})
		return exec(ctx, l.conn, "CREATE TABLE "+l.filling+" ("+l.columnList(true)+l.metaList(l.syncedAt, " DEFAULT "+l.runID)+")")
	}
	if l.target == nil {
		sql := "CREATE TABLE " + qualified(l.req.Target) + " (" + l.columnList(true) + l.metaList("pg_catalog.now()", "")
		if len(l.req.Key) > 0 {
			sql += ", CONSTRAINT " + ident(keyName(l.req.Target.Name)) + " PRIMARY KEY (" + connectors.QuoteList(l.req.Key, '"') + ")"
		}
		if err := exec(ctx, l.conn, sql+")"); err != nil {
			return err
		}
	}
	l.filling = "pg_temp._arus_load"
	return exec(ctx, l.conn, "CREATE TEMPORARY TABLE "+l.filling+" ("+l.columnList(false)+") ON COMMIT DROP")
}

func (l *load) columnList(constraints bool) string {
	parts := make([]string, len(l.req.Columns))
	for i, c := range l.req.Columns {
		parts[i] = ident(c.Name) + " " + native(c.Type)
		if constraints && !c.Nullable {
			parts[i] += " NOT NULL"
		}
	}
	return strings.Join(parts, ", ")
}

func (l *load) metaList(syncedDefault, runDefault string) string {
	return ", " + connectors.MetaRunID + " uuid NOT NULL" + runDefault +
		", " + connectors.MetaSyncedAt + " timestamptz NOT NULL DEFAULT " + syncedDefault
}

func keyName(table string) string { return connectors.Shorten(table+"_pkey", maxIdentifier) }

// Write encodes the batch into chunks that a COPY sends beside it; it waits
// while the server is behind.
func (l *load) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	if l.ended {
		return l.failed(ctx, errors.New("the load has ended"))
	}
	if err := l.write(ctx, batch); err != nil {
		return l.failed(ctx, err)
	}
	return nil
}

func (l *load) write(ctx context.Context, batch arrow.RecordBatch) (err error) {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	row := l.encoder.row
	if l.req.Raw == nil {
		err = l.encoder.bind(batch)
	} else {
		row, err = l.rawRow(batch)
	}
	if err != nil {
		return err
	}
	if err := l.startCopy(ctx); err != nil {
		return err
	}
	for i := range int(batch.NumRows()) {
		if l.chunk, err = row(l.chunk, i); err != nil {
			return err
		}
		if len(l.chunk) < chunkSize {
			continue
		}
		if err := l.copy.send(ctx, l.chunk); err != nil {
			return err
		}
		l.chunk = nil
		if l.chunk, err = l.copy.buffer(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) startCopy(ctx context.Context) (err error) {
	if l.copy != nil {
		return nil
	}
	sql := "COPY " + l.filling + " (" + connectors.QuoteList(connectors.ColumnNames(l.req.Columns), '"') + ") FROM STDIN (FORMAT binary"
	switch {
	case l.req.Raw != nil:
		sql = "COPY " + qualified(l.req.Raw.Table) + " (_arus_run_id, _data) FROM STDIN (FORMAT binary"
	case l.shadow != "":
		sql += ", FREEZE" // the shadow is this transaction's own, nobody sees its rows early
	}
	l.copy = startCopy(ctx, l.conn, sql+")")
	if l.chunk, err = l.copy.buffer(ctx); err != nil {
		return err
	}
	l.chunk = append(append(l.chunk, signature...), 0, 0, 0, 0, 0, 0, 0, 0)
	return nil
}

// finishCopy sends the last chunk and the trailer.
func (l *load) finishCopy(ctx context.Context) error {
	if l.copy == nil {
		return nil
	}
	if err := l.copy.send(ctx, append(l.chunk, 0xff, 0xff)); err != nil {
		return err
	}
	c := l.copy
	l.copy, l.chunk = nil, nil
	rows, err := c.wait(ctx)
	l.rows = rows
	return err
}

// Commit makes the rows the target's. A failed commit has rolled back.
func (l *load) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if l.ended {
		return connectors.LoadResult{}, l.failed(ctx, errors.New("the load has ended"))
	}
	if err := l.commit(ctx); err != nil {
		err = l.failed(ctx, err)
		l.rollBack()
		return connectors.LoadResult{}, err
	}
	l.ended = true
	l.release(l.conn)
	result := connectors.LoadResult{Rows: l.rows}
	if l.req.Raw != nil {
		result.RawRows = l.rows
	}
	return result, nil
}

func (l *load) commit(ctx context.Context) (err error) {
	if err := l.finishCopy(ctx); err != nil {
		return err
	}
	if l.req.Raw != nil {
		if err := l.buildFromStaging(ctx); err != nil {
			return err
		}
	}
	switch l.req.Mode {
	case connectors.Replace:
		err = l.replace(ctx)
	case connectors.Merge:
		err = l.merge(ctx)
	case connectors.ReplaceWindow:
		err = l.replaceWindow(ctx)
	}
	if err != nil {
		return err
	}
	return exec(ctx, l.conn, "COMMIT")
}

func (l *load) columnNames() string {
	return connectors.QuoteList(connectors.ColumnNames(l.req.Columns), '"')
}

func (l *load) insertInto() string {
	return "INSERT INTO " + qualified(l.req.Target) + " (" + l.columnNames() + ", " + connectors.MetaRunID + ", " + connectors.MetaSyncedAt + ") "
}

func (l *load) selectFilled() string { return l.columnNames() + ", " + l.runID + ", " + l.syncedAt }

// merge upserts the filled rows. Only when a key occurs twice among them are
// they sorted out first: the row written last wins.
func (l *load) merge(ctx context.Context) error {
	key := connectors.QuoteList(l.req.Key, '"')
	var set []string
	for _, c := range l.req.Columns {
		if !slices.Contains(l.req.Key, c.Name) {
			set = append(set, ident(c.Name)+" = EXCLUDED."+ident(c.Name))
		}
	}
	for _, name := range []string{connectors.MetaRunID, connectors.MetaSyncedAt} {
		set = append(set, name+" = EXCLUDED."+name)
	}
	conflict := " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(set, ", ")
	if err := exec(ctx, l.conn, "SAVEPOINT merge"); err != nil {
		return err
	}
	err := exec(ctx, l.conn, l.insertInto()+"SELECT "+l.selectFilled()+" FROM "+l.filling+conflict)
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "21000" {
		return err
	}
	return exec(ctx, l.conn, "ROLLBACK TO SAVEPOINT merge; "+l.insertInto()+
		"SELECT DISTINCT ON ("+key+") "+l.selectFilled()+" FROM "+l.filling+" ORDER BY "+key+", ctid DESC"+conflict)
}

func (l *load) replaceWindow(ctx context.Context) error {
	where, err := condition(*l.req.Window)
	if err != nil {
		return err
	}
	return exec(ctx, l.conn, "DELETE FROM "+qualified(l.req.Target)+" WHERE "+where+"; "+
		l.insertInto()+"SELECT "+l.selectFilled()+" FROM "+l.filling)
}

// Abort rolls back, which is all there is to remove.
func (l *load) Abort() error {
	if l.ended {
		return nil
	}
	l.rollBack()
	return nil
}

// rollBack ends the transaction in a time of its own. If the server does not
// answer, the connection is cut, and the server rolls back by itself.
func (l *load) rollBack() {
	l.ended = true
	if l.copy != nil {
		l.copy.abort()
		l.copy = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	if !l.conn.IsClosed() && l.conn.TxStatus() != 'I' {
		_ = exec(ctx, l.conn, "ROLLBACK")
	}
	l.release(l.conn)
}
