package warehouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// maxAttached is how many files SQLite takes into one connection.
const maxAttached = 10

// QueryOptions is for what a caller may want to bound.
type QueryOptions struct {
	MaxRows int64 // the result ends with an error after so many rows; 0 = no limit
}

// Rows is the result of a query, read row by row. Close it.
type Rows struct {
	ctx   context.Context
	conn  *lite.Conn
	rows  *lite.Rows
	limit int64
	count int64
	err   error
}

// Query runs one SELECT (or WITH, VALUES, EXPLAIN) over the tables of the
// warehouse in dir, by their names and the names of their columns. It cannot
// write. See the package comment for how values show.
func Query(ctx context.Context, dir, sql string, opts QueryOptions) (*Rows, error) {
	const op = "query"
	if err := checkDir(op, dir); err != nil {
		return nil, err
	}
	if err := checkStatement(sql); err != nil {
		return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Err: err, Hint: "the warehouse is written by runs only: write one SELECT"}
	}
	c, err := lite.Memory(sqliteDriver())
	if err != nil {
		return nil, fail(ctx, op, "", err)
	}
	q := &attacher{ctx: ctx, dir: dir, conn: c}
	for _, p := range []string{"PRAGMA busy_timeout = 10000", "PRAGMA trusted_schema = 1", "PRAGMA temp_store = 1", "PRAGMA cache_size = -16384"} {
		if err := c.Exec(ctx, p); err != nil {
			return nil, errors.Join(fail(ctx, op, "", err), c.Close())
		}
	}
	rows, err := q.run(sql)
	if err != nil {
		return nil, errors.Join(queryError(ctx, err), c.Close())
	}
	return &Rows{ctx: ctx, conn: c, rows: rows, limit: opts.MaxRows}, nil
}

// Columns names the columns of the result.
func (r *Rows) Columns() []string { return r.rows.Columns() }

// Next gives the next row: int64, float64, string, []byte or nil by column. The
// slice is good until the next call. false means the end, or an error (Err).
func (r *Rows) Next() ([]any, bool) {
	row, ok := r.rows.Next()
	if !ok {
		if err := r.rows.Err(); err != nil {
			r.err = queryError(r.ctx, err)
		}
		return nil, false
	}
	if r.count++; r.limit > 0 && r.count > r.limit {
		r.err = &connectors.Error{Kind: connectors.KindInvalid, Op: "query", Err: fmt.Errorf("there are more than %d rows", r.limit), Hint: "add a LIMIT or a condition"}
		return nil, false
	}
	values := make([]any, len(row))
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

// Close frees the result.
func (r *Rows) Close() error { return errors.Join(r.rows.Close(), r.conn.Close()) }

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

var unknownTable = regexp.MustCompile(`no such table: (.*?)(?: \(\d+\))?$`)

// attacher brings in the tables that a statement turns out to need.
type attacher struct {
	ctx      context.Context
	dir      string
	conn     *lite.Conn
	attached []string
}

func (q *attacher) run(sql string) (*lite.Rows, error) {
	for {
		if err := q.conn.Exec(q.ctx, "PRAGMA query_only = 1"); err != nil {
			return nil, err
		}
		rows, err := q.conn.Query(q.ctx, sql)
		if err == nil {
			return rows, nil
		}
		m := unknownTable.FindStringSubmatch(err.Error())
		if m == nil || q.ctx.Err() != nil {
			return nil, err
		}
		if err := q.conn.Exec(q.ctx, "PRAGMA query_only = 0"); err != nil {
			return nil, err
		}
		if err := q.attach(m[1]); err != nil {
			return nil, err
		}
	}
}

// attach makes the view of one table.
func (q *attacher) attach(wanted string) error {
	names, err := tableNames(q.dir)
	if err != nil {
		return fileError("query", q.dir, err)
	}
	plain := strings.TrimPrefix(strings.TrimPrefix(wanted, "main."), "temp.")
	at := slices.Index(names, plain)
	if at < 0 {
		at = slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, plain) })
	}
	if at < 0 || slices.Contains(q.attached, names[at]) {
		return unknown(plain, names)
	}
	name := names[at]
	if len(q.attached) == maxAttached {
		return &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "query",
			Err: fmt.Errorf("the statement needs more than %d tables", maxAttached), Hint: "split it",
		}
	}
	t := tableOf(q.dir, name)
	var last error
	for range 20 {
		m, err := t.manifest()
		if err != nil {
			return t.readError(err)
		}
		if last = q.attachFile(t, m); last == nil {
			q.attached = append(q.attached, name)
			return nil
		}
		if now, err := t.manifest(); q.ctx.Err() != nil || err == nil && now == m && fileExists(t.file(m.Live)) && lite.Code(last) != 0 {
			break
		}
	}
	return t.readError(fail(q.ctx, "open", name, last))
}

func (q *attacher) attachFile(t tableDir, m manifest) error {
	if !fileExists(t.file(m.Live)) {
		return fmt.Errorf("the live file %s is missing", m.Live)
	}
	uri, err := lite.URI(t.file(m.Live), lite.ReadOnly, "")
	if err != nil {
		return err
	}
	// The name of the attachment is no table's name, so that it hides none.
	name := fmt.Sprintf("warehouse file %d", len(q.attached))
	db := connectors.Quote(name, '"')
	if err := q.conn.Exec(q.ctx, "ATTACH ? AS "+db, uri); err != nil {
		return err
	}
	err = q.view(t, name, db)
	if err != nil {
		return errors.Join(err, q.conn.Exec(q.ctx, "DETACH "+db))
	}
	return nil
}

func (q *attacher) view(t tableDir, name, db string) error {
	version, err := q.conn.One(q.ctx, "PRAGMA "+db+".user_version")
	if err != nil {
		return err
	}
	s, err := t.schemaAt(lite.Int(version))
	if err != nil {
		return err
	}
	n, err := q.conn.One(q.ctx, "SELECT count(*) FROM pragma_table_info('rows', ?)", name)
	if err != nil {
		return err
	}
	if err := s.checkCount(lite.Int(n)); err != nil {
		return err
	}
	var names, exprs []string
	for id, c := range s.Columns {
		if c.Deleted || c.Name == rowColumn {
			continue
		}
		names = append(names, connectors.Quote(c.Name, '"'))
		exprs = append(exprs, viewExpr(id, c.typ))
	}
	return q.conn.Exec(q.ctx, "CREATE TEMP VIEW "+connectors.Quote(t.name, '"')+" ("+strings.Join(names, ", ")+") AS SELECT "+
		strings.Join(exprs, ", ")+" FROM "+db+".rows")
}

// viewExpr is what SELECT sees of a stored column.
func viewExpr(id int, t connectors.Type) string {
	c := columnName(id)
	switch classOf(t) {
	case classDate:
		return "arus_date(" + c + ")"
	case classTime:
		return "arus_time(" + c + ")"
	case classTimestamp:
		return "arus_ts(" + c + ")"
	case classNumeric:
		return "arus_num(" + c + ")"
	case classBytes:
		return "CASE WHEN typeof(" + c + ") = 'text' THEN x'' ELSE " + c + " END"
	case classScaled:
		if t.Scale == 0 {
			return c
		}
		// The quotient of two exact REALs is the REAL nearest to the decimal,
		// which shows all of up to 15 digits.
		return fmt.Sprintf("CASE WHEN %[1]s BETWEEN -999999999999999 AND 999999999999999 THEN %[1]s / 1%[2]s.0 ELSE arus_dec(%[1]s, %[3]d) END",
			c, strings.Repeat("0", t.Scale), t.Scale)
	case classWide:
		return fmt.Sprintf("arus_dec(%s, %d)", c, t.Scale)
	}
	return c
}

// unknown is the error for a table that is not there, with the names it may have meant.
func unknown(name string, names []string) error {
	hint := "the warehouse has no tables yet"
	if len(names) > 0 {
		near := slices.Clone(names)
		lower := strings.ToLower(name)
		sort.SliceStable(near, func(i, j int) bool {
			return distance(lower, strings.ToLower(near[i])) < distance(lower, strings.ToLower(near[j]))
		})
		hint = "there is " + strings.Join(near[:min(len(near), 5)], ", ")
	}
	return &connectors.Error{Kind: connectors.KindNotFound, Op: "query", Object: name, Err: errors.New("there is no such table"), Hint: hint}
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
	return nil
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
