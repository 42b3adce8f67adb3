package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// A load in parts fills a shadow that lasts: an ordinary table, made and filled by transactions of their own beside the one
// that holds the target's lock. A companion table has a row for each part, written by the part's own transaction.

// partPrefix begins the names of shadows that last and of their companions. Discovery leaves them out.
const partPrefix = "_arus_part_"

// partNames gives the name of the shadow, and the prefix that all shadows of the target share. A token with other columns or
// another key is another token: its shadow has another shape.
func (l *load) partNames() (shadow, prefix string) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.req.Target.Name))
	prefix = partPrefix + hex.EncodeToString(h.Sum(nil)) + "_"
	h.Reset()
	_, _ = fmt.Fprintf(h, "%q %q %s", l.req.Resume, l.req.Key, l.columnList(true))
	if l.req.Raw != nil {
		_, _ = fmt.Fprintf(h, " %q", l.req.Raw.Table.String())
	}
	return prefix + hex.EncodeToString(h.Sum(nil)), prefix
}

// companion and pending name what goes with a shadow: the table of its parts, and that of their staging rows, which nobody
// is to see before the whole is committed.
func companion(shadow string) string { return shadow + "_parts" }
func pending(shadow string) string   { return shadow + "_raw" }

func (l *load) beside(name string) string {
	return qualified(connectors.TableRef{Schema: l.req.Target.Schema, Name: name})
}

// sweepParts drops the shadows of other tokens for this target, for good, while the target's lock is held.
func (l *load) sweepParts(ctx context.Context) error {
	shadow, prefix := l.partNames()
	rows, err := query(ctx, l.conn, "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "+
		"WHERE n.nspname = $1 AND c.relname >= $2 AND c.relname < $3 AND c.relkind = 'r'", l.req.Target.Schema, prefix, prefix+"g")
	if err != nil {
		return err
	}
	var tables []string
	for _, row := range rows {
		if name := string(row[0]); strings.HasPrefix(name, prefix) && (l.req.Resume == "" || !strings.HasPrefix(name, shadow)) {
			tables = append(tables, l.beside(name))
		}
	}
	if len(tables) == 0 {
		return nil
	}
	conn, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	defer l.release(conn)
	return exec(ctx, conn, "SET LOCAL lock_timeout = "+strconv.FormatInt(l.req.Wait().Milliseconds(), 10)+"; DROP TABLE "+strings.Join(tables, ", "))
}

// resume finds the shadow of an earlier load with the same token, or makes it, in a transaction of its own.
func (l *load) resume(ctx context.Context) error {
	l.shadow, _ = l.partNames()
	l.filling = l.shadowTable()
	conn, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	defer l.release(conn)
	defer rollBack(conn)
	// The same statements through another connection than the one that holds the lock.
	setup := *l
	setup.conn = conn
	if err := setup.prepareShadow(ctx); err != nil {
		return err
	}
	if err := exec(ctx, conn, "COMMIT"); err != nil {
		return err
	}
	l.merges, l.stamped = setup.merges, setup.stamped
	return l.throughTemporary(ctx)
}

// throughTemporary makes the load put each batch into the shadow at once where the shadow has its key already, or the load
// is careful.
func (l *load) throughTemporary(ctx context.Context) error {
	if !l.merges && !l.req.Careful {
		if l.stamped {
			l.encoder.tail = append(append(l.encoder.tail, 0, 0, 0, 16), l.runUUID[:]...)
			l.encoder.tail = appendInt64(l.encoder.tail, l.req.SyncedAt.UnixMicro()-epochMicros)
		}
		return nil
	}
	l.into = l.filling
	if err := l.makeTemporary(ctx); err != nil {
		return err
	}
	return l.makeRawTemporary(ctx)
}

func (l *load) prepareShadow(ctx context.Context) error {
	if err := exec(ctx, l.conn, "BEGIN; SET LOCAL lock_timeout = "+strconv.FormatInt(l.req.Wait().Milliseconds(), 10)); err != nil {
		return err
	}
	if l.req.Raw != nil {
		if err := l.prepareStaging(ctx); err != nil {
			return err
		}
	}
	shadow, err := lookUp(ctx, l.conn, connectors.TableRef{Schema: l.req.Target.Schema, Name: l.shadow})
	if err != nil {
		return err
	}
	if shadow == nil {
		sql := l.createShadow() + "; CREATE TABLE " + l.beside(companion(l.shadow)) + " (part text PRIMARY KEY, rows bigint NOT NULL)"
		if l.req.Raw != nil {
			sql += "; CREATE TABLE " + l.beside(pending(l.shadow)) + " (_arus_id bigserial PRIMARY KEY, _arus_run_id uuid NOT NULL, _arus_extracted timestamptz NOT NULL, _data jsonb NOT NULL)"
		}
		statements := []string{sql}
		for _, k := range l.req.Key {
			statements = append(statements, "ALTER TABLE "+l.filling+" ALTER COLUMN "+ident(k)+" SET NOT NULL")
		}
		if err := exec(ctx, l.conn, strings.Join(statements, "; ")); err != nil {
			return err
		}
	} else {
		l.merges, l.stamped = len(shadow.PrimaryKey) > 0, true
	}
	if !l.req.Careful {
		return nil
	}
	// As with any careful load, what refuses rows has to be there before them.
	l.merges = len(l.req.Key) > 0
	if err := l.findHolders(ctx); err != nil {
		return err
	}
	return l.complete(ctx)
}

// partedLoad is a load that may be filled in parts.
type partedLoad struct {
	*load
	mu   sync.Mutex
	open map[*partLoad]struct{} // parts that have not ended
}

// Part begins a part in a transaction of its own on another connection. Its row in the companion table comes first: where
// the part of a killed program is just being committed, this waits for it and finds it done.
func (p *partedLoad) Part(ctx context.Context, name string) (connectors.Load, bool, error) {
	if p.ended {
		return nil, false, p.failed(ctx, errEnded)
	}
	conn, err := p.acquire(ctx)
	if err != nil {
		return nil, false, err
	}
	part := &partLoad{parent: p, name: name, load: &load{
		db: p.db, conn: conn, req: p.req, target: p.target, filling: p.shadowTable(), shadow: p.shadow, runUUID: p.runUUID, runID: p.runID, syncedAt: p.syncedAt, merges: p.merges, stamped: p.stamped,
		encoder: encoder{columns: p.req.Columns, major: major(conn)},
	}}
	done, err := part.begin(ctx)
	if err != nil || done {
		err = part.failed(ctx, err)
		part.rollBack()
		return nil, done && err == nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[*partLoad]struct{}{}
	}
	p.open[part] = struct{}{}
	return part, false, nil
}

func (p *partedLoad) forget(part *partLoad) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, part)
}

// endParts rolls back what has not ended.
func (p *partedLoad) endParts() error {
	p.mu.Lock()
	open := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	var errs []error
	for _, part := range open {
		errs = append(errs, part.Abort())
	}
	return errors.Join(errs...)
}

// Commit puts the shadow with all its parts in the target's place.
func (p *partedLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	p.mu.Lock()
	open := len(p.open)
	p.mu.Unlock()
	if open > 0 && p.broken == nil {
		p.broken = fmt.Errorf("%d parts of it have not ended", open)
	}
	return p.commitWith(ctx, p.commit)
}

func (p *partedLoad) commit(ctx context.Context) error {
	if err := p.fill(ctx); err != nil {
		return err
	}
	rows, err := query(ctx, p.conn, "SELECT coalesce(pg_catalog.sum(rows), 0)::pg_catalog.int8 FROM "+p.beside(companion(p.shadow)))
	if err != nil {
		return err
	}
	p.result.Rows = number(rows[0][0])
	sql := "DROP TABLE " + p.beside(companion(p.shadow))
	if p.req.Raw != nil {
		if err := p.clearStaging(ctx); err != nil {
			return err
		}
		// One full load is one run, by which a rebuild finds its rows.
		sql += "; INSERT INTO " + qualified(p.req.Raw.Table) + " (_arus_run_id, _arus_extracted, _data) SELECT " + p.runID + ", _arus_extracted, _data FROM " +
			p.beside(pending(p.shadow)) + " ORDER BY _arus_id; DROP TABLE " + p.beside(pending(p.shadow))
	}
	results, err := p.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return err
	}
	for _, r := range results {
		p.result.RawRows += r.CommandTag.RowsAffected()
	}
	if err := p.replace(ctx); err != nil {
		return err
	}
	return exec(ctx, p.conn, "COMMIT")
}

// Suspend keeps the shadow and its finished parts.
func (p *partedLoad) Suspend() error {
	if p.ended {
		return nil
	}
	err := p.endParts()
	p.rollBack()
	return err
}

// Abort drops the shadow too, while the target's lock is held; if the server is out of reach, the next load sweeps it.
func (p *partedLoad) Abort() error {
	if p.ended {
		return nil
	}
	err := p.endParts()
	p.rollBack()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	if err == nil {
		err = p.sweep(ctx)
	}
	return p.fail(ctx, "remove the parts of", p.req.Target.String(), "", err)
}

func (p *partedLoad) sweep(ctx context.Context) error {
	conn, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	defer p.release(conn)
	defer rollBack(conn)
	if err := lockTarget(ctx, conn, opLoad, p.req.Target, cleanupTime/2); err != nil {
		return err
	}
	all := load{db: p.db, conn: conn, req: p.req}
	all.req.Resume, all.req.LockWait = "", cleanupTime/2 // no token is spared
	return all.sweepParts(ctx)
}

// partLoad is one part. Its calls exclude each other, so that the end of the whole load may end it.
type partLoad struct {
	*load
	parent *partedLoad
	name   string
	mu     sync.Mutex
}

// Write is the load's.
func (p *partLoad) Write(ctx context.Context, batch arrow.RecordBatch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.load.Write(ctx, batch)
}

func (p *partLoad) begin(ctx context.Context) (done bool, err error) {
	if err := exec(ctx, p.conn, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = "+strconv.FormatInt(p.req.Wait().Milliseconds(), 10)); err != nil {
		return false, err
	}
	rows, err := query(ctx, p.conn, "INSERT INTO "+p.beside(companion(p.shadow))+" (part, rows) VALUES ($1, 0) ON CONFLICT DO NOTHING RETURNING part", p.name)
	if err != nil || len(rows) == 0 {
		return err == nil, err
	}
	sql := "SET LOCAL lock_timeout = 0"
	if p.req.Careful {
		sql += "; " + immediately
	}
	if err := exec(ctx, p.conn, sql); err != nil {
		return false, err
	}
	if p.req.Raw != nil {
		if err := p.findRawBase(ctx); err != nil {
			return false, err
		}
	}
	return false, p.throughTemporary(ctx)
}

// Commit makes the part's rows last.
func (p *partLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.parent.forget(p)
	return p.commitWith(ctx, func(ctx context.Context) error {
		if err := p.fill(ctx); err != nil {
			return err
		}
		rows, err := query(ctx, p.conn, "UPDATE "+p.beside(companion(p.shadow))+" SET rows = $2 WHERE part = $1 RETURNING part", p.name, strconv.FormatInt(p.rows, 10))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return errors.New("its shadow is gone")
		}
		return exec(ctx, p.conn, "COMMIT")
	})
}

// Abort rolls the part back; the others stay.
func (p *partLoad) Abort() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.parent.forget(p)
	if !p.ended {
		p.rollBack()
	}
	return nil
}
