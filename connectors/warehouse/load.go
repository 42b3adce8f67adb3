package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// Table describes a target without the metadata columns.
func (d *Destination) Table(ctx context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	if err := checkName("find", ref.Name); err != nil {
		return connectors.Table{}, false, err
	}
	t := tableOf(d.dir, ref.Name)
	if !fileExists(t.file(manifestFile)) {
		return connectors.Table{}, false, nil
	}
	l, err := t.open(ctx)
	if err != nil {
		return connectors.Table{}, false, err
	}
	table := l.schema.table()
	table.Schema = ref.Schema
	table.RowEstimate = l.manifest.Rows
	return table, true, l.close()
}

// Begin starts a load. A table that is made or replaced is built in a file of
// its own; a merge is one transaction in the live file.
func (d *Destination) Begin(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	const op = "load"
	invalid := func(kind connectors.ErrorKind, err error, hint string) error {
		return &connectors.Error{Kind: kind, Op: op, Object: req.Target.Name, Err: err, Hint: hint}
	}
	if err := checkName(op, req.Target.Name); err != nil {
		return nil, err
	}
	if err := checkColumns(req.Columns); err != nil {
		return nil, invalid(connectors.KindUnsupported, err, "rename or leave out the column")
	}
	if _, ok := parseUUID(req.RunID); !ok {
		return nil, invalid(connectors.KindInvalid, fmt.Errorf("the run %q is no UUID", req.RunID), "")
	}
	if req.Mode < connectors.Replace || req.Mode > connectors.ReplaceWindow || req.Mode == connectors.Merge && len(req.Key) == 0 {
		return nil, invalid(connectors.KindInvalid, fmt.Errorf("a table without a key cannot be loaded by mode %s", req.Mode), "")
	}
	wanted, err := forLoad(req.Target.Name, req.Columns, req.Key)
	if err != nil {
		return nil, invalid(connectors.KindInvalid, err, "choose the key among the columns")
	}
	if req.Raw != nil {
		return d.beginRaw(ctx, req, wanted)
	}
	return d.begin(ctx, req, wanted)
}

func (d *Destination) begin(ctx context.Context, req connectors.LoadRequest, wanted *schema) (*load, error) {
	l := &load{table: tableOf(d.dir, req.Target.Name), req: req}
	lock, err := l.table.lock()
	if err != nil {
		return nil, err
	}
	l.lock = lock
	if err := l.start(ctx, wanted); err != nil {
		return nil, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	return l, nil
}

// load is one table being loaded.
type load struct {
	table tableDir
	req   connectors.LoadRequest
	lock  *os.File

	old     *manifest // of the table before the load, nil when it was absent
	schema  *schema
	changed bool   // the schema differs from the table's
	file    string // the new live file, "" when the load works in the current one
	conn    *lite.Conn
	insert  *inserter
	rows    int64
}

func (l *load) start(ctx context.Context, wanted *schema) error {
	m, current, err := l.table.recover(ctx)
	if err != nil {
		return err
	}
	l.old = m
	if m != nil && l.req.Mode != connectors.Replace {
		return l.startLive(ctx, current)
	}
	l.schema, l.changed = wanted, true
	if current != nil {
		if wanted.same(current) {
			l.schema, l.changed = current, false
		} else {
			// The old columns' files go with the old generation: the table begins anew.
			wanted.Version, wanted.Incarnation = current.Version+1, current.Incarnation+1
		}
	}
	return l.startFile(ctx)
}

// startFile makes a new generation. Nobody sees it before the manifest names
// it, so it needs no journal; it is synced as a whole at the end.
func (l *load) startFile(ctx context.Context) error {
	generation := int64(1)
	if l.old != nil {
		generation = l.old.Generation + 1
	}
	l.file = "live-" + strconv.FormatInt(generation, 10) + ".db"
	c, err := lite.Open(sqliteDriver(), l.table.file(l.file), lite.Create, "")
	if err != nil {
		return err
	}
	l.conn = c
	if err := os.Chmod(l.table.file(l.file), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, sql := range []string{
		"PRAGMA page_size = 8192", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -8192",
		"PRAGMA user_version = " + strconv.Itoa(l.schema.Version), "BEGIN", l.schema.createSQL(),
	} {
		if err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if l.req.Mode == connectors.Merge {
		if err := l.createKey(ctx); err != nil {
			return err
		}
	}
	return l.prepare(ctx)
}

// createSQL makes the table rows; its columns have no affinity.
func (s *schema) createSQL() string {
	defs := make([]string, len(s.Columns))
	for id := range s.Columns {
		defs[id] = s.columnSQL(id)
	}
	return "CREATE TABLE rows (" + strings.Join(defs, ", ") + ")"
}

func (s *schema) columnSQL(id int) string {
	def := columnName(id)
	if id == s.rowidColumn() {
		return def + " INTEGER PRIMARY KEY"
	}
	if c := classOf(s.Columns[id].typ); c == classUint64 || c == classNumeric {
		def += " COLLATE arus_number"
	}
	return def
}

func columnName(id int) string { return "c" + strconv.Itoa(id) }

func columnList(ids []int) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = columnName(id)
	}
	return strings.Join(names, ", ")
}

// createKey makes the index of a key that is not the rowid. A table that is
// built whole gets it at the end, which is faster.
func (l *load) createKey(ctx context.Context) error {
	if l.schema.rowidColumn() >= 0 {
		return nil
	}
	return l.conn.Exec(ctx, "CREATE UNIQUE INDEX rows_key ON rows ("+columnList(l.schema.PrimaryKeyColumns)+")")
}

// startLive opens the current live file for a transaction.
func (l *load) startLive(ctx context.Context, current *schema) error {
	if !slices.Equal(current.keyNames(), l.req.Key) {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: l.table.name,
			Err:  fmt.Errorf("its key is (%s), and the load's (%s)", strings.Join(current.keyNames(), ", "), strings.Join(l.req.Key, ", ")),
			Hint: "run a full refresh: a table's key does not change otherwise",
		}
	}
	l.schema = current.clone()
	var added []int
	for _, c := range l.req.Columns {
		id := l.schema.id(c.Name)
		if id < 0 {
			added = append(added, len(l.schema.Columns))
			l.schema.add(c.Name, c.Type, false)
			continue
		}
		have := l.schema.Columns[id].typ
		if !holds(have, c.Type) {
			return &connectors.Error{
				Kind: connectors.KindType, Op: "load", Object: l.table.name + "." + c.Name,
				Err: fmt.Errorf("the column is %s, and what comes is %s", have, c.Type), Hint: "run a full refresh",
			}
		}
		if t := widened(have, c.Type); !t.Equal(have) {
			l.schema.Columns[id].typ, l.schema.Columns[id].Type, l.changed = t, typeName(t), true
		}
	}
	if len(l.schema.Columns) > maxLiveColumns {
		return &connectors.Error{Kind: connectors.KindUnsupported, Op: "load", Object: l.table.name, Err: errors.New("the table would have too many columns"), Hint: "run a full refresh"}
	}
	lv, err := l.table.openFile(ctx, *l.old, lite.ReadWrite, "BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	l.conn = lv.conn
	l.changed = l.changed || len(added) > 0
	for _, id := range added {
		if err := l.conn.Exec(ctx, "ALTER TABLE rows ADD COLUMN "+l.schema.columnSQL(id)); err != nil {
			return err
		}
	}
	if l.changed {
		l.schema.Version++
		if err := l.conn.Exec(ctx, "PRAGMA user_version = "+strconv.Itoa(l.schema.Version)); err != nil {
			return err
		}
	}
	if l.req.Mode == connectors.ReplaceWindow {
		if err := l.deleteWindow(ctx); err != nil {
			return err
		}
	}
	return l.prepare(ctx)
}

func (l *load) deleteWindow(ctx context.Context) error {
	where, args, err := l.schema.condition(l.req.Window)
	if err != nil {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "load", Object: l.table.name, Err: err, Hint: "run a full refresh"}
	}
	return l.conn.Exec(ctx, "DELETE FROM rows"+where, args...)
}

// prepare makes the INSERT for the load's columns.
func (l *load) prepare(ctx context.Context) error {
	ids := make([]int, len(l.req.Columns))
	for i, c := range l.req.Columns {
		ids[i] = l.schema.id(c.Name)
	}
	meta := []int{l.schema.id(connectors.MetaRunID), l.schema.id(connectors.MetaSyncedAt)}
	literals := ", '" + strings.ToLower(l.req.RunID) + "', " + strconv.FormatInt(l.req.SyncedAt.UnixMicro(), 10)
	tail := ""
	if l.req.Mode == connectors.Merge {
		var sets []string
		for _, id := range slices.Concat(ids, meta) {
			if !slices.Contains(l.schema.PrimaryKeyColumns, id) {
				sets = append(sets, columnName(id)+" = excluded."+columnName(id))
			}
		}
		tail = " ON CONFLICT (" + columnList(l.schema.PrimaryKeyColumns) + ") DO UPDATE SET " + strings.Join(sets, ", ")
	}
	var err error
	l.insert, err = newInserter(ctx, l.conn, "INSERT INTO rows ("+columnList(slices.Concat(ids, meta))+")", literals, tail, len(ids))
	return err
}

// Write inserts the batch's rows.
func (l *load) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	return fail(ctx, "load", l.table.name, l.write(ctx, batch))
}

func (l *load) write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	encoders := make([]encoder, len(l.req.Columns))
	for i, c := range l.req.Columns {
		id := l.schema.id(c.Name)
		arr := batch.Column(i)
		if arr.NullN() > 0 && slices.Contains(l.schema.PrimaryKeyColumns, id) {
			return &connectors.Error{Kind: connectors.KindConstraint, Op: "load", Object: l.table.name + "." + c.Name, Err: errors.New("a key column has a NULL"), Hint: "choose another key"}
		}
		var err error
		if encoders[i], err = newEncoder(arr, l.schema.Columns[id].typ); err != nil {
			return err
		}
	}
	rows := int(batch.NumRows())
	for i := range rows {
		for c, e := range encoders {
			l.insert.set(c, e(i))
		}
		if err := l.insert.endRow(ctx); err != nil {
			return err
		}
	}
	l.rows += int64(rows)
	return l.insert.flush(ctx)
}

// Commit makes the load durable and visible.
func (l *load) Commit(ctx context.Context) (connectors.LoadResult, error) {
	err := l.commit(ctx)
	if err != nil {
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	return connectors.LoadResult{Rows: l.rows}, nil
}

func (l *load) commit(ctx context.Context) error {
	if l.file != "" && l.req.Mode != connectors.Merge {
		if err := l.createKey(ctx); err != nil {
			return err
		}
	}
	if err := l.insert.close(); err != nil {
		return err
	}
	if l.changed {
		if err := writeFile(l.table.file(nextFile), l.schema); err != nil {
			return err
		}
	}
	if err := l.conn.Exec(ctx, "COMMIT"); err != nil {
		return err
	}
	if l.file == "" {
		// It is durable now: what follows only tidies up.
		_ = l.conn.Exec(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(TRUNCATE)")
		return l.finish()
	}
	if err := l.conn.Exec(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	err := l.conn.Close()
	l.conn = nil
	if err == nil {
		err = syncFile(l.table.file(l.file))
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	next := manifest{Live: l.file, Generation: 1, Rows: l.rows}
	if l.old != nil {
		next.Generation = l.old.Generation + 1
	}
	if err := writeFile(l.table.file(manifestFile), next); err != nil {
		if m, merr := l.table.manifest(); merr == nil && m.Live == l.file {
			// The rename is done and only its durability is in doubt: the new
			// file must not be removed.
			l.file = ""
			return errors.Join(err, l.finish())
		}
		return err
	}
	current := l.file
	l.file = ""
	err = l.finish()
	if l.old != nil {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if l.old.Live != current {
				_ = os.Remove(l.table.file(l.old.Live) + suffix) // swept by the next load if a reader holds it
			}
		}
	}
	return err
}

// finish ends a load that is durable: its schema becomes the current one and
// the lock goes. Should a rename fail, the next load does it.
func (l *load) finish() error {
	if l.changed {
		_ = rename(l.table.file(nextFile), l.table.file(schemaFile))
	}
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
	_ = l.lock.Close()
	l.lock = nil
	return nil
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
	if l.insert != nil {
		_ = l.insert.close()
	}
	if l.conn != nil { // closing rolls back
		errs = append(errs, l.conn.Close())
		l.conn = nil
	}
	if l.file != "" {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			if err := os.Remove(l.table.file(l.file) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	if err := os.Remove(l.table.file(nextFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	errs = append(errs, l.lock.Close())
	l.lock = nil
	if err := errors.Join(errs...); err != nil {
		return fileError("abort the load of", l.table.name, err)
	}
	return nil
}

// widened is the type of a column that holds have and gets want: the same
// storage, with the looser declaration of the two.
func widened(have, want connectors.Type) connectors.Type {
	if have.Kind != want.Kind {
		return have
	}
	looser := func(a, b int) int {
		if a == 0 || b == 0 {
			return 0
		}
		return max(a, b)
	}
	t := have
	switch have.Kind {
	case connectors.Text, connectors.Bytes:
		t.Length, t.Fixed = looser(have.Length, want.Length), have.Fixed && want.Fixed && have.Length == want.Length
	case connectors.Time, connectors.Timestamp, connectors.TimestampTZ:
		t.Precision = looser(have.Precision, want.Precision)
	case connectors.Enum:
		t.Values = slices.Clone(have.Values)
		for _, v := range want.Values {
			if !slices.Contains(t.Values, v) {
				t.Values = append(t.Values, v)
			}
		}
	case connectors.JSON:
		t.Parsed = have.Parsed && want.Parsed
	}
	return t
}

// inserter inserts rows, several by one statement.
type inserter struct {
	many, one *lite.Stmt
	columns   int
	per       int
	at        int
}

const (
	rowsPerInsert = 32
	maxParameters = 32766
)

func newInserter(ctx context.Context, c *lite.Conn, into, literals, tail string, columns int) (*inserter, error) {
	n := &inserter{columns: columns, per: max(1, min(rowsPerInsert, maxParameters/columns))}
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + literals + ")"
	var err error
	if n.one, err = c.Prepare(ctx, into+" VALUES "+row+tail, columns); err != nil {
		return nil, err
	}
	if n.many, err = c.Prepare(ctx, into+" VALUES "+strings.TrimSuffix(strings.Repeat(row+", ", n.per), ", ")+tail, columns*n.per); err != nil {
		return nil, errors.Join(err, n.one.Close())
	}
	return n, nil
}

func (n *inserter) set(column int, v any) { n.many.Set(n.at*n.columns+column, v) }

func (n *inserter) endRow(ctx context.Context) error {
	n.at++
	if n.at < n.per {
		return nil
	}
	n.at = 0
	return n.many.Exec(ctx)
}

// flush inserts the rows that do not fill a statement, one by one.
func (n *inserter) flush(ctx context.Context) error {
	for r := range n.at {
		for c := range n.columns {
			n.one.Set(c, n.many.Get(r*n.columns+c))
		}
		if err := n.one.Exec(ctx); err != nil {
			return err
		}
	}
	n.at = 0
	return nil
}

func (n *inserter) close() error { return errors.Join(n.many.Close(), n.one.Close()) }
