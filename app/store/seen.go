package store

import (
	"context"
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// changes counts the changes of every table of the state file since the start. Nothing but this process writes the file, and
// all of it does so through a Store, so what was read is current as long as the counts of its tables are what they were.
type changes struct {
	tables  map[string]int // where a table's count stands
	follows [][]int        // what a deletion from the table may change beside it, through foreign keys
	counts  []atomic.Uint64
	named   sync.Map // the tables that a statement names, by its text
}

// openChanges reads which tables there are.
func openChanges(ctx context.Context, db *sql.DB) (*changes, error) {
	type key struct{ parent, child string }
	names, err := collect(ctx, db, func(row scanner) (name string, err error) {
		err = row.Scan(&name)
		return name, err
	},
		`SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'arus@_%' ESCAPE '@' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	keys, err := collect(ctx, db, func(row scanner) (k key, err error) { return k, row.Scan(&k.child, &k.parent) },
		`SELECT m.name, f."table" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND f.on_delete NOT IN ('RESTRICT', 'NO ACTION')`)
	if err != nil {
		return nil, err
	}
	names = append(names, Queue)
	c := &changes{tables: make(map[string]int, len(names)), follows: make([][]int, len(names)), counts: make([]atomic.Uint64, len(names))}
	for i, name := range names {
		c.tables[name] = i
	}
	for i := range names {
		reached := map[int]bool{i: true}
		for todo := []int{i}; len(todo) > 0; todo = todo[1:] {
			for _, k := range keys {
				child, known := c.tables[k.child]
				if parent, ok := c.tables[k.parent]; ok && known && parent == todo[0] && !reached[child] {
					reached[child] = true
					todo = append(todo, child)
				}
			}
		}
		for j := range reached {
			c.follows[i] = append(c.follows[i], j)
		}
	}
	return c, nil
}

// Queue stands among the tables for the runs that wait, which are not all in the state file.
const Queue = "the queue"

// Look notes that the queue is looked at; call it before the look.
func (s *Store) Look(ctx context.Context) {
	if seen := seenOf(ctx); seen != nil {
		i := s.changes.tables[Queue]
		seen.note(i, s.changes.counts[i].Load())
	}
}

// Moved counts a change of the queue; call it after the change.
func (s *Store) Moved() { s.changes.counts[s.changes.tables[Queue]].Add(1) }

var (
	tableName = regexp.MustCompile(`\barus_\w+`)
	firstWord = regexp.MustCompile(`\w+`)
	change    = regexp.MustCompile(`(?i)\b(INSERT|UPDATE|DELETE|REPLACE)\b`)
)

// statement are the tables that a statement names, and whether it changes them.
type statement struct {
	tables []int
	writes bool
}

func (c *changes) statement(query string) statement {
	if s, ok := c.named.Load(query); ok {
		return s.(statement) //nolint:forcetypeassert // nothing else is stored
	}
	word := strings.ToUpper(firstWord.FindString(query))
	s := statement{writes: word != "SELECT" && word != "PRAGMA" && (word != "WITH" || change.MatchString(query))}
	names := tableName.FindAllString(query, -1)
	if (word == "INSERT" || word == "UPDATE" || word == "DELETE") && len(names) > 0 {
		names = names[:1] // what stands further on is only looked at
	}
	for _, name := range names {
		i, ok := c.tables[name]
		switch {
		case !ok || slices.Contains(s.tables, i):
		case s.writes && word != "INSERT" && word != "UPDATE":
			s.tables = append(s.tables, c.follows[i]...) // the table itself is among them
		default:
			s.tables = append(s.tables, i)
		}
	}
	c.named.Store(query, s)
	return s
}

// now are the counts as they are.
func (c *changes) now() []uint64 {
	counts := make([]uint64, len(c.counts))
	for i := range c.counts {
		counts[i] = c.counts[i].Load()
	}
	return counts
}

// changed counts a change, after it has become durable and before whoever made it goes on.
func (c *changes) changed(tables []int) {
	for _, i := range tables {
		c.counts[i].Add(1)
	}
}

// Seen is what of the state file an answer was made from: the tables, as they were when the answer began to look at them.
type Seen struct {
	mu     sync.Mutex
	counts map[int]uint64
}

// note adds a table as it was at count, unless it was seen earlier.
func (s *Seen) note(table int, count uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.counts[table]; !ok {
		s.counts[table] = count
	}
}

type seenKey struct{}

func seenOf(ctx context.Context) *Seen {
	s, _ := ctx.Value(seenKey{}).(*Seen)
	return s
}

// Watch returns a context in which whatever is read from the state file is noted in the Seen.
func Watch(ctx context.Context) (context.Context, *Seen) {
	s := &Seen{counts: map[int]uint64{}}
	return context.WithValue(ctx, seenKey{}, s), s
}

// Unchanged says whether all that was seen is still so; if it is, it is passed on.
func (s *Store) Unchanged(ctx context.Context, seen *Seen) bool {
	seen.mu.Lock()
	for table, count := range seen.counts {
		if s.changes.counts[table].Load() != count {
			seen.mu.Unlock()
			return false
		}
	}
	seen.mu.Unlock()
	PassOn(ctx, seen)
	return true
}

// PassOn notes what was seen in the Seen that ctx is watched with, if any: whoever uses what was made from it depends on it too.
func PassOn(ctx context.Context, seen *Seen) {
	outer := seenOf(ctx)
	if outer == nil || outer == seen {
		return
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for table, count := range seen.counts {
		outer.note(table, count)
	}
}

// pool is a *sql.DB that notes what is read from it and counts what is changed.
type pool struct {
	*sql.DB
	changes *changes
}

// before is called before a statement runs by itself; the function it returns after that.
func (p pool) before(ctx context.Context, query string) (after func()) {
	s := p.changes.statement(query)
	if s.writes {
		return func() { p.changes.changed(s.tables) }
	}
	if seen := seenOf(ctx); seen != nil {
		for _, i := range s.tables {
			seen.note(i, p.changes.counts[i].Load())
		}
	}
	return func() {}
}

// QueryContext runs a query.
func (p pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p.before(ctx, query)
	return p.DB.QueryContext(ctx, query, args...)
}

// ExecContext runs a statement.
func (p pool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	defer p.before(ctx, query)()
	return p.DB.ExecContext(ctx, query, args...)
}

// QueryRowContext runs a query or a statement with RETURNING; it is over with Scan.
func (p pool) QueryRowContext(ctx context.Context, query string, args ...any) scanner {
	return row{p.DB.QueryRowContext(ctx, query, args...), p.before(ctx, query)}
}

type row struct {
	*sql.Row
	after func()
}

// Scan ends the statement.
func (r row) Scan(dest ...any) error {
	defer r.after()
	return r.Row.Scan(dest...)
}

// transaction is a *sql.Tx that notes what is read in it; what it changes counts when it is over.
type transaction struct {
	*sql.Tx
	changes *changes
	at      []uint64 // the counts before its first look; nil where nobody asks
	touched map[int]bool
}

func (t *transaction) look(ctx context.Context, query string) {
	s := t.changes.statement(query)
	if s.writes {
		for _, i := range s.tables {
			t.touched[i] = true
		}
	}
	if seen := seenOf(ctx); seen != nil && t.at != nil {
		for _, i := range s.tables {
			seen.note(i, t.at[i])
		}
	}
}

// over counts what was changed.
func (t *transaction) over() {
	for i := range t.touched {
		t.changes.counts[i].Add(1)
	}
}

// QueryContext runs a query.
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t.look(ctx, query)
	return t.Tx.QueryContext(ctx, query, args...)
}

// ExecContext runs a statement.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t.look(ctx, query)
	return t.Tx.ExecContext(ctx, query, args...)
}

// PrepareContext prepares a statement.
func (t *transaction) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	t.look(ctx, query)
	return t.Tx.PrepareContext(ctx, query)
}

// QueryRowContext runs a query or a statement with RETURNING.
func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) scanner {
	t.look(ctx, query)
	return t.Tx.QueryRowContext(ctx, query, args...)
}
