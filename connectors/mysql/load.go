package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

const (
	abortTimeout = 30 * time.Second
	swapAttempts = 5 // each waits for the session's lock_wait_timeout
	loadTable    = "_arus_load"
	loadOrder    = "_arus_order"
)

// destination writes the tables of one server.
type destination struct{ *server }

// Holds leaves out what MySQL's calendar and floats lack.
func (d *destination) Holds() connectors.Holds {
	return connectors.Holds{NUL: true, NumericNaN: true, MinDate: minDate, MaxDate: maxDate}
}

// Table describes a target by the types that Arus wrote, where it wrote them.
func (d *destination) Table(ctx context.Context, ref connectors.TableRef) (t connectors.Table, ok bool, err error) {
	ref, err = d.complete(ref)
	if err != nil {
		return t, false, err
	}
	err = d.with(ctx, func(ss *session) error {
		natives, indexes, err := ss.describe(ctx, ref)
		if err != nil || len(natives) == 0 {
			return d.fail("describe table", ref.String(), err)
		}
		ok = true
		t = connectors.Table{TableRef: ref, DefaultSchema: d.sameName(ref.Schema, d.cfg.Database), RowEstimate: -1, Bytes: -1}
		for _, n := range natives {
			if isMeta(n.name) {
				t.Managed = true
			} else {
				c := n.logicalColumn()
				c.Type = n.written()
				t.Columns = append(t.Columns, c)
			}
		}
		addKeys(&t, indexes)
		if mark := markOf(natives); mark != nil {
			t.PrimaryKey, t.Declared = mark.Key, true
		}
		return nil
	})
	return t, ok, err
}

func isMeta(name string) bool {
	return strings.EqualFold(name, connectors.MetaRunID) || strings.EqualFold(name, connectors.MetaSyncedAt)
}

// load is one target being loaded, on one session that holds the target's lock.
//
// A new or replaced target is built in the table shadow and renamed into place.
// An existing one changes in one transaction, from a temporary table or, in raw
// mode, from the staging table, whose rows arrive in that same transaction.
type load struct {
	d         *destination
	ss        *session
	req       connectors.LoadRequest
	target    connectors.TableRef
	shadow    connectors.TableRef
	old       connectors.TableRef
	helpers   string // what the names of helper tables begin with
	lock      string
	columns   []column
	exists    bool                        // the target
	natives   []native                    // of a target that is changed in place
	mark      *connectors.Mark            // of a declared target, which keeps its shape
	fresh     bool                        // the shadow becomes the target
	rows      *appender                   // nil where there is nothing to load into
	into      func(context.Context) error // brings the rows that arrived further; nil where they are in their place
	brought   int64                       // rows that went there
	open      bool                        // a transaction that Commit ends
	staging   staging
	parts     *partTables // of a load that is filled in parts
	committed bool
	deleted   int64
}

// MaxLengths tells the lengths that the native types impose and the logical
// ones do not: a key column of unbounded text is a varchar.
func (l *load) MaxLengths() []int {
	lengths := make([]int, len(l.req.Columns))
	for i, c := range l.req.Columns {
		definition := ""
		for _, made := range l.columns {
			if made.Name == c.Name {
				definition = made.definition
			}
		}
		for _, prefix := range []string{"varchar(", "varbinary("} {
			if rest, ok := strings.CutPrefix(definition, prefix); ok {
				digits, _, _ := strings.Cut(rest, ")")
				if n, err := strconv.Atoi(digits); err == nil && (c.Type.Length == 0 || c.Type.Length > n) {
					lengths[i] = n
				}
			}
		}
	}
	return lengths
}

// Begin takes the lock, sweeps, and makes the tables that the rows go to.
func (d *destination) Begin(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	target, err := d.complete(req.Target)
	if err != nil {
		return nil, err
	}
	if err := checkRequest(target.String(), req); err != nil {
		return nil, err
	}
	ss, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &load{d: d, ss: ss, req: req, target: target}
	l.name()
	err = l.begin(ctx)
	if err == nil && req.Careful {
		err = l.beginCarefully(ctx)
	}
	if err != nil {
		if l.lock != "" {
			_ = l.abort(context.WithoutCancel(ctx))
		} else {
			ss.close()
		}
		return nil, d.fail("load", target.String(), err)
	}
	if l.parts != nil {
		return &partLoad{load: l}, nil
	}
	return l, nil
}

// name derives the names of helper tables from the target's, so that the next
// load of the target finds what a killed one left.
func (l *load) name() {
	name := l.target.Schema + "\x00" + l.target.Name
	if l.d.flavour.lowerNames {
		name = strings.ToLower(name)
	}
	sum := sha256.Sum256([]byte(name))
	l.helpers = "_arus_" + hex.EncodeToString(sum[:8])
	l.shadow, l.old = l.helper("new"), l.helper("old")
}

// helper names a table that is there during a load only, or between the runs of one.
func (l *load) helper(suffix string) connectors.TableRef {
	return connectors.TableRef{Schema: l.target.Schema, Name: l.helpers + "_" + suffix}
}

func (l *load) begin(ctx context.Context) error {
	if err := l.ss.makeSchema(ctx, l.target.Schema); err != nil {
		return err
	}
	if err := l.takeLock(ctx); err != nil {
		return err
	}
	if err := l.sweep(ctx); err != nil {
		return err
	}
	var err error
	if l.columns, err = l.ss.flavour.targetColumns(l.target.String(), l.req.Columns, l.req.Key); err != nil {
		return err
	}
	if err := l.lookAtTarget(ctx); err != nil {
		return err
	}
	if err := l.makeDays(ctx); err != nil {
		return err
	}
	if err := l.beginParts(ctx); err != nil || l.parts != nil {
		return err
	}
	if removes(l.req.Mode) {
		return l.beginRemoval(ctx)
	}
	l.fresh = l.req.Mode == connectors.Replace || !l.exists
	if l.fresh {
		if err := l.create(ctx, l.shadow); err != nil {
			return err
		}
	}
	switch {
	case l.req.Raw != nil:
		return l.beginRaw(ctx)
	case l.fresh:
		l.rows = &appender{ss: l.ss, table: l.shadow, fixed: l.meta(), replace: l.req.Mode == connectors.Merge}
	default:
		temporary := connectors.TableRef{Schema: l.target.Schema, Name: loadTable}
		l.rows = &appender{ss: l.ss, table: temporary, replace: l.moves()}
		l.into = func(ctx context.Context) error {
			if l.rows.replace {
				return l.bringDays(ctx, temporary)
			}
			return l.bring(ctx, l.target, "SELECT "+connectors.QuoteList(connectors.ColumnNames(l.req.Columns), '`')+", "+l.metaValues()+
				" FROM "+qualified(temporary)+" ORDER BY "+ident(loadOrder))
		}
		err = l.createTemporary(ctx, temporary)
	}
	l.rows.object, l.rows.columns = l.target.String(), l.req.Columns
	return err
}

// makeSchema creates the database when it is absent, and only then: the account
// may lack the privilege where somebody else made it.
func (ss *session) makeSchema(ctx context.Context, name string) error {
	row, err := ss.queryRow(ctx, "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+literal(name))
	if err != nil || row != nil {
		return err
	}
	_, err = ss.exec(ctx, "CREATE DATABASE IF NOT EXISTS "+ident(name)+" CHARACTER SET utf8mb4")
	return err
}

// create makes a target table: the load's columns, the two of Arus, the key.
func (l *load) create(ctx context.Context, ref connectors.TableRef) error {
	if l.mark != nil {
		return l.createLike(ctx, ref)
	}
	definition, err := l.definition()
	if err != nil {
		return err
	}
	_, err = l.ss.exec(ctx, "CREATE TABLE "+qualified(ref)+" "+definition)
	return err
}

func (l *load) definition() (string, error) {
	f := l.ss.flavour
	run, err := f.targetColumns(l.target.String(), []connectors.Column{{Name: connectors.MetaRunID, Type: connectors.Type{Kind: connectors.UUID}}}, nil)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, c := range l.columns {
		parts = append(parts, c.ddl())
	}
	parts = append(parts, run[0].ddl(),
		ident(connectors.MetaSyncedAt)+" datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) COMMENT "+literal(commentPrefix+connectors.TimestampTZ.String()))
	if len(l.req.Key) > 0 {
		parts = append(parts, "PRIMARY KEY ("+connectors.QuoteList(l.req.Key, '`')+")")
	}
	return "(" + strings.Join(parts, ", ") + ") ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE " + f.collation(), nil
}

// createLike makes a table of a declared target's shape, with what the load brings beside it.
func (l *load) createLike(ctx context.Context, ref connectors.TableRef) error {
	if _, err := l.ss.exec(ctx, "CREATE TABLE "+qualified(ref)+" LIKE "+qualified(l.target)); err != nil {
		return err
	}
	var add []string
	for _, c := range l.columns {
		if !slices.ContainsFunc(l.natives, func(n native) bool { return strings.EqualFold(n.name, c.Name) }) {
			c.Nullable = true
			add = append(add, "ADD COLUMN "+c.ddl())
		}
	}
	if len(add) == 0 {
		return nil
	}
	_, err := l.ss.exec(ctx, "ALTER TABLE "+qualified(ref)+" "+strings.Join(add, ", "))
	return err
}

// moves says whether a row that is merged may have another day than the one of its key that is there.
func (l *load) moves() bool { return l.mark.Moves() && l.req.Mode == connectors.Merge && !l.fresh }

// bringDays upserts into a declared fact table, whose key is unique within a day
// only: a row whose time is another moves. The rows that came have one key each.
func (l *load) bringDays(ctx context.Context, from connectors.TableRef) error {
	time := ident(l.mark.Time)
	have, came := qualified(l.target), qualified(from)
	on := make([]string, len(l.req.Key))
	for i, k := range l.req.Key {
		on[i] = have + "." + ident(k) + " = " + came + "." + ident(k)
	}
	if _, err := l.ss.exec(ctx, "DELETE "+have+" FROM "+have+" JOIN "+came+" ON "+strings.Join(on, " AND ")+" WHERE "+have+"."+time+" <> "+came+"."+time); err != nil {
		return err
	}
	return l.bring(ctx, l.target, "SELECT "+connectors.QuoteList(connectors.ColumnNames(l.req.Columns), '`')+", "+l.metaValues()+" FROM "+qualified(from))
}

// createTemporary makes the table that an existing target is changed from; it
// keeps the order of arrival, so that of two rows with one key the later wins,
// or the later row alone.
func (l *load) createTemporary(ctx context.Context, ref connectors.TableRef) error {
	parts := []string{ident(loadOrder) + " bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY"}
	if l.moves() {
		parts = []string{"PRIMARY KEY (" + connectors.QuoteList(l.req.Key, '`') + ")"}
	}
	for _, c := range l.columns {
		parts = append(parts, c.ddl())
	}
	_, err := l.ss.exec(ctx, "CREATE TEMPORARY TABLE "+qualified(ref)+" ("+strings.Join(parts, ", ")+") ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4")
	return err
}

// meta is the value of each of the two columns of Arus, as a literal.
func (l *load) meta() [][2]string {
	return [][2]string{{connectors.MetaRunID, literal(l.req.RunID)}, {connectors.MetaSyncedAt, l.syncedAt()}}
}

func (l *load) syncedAt() string {
	return literal(l.req.SyncedAt.UTC().Format("2006-01-02 15:04:05.000000"))
}

// Write streams the batch to the server.
func (l *load) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	var err error
	switch {
	case l.rows == nil: // nothing to delete from
		err = ctx.Err()
	case l.req.Careful:
		err = l.writeCarefully(ctx, batch)
	default:
		err = l.rows.write(ctx, batch)
	}
	return l.d.fail("load", l.target.String(), err)
}

// Commit makes the rows visible, by one rename or one transaction.
func (l *load) Commit(ctx context.Context) (connectors.LoadResult, error) {
	if err := l.commit(ctx); err != nil {
		_ = l.abort(context.WithoutCancel(ctx))
		return connectors.LoadResult{}, l.d.fail("load", l.target.String(), err)
	}
	var result connectors.LoadResult
	switch {
	case removes(l.req.Mode):
		result.Deleted = l.deleted
		if l.req.Raw != nil && !l.req.Retain.Mark {
			result.RawRows = l.deleted
		}
	default:
		result.Rows = l.rows.sent
		if l.req.Raw != nil {
			result.RawRows = l.rows.sent + int64(len(l.staging.kept))
		}
	}
	l.end(ctx)
	return result, nil
}

// end does what is left and no longer bears on the outcome; the next load would do it too.
func (l *load) end(ctx context.Context, leftovers ...connectors.TableRef) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if l.fresh {
		_ = l.drop(ctx, append(leftovers, l.old)...)
	}
	l.release(ctx)
}

func (l *load) commit(ctx context.Context) error {
	if l.rows == nil {
		return ctx.Err()
	}
	if err := l.rows.finish(ctx); err != nil {
		return err
	}
	switch {
	case removes(l.req.Mode):
		return l.remove(ctx)
	case l.into != nil && !l.req.Careful:
		if err := l.begun(ctx); err != nil {
			return err
		}
		if err := l.into(ctx); err != nil {
			return err
		}
	}
	if err := l.stageKept(ctx, l.staging.table); err != nil {
		return err
	}
	if l.open {
		if _, err := l.ss.exec(ctx, "COMMIT"); err != nil {
			return err
		}
		l.committed = true
	}
	if l.fresh {
		return l.swap(ctx)
	}
	return nil
}

// begun opens the transaction that changes an existing target, if it is not open, and makes room in it.
func (l *load) begun(ctx context.Context) error {
	if !l.open {
		if _, err := l.ss.exec(ctx, "START TRANSACTION"); err != nil {
			return err
		}
		l.open = true
	}
	if l.req.Mode != connectors.ReplaceWindow || l.fresh {
		return nil
	}
	where, err := l.windowCondition()
	if err != nil {
		return err
	}
	_, err = l.ss.exec(ctx, "DELETE FROM "+qualified(l.target)+" WHERE "+where)
	return err
}

func (l *load) metaValues() string {
	meta := l.meta()
	return meta[0][1] + ", " + meta[1][1]
}

// bring inserts the selected rows into a table, as the mode says.
func (l *load) bring(ctx context.Context, into connectors.TableRef, from string) error {
	names := append(connectors.ColumnNames(l.req.Columns), connectors.MetaRunID, connectors.MetaSyncedAt)
	statement := "INSERT INTO " + qualified(into) + " (" + connectors.QuoteList(names, '`') + ") " + from
	if l.req.Mode == connectors.Merge {
		var updates []string
		for _, name := range names {
			if !slices.ContainsFunc(l.req.Key, func(k string) bool { return strings.EqualFold(k, name) }) {
				updates = append(updates, ident(name)+" = VALUES("+ident(name)+")")
			}
		}
		statement += " ON DUPLICATE KEY UPDATE " + strings.Join(updates, ", ")
	}
	affected, err := l.ss.exec(ctx, statement)
	if err != nil {
		return err
	}
	if err := l.ss.warnings(ctx); err != nil {
		return err
	}
	if want := l.rows.sent - l.brought; l.req.Mode != connectors.Merge && affected != want {
		return fmt.Errorf("%d rows were sent and %d arrived", want, affected)
	}
	l.brought = l.rows.sent
	return nil
}

func (l *load) windowCondition() (string, error) {
	w := *l.req.Window
	for _, n := range l.natives {
		if strings.EqualFold(n.name, w.Column) {
			return windowCondition(n, n.comparison(), w)
		}
	}
	return "", &connectors.Error{
		Kind: connectors.KindNotFound, Op: "load", Object: l.target.String() + "." + w.Column,
		Hint: "copy the table in full, which makes the target anew", Err: errors.New("the target has no such column"),
	}
}

// swap renames the shadow into place. A reader that keeps the target open makes
// it wait; a waiting rename holds up new readers, so it waits for a while only,
// lets them pass and tries again.
func (l *load) swap(ctx context.Context) error {
	statement := "RENAME TABLE " + qualified(l.shadow) + " TO " + qualified(l.target)
	if l.exists {
		statement = "RENAME TABLE " + qualified(l.target) + " TO " + qualified(l.old) + ", " + qualified(l.shadow) + " TO " + qualified(l.target)
	}
	var err error
	for range swapAttempts {
		if _, err = l.ss.exec(ctx, statement); !isNumber1205(err) {
			break
		}
	}
	return err
}
