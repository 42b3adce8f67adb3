package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// QueryOptions is for what a caller may want to bound.
type QueryOptions struct {
	MaxRows int64         // the result ends with an error after so many rows; 0 = no limit
	Timeout time.Duration // of the whole query; 0 = no limit
}

// rowSource gives the rows of a result.
type rowSource interface {
	Columns() []string
	Next() ([]driver.Value, bool)
	Err() error
	Close() error
}

// Rows is the result of a query, read row by row. Close it.
type Rows struct {
	cancel context.CancelFunc
	conn   *lite.Conn
	open   *session
	rows   rowSource
	limit  int64
	count  int64
	room   []any // for the next rows
	err    error
}

// maxValueBytes is how long a text or blob can become in a query.
const maxValueBytes = 64 << 20

// Query runs one SELECT (or WITH, VALUES) over the tables and views of the
// warehouse in dir, by their names and the names of their columns. It cannot
// write. EXPLAIN before it runs it and gives what it read instead of its rows.
// See the package comment for how values show.
func Query(ctx context.Context, dir, sql string, opts QueryOptions) (*Rows, error) {
	const op = "query"
	if err := checkDir(op, dir); err != nil {
		return nil, err
	}
	if err := checkStatement(sql); err != nil {
		return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Err: err, Hint: "the warehouse is written by runs only: write one SELECT"}
	}
	c, err := lite.MemoryStrict(sqliteDriver())
	if err != nil {
		return nil, fail(ctx, op, "", err)
	}
	if err := c.LimitLength(ctx, maxValueBytes); err != nil {
		return nil, errors.Join(fail(ctx, op, "", err), c.Close())
	}
	cancel := context.CancelFunc(func() {})
	if opts.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, opts.Timeout)
	}
	q, err := newSession(ctx, dir, c)
	fail := func(err error) (*Rows, error) {
		err = errors.Join(q.error(err), c.Close(), q.close())
		cancel()
		return nil, err
	}
	if err != nil {
		return fail(err)
	}
	// 1 is FILE: what a sort or a join does not hold in its cache goes to disk.
	for _, p := range []string{"PRAGMA trusted_schema = 1", "PRAGMA temp_store = 1", "PRAGMA cache_size = -16384"} {
		if err := c.Exec(ctx, p); err != nil {
			return fail(err)
		}
	}
	rows, err := q.run(sql)
	if err != nil {
		return fail(err)
	}
	return &Rows{cancel: cancel, conn: c, open: q, rows: rows, limit: opts.MaxRows}, nil
}

// Columns names the columns of the result.
func (r *Rows) Columns() []string { return r.rows.Columns() }

// Next gives the next row: int64, float64, string, []byte or nil by column. The
// slice is good until the next call. false means the end, or an error (Err).
func (r *Rows) Next() ([]any, bool) {
	row, ok := r.rows.Next()
	if !ok {
		if err := r.rows.Err(); err != nil {
			r.err = r.open.error(err)
		}
		return nil, false
	}
	if r.count++; r.limit > 0 && r.count > r.limit {
		r.err = &connectors.Error{Kind: connectors.KindInvalid, Op: "query", Err: fmt.Errorf("there are more than %d rows", r.limit), Hint: "add a LIMIT or a condition"}
		return nil, false
	}
	if len(r.room) < len(row) {
		r.room = make([]any, 64*len(row))
	}
	values := r.room[:len(row):len(row)]
	r.room = r.room[len(row):]
	for i, v := range row {
		if b, ok := v.([]byte); ok && b == nil {
			v = []byte{}
		}
		values[i] = v
	}
	return values, true
}

// Err is the error that ended the rows, nil at their end.
func (r *Rows) Err() error { return r.err }

// Reads says what the query has read so far, by table.
func (r *Rows) Reads() []*Read { return r.open.used() }

// Close frees the result.
func (r *Rows) Close() error {
	err := errors.Join(r.rows.Close(), r.conn.Close(), r.open.close())
	r.cancel()
	return err
}

// queryError puts SQLite's words about the statement into an Error.
func queryError(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return fail(ctx, "query", "", err)
	}
	out := &connectors.Error{Kind: connectors.KindInvalid, Op: "query", Err: err}
	switch lite.Code(err) {
	case lite.IsReadOnly, lite.Auth:
		out.Hint = "the warehouse is written by runs only: write one SELECT"
	case lite.IOErr, lite.Full, lite.Corrupt, lite.NotADB, lite.Busy, lite.CantOpen:
		return fail(ctx, "query", "", err)
	}
	return out
}

// unknown is the error for a table that is not there, with the names it may have meant.
func unknown(name string, names []string) error {
	hint := "the warehouse has no tables yet"
	if len(names) > 0 {
		hint = "there is " + strings.Join(nearest(name, names), ", ")
	}
	return &connectors.Error{Kind: connectors.KindNotFound, Op: "query", Object: name, Err: errors.New("there is no such table"), Hint: hint}
}

// nearest gives the names that are most like one.
func nearest(name string, names []string) []string {
	near := slices.Clone(names)
	lower := strings.ToLower(name)
	sort.SliceStable(near, func(i, j int) bool {
		return distance(lower, strings.ToLower(near[i])) < distance(lower, strings.ToLower(near[j]))
	})
	return near[:min(len(near), 5)]
}

// distance is the edit distance of two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

// checkStatement admits one reading statement. SQLite, opened read only, is the
// guard; this gives plain words.
func checkStatement(sql string) error {
	word, rest := firstWord(sql)
	switch strings.ToUpper(word) {
	case "SELECT", "WITH", "VALUES", "EXPLAIN":
	case "":
		return errors.New("there is no statement")
	default:
		return fmt.Errorf("%.20s is not a query", strings.ToUpper(word))
	}
	if tail := skipTokens(rest); firstOf(tail) {
		return errors.New("there is more than one statement")
	}
	tokens, _ := lex(sql)
	for _, t := range tokens {
		if (t.kind == tokenWord || t.kind == tokenQuoted) && hidden(t.text) {
			return fmt.Errorf("%s is not of the warehouse", t.text)
		}
	}
	return nil
}

// hidden says whether a name is one of SQLite's own doors.
func hidden(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range []string{"pragma_", "sqlite_", "arus ", "arus_table", "fts3_tokenizer", "load_extension", "bytecode", "tables_used", "dbstat"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// firstWord skips space and comments and gives the first word.
func firstWord(s string) (word, rest string) {
	s = skipBlank(s)
	end := 0
	for end < len(s) && (s[end]|0x20 >= 'a' && s[end]|0x20 <= 'z' || s[end] == '_') {
		end++
	}
	if end == 0 && s != "" {
		return s[:1], s[1:]
	}
	return s[:end], s[end:]
}

func firstOf(s string) bool {
	for {
		s = skipBlank(s)
		next, ok := strings.CutPrefix(s, ";")
		if !ok {
			return s != ""
		}
		s = next
	}
}

// skipBlank skips space and comments.
func skipBlank(s string) string {
	for {
		s = strings.TrimLeft(s, " \t\r\n\f\ufeff")
		switch {
		case strings.HasPrefix(s, "--"):
			_, after, ok := strings.Cut(s, "\n")
			if !ok {
				return ""
			}
			s = after
		case strings.HasPrefix(s, "/*"):
			_, after, ok := strings.Cut(s[2:], "*/")
			if !ok {
				return ""
			}
			s = after
		default:
			return s
		}
	}
}

// skipTokens gives what stands from the first semicolon outside quotes and comments.
func skipTokens(s string) string {
	for s != "" {
		if rest := skipBlank(s); rest != s {
			s = rest
			continue
		}
		closing := byte(0)
		switch s[0] {
		case ';':
			return s
		case '\'', '"', '`':
			closing = s[0]
		case '[':
			closing = ']'
		}
		s = s[1:]
		if closing != 0 {
			i := strings.IndexByte(s, closing)
			if i < 0 {
				return ""
			}
			s = s[i+1:]
		}
	}
	return ""
}
