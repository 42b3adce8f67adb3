package clickhouse

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"arus/connectors"
)

// site is a target under its lock, with the tables that are made beside it.
type site struct {
	*db
	op     string
	ref    connectors.TableRef
	target *relation       // nil when it does not exist yet
	atomic map[string]bool // schemas in which tables can be exchanged
	lock   *lock
	keep   func(shadow string) bool // shadows of killed loads that stay; nil = none

	made    []connectors.TableRef // shadows that exist
	swapped []connectors.TableRef // tables whose swap was begun
}

// enter takes the target's lock, removes what killed loads of it left in the
// schemas, and looks at it.
func (s *site) enter(ctx context.Context, wait time.Duration, schemas ...string) error {
	for _, schema := range schemas {
		if err := s.ensureSchema(ctx, schema); err != nil {
			return err
		}
	}
	var err error
	if s.lock, err = s.takeLock(ctx, s.ref, wait); err != nil {
		return err
	}
	for _, schema := range schemas {
		if err := s.sweep(ctx, schema, s.ref); err != nil {
			return err
		}
	}
	s.target, err = s.lookUp(ctx, s.ref)
	return err
}

// failed puts an error in words, with the grants that loading needs.
func (s *site) failed(ctx context.Context, err error) error {
	return s.fail(ctx, s.op, s.ref.String(), "GRANT "+writePrivileges+" ON "+ident(s.ref.Schema)+".* TO "+ident(s.user), err)
}

// refuse is an error about the target.
func (s *site) refuse(kind connectors.ErrorKind, hint string, err error) error {
	return &connectors.Error{Kind: kind, Op: s.op, Object: s.ref.String(), Err: err, Hint: hint}
}

// held says that the lock was not lost meanwhile.
func (s *site) held() error {
	if s.lock != nil && s.lock.lost.Load() {
		return s.refuse(connectors.KindConflict, "run it again", errors.New("the server ended the query that held the target's lock"))
	}
	return nil
}

func (s *site) ensureSchema(ctx context.Context, schema string) error {
	engine, there := "", false
	err := s.query(ctx, "SELECT engine FROM system.databases WHERE name = "+literal(schema), func(rows driver.Rows) error {
		there = true
		return rows.Scan(&engine)
	})
	if err != nil {
		return err
	}
	if !there {
		err := s.exec(ctx, s.createDatabase(schema))
		if err != nil && code(err) != codeDatabaseThere {
			return s.fail(ctx, "create database", schema, "GRANT CREATE DATABASE ON "+ident(schema)+".* TO "+ident(s.user), err)
		}
		if s.version.atLeast(20, 10) {
			engine = "Atomic"
		}
	}
	if s.atomic == nil {
		s.atomic = map[string]bool{}
	}
	s.atomic[schema] = slices.Contains([]string{"Atomic", "Replicated", "Shared"}, engine)
	return nil
}

// sweep removes what killed loads of a table left in a schema, except what is to
// be kept. A table that was taken away by half a swap gets
// its name back first.
func (s *site) sweep(ctx context.Context, schema string, table connectors.TableRef) error {
	names, err := s.shadows(ctx, schema, table)
	if err != nil || len(names) == 0 {
		return err
	}
	if schema == table.Schema && slices.Contains(names, oldTable(table).Name) {
		if err := s.recover(ctx, table); err != nil {
			return err
		}
	}
	for _, name := range names {
		if s.keep != nil && s.keep(name) {
			continue
		}
		if err := s.exec(ctx, s.drop(connectors.TableRef{Schema: schema, Name: name})); err != nil {
			return err
		}
	}
	return nil
}

// shadows lists the tables beside a table that loads of it made.
func (d *db) shadows(ctx context.Context, schema string, table connectors.TableRef) ([]string, error) {
	var names []string
	err := d.catalog(ctx, leftovers(schema, table), func() { names = nil }, func(rows driver.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

// recover ends a swap that stopped between its two renames.
func (d *db) recover(ctx context.Context, table connectors.TableRef) error {
	have, err := d.lookUp(ctx, table)
	if err != nil || have != nil {
		return err
	}
	old, err := d.lookUp(ctx, oldTable(table))
	if err != nil || old == nil {
		return err
	}
	return d.exec(ctx, d.restore(table))
}

// newShadow names a table beside another that no load of any will name again.
func newShadow(schema string, table connectors.TableRef) connectors.TableRef {
	suffix := make([]byte, 6)
	_, _ = rand.Read(suffix) // never fails
	return connectors.TableRef{Schema: schema, Name: shadowPrefix + targetHash(table) + "_" + hex.EncodeToString(suffix)}
}

// make makes a shadow, which is dropped at the end.
func (s *site) make(ctx context.Context, shadow connectors.TableRef, sql string) error {
	s.made = append(s.made, shadow)
	return s.exec(ctx, sql)
}

// forget leaves a shadow to others.
func (s *site) forget(shadow connectors.TableRef) {
	s.made = slices.DeleteFunc(s.made, func(r connectors.TableRef) bool { return r == shadow })
}

func (d *db) attachAll(ctx context.Context, target, from connectors.TableRef) error {
	var ids []string
	err := d.catalog(ctx, partitions(from), func() { ids = nil }, func(rows driver.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := d.exec(ctx, d.attach(target, from, id)); err != nil {
			return err
		}
	}
	return nil
}

// swapIn puts a shadow in a table's place; what was there is dropped at the end.
func (s *site) swapIn(ctx context.Context, table, shadow connectors.TableRef, exists bool) error {
	sql, displaced := s.swap(table, shadow, exists, s.atomic[table.Schema])
	s.swapped = append(s.swapped, table)
	if err := s.exec(ctx, sql); err != nil {
		return err
	}
	s.forget(shadow)
	if displaced.Name != "" {
		s.made = append(s.made, displaced)
	}
	return nil
}

// ensureView makes the view of current rows, or makes it anew when the columns
// have changed. A table or view of somebody else's keeps the name.
func (s *site) ensureView(ctx context.Context) error {
	viewRef := currentView(s.ref)
	found, err := s.describe(ctx, "database = "+literal(viewRef.Schema)+" AND table IN ("+literal(s.ref.Name)+", "+literal(viewRef.Name)+")")
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
		if !isInternal(c.Name) && !c.computed {
			columns, natives = append(columns, c.Name), append(natives, c.Native)
		}
	}
	if view != nil {
		if _, ours := view.column(connectors.MetaRunID); view.engine != "View" || !ours {
			return nil
		}
		if slices.EqualFunc(view.all, columns, func(c relationColumn, name string) bool { return c.Name == name }) &&
			slices.EqualFunc(view.all, natives, func(c relationColumn, native string) bool { return c.Native == native }) &&
			(s.target == nil || s.target.replaces() == target.replaces()) {
			same, err := s.hidesGone(ctx, viewRef)
			if err != nil || same == target.hides() {
				return err
			}
		}
		if err := s.exec(ctx, s.dropView(s.ref)); err != nil {
			return err
		}
	}
	err = s.exec(ctx, s.createView(s.ref, columns, target))
	if code(err) == codeTableExists {
		return nil
	}
	return err
}

// hidesGone says whether a view leaves out the rows that were deleted.
func (d *db) hidesGone(ctx context.Context, view connectors.TableRef) (bool, error) {
	text := ""
	err := d.catalog(ctx, definition(view), func() {}, func(rows driver.Rows) error { return rows.Scan(&text) })
	return strings.Contains(text, metaGone), err
}

// leave removes what was made and lets the lock go. It has its own deadline.
func (s *site) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	var errs error
	for _, table := range s.swapped {
		errs = cmp.Or(errs, s.recover(ctx, table))
	}
	for _, ref := range s.made {
		errs = cmp.Or(errs, s.exec(ctx, s.drop(ref)))
	}
	s.made, s.swapped = nil, nil
	if s.lock != nil {
		s.lock.release()
		s.lock = nil
	}
	return s.failed(ctx, errs)
}
