package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"arus/connectors"
)

// The error codes that tell what a user may not do.
const (
	codeAccessDenied   = 497
	codeDatabaseDenied = 291
)

// writePrivileges are what a load needs.
const writePrivileges = "SELECT, INSERT, ALTER, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW"

// test is one connection test under way.
type test struct {
	*connectors.Stages
	*db
	opts    connectors.CheckOptions
	release string
}

// check tests a connection in stages.
func check(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
	t := &test{Stages: connectors.NewStages(cfg, opts), opts: opts}
	ctx, cancel := t.Bound(ctx)
	defer cancel()
	h := &connectors.Handshake{Many: true}
	options, err := configure(cfg)
	t.Settings(err)
	t.db = &db{database: cfg.Database, address: cfg.Address(), user: options.Auth.Username, secret: cfg.Password}
	t.cluster = cfg.Options["cluster"]
	if err == nil {
		security, _ := tlsConfig(cfg) // configure has asked before
		if security != nil {
			h.Policy = connectors.TLSRequired
			security = h.Watch(security)
		}
		options.DialContext = dialing(h.Dial, security, options.DialTimeout)
	}
	t.LookUp(ctx)
	refused := t.Connect(ctx, h, func(ctx context.Context) error { return t.tryConnect(ctx, &options) })
	defer func() {
		if t.conn != nil {
			_ = t.Close()
		}
	}()
	t.Run(ctx, connectors.Stage{Name: connectors.StageDatabase}, func(ctx context.Context, found *connectors.Stage) error {
		switch connectors.KindOf(refused) {
		case connectors.KindNotFound:
			found.Hint, found.Fix = "check the database name, or make the database", []string{"CREATE DATABASE " + ident(t.database)}
		case connectors.KindPermission:
			found.Hint, found.Fix = "an administrator lets the user in", []string{"GRANT SELECT ON " + ident(t.database) + ".* TO " + ident(t.user)}
		}
		if refused != nil {
			return refused
		}
		found.Version = "ClickHouse " + t.release
		err := t.query(ctx, "SELECT currentDatabase()", func(rows driver.Rows) error { return rows.Scan(&t.database) })
		found.Detail = t.database
		return t.fail(ctx, "look at the database of", t.address, "", err)
	})
	if opts.Source {
		t.Run(ctx, connectors.Stage{Name: connectors.StagePrivileges, As: connectors.AsSource}, t.tryRead)
	}
	if opts.Destination {
		t.Run(ctx, connectors.Stage{Name: connectors.StagePrivileges, As: connectors.AsDestination}, t.tryWrite)
	}
	t.Run(ctx, connectors.Stage{Name: connectors.StageVersion}, func(_ context.Context, found *connectors.Stage) error {
		found.Detail = "ClickHouse " + t.release
		if !t.version.atLeast(18, 16) {
			return &connectors.Error{Kind: connectors.KindUnsupported, Err: errors.New(found.Detail + " is not supported"), Hint: "ClickHouse 18.16 or later is needed"}
		}
		return nil
	})
	t.Clock(ctx, func(ctx context.Context) (time.Time, error) {
		var seconds int64
		err := t.query(ctx, "SELECT toInt64(toUnixTimestamp(now()))", func(rows driver.Rows) error { return rows.Scan(&seconds) })
		return time.Unix(seconds, int64(500*time.Millisecond)), t.fail(ctx, "ask the time of", t.address, "", err)
	})
	return t.List()
}

func (t *test) tryConnect(ctx context.Context, options *ch.Options) (err error) {
	if deadline, ok := ctx.Deadline(); ok { // the driver's greeting knows no context
		options.DialTimeout = min(options.DialTimeout, time.Until(deadline))
		options.ReadTimeout = options.DialTimeout
	}
	if t.conn, err = ch.Open(options); err != nil {
		return t.connectError(ctx, err)
	}
	if err := t.conn.Ping(ctx); err != nil {
		return t.connectError(ctx, err)
	}
	hello, err := t.conn.ServerVersion()
	if err != nil {
		return t.connectError(ctx, err)
	}
	t.version, t.release = version{int(hello.Version.Major), int(hello.Version.Minor)}, hello.Version.String()
	return nil
}

func denied(err error) bool {
	return slices.Contains([]int{codeAccessDenied, codeDatabaseDenied}, code(err))
}

// tryRead reads no row of every table that discovery finds.
func (t *test) tryRead(ctx context.Context, found *connectors.Stage) error {
	tables, err := (&Source{t.db}).Tables(ctx, t.opts.Tables)
	if err != nil {
		return err
	}
	var refused, names []string
	for _, table := range tables {
		names = append(names, table.Name)
		columns := connectors.QuoteList(connectors.ColumnNames(table.Columns), '`')
		if len(table.Columns) == 0 {
			columns = "1"
		}
		err := t.query(ctx, "SELECT "+columns+" FROM "+qualified(table.TableRef)+" LIMIT 0", func(driver.Rows) error { return nil })
		switch {
		case denied(err):
			refused = append(refused, table.String())
			found.Fix = append(found.Fix, "GRANT SELECT ON "+qualified(table.TableRef)+" TO "+ident(t.user))
		case err != nil:
			return t.fail(ctx, "read", table.String(), "", err)
		}
	}
	if len(refused) > 0 {
		return &connectors.Error{
			Kind: connectors.KindPermission, Hint: "an administrator lets the user read, or the source leaves them out",
			Err: fmt.Errorf("%s of %d may not be read: %s", connectors.Count(len(refused), "table"), len(tables), connectors.SomeOf(refused)),
		}
	}
	for _, name := range t.opts.Tables.Names {
		if !slices.Contains(names, name) {
			return &connectors.Error{Kind: connectors.KindNotFound, Err: fmt.Errorf("there is no table %s that the user may see", name), Hint: "check the names, or discover the tables again"}
		}
	}
	if len(tables) == 0 {
		found.Status, found.Detail, found.Hint = connectors.StageWarning, "there is no table that the user may see", "check the database name and the user's grants"
		return nil
	}
	found.Detail = connectors.Count(len(tables), "table") + " may be read"
	return nil
}

// tryWrite makes, writes, reads and drops a table in every target that exists,
// and in a database of its own for those that do not. Nothing is made that the
// user could not remove: what drops it is tried first, on nothing.
func (t *test) tryWrite(ctx context.Context, found *connectors.Stage) error {
	have := map[string]bool{}
	err := t.query(ctx, "SELECT name FROM system.databases", func(rows driver.Rows) error {
		var name string
		err := rows.Scan(&name)
		have[name] = true
		return err
	})
	if err != nil {
		return t.fail(ctx, "list the databases of", t.address, "", err)
	}
	targets := t.opts.Targets
	if len(targets) == 0 {
		targets = []string{t.database}
	}
	scratch := connectors.ScratchName()
	var first error
	var written, absent, unknown []string
	for _, schema := range targets {
		ref := connectors.TableRef{Schema: schema, Name: scratch}
		if !have[schema] {
			ref.Schema = scratch
			absent = append(absent, schema)
		} else {
			written = append(written, schema)
		}
		err := t.writeIn(ctx, ref, !have[schema])
		if denied(err) {
			found.Hint = "an administrator lets the user write"
			found.Fix = append(found.Fix, "GRANT "+writePrivileges+" ON "+ident(schema)+".* TO "+ident(t.user))
			if !have[schema] {
				found.Fix = append(found.Fix, "GRANT CREATE DATABASE ON "+ident(schema)+".* TO "+ident(t.user))
				probe := t.exec(ctx, createScratch(connectors.TableRef{Schema: schema, Name: scratch}, t.dialect))
				if code(probe) == codeUnknownDB { // it may make tables there: its grants are for that database alone
					found.Status, unknown = connectors.StageWarning, append(unknown, schema)
					found.Hint = "the user may make no database of another name, so only a load can tell whether it may make this one"
					continue
				}
			}
		}
		if err != nil && first == nil {
			first = t.fail(ctx, "write to", schema, "", err)
		}
	}
	if first != nil {
		return first
	}
	var said []string
	if len(written) > 0 {
		said = append(said, "created, written, read back and dropped a table in "+strings.Join(written, ", "))
	}
	if len(absent) > len(unknown) {
		said = append(said, strings.Join(slices.DeleteFunc(absent, func(s string) bool { return slices.Contains(unknown, s) }), ", ")+" can be created")
	}
	if len(unknown) > 0 {
		said = append(said, strings.Join(unknown, ", ")+" does not exist")
	}
	found.Detail = strings.Join(said, "; ")
	return nil
}

func createScratch(ref connectors.TableRef, d dialect) string {
	return "CREATE TABLE " + qualified(ref) + d.onCluster() + " (id Int32, v String) ENGINE = MergeTree ORDER BY id"
}

// writeIn tries one database, and with fresh makes it and removes it again.
func (t *test) writeIn(ctx context.Context, ref connectors.TableRef, fresh bool) error {
	drop := t.drop(ref)
	if !fresh {
		if err := t.exec(ctx, drop); err != nil {
			return err
		}
	} else {
		dropAll := "DROP DATABASE IF EXISTS " + ident(ref.Schema) + t.onCluster()
		if err := t.exec(ctx, dropAll); err != nil {
			return err
		}
		if err := t.exec(ctx, t.createDatabase(ref.Schema)); err != nil {
			return err
		}
		defer t.remove(ctx, dropAll)
	}
	if err := t.exec(ctx, createScratch(ref, t.dialect)); err != nil {
		return err
	}
	defer t.remove(ctx, drop)
	if err := t.exec(ctx, "INSERT INTO "+qualified(ref)+" SELECT 1, 'written'"); err != nil {
		return err
	}
	var v string
	err := t.query(ctx, "SELECT v FROM "+qualified(ref), func(rows driver.Rows) error { return rows.Scan(&v) })
	if err == nil && v != "written" {
		err = errors.New("the row that was written is not there")
	}
	if err != nil {
		return err
	}
	return t.exec(ctx, drop)
}

// remove runs even when the test's time is up.
func (t *test) remove(ctx context.Context, statement string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	_ = t.exec(ctx, statement)
}
