package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// Destination writes to a PostgreSQL database.
type Destination struct{ *db }

// load is one target being loaded, in one transaction on one connection. The
// rows go into a filling table first: the shadow that becomes the target, or a
// temporary table that is merged into it.
type load struct {
	*db
	conn     *pgconn.PgConn
	req      connectors.LoadRequest
	target   *relation // nil when it does not exist yet
	filling  string    // quoted name of the filling table
	shadow   string    // bare name of the table that becomes the target
	into     string    // quoted name of the table that each batch is put into at once; "" = all are at Commit
	merges   bool      // into has a unique index on the key
	stamped  bool      // the shadow is an earlier run's: its defaults are not this load's metadata
	early    bool      // Replace: the shadow is complete, or the target reshaped, before the rows come
	runUUID  uuid.UUID
	runID    string // literals
	syncedAt string
	rawBase  int64    // highest _arus_id before this load
	kept     [][]byte // see KeepRaw

	holders []string // Replace: what hangs on the target, once it is known
	extras  []extra  // Replace: what the target has and the shadow has got already
	stream  *stream  // Merge: rows are upserted as they come; nil = all are at Commit
	copy    *copyIn
	encoder encoder
	chunk   []byte
	rows    int64
	result  connectors.LoadResult
	broken  error // after which there can be no Commit
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
		err = l.failed(ctx, err)
		l.rollBack()
		return nil, err
	}
	if req.Resume != "" {
		return &partedLoad{load: l}, nil
	}
	return l, nil
}

const opLoad = "load"

func (l *load) failed(ctx context.Context, err error) error {
	if fault, ok := errors.AsType[*valueError](err); ok {
		return typeError(opLoad, l.req.Target.String(), fault.column, fault.hint, fault.err)
	}
	return l.fail(ctx, opLoad, l.req.Target.String(), l.grantLoad(l.req.Target, l.target != nil), err)
}

// grantLoad is what mends a missing privilege on a target.
func (d *db) grantLoad(ref connectors.TableRef, exists bool) string {
	grant := "GRANT USAGE, CREATE ON SCHEMA " + ident(ref.Schema) + " TO " + ident(d.user)
	if exists {
		grant += "; GRANT SELECT, INSERT, UPDATE, DELETE ON " + qualified(ref) + " TO " + ident(d.user)
	}
	return grant
}

// keysOnly says that the load's rows are keys.
func (l *load) keysOnly() bool {
	return l.req.Mode == connectors.Retain || l.req.Mode == connectors.Remove
}

func (l *load) begin(ctx context.Context) error {
	var schemas []string
	if !l.keysOnly() {
		schemas = append(schemas, l.req.Target.Schema)
	}
	if l.req.Raw != nil && !slices.Contains(schemas, l.req.Raw.Table.Schema) {
		schemas = append(schemas, l.req.Raw.Table.Schema)
	}
	for _, schema := range schemas {
		if err := l.ensureSchema(ctx, l.conn, schema); err != nil {
			return err
		}
	}
	if err := lockTarget(ctx, l.conn, opLoad, l.req.Target, l.req.Wait()); err != nil {
		return err
	}
	var err error
	if l.target, err = lookUp(ctx, l.conn, l.req.Target); err != nil {
		return err
	}
	if err := l.checkTarget(); err != nil {
		return err
	}
	if err := l.makeDays(ctx); err != nil {
		return err
	}
	if l.req.Raw != nil && l.req.Resume == "" {
		if err := l.prepareStaging(ctx); err != nil {
			return err
		}
		if err := l.clearStaging(ctx); err != nil {
			return err
		}
		if err := l.findRawBase(ctx); err != nil {
			return err
		}
	}
	if err := l.sweepParts(ctx); err != nil {
		return err
	}
	if err := l.makeFilling(ctx); err != nil {
		return err
	}
	if l.req.Careful && !l.keysOnly() && l.req.Resume == "" {
		return l.beginCarefully(ctx)
	}
	if l.streams() {
		l.stream = &stream{}
	}
	return nil
}

// lockTarget begins a transaction that holds the target's lock until it ends.
func lockTarget(ctx context.Context, conn *pgconn.PgConn, op string, ref connectors.TableRef, wait time.Duration) error {
	if err := exec(ctx, conn, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"); err != nil {
		return err
	}
	return takeTarget(ctx, conn, op, ref, wait)
}

// takeTarget takes a target's lock in the transaction that is open.
func takeTarget(ctx context.Context, conn *pgconn.PgConn, op string, ref connectors.TableRef, wait time.Duration) error {
	if err := exec(ctx, conn, "SET LOCAL lock_timeout = "+strconv.FormatInt(wait.Milliseconds(), 10)); err != nil {
		return err
	}
	_, err := query(ctx, conn, "SELECT pg_catalog.pg_advisory_xact_lock($1)", lockKey(ref))
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "55P03" {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: op, Object: ref.String(),
			Err: errors.New("another load of this table is under way"), Hint: "wait for it to end, or stop the other Arus",
		}
	}
	if err != nil {
		return err
	}
	return exec(ctx, conn, "SET LOCAL lock_timeout = 0")
}

func (d *db) ensureSchema(ctx context.Context, conn *pgconn.PgConn, schema string) error {
	rows, err := query(ctx, conn, "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", schema)
	if err != nil || len(rows) > 0 {
		return err
	}
	err = exec(ctx, conn, "CREATE SCHEMA IF NOT EXISTS "+ident(schema))
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "23505" || e.Code == "42P06") {
		return nil // another load made it at the same moment
	}
	grant := "GRANT CREATE ON DATABASE " + ident(d.config.Database) + " TO " + ident(d.user)
	return d.fail(ctx, "create schema", schema, grant, err)
}

// lockKey names a target among advisory locks, which are per database.
func lockKey(ref connectors.TableRef) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte("arus\x00" + ref.Schema + "\x00" + ref.Name))
	return strconv.FormatInt(int64(h.Sum64()), 10)
}

// temporary is the filling table of a load that does not fill a shadow directly.
const temporary = "pg_temp._arus_load"

// makeFilling creates the table that the rows go into.
func (l *load) makeFilling(ctx context.Context) error {
	switch {
	case l.req.Resume != "":
		return l.resume(ctx)
	case l.req.Mode == connectors.Replace:
		l.shadow = shadowName()
		l.filling = qualified(connectors.TableRef{Schema: l.req.Target.Schema, Name: l.shadow})
		return exec(ctx, l.conn, l.createShadow())
	case l.keysOnly():
		return l.makeKeys(ctx)
	case l.target == nil:
		sql := "CREATE TABLE " + qualified(l.req.Target) + " (" + l.columnList(true) + l.metaList("pg_catalog.now()", "")
		if len(l.req.Key) > 0 {
			sql += ", CONSTRAINT " + ident(keyName(l.req.Target.Name)) + " PRIMARY KEY (" + connectors.QuoteList(l.req.Key, '"') + ")"
		}
		if err := exec(ctx, l.conn, sql+")"); err != nil {
			return err
		}
	}
	return l.makeTemporary(ctx)
}

func (l *load) makeTemporary(ctx context.Context) error {
	l.filling = temporary
	return exec(ctx, l.conn, "CREATE TEMPORARY TABLE "+l.filling+" ("+l.columnList(false)+") ON COMMIT DROP")
}

func shadowName() string {
	suffix := make([]byte, 6)
	_, _ = rand.Read(suffix) // never fails
	return "_arus_new_" + hex.EncodeToString(suffix)
}

// createShadow makes a table that carries the metadata as defaults, so that no
// row needs to; the key comes later.
func (l *load) createShadow() string {
	return "CREATE TABLE " + l.filling + " (" + l.columnList(true) + l.metaList(l.syncedAt, " DEFAULT "+l.runID) + ")"
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
		return l.failed(ctx, errEnded)
	}
	if l.broken != nil {
		return l.failed(ctx, l.broken)
	}
	write := l.write
	switch {
	case l.into != "":
		write = l.writeThrough
	case l.stream != nil:
		write = l.writeStreaming
	}
	if err := write(ctx, batch); err != nil {
		err = l.failed(ctx, err)
		if !l.req.Careful || !refusal(err) {
			l.broken = err
		}
		return err
	}
	return nil
}

var errEnded = errors.New("the load has ended")

// refusal says that the server does not want a row for what is in it.
func refusal(err error) bool {
	kind := connectors.KindOf(err)
	return kind == connectors.KindType || kind == connectors.KindConstraint
}

func (l *load) write(ctx context.Context, batch arrow.RecordBatch) (err error) {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	row := l.encoder.row
	if l.req.Raw == nil || l.keysOnly() {
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
	if l.req.Raw != nil && !l.keysOnly() {
		return l.beginCopy(ctx, copyRaw(l.rawFilling()))
	}
	freeze := ""
	if l.shadow != "" && l.into == "" && l.req.Resume == "" {
		freeze = ", FREEZE" // the shadow is this transaction's own, nobody sees its rows early
	}
	names := l.columnNames()
	if l.encoder.tail != nil {
		names += ", " + connectors.MetaRunID + ", " + connectors.MetaSyncedAt
	}
	return l.beginCopy(ctx, "COPY "+l.filling+" ("+names+") FROM STDIN (FORMAT binary"+freeze+")")
}

func (l *load) beginCopy(ctx context.Context, sql string) (err error) {
	l.copy = startCopy(ctx, l.conn, sql)
	if l.chunk, err = l.copy.buffer(ctx); err != nil {
		return err
	}
	l.chunk = append(append(l.chunk, signature...), 0, 0, 0, 0, 0, 0, 0, 0)
	return nil
}

// finishCopy sends the last chunk and the trailer.
func (l *load) finishCopy(ctx context.Context) (rows int64, err error) {
	if l.copy == nil {
		return 0, nil
	}
	if err := l.copy.send(ctx, append(l.chunk, 0xff, 0xff)); err != nil {
		return 0, err
	}
	c := l.copy
	l.copy, l.chunk = nil, nil
	return c.wait(ctx)
}

// Commit makes the rows the target's. A failed commit has rolled back.
func (l *load) Commit(ctx context.Context) (connectors.LoadResult, error) {
	return l.commitWith(ctx, l.commit)
}

func (l *load) commitWith(ctx context.Context, commit func(context.Context) error) (connectors.LoadResult, error) {
	if l.ended {
		return connectors.LoadResult{}, l.failed(ctx, errEnded)
	}
	err := l.broken
	if err == nil {
		err = commit(ctx)
	}
	if err != nil {
		err = l.failed(ctx, err)
		l.rollBack()
		return connectors.LoadResult{}, err
	}
	l.ended = true
	l.release(l.conn)
	l.result.Rows += l.rows
	if l.req.Raw != nil {
		l.result.RawRows += l.rows + int64(len(l.kept))
	}
	return l.result, nil
}

func (l *load) commit(ctx context.Context) error {
	if err := l.fill(ctx); err != nil {
		return err
	}
	if err := l.install(ctx); err != nil {
		return err
	}
	return exec(ctx, l.conn, "COMMIT")
}

// fill brings the last rows on their way into the filling table.
func (l *load) fill(ctx context.Context) error {
	if err := l.merged(ctx); err != nil {
		return err
	}
	rows, err := l.finishCopy(ctx)
	if err != nil || l.keysOnly() {
		return err
	}
	l.rows += rows
	if l.req.Raw != nil && l.into == "" && rows > 0 {
		if err := l.buildFromStaging(ctx); err != nil {
			return err
		}
	}
	return l.stageKept(ctx)
}

// Abort rolls back, which is all there is to remove.
func (l *load) Abort() error {
	if l.ended {
		return nil
	}
	l.rollBack()
	return nil
}

func (l *load) rollBack() {
	l.ended = true
	if s := l.stream; s != nil && s.done != nil {
		s.end()
		<-s.done //nolint:errcheck // why it ends is known
		s.done = nil
	}
	if l.copy != nil {
		l.copy.abort()
		l.copy = nil
	}
	rollBack(l.conn)
	l.release(l.conn)
}

// rollBack ends a transaction in a time of its own. If the server does not
// answer, the connection is cut, and the server rolls back by itself.
func rollBack(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	if !conn.IsClosed() && conn.TxStatus() != 'I' {
		_ = exec(ctx, conn, "ROLLBACK")
	}
}
