package warehouse

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
)

// SELECT ... FROM one table WHERE ... ORDER BY ... LIMIT n needs no more than the n
// first rows of the order. They are found in the columns of the condition and the
// order alone; then the other columns of these rows are read, and SQLite gets the
// statement with a table of nothing else. Rows that are equal in the order stay in
// that of the scan, as SQLite leaves them.

// topName names the table of the first rows in the statement that SQLite gets.
const topName = "arus top"

// maxTop and maxTopBytes bound the rows that are kept.
const (
	maxTop      = 10_000
	maxTopBytes = 48 << 20
)

// top is a statement that is answered by its first rows.
type top struct {
	session *session
	shape   *shape
	view    *View
	where   []*node
	keys    []topKey
	rows    int // that may be wanted
	best    topHeap
	read    *Read
	limits  connectors.Limits // of a batch
}

// topKey is a term of ORDER BY.
type topKey struct {
	node      *node
	desc      bool
	nullsLast bool
	kind      vectorKind
	known     bool // kind
}

// topValue is the value of a key.
type topValue struct {
	null  bool
	whole int64
	real  float64
	text  string
}

// topRow is a row that may be wanted.
type topRow struct {
	number int64 // of the scan, see span
	values []topValue
}

// topHeap has the last of its rows in front.
type topHeap struct {
	keys []topKey
	rows []topRow
}

// Len, Less, Swap, Push and Pop are those of a heap.
func (h *topHeap) Len() int      { return len(h.rows) }
func (h *topHeap) Swap(i, j int) { h.rows[i], h.rows[j] = h.rows[j], h.rows[i] }
func (h *topHeap) Push(x any)    { h.rows = append(h.rows, x.(topRow)) }
func (h *topHeap) Less(i, j int) bool {
	a, b := &h.rows[i], &h.rows[j]
	for k := range h.keys {
		if c := h.keys[k].compare(&a.values[k], &b.values[k]); c != 0 {
			return c > 0
		}
	}
	return a.number > b.number
}

// Pop takes the last row of the slice.
func (h *topHeap) Pop() any {
	n := len(h.rows) - 1
	x := h.rows[n]
	h.rows = h.rows[:n]
	return x
}

// compare says which value comes first.
func (k *topKey) compare(a, b *topValue) int {
	if a.null || b.null {
		if a.null == b.null {
			return 0
		}
		if a.null == k.nullsLast {
			return 1
		}
		return -1
	}
	c := 0
	switch k.kind {
	case realVector:
		c = cmp.Compare(a.real, b.real)
	case codeVector:
		c = strings.Compare(a.text, b.text)
	default:
		c = cmp.Compare(a.whole, b.whole)
	}
	if k.desc {
		return -c
	}
	return c
}

// newTop plans a statement; nil when it is not of the form.
func newTop(q *session, s *shape, v *View) *top {
	if len(s.group)+len(s.having) > 0 || s.unique || len(s.order) == 0 {
		return nil
	}
	t := &top{session: q, shape: s, view: v, read: &Read{Table: v.layout.table.Name, Path: "top"}}
	if t.rows = topRows(s.limit); t.rows <= 0 || t.rows > maxTop {
		return nil
	}
	for _, it := range s.items {
		if !plainItem(it.tokens) {
			return nil
		}
	}
	c := newCompiler(q, s, v)
	if len(s.where) > 0 {
		n := c.compile(unprefixed(s.where, s.alias))
		if n == nil {
			return nil
		}
		t.where = n.conjuncts()
	}
	for _, term := range split(s.order) {
		k, ok := t.key(c, term)
		if !ok {
			return nil
		}
		t.keys = append(t.keys, k)
	}
	return t
}

// topRows reads LIMIT n, LIMIT n OFFSET m and LIMIT m, n; 0 for others.
func topRows(limit []token) int {
	if len(limit) != 1 && (len(limit) != 3 || !limit[1].is("offset") && !limit[1].is(",")) {
		return 0
	}
	rows := 0
	for i := 0; i < len(limit); i += 2 {
		n, err := strconv.Atoi(limit[i].text)
		if err != nil || limit[i].kind != tokenNumber || n < 0 || n > maxTop {
			return 0
		}
		rows += n
	}
	return rows
}

// plainItem says whether an item of the SELECT list is certain to be of one row: a
// function that is not known may be an aggregate.
func plainItem(tokens []token) bool {
	for i, t := range tokens {
		if t.kind != tokenWord && t.kind != tokenQuoted || i+1 == len(tokens) || !tokens[i+1].is("(") {
			continue
		}
		switch strings.ToLower(t.text) {
		case "abs", "coalesce", "date", "datetime", "format", "hex", "ifnull", "iif", "instr", "julianday", "length", "lower", "ltrim", "nullif", "printf", "replace", "round", "rtrim",
			"strftime", "substr", "substring", "time", "trim", "typeof", "unixepoch", "upper", "cast", "in", "and", "or", "not", "like", "glob", "between", "when", "then", "else", "case":
		default:
			return false
		}
	}
	return true
}

// key is a term of ORDER BY: an item's alias or number, or an expression.
func (t *top) key(c *compiler, term []token) (k topKey, ok bool) {
	n := len(term)
	nulls := n > 2 && term[n-2].is("nulls")
	if nulls {
		k.nullsLast = term[n-1].is("last")
		n -= 2
	}
	if n > 1 && (term[n-1].is("asc") || term[n-1].is("desc")) {
		n--
		k.desc = term[n].is("desc")
	}
	if !nulls {
		k.nullsLast = k.desc
	}
	if term = unprefixed(term[:n], t.shape.alias); len(term) == 1 && n == 1 {
		at := -1
		switch {
		case term[0].kind == tokenNumber:
			number, err := strconv.Atoi(term[0].text)
			if at = number - 1; err != nil || at < 0 || at >= len(t.shape.items) || slices.ContainsFunc(t.shape.items, item.all) {
				return k, false
			}
		case term[0].kind != tokenText:
			at = slices.IndexFunc(t.shape.items, func(it item) bool { return it.alias != "" && strings.EqualFold(it.alias, term[0].text) })
		}
		if at >= 0 {
			term = unprefixed(t.shape.items[at].tokens, t.shape.alias)
		}
	}
	if len(term) == 0 {
		return k, false
	}
	k.node = c.compile(term)
	return k, k.node != nil && t.view.layout.groupable(k.node)
}

// all says whether an item stands for all columns.
func (it item) all() bool { return it.tokens[len(it.tokens)-1].is("*") }

// groupable says whether the values of an expression compare byte by byte.
func (l *layout) groupable(n *node) bool {
	for _, id := range n.columns {
		if !l.vectorable(id) || l.numberCollation(id) {
			return false
		}
	}
	return !n.strict
}

// mentioned are the columns whose names stand in the statement, or all.
func (t *top) mentioned() (ids []int, ok bool) {
	tokens, _ := lex(t.shape.sql)
	all := slices.ContainsFunc(t.shape.items, item.all)
	visible := t.view.layout.visible()
	named := func(name string) bool {
		return slices.ContainsFunc(tokens, func(t token) bool {
			return (t.kind == tokenWord || t.kind == tokenQuoted) && strings.EqualFold(t.text, name)
		})
	}
	for _, id := range visible {
		if all || named(t.view.layout.columns[id].name) {
			ids = append(ids, id)
		}
	}
	// The number of a row is that of the table itself.
	return ids, !slices.ContainsFunc([]string{"rowid", "oid", "_rowid_"}, named)
}

// answer finds the rows and starts the statement over them. errRows means that the
// statement must be answered row by row.
func (t *top) answer() (rowSource, error) {
	ids, ok := t.mentioned()
	if !ok {
		return nil, errRows
	}
	if err := t.scan(); err != nil {
		return nil, err
	}
	made, err := t.fetch(ids)
	if err != nil {
		return nil, err
	}
	q, s := t.session, t.shape
	t.read.Delivered = int64(made.rows)
	q.reads = append([]*Read{t.read}, q.reads...)
	if err := q.make(topName, made); err != nil {
		return nil, err
	}
	name := connectors.Quote(topName, '"')
	if !s.named {
		name += " AS " + connectors.Quote(s.alias, '"')
	}
	return q.conn.Query(q.ctx, s.sql[:s.table.start]+name+s.sql[s.table.end:])
}
