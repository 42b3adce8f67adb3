package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/schema"
)

// Store owns the tables of a warehouse: their schemas, rows and background jobs.
// A rule of the schema that is broken is a *schema.Error, all else a
// *connectors.Error. Its methods may be called from several goroutines.
type Store struct{ *storage }

// OpenStore opens the warehouse in dir, which is made if absent. now is the clock.
func OpenStore(dir string, now func() time.Time) (*Store, error) {
	s := &Store{newStorage(dir)}
	s.now = now
	if err := s.fs.MkdirAll(dir); err != nil {
		return nil, fileError("open", dir, err)
	}
	return s, checkDir("open", dir)
}

// lockWait is how long a change of a table waits for another one.
const lockWait = connectors.DefaultLockWait

// Tables lists the names of the tables, in order.
func (s *Store) Tables() ([]string, error) {
	names, err := tableNames(s.dir)
	if err != nil {
		return nil, fileError("list the tables of", s.dir, err)
	}
	return names, nil
}

func missingTable() error {
	return &schema.Error{Class: schema.NotFound, Message: schema.MsgTableMissing}
}

// find gives a table that exists.
func (s *Store) find(name string) (table, error) {
	if !schema.ValidName(name) || !s.table(name).exists() {
		return table{}, missingTable()
	}
	return s.table(name), nil
}

// Schema is a table's schema with its dictionaries.
func (s *Store) Schema(ctx context.Context, name string) (*schema.Table, schema.Enums, error) {
	t, err := s.find(name)
	if err != nil {
		return nil, nil, err
	}
	v, err := t.look(ctx)
	if err != nil {
		return nil, nil, t.readError(fail(ctx, "open", name, err))
	}
	return v.layout.table, v.layout.enums, fail(ctx, "open", name, v.Close())
}

// Version is one version of a schema, as it became current.
type Version struct {
	Version int
	At      time.Time
	Table   *schema.Table
}

// History gives the versions of a table's schema that are kept, the newest first.
func (s *Store) History(ctx context.Context, name string) ([]Version, error) {
	t, err := s.find(name)
	if err != nil {
		return nil, err
	}
	v, err := t.look(ctx)
	if err != nil {
		return nil, t.readError(fail(ctx, "open", name, err))
	}
	var out []Version
	err = v.conn.Each(ctx, "SELECT version, at, body FROM schemas ORDER BY version DESC", nil, func(row []driver.Value) error {
		version := Version{Version: int(lite.Int(row[0])), At: time.UnixMicro(lite.Int(row[1])).UTC(), Table: new(schema.Table)}
		out = append(out, version)
		return json.Unmarshal([]byte(lite.String(row[2])), version.Table)
	})
	return out, fail(ctx, "open", name, errors.Join(err, v.Close()))
}

// View opens one state of a table for reading. Close it.
func (s *Store) View(ctx context.Context, name string) (*View, error) {
	t, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return t.view(ctx)
}

// Create makes a table. It gives the schema as it is stored.
func (s *Store) Create(ctx context.Context, desired *schema.Table) (*schema.Table, error) {
	if schema.ValidName(desired.Name) && s.table(desired.Name).exists() {
		return nil, &schema.Error{Class: schema.Conflict, Message: schema.MsgTableExists}
	}
	next, enums, err := schema.Create(desired)
	if err != nil {
		return nil, err
	}
	next.Loaded = false
	t := s.table(next.Name)
	lock, err := t.lock(ctx, lockWait)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	if t.exists() {
		return nil, &schema.Error{Class: schema.Conflict, Message: schema.MsgTableExists}
	}
	if err := s.create(ctx, t, next, enums); err != nil {
		t.removeAborted()
		return nil, fail(ctx, "create", t.name, err)
	}
	return next, nil
}

func (s *Store) create(ctx context.Context, t table, next *schema.Table, enums schema.Enums) error {
	if err := t.sweep(nil, ""); err != nil {
		return err
	}
	l, err := newLayout(next, enums)
	if err != nil {
		return err
	}
	x, err := t.create(ctx, l, s.now())
	if err != nil {
		return err
	}
	if err := x.commit(ctx); err != nil {
		return errors.Join(err, x.rollback())
	}
	return nil
}

// Drop removes a table with all that belongs to it.
func (s *Store) Drop(ctx context.Context, name string) error {
	t, err := s.find(name)
	if err != nil {
		return err
	}
	lock, err := t.lock(ctx, lockWait)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if !t.exists() {
		t.removeAborted()
		return missingTable()
	}
	// The table is gone when its directory has another name.
	gone := filepath.Join(s.dir, fmt.Sprintf("%s%s-%d", droppedName, name, s.now().UnixNano()))
	if err := settle(s.fs, t.path, gone); err != nil {
		return fileError("drop", name, err)
	}
	_ = s.fs.RemoveAll(gone) // the next start does it if this one cannot
	return nil
}

// Sweep removes what dropped tables left behind.
func (s *Store) Sweep() error {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return fileError("sweep", s.dir, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), droppedName) {
			if err := s.fs.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fileError("sweep", s.dir, err)
			}
		}
	}
	return nil
}

// Plan says what a push would do, and does nothing.
func (s *Store) Plan(ctx context.Context, name string, next func(current *schema.Table) (*schema.Table, error)) (schema.Update, error) {
	current, enums, err := s.Schema(ctx, name)
	if err != nil {
		return schema.Update{}, err
	}
	desired, err := next(current)
	if err != nil {
		return schema.Update{}, err
	}
	return current.Push(desired, enums)
}

// Change gives a table its next schema, all of it or nothing: next makes it of
// the current one. The data of deleted columns goes.
func (s *Store) Change(ctx context.Context, name string, next func(current *schema.Table) (*schema.Table, error)) (schema.Update, error) {
	return s.alter(ctx, name, next, (*schema.Table).Update)
}

// Push gives a table the schema that others desire it to have; see schema.Table.Push.
func (s *Store) Push(ctx context.Context, name string, next func(current *schema.Table) (*schema.Table, error)) (schema.Update, error) {
	return s.alter(ctx, name, next, (*schema.Table).Push)
}

func (s *Store) alter(
	ctx context.Context, name string, next func(*schema.Table) (*schema.Table, error), update func(*schema.Table, *schema.Table, schema.Enums) (schema.Update, error),
) (schema.Update, error) {
	var u schema.Update
	t, err := s.find(name)
	if err != nil {
		return u, err
	}
	lock, err := t.lock(ctx, lockWait)
	if err != nil {
		return u, err
	}
	defer func() { _ = lock.Close() }()
	if !t.exists() {
		t.removeAborted()
		return u, missingTable()
	}
	_, err = s.perform(ctx, t, "change the schema of", s.now(), func(j *job) error {
		desired, err := next(j.layout.table)
		if err != nil {
			return err
		}
		if u, err = update(j.layout.table, desired, j.layout.enums); err != nil {
			return err
		}
		return j.changeSchema(ctx, u)
	})
	return u, err
}

// changeSchema makes an update current.
func (j *job) changeSchema(ctx context.Context, u schema.Update) error {
	if len(u.Changes) == 0 {
		return nil
	}
	l, err := newLayout(u.Next, u.Enums)
	if err != nil {
		return err
	}
	if err := j.setSchema(ctx, l, j.now); err != nil || len(u.Dropped) == 0 {
		return err
	}
	if err := j.set(ctx, stateDropped, int64(u.Next.Version)); err != nil {
		return err
	}
	return j.rewriteLive(ctx)
}

// rewriteLive writes the live rows without the data of deleted columns; that of
// files goes by compaction.
func (j *job) rewriteLive(ctx context.Context) error {
	type row struct {
		key  []byte
		t    driver.Value
		data []byte
	}
	cells := make([]cell, len(j.layout.columns))
	var last []byte
	for {
		var some []row
		where, args := "1", []driver.Value{}
		if last != nil {
			where, args = "k > ?", []driver.Value{last}
		}
		err := j.conn.Each(ctx, fmt.Sprintf("SELECT k, t, v FROM rows WHERE %s ORDER BY k LIMIT %d", where, keyBatch), args, func(v []driver.Value) error {
			data, _ := v[2].([]byte)
			if err := j.layout.splitRow(data, cells); err != nil {
				return j.table.readError(err)
			}
			some = append(some, row{blob(v[0]), v[1], j.layout.joinRow(nil, cells)})
			return nil
		})
		if err != nil || len(some) == 0 {
			return err
		}
		for _, r := range some {
			if err := j.putRow(ctx, r.key, r.t, r.data); err != nil {
				return err
			}
		}
		last = some[len(some)-1].key
	}
}

// AddCases adds cases to an enum column's dictionary and gives the numbers of all
// that were named.
func (s *Store) AddCases(ctx context.Context, name, column string, cases []string) ([]int, error) {
	t, err := s.find(name)
	if err != nil {
		return nil, err
	}
	lock, err := t.lock(ctx, lockWait)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	var ids []int
	_, err = s.perform(ctx, t, "add cases to", s.now(), func(j *job) error {
		id, err := j.layout.table.EnumColumn(column)
		if err != nil {
			return err
		}
		all, numbers, err := j.layout.columns[id].typ.Cases(j.layout.enums[id], cases)
		if err != nil {
			return err
		}
		ids = numbers
		for n := len(j.layout.enums[id]); n < len(all); n++ {
			if err := j.conn.Exec(ctx, "INSERT INTO cases VALUES (?, ?, ?)", int64(id), int64(n), all[n]); err != nil {
				return err
			}
		}
		return nil
	})
	if ids == nil {
		ids = []int{}
	}
	return ids, err
}

// Stats are figures about a table's rows and files.
type Stats struct {
	LiveRows    int64
	LiveBatches int64 // of the table's batch size
	FileRows    int64
	Files       int
	FileBytes   int64
	Cutoff      int64 // rows before this time were archived
	Upserts     int64 // since the last snapshot
}

// Stats looks at a table.
func (s *Store) Stats(ctx context.Context, name string) (Stats, error) {
	t, err := s.find(name)
	if err != nil {
		return Stats{}, err
	}
	v, err := t.look(ctx)
	if err != nil {
		return Stats{}, t.readError(fail(ctx, "open", name, err))
	}
	out, err := v.stats(ctx)
	return out, fail(ctx, "open", name, errors.Join(err, v.Close()))
}

func (v *View) stats(ctx context.Context) (Stats, error) {
	live, err := v.LiveRows(ctx)
	out := Stats{LiveRows: live, FileRows: v.archived(), Files: len(v.parts), Cutoff: v.values[stateCutoff], Upserts: v.values[stateUpserts]}
	size := int64(v.layout.table.Config.BatchSize)
	out.LiveBatches = (live + size - 1) / size
	for _, p := range v.parts {
		out.FileBytes += p.info.Bytes
	}
	return out, err
}

// RunJobs does every job that is due at the given time, table by table; a table
// that another changes is left to the next call. It gives what was done, and the
// first error of each table.
func (s *Store) RunJobs(ctx context.Context, now time.Time) ([]Done, error) {
	names, err := s.Tables()
	if err != nil {
		return nil, err
	}
	var all []Done
	var errs []error
	for _, name := range names {
		done, err := s.runTable(ctx, s.table(name), now)
		all, errs = append(all, done...), append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return all, errors.Join(errs...)
}

func (s *Store) runTable(ctx context.Context, t table, now time.Time) ([]Done, error) {
	lock, err := t.tryLock()
	if errors.Is(err, errHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	if !t.exists() {
		t.removeAborted()
		return nil, nil
	}
	var jobs []string
	x, err := t.begin(ctx)
	if err == nil {
		jobs, err = x.due(ctx, now)
		err = errors.Join(err, x.rollback())
	}
	if err != nil {
		return nil, t.readError(fail(ctx, "look at", t.name, err))
	}
	var all []Done
	for _, name := range jobs {
		done, err := s.run(ctx, t, name, now)
		if err != nil {
			return all, err
		}
		all = append(all, done)
	}
	return all, nil
}

// withLock does one job now.
func (s *Store) withLock(ctx context.Context, name, job string, work func(j *job) error) (Done, error) {
	t, err := s.find(name)
	if err != nil {
		return Done{}, err
	}
	lock, err := t.lock(ctx, lockWait)
	if err != nil {
		return Done{}, err
	}
	defer func() { _ = lock.Close() }()
	return s.perform(ctx, t, job, s.now(), work)
}

// Archive moves the rows from before the cutoff, in seconds, into the archive.
func (s *Store) Archive(ctx context.Context, name string, cutoff int64) (Done, error) {
	return s.withLock(ctx, name, JobArchiving, func(j *job) error { return j.archive(ctx, cutoff) })
}

// Backfill moves late rows into their days.
func (s *Store) Backfill(ctx context.Context, name string) (Done, error) {
	return s.withLock(ctx, name, JobBackfill, func(j *job) error { return j.backfill(ctx) })
}

// Snapshot moves a dimension table's live rows into a file.
func (s *Store) Snapshot(ctx context.Context, name string) (Done, error) {
	return s.withLock(ctx, name, JobSnapshot, func(j *job) error { return j.snapshot(ctx) })
}

// Purge removes the days from..to, to not included, counted from 1970.
func (s *Store) Purge(ctx context.Context, name string, from, to int64) (Done, error) {
	return s.withLock(ctx, name, JobRetention, func(j *job) error { return j.purge(ctx, from, to) })
}

// Compact rewrites files with hidden rows and deleted columns.
func (s *Store) Compact(ctx context.Context, name string) (Done, error) {
	return s.withLock(ctx, name, JobCompaction, func(j *job) error { return j.compact(ctx) })
}

// Run does due jobs at every tick until ctx ends; log is told of each.
func (s *Store) Run(ctx context.Context, ticks <-chan time.Time, log func(Done, error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		done, err := s.RunJobs(ctx, s.now())
		for _, d := range done {
			log(d, nil)
		}
		if err != nil && ctx.Err() == nil {
			log(Done{}, err)
		}
	}
}
