package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"arus/connectors"
)

// The privileges that reading and loading need.
const (
	readPrivileges  = "SELECT, SHOW VIEW"
	writePrivileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, CREATE TEMPORARY TABLES"
)

// test is one connection test under way.
type test struct {
	*connectors.Stages
	*server
	ss      *session
	account string // as GRANT names it
	version string
	opts    connectors.CheckOptions
}

// check tests a connection in stages.
func check(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
	h := &connectors.Handshake{}
	t := &test{Stages: connectors.NewStages(cfg, opts), opts: opts}
	ctx, cancel := t.Bound(ctx)
	defer cancel()
	t.Settings(t.configure(cfg, h))
	t.LookUp(ctx)
	_ = t.Connect(ctx, h, func(ctx context.Context) (err error) {
		t.ss, err = t.dial(ctx)
		return err
	}) // a session without a database is refused no database
	defer func() {
		if t.ss != nil {
			t.ss.close()
		}
	}()
	t.Run(ctx, connectors.Stage{Name: connectors.StageDatabase}, t.useDatabase)
	if opts.Source {
		t.Run(ctx, connectors.Stage{Name: connectors.StagePrivileges, As: connectors.AsSource}, t.tryRead)
	}
	if opts.Destination {
		t.Run(ctx, connectors.Stage{Name: connectors.StagePrivileges, As: connectors.AsDestination}, t.tryWrite)
	}
	t.Run(ctx, connectors.Stage{Name: connectors.StageVersion}, t.isSupported)
	t.Clock(ctx, func(ctx context.Context) (time.Time, error) {
		row, err := t.ss.queryRow(ctx, "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)")
		if err != nil {
			return time.Time{}, t.fail("ask the time of", cfg.Address(), err)
		}
		micros, err := strconv.ParseInt(row[0].String, 10, 64)
		return time.UnixMicro(micros), err
	})
	return t.List()
}

func (t *test) configure(cfg connectors.Config, h *connectors.Handshake) error {
	invalid := func(hint string, err error) error {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "connect to", Object: cfg.Address(), Hint: hint, Err: err}
	}
	mode, config, err := tlsConfig(cfg)
	switch {
	case err != nil:
		return invalid("", err)
	case t.opts.Source && cfg.Database == "":
		return invalid("write it as "+cfg.Type+"://user:password@"+cfg.Address()+"/database", errors.New("no database is named"))
	}
	switch mode {
	case tlsDisabled:
	case tlsPreferred:
		h.Policy = connectors.TLSPreferred
	default:
		h.Policy = connectors.TLSRequired
	}
	t.server = &server{cfg: cfg, mode: readMode, tlsMode: mode, tls: h.Watch(config), dialer: h.Dial}
	if t.opts.Destination {
		t.mode = writeMode
	}
	return nil
}

func (t *test) useDatabase(ctx context.Context, found *connectors.Stage) error {
	row, err := t.ss.queryRow(ctx, "SELECT CURRENT_USER(), VERSION()")
	if err != nil {
		return t.fail("look at", t.cfg.Address(), err)
	}
	user, host := row[0].String, "%"
	if at := strings.LastIndexByte(user, '@'); at >= 0 {
		user, host = user[:at], user[at+1:]
	}
	t.account, t.version = literal(user)+"@"+literal(host), row[1].String
	t.server.flavour = t.ss.flavour
	found.Version = t.serverVersion()
	name := t.cfg.Database
	if name == "" {
		found.Detail = "none is named: each target schema is one"
		return nil
	}
	found.Detail = name
	_, err = t.ss.exec(ctx, "USE "+ident(name))
	number := errorNumber(err)
	switch {
	case err == nil:
		return nil
	case number != errNoDatabase && number != errDatabaseDenied:
	case !t.opts.Source: // a load needs its target schema only
		found.Status, found.Detail = connectors.StageWarning, "there is no database "+name+" that the account may use"
		found.Hint = "loads go to their target schema all the same; check the name"
		return nil
	case number == errNoDatabase:
		found.Hint = "check the database name, or make the database"
		found.Fix = []string{"CREATE DATABASE " + ident(name)}
	default:
		found.Hint = "check the database name; an administrator lets the account in"
		found.Fix = []string{t.grant(readPrivileges, name)}
	}
	return t.fail("use the database", name, err)
}

func (t *test) grant(privileges, database string) string {
	return "GRANT " + privileges + " ON " + ident(database) + ".* TO " + t.account
}

// The server's error numbers that tell what an account may do.
const (
	errDatabaseDenied  = 1044
	errNoDatabase      = 1049
	errTableDenied     = 1142
	errColumnDenied    = 1143
	errPrivilegeDenied = 1227
)

func errorNumber(err error) uint16 {
	if e, ok := errors.AsType[*driver.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

func denied(err error) bool {
	return slices.Contains([]uint16{errDatabaseDenied, errTableDenied, errColumnDenied, errPrivilegeDenied}, errorNumber(err))
}

// tryRead reads no row of every table that discovery finds, many in a statement.
func (t *test) tryRead(ctx context.Context, found *connectors.Stage) error {
	tables, absent, err := t.visible(ctx)
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		found.Hint = "check the name; what an account has no privilege on at all it does not see, and an administrator can grant it"
		for _, ref := range absent {
			if ref.Name == "" {
				found.Fix = append(found.Fix, t.grant(readPrivileges, ref.Schema))
			} else {
				found.Fix = append(found.Fix, "GRANT SELECT ON "+qualified(ref)+" TO "+t.account)
			}
		}
		return &connectors.Error{Kind: connectors.KindNotFound, Err: fmt.Errorf("there is no %s that the account may see", refNames(absent))}
	}
	if len(tables) == 0 {
		found.Status, found.Detail = connectors.StageWarning, "there is no table that the account may see"
		found.Hint = "an administrator lets the account read"
		found.Fix = []string{t.grant(readPrivileges, t.cfg.Database)}
		return nil
	}
	var refused []connectors.TableRef
	for batch := range slices.Chunk(tables, 50) {
		err := t.readNone(ctx, batch...)
		if err == nil {
			continue
		}
		for _, ref := range batch {
			switch err := t.readNone(ctx, ref); {
			case denied(err):
				refused = append(refused, ref)
				found.Fix = append(found.Fix, "GRANT SELECT ON "+qualified(ref)+" TO "+t.account)
			case err != nil:
				return t.fail("read", ref.String(), err)
			}
		}
	}
	if len(refused) > 0 {
		return &connectors.Error{
			Kind: connectors.KindPermission, Hint: "an administrator lets the account read, or the source leaves them out",
			Err: fmt.Errorf("%s of %d may not be read: %s", connectors.Count(len(refused), "table"), len(tables), refNames(refused)),
		}
	}
	found.Detail = connectors.Count(len(tables), "table") + " may be read"
	return nil
}

func refNames(refs []connectors.TableRef) string {
	names := make([]string, len(refs))
	for i, ref := range refs {
		if names[i] = ref.String(); ref.Name == "" {
			names[i] = "database " + ref.Schema
		}
	}
	return connectors.SomeOf(names)
}

// visible lists the tables that discovery finds, and what the filter names that
// is not to be seen: tables, and databases as references without a name.
func (t *test) visible(ctx context.Context) (tables, absent []connectors.TableRef, err error) {
	filter := t.opts.Tables
	if err := filter.Check(); err != nil {
		return nil, nil, err
	}
	schemas := filter.Schemas
	if len(schemas) == 0 {
		schemas = []string{t.cfg.Database}
	}
	var list []string
	for _, schema := range schemas {
		ok, err := t.schemaExists(ctx, schema)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			absent = append(absent, connectors.TableRef{Schema: schema})
		}
		list = append(list, literal(schema))
	}
	kinds := "'BASE TABLE', 'SYSTEM VERSIONED'"
	if filter.Views {
		kinds += ", 'VIEW'"
	}
	rows, err := t.ss.query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ("+strings.Join(list, ", ")+
		") AND TABLE_TYPE IN ("+kinds+") ORDER BY TABLE_SCHEMA, TABLE_NAME")
	if err != nil {
		return nil, nil, t.fail("look at the tables of", t.cfg.Address(), err)
	}
	for _, r := range rows {
		if ref := (connectors.TableRef{Schema: r[0].String, Name: r[1].String}); filter.Admits(ref) {
			tables = append(tables, ref)
		}
	}
	for _, name := range filter.Names {
		if !slices.ContainsFunc(tables, func(ref connectors.TableRef) bool { return t.sameName(ref.Name, name) }) {
			absent = append(absent, connectors.TableRef{Schema: schemas[0], Name: name})
		}
	}
	return tables, absent, nil
}

func (t *test) schemaExists(ctx context.Context, name string) (bool, error) {
	row, err := t.ss.queryRow(ctx, "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+literal(name))
	return row != nil, t.fail("look for the database", name, err)
}

func (t *test) readNone(ctx context.Context, refs ...connectors.TableRef) error {
	parts := make([]string, len(refs))
	for i, ref := range refs {
		parts[i] = "(SELECT 1 FROM " + qualified(ref) + " LIMIT 0)"
	}
	_, err := t.ss.query(ctx, strings.Join(parts, " UNION ALL "))
	return err
}

// tryWrite does what a load does, in a table of its own. Nothing is made that
// could not be removed again, so what the account may do is asked first, of a
// table that does not exist: the server looks at privileges before anything else.
func (t *test) tryWrite(ctx context.Context, found *connectors.Stage) error {
	targets := t.opts.Targets
	if len(targets) == 0 && t.cfg.Database != "" {
		targets = []string{t.cfg.Database}
	}
	scratch := connectors.ScratchName()
	defer t.sweep(ctx, targets)
	var first error
	var written, possible []string
	for _, schema := range targets {
		created, err := t.writeIn(ctx, connectors.TableRef{Schema: schema, Name: scratch})
		switch {
		case denied(err):
			found.Fix = append(found.Fix, t.grant(writePrivileges, schema))
			found.Hint = "an administrator lets the account write"
			if first == nil {
				first = &connectors.Error{Kind: connectors.KindPermission, Op: "write to", Object: schema, Err: err}
			}
		case err != nil:
			return t.fail("write to", schema, err)
		case created:
			written = append(written, schema)
		default:
			possible = append(possible, schema)
		}
	}
	if first != nil {
		return first
	}
	if len(possible) > 0 || len(targets) == 0 {
		tried, err := t.writeAnew(ctx, scratch)
		switch {
		case denied(err) && len(targets) > 0: // the account is for those databases alone
		case denied(err):
			found.Fix, found.Hint = []string{"GRANT " + writePrivileges + " ON *.* TO " + t.account}, "name the target schema, or let the account make any"
			return &connectors.Error{Kind: connectors.KindPermission, Op: "create a database at", Object: t.cfg.Address(), Err: err}
		case err != nil:
			return t.fail("write to", scratch, err)
		case tried:
			written = append(written, "a new database")
		}
	}
	var said []string
	if len(written) > 0 {
		said = append(said, "created, written, read back and dropped a table in "+strings.Join(written, ", "))
	}
	if len(possible) > 0 {
		said = append(said, strings.Join(possible, ", ")+" can be created")
	}
	found.Detail = strings.Join(said, "; ")
	return nil
}

// loadStatements are what a load does with a table once it is made.
func loadStatements(ref connectors.TableRef) []string {
	name := qualified(ref)
	return []string{
		"INSERT INTO " + name + " (id, v) VALUES (1, 'written')",
		"UPDATE " + name + " SET v = 'read back' WHERE id = 1",
		"CREATE TEMPORARY TABLE " + qualified(connectors.TableRef{Schema: ref.Schema, Name: ref.Name + "_t"}) + " (id int)",
		"ALTER TABLE " + name + " ADD w int",
		"SELECT v FROM " + name,
		"DELETE FROM " + name + " WHERE id = 1",
		"DROP TABLE " + name,
	}
}

// writeIn makes a table and does with it what loads do. created is false, with
// no error, when the database does not exist and the account could make it.
func (t *test) writeIn(ctx context.Context, ref connectors.TableRef) (created bool, err error) {
	defer t.remove(ctx, "DROP TEMPORARY TABLE IF EXISTS "+qualified(connectors.TableRef{Schema: ref.Schema, Name: ref.Name + "_t"}))
	for _, statement := range loadStatements(ref) {
		if _, err := t.ss.exec(ctx, statement); denied(err) || errorNumber(err) == 0 && err != nil {
			return false, err
		}
	}
	_, err = t.ss.exec(ctx, "CREATE TABLE "+qualified(ref)+" (id int NOT NULL PRIMARY KEY, v varchar(20)) ENGINE = InnoDB")
	if errorNumber(err) == errNoDatabase {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer t.remove(ctx, "DROP TABLE IF EXISTS "+qualified(ref))
	for _, statement := range loadStatements(ref) {
		switch {
		case strings.HasPrefix(statement, "CREATE TEMPORARY"): // was made above
		case strings.HasPrefix(statement, "SELECT"):
			row, err := t.ss.queryRow(ctx, statement)
			if err == nil && (len(row) == 0 || row[0].String != "read back") {
				err = errors.New("the row that was written is not there")
			}
			if err != nil {
				return true, err
			}
		default:
			if _, err := t.ss.exec(ctx, statement); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// writeAnew does the same in a database that it makes and drops.
func (t *test) writeAnew(ctx context.Context, name string) (bool, error) {
	if _, err := t.ss.exec(ctx, "DROP TABLE "+qualified(connectors.TableRef{Schema: name, Name: name})); denied(err) {
		return false, err
	}
	if _, err := t.ss.exec(ctx, "CREATE DATABASE "+ident(name)); err != nil {
		return false, err
	}
	defer t.remove(ctx, "DROP DATABASE IF EXISTS "+ident(name))
	return t.writeIn(ctx, connectors.TableRef{Schema: name, Name: name})
}

// remove runs even when the test's time is up and its session lost.
func (t *test) remove(ctx context.Context, statement string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	ss := t.ss
	if ss.broken {
		var err error
		if ss, err = t.dial(ctx); err != nil {
			return
		}
		defer ss.close()
	}
	_, _ = ss.exec(ctx, statement)
}

// sweep removes what a test that was killed left.
func (t *test) sweep(ctx context.Context, schemas []string) {
	if t.ss.broken {
		return
	}
	list := []string{"''"}
	for _, schema := range schemas {
		list = append(list, literal(schema))
	}
	rows, _ := t.ss.query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ("+strings.Join(list, ", ")+
		") AND LEFT(TABLE_NAME, 12) = '_arus_check_'")
	for _, r := range rows {
		if connectors.StaleScratch(r[1].String) {
			t.remove(ctx, "DROP TABLE IF EXISTS "+qualified(connectors.TableRef{Schema: r[0].String, Name: r[1].String}))
		}
	}
	rows, _ = t.ss.query(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LEFT(SCHEMA_NAME, 12) = '_arus_check_'")
	for _, r := range rows {
		if connectors.StaleScratch(r[0].String) {
			t.remove(ctx, "DROP DATABASE IF EXISTS "+ident(r[0].String))
		}
	}
}

func (t *test) serverVersion() string {
	if t.ss.flavour.mariadb {
		return "MariaDB " + strings.TrimPrefix(t.version, "5.5.5-")
	}
	return "MySQL " + t.version
}

func (t *test) isSupported(_ context.Context, found *connectors.Stage) error {
	found.Detail = t.serverVersion()
	f, least := t.ss.flavour, "MySQL 8.0"
	supported := f.atLeast(8, 0, 0)
	if f.mariadb {
		least, supported = "MariaDB 10.6", f.atLeast(10, 6, 0)
	}
	if !supported {
		found.Status, found.Hint = connectors.StageWarning, least+" is the oldest that is supported"
	}
	return nil
}
