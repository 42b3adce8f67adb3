package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// test is one connection test under way.
type test struct {
	*connectors.Stages
	*db
	conn     *pgconn.PgConn
	database string
	opts     connectors.CheckOptions
}

// check tests a connection in stages.
func check(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
	t := &test{Stages: connectors.NewStages(cfg, opts), db: &db{address: cfg.Address(), user: cfg.Username}, opts: opts}
	ctx, cancel := t.Bound(ctx)
	defer cancel()
	h := &connectors.Handshake{}
	config, err := configure(cfg)
	t.Settings(err)
	if err == nil {
		switch {
		case config.TLSConfig != nil && len(config.Fallbacks) > 0:
			h.Policy = connectors.TLSPreferred
		case config.TLSConfig != nil:
			h.Policy = connectors.TLSRequired
		}
		config.DialFunc, config.TLSConfig = h.Dial, h.Watch(config.TLSConfig)
		t.config = config
	}
	t.LookUp(ctx)
	refused := t.Connect(ctx, h, func(ctx context.Context) (err error) {
		t.conn, err = t.acquire(ctx)
		return err
	})
	defer func() {
		if t.conn != nil {
			hangUp(t.conn)
		}
	}()
	t.Run(ctx, connectors.Stage{Name: connectors.StageDatabase}, func(ctx context.Context, found *connectors.Stage) error {
		if refused != nil {
			return t.noDatabase(found, refused)
		}
		return t.askDatabase(ctx, found)
	})
	if opts.Source {
		t.Run(ctx, connectors.Stage{Name: connectors.StagePrivileges, As: connectors.AsSource}, t.unlessOld(t.tryRead))
	}
	if opts.Destination {
		t.Run(ctx, connectors.Stage{Name: connectors.StagePrivileges, As: connectors.AsDestination}, t.unlessOld(t.tryWrite))
	}
	t.Run(ctx, connectors.Stage{Name: connectors.StageVersion}, t.version)
	t.Clock(ctx, func(ctx context.Context) (time.Time, error) {
		rows, err := query(ctx, t.conn, "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8")
		if err != nil {
			return time.Time{}, t.fail(ctx, "ask the time of", t.address, "", err)
		}
		return time.UnixMicro(number(rows[0][0])), nil
	})
	return t.List()
}

func (t *test) serverVersion() string {
	return "PostgreSQL " + t.conn.ParameterStatus("server_version")
}

// noDatabase says what would let the user in.
func (t *test) noDatabase(found *connectors.Stage, err error) error {
	name := ident(cmp.Or(t.config.Database, t.user))
	switch connectors.KindOf(err) {
	case connectors.KindNotFound:
		found.Hint = "check the database name, or make the database"
		found.Fix = []string{"CREATE DATABASE " + name + " OWNER " + ident(t.user)}
	case connectors.KindPermission:
		found.Hint = "an administrator lets the user in"
		found.Fix = []string{"GRANT CONNECT ON DATABASE " + name + " TO " + ident(t.user)}
	}
	return err
}

func (t *test) askDatabase(ctx context.Context, found *connectors.Stage) error {
	found.Version = t.serverVersion()
	rows, err := query(ctx, t.conn, "SELECT pg_catalog.current_database(), pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()")
	if err != nil {
		return t.fail(ctx, "look at the database of", t.address, "", err)
	}
	t.database = string(rows[0][0])
	found.Detail = fmt.Sprintf("%s, encoded in %s", t.database, rows[0][1])
	return nil
}

// unlessOld leaves out what an unsupported server would answer with riddles.
func (t *test) unlessOld(try func(context.Context, *connectors.Stage) error) func(context.Context, *connectors.Stage) error {
	return func(ctx context.Context, found *connectors.Stage) error {
		if major(t.conn) < firstProvided {
			found.Status, found.Detail = connectors.StageSkipped, "the server is too old"
			return nil
		}
		return try(ctx, found)
	}
}

func (t *test) version(_ context.Context, found *connectors.Stage) error {
	found.Detail = t.serverVersion()
	if major(t.conn) < firstProvided {
		return &connectors.Error{Kind: connectors.KindUnsupported, Err: errors.New(t.serverVersion() + " is not supported"), Hint: "PostgreSQL 10 or later is needed"}
	}
	return nil
}

// readableQuery says of the relations that discovery finds whether the user may
// read them whole, and whether row security would hide some of their rows.
const readableQuery = `
SELECT n.nspname, c.relname, pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
  pg_catalog.has_table_privilege(c.oid, 'SELECT') OR (
    SELECT pg_catalog.bool_and(pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'))
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY ($1::pg_catalog."char"[]) AND NOT c.relispartition AND n.nspname = ANY ($2::pg_catalog.text[])
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname`

func (t *test) tryRead(ctx context.Context, found *connectors.Stage) error {
	filter := t.opts.Tables
	if err := filter.Check(); err != nil {
		return err
	}
	schemas := filter.Schemas
	if len(schemas) == 0 {
		schemas = []string{defaultSchema}
	} else if err := t.wantSchemas(ctx, schemas); err != nil {
		return err
	}
	kinds := "{r,p,f}"
	if filter.Views {
		kinds = "{r,p,f,v,m}"
	}
	rows, err := query(ctx, t.conn, readableQuery, kinds, textArray(schemas))
	if err != nil {
		return t.fail(ctx, "look at the tables of", t.address, "", err)
	}
	var closed, denied, hidden, names []string // schemas, tables
	for _, row := range rows {
		ref := connectors.TableRef{Schema: string(row[0]), Name: string(row[1])}
		if !filter.Admits(ref) {
			continue
		}
		names = append(names, ref.Name)
		usage, readable := truth(row[2]), truth(row[3])
		if !usage && !slices.Contains(closed, ref.Schema) {
			closed = append(closed, ref.Schema)
			found.Fix = append(found.Fix, "GRANT USAGE ON SCHEMA "+ident(ref.Schema)+" TO "+ident(t.user))
		}
		if !readable {
			found.Fix = append(found.Fix, "GRANT SELECT ON "+qualified(ref)+" TO "+ident(t.user))
		}
		switch {
		case !usage || !readable:
			denied = append(denied, ref.String())
		case truth(row[4]):
			hidden = append(hidden, ref.String())
		}
	}
	where := "the schema " + strings.Join(schemas, ", ")
	switch absent := missing(filter.Names, names); {
	case len(denied) > 0:
		return &connectors.Error{
			Kind: connectors.KindPermission, Err: fmt.Errorf("%s of %d may not be read: %s", connectors.Count(len(denied), "table"), len(names), connectors.SomeOf(denied)),
			Hint: "an administrator lets " + t.user + " read, or the source leaves them out",
		}
	case len(absent) > 0:
		return &connectors.Error{Kind: connectors.KindNotFound, Err: fmt.Errorf("%s has no table %s", where, connectors.SomeOf(absent)), Hint: "check the names, or discover the tables again"}
	case len(names) == 0:
		found.Status, found.Detail, found.Hint = connectors.StageWarning, where+" has no table to read", "name the schemas that hold the tables"
		return nil
	}
	found.Detail = fmt.Sprintf("%s in %s may be read", connectors.Count(len(names), "table"), where)
	if len(hidden) > 0 {
		found.Status = connectors.StageWarning
		found.Detail += "; row security hides rows of " + connectors.SomeOf(hidden)
		found.Hint = "only the rows that " + t.user + " sees would be copied, unless row security does not bind it"
		found.Fix = []string{"ALTER ROLE " + ident(t.user) + " BYPASSRLS"}
	}
	return nil
}

// missing lists what is wanted and not there.
func missing(wanted, have []string) []string {
	var absent []string
	for _, name := range wanted {
		if !slices.Contains(have, name) {
			absent = append(absent, name)
		}
	}
	return absent
}

func (t *test) existing(ctx context.Context, schemas []string) ([]string, error) {
	rows, err := query(ctx, t.conn, "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1::pg_catalog.text[])", textArray(schemas))
	var have []string
	for _, row := range rows {
		have = append(have, string(row[0]))
	}
	return have, t.fail(ctx, "look at the schemas of", t.address, "", err)
}

func (t *test) wantSchemas(ctx context.Context, schemas []string) error {
	have, err := t.existing(ctx, schemas)
	if err != nil {
		return err
	}
	if absent := missing(schemas, have); len(absent) > 0 {
		return &connectors.Error{Kind: connectors.KindNotFound, Err: fmt.Errorf("the database %s has no schema %s", t.database, strings.Join(absent, ", ")), Hint: "check the name of the schema"}
	}
	return nil
}

// tryWrite does what a load does, in one transaction: whatever becomes of it,
// even of this program, nothing stays.
func (t *test) tryWrite(ctx context.Context, found *connectors.Stage) error {
	rows, err := query(ctx, t.conn, "SELECT pg_catalog.pg_is_in_recovery()")
	if err == nil && truth(rows[0][0]) {
		return &connectors.Error{Kind: connectors.KindPermission, Err: errors.New("the server is a standby, which takes no writes"), Hint: "connect to the primary"}
	}
	have, err := t.existing(ctx, t.opts.Targets)
	if err != nil {
		return err
	}
	w := &writing{test: t, scratch: connectors.ScratchName()}
	if err := exec(ctx, t.conn, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"); err != nil {
		return t.fail(ctx, "begin a transaction at", t.address, "", err)
	}
	defer w.rollBack(ctx)
	absent := missing(t.opts.Targets, have)
	made := false
	if len(absent) > 0 || len(t.opts.Targets) == 0 {
		made = w.try(ctx, "create schema", connectors.SomeOf(absent), "GRANT CREATE ON DATABASE "+ident(t.database)+" TO "+ident(t.user), "CREATE SCHEMA "+ident(w.scratch))
	}
	for _, schema := range have {
		w.table(ctx, schema, "GRANT USAGE, CREATE ON SCHEMA "+ident(schema)+" TO "+ident(t.user))
	}
	if made {
		w.table(ctx, w.scratch, "")
		w.try(ctx, "drop schema", w.scratch, "", "DROP SCHEMA "+ident(w.scratch))
	}
	w.try(ctx, "create a temporary table in", t.database, "GRANT TEMPORARY ON DATABASE "+ident(t.database)+" TO "+ident(t.user),
		"CREATE TEMPORARY TABLE "+ident(w.scratch)+" (id pg_catalog.int8) ON COMMIT DROP")
	if found.Fix = w.fix; w.err != nil {
		if len(w.fix) > 0 {
			found.Hint = "an administrator lets " + t.user + " write"
		}
		return w.err
	}
	if err := exec(ctx, t.conn, "COMMIT"); err != nil {
		return t.fail(ctx, "commit at", t.address, "", err)
	}
	found.Detail = "created, written, read back and dropped a table"
	if len(have) > 0 {
		found.Detail += " in " + strings.Join(have, ", ")
	}
	if len(absent) > 0 {
		found.Detail += fmt.Sprintf("; %s can be created", strings.Join(absent, ", "))
	}
	return nil
}

// writing collects what a destination's user may not do.
type writing struct {
	*test
	scratch string
	fix     []string
	err     error
}

// try does one thing; where the user may not, grant would mend it and the other
// things are tried too.
func (w *writing) try(ctx context.Context, op, object, grant, sql string) bool {
	if w.err != nil && connectors.KindOf(w.err) != connectors.KindPermission {
		return false
	}
	err := exec(ctx, w.conn, "SAVEPOINT step; "+sql+"; RELEASE SAVEPOINT step")
	if err == nil {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42501" && grant != "" {
		w.fix = append(w.fix, grant)
	}
	if w.err == nil {
		w.err = w.fail(ctx, op, object, "", err)
	}
	_ = exec(ctx, w.conn, "ROLLBACK TO SAVEPOINT step")
	return false
}

// table makes a table in a schema, writes a row, reads it and drops the table.
func (w *writing) table(ctx context.Context, schema, grant string) {
	ref := connectors.TableRef{Schema: schema, Name: w.scratch}
	if !w.try(ctx, "create a table in", schema, grant, "CREATE TABLE "+qualified(ref)+" (id pg_catalog.int8 PRIMARY KEY, v pg_catalog.text)") ||
		!w.try(ctx, "write to", ref.String(), "", "INSERT INTO "+qualified(ref)+" VALUES (1, 'written')") {
		return
	}
	rows, err := query(ctx, w.conn, "SELECT v FROM "+qualified(ref))
	switch {
	case w.err != nil:
	case err != nil:
		w.err = w.fail(ctx, "read back from", ref.String(), "", err)
	case len(rows) != 1 || string(rows[0][0]) != "written":
		w.err = &connectors.Error{Kind: connectors.KindConflict, Op: "read back from", Object: ref.String(), Err: errors.New("the row that was written is not there")}
	}
	w.try(ctx, "drop a table in", schema, "", "DROP TABLE "+qualified(ref))
}

// rollBack ends the transaction if it is still open; a connection that cannot
// is closed, which the server takes for the same.
func (w *writing) rollBack(ctx context.Context) {
	if w.conn.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	_ = exec(ctx, w.conn, "ROLLBACK")
}
