package warehouse

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
)

// Groups of one table are made from whole columns: a statement of the common form
// (SELECT ... FROM one table WHERE ... GROUP BY ...) becomes a small table of its
// groups and aggregates, over which SQLite evaluates the rest: the expressions
// around aggregates, HAVING, ORDER BY, LIMIT. Everything else, and whatever meets
// a value that this way does not treat exactly as SQLite does, goes row by row.

// groupsName names the table of groups in the statement that SQLite gets.
const groupsName = "arus groups"

// grouping is a statement that is answered by groups.
type grouping struct {
	shape    *shape
	view     *View
	compiler *compiler
	where    *node
	dims     [][]token
	nodes    []*node
	aggs     []*aggregate
	final    string
}

func unprefixed(tokens []token, alias string) []token {
	var out []token
	for i := 0; i < len(tokens); i++ {
		if i+2 < len(tokens) && tokens[i+1].is(".") && tokens[i].kind != tokenText && strings.EqualFold(tokens[i].text, alias) {
			i += 2
		}
		out = append(out, tokens[i])
	}
	return out
}

// newGrouping plans a statement; nil when it is not of the form.
func newGrouping(q *session, s *shape, v *View) *grouping {
	g := &grouping{shape: s, view: v, compiler: newCompiler(q, s, v)}
	for i := range s.items {
		s.items[i].tokens = unprefixed(s.items[i].tokens, s.alias)
	}
	s.where, s.having, s.order = unprefixed(s.where, s.alias), unprefixed(s.having, s.alias), unprefixed(s.order, s.alias)
	if len(s.where) > 0 {
		if g.where = g.compiler.compile(s.where); g.where == nil {
			return nil
		}
	}
	for _, d := range s.group {
		if d = g.groupTokens(unprefixed(d, s.alias)); d == nil {
			return nil
		}
		g.dims = append(g.dims, d)
	}
	if !g.plan() {
		return nil
	}
	for _, d := range g.dims {
		n := g.compiler.compile(d)
		if n == nil || !g.view.layout.groupable(n) {
			return nil
		}
		g.nodes = append(g.nodes, n)
	}
	return g
}

func single(rows [][]any) any {
	if len(rows) == 1 && len(rows[0]) == 1 {
		return rows[0][0]
	}
	return nil
}

// groupTokens finds what a GROUP BY term stands for.
func (g *grouping) groupTokens(d []token) []token {
	if len(d) != 1 {
		return d
	}
	if d[0].kind == tokenNumber {
		k, err := strconv.Atoi(d[0].text)
		if err != nil || k < 1 || k > len(g.shape.items) {
			return nil
		}
		return g.shape.items[k-1].tokens
	}
	if g.view.layout.find(d[0].text) < 0 {
		for _, it := range g.shape.items {
			if strings.EqualFold(it.alias, d[0].text) {
				return it.tokens
			}
		}
	}
	return d
}

// plan makes the statement over the groups.
func (g *grouping) plan() bool {
	s := g.shape
	distinct := false
	if s.unique && len(g.dims) == 0 && !slices.ContainsFunc(s.items, func(it item) bool { return hasAggregate(it.tokens) }) {
		distinct = true
		for _, it := range s.items {
			g.dims = append(g.dims, it.tokens)
		}
	}
	var list []string
	for _, it := range s.items {
		text, ok := g.rewrite(it.tokens, false)
		if !ok {
			return false
		}
		list = append(list, text+" AS "+connectors.Quote(g.name(it), '"'))
	}
	sql := "SELECT "
	if s.unique && !distinct {
		sql += "DISTINCT "
	}
	sql += strings.Join(list, ", ") + " FROM " + connectors.Quote(groupsName, '"')
	if len(s.having) > 0 {
		text, ok := g.rewrite(s.having, true)
		if !ok {
			return false
		}
		sql += " WHERE " + text
	}
	if len(s.order) > 0 {
		var terms []string
		for _, t := range split(s.order) {
			if len(t) > 0 && g.aliased(t[0].text) && (len(t) == 1 || t[1].is("asc") || t[1].is("desc") || t[1].is("nulls") || t[1].is("collate")) {
				terms = append(terms, g.spell(t))
				continue
			}
			if len(t) > 0 && t[0].kind == tokenNumber {
				terms = append(terms, g.spell(t))
				continue
			}
			text, ok := g.rewrite(t, true)
			if !ok {
				return false
			}
			terms = append(terms, text)
		}
		sql += " ORDER BY " + strings.Join(terms, ", ")
	}
	if len(s.limit) > 0 {
		sql += " LIMIT " + g.spell(s.limit)
	}
	g.final = sql
	return len(g.dims) > 0 || len(g.aggs) > 0
}

// name is what SQLite calls an item of the SELECT list.
func (g *grouping) name(it item) string {
	if it.alias != "" {
		return it.alias
	}
	if len(it.tokens) == 1 && (it.tokens[0].kind == tokenWord || it.tokens[0].kind == tokenQuoted) {
		if id := g.view.layout.find(it.tokens[0].text); id >= 0 {
			return g.view.layout.columns[id].name
		}
	}
	return g.shape.text(it.tokens)
}

func (g *grouping) aliased(name string) bool {
	return slices.ContainsFunc(g.shape.items, func(it item) bool { return it.alias != "" && strings.EqualFold(it.alias, name) })
}

func (g *grouping) spell(tokens []token) string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = g.shape.sql[t.start:t.end]
	}
	return strings.Join(out, " ")
}

func aggregateName(t token) bool {
	if t.kind != tokenWord {
		return false
	}
	switch strings.ToLower(t.text) {
	case "count", "sum", "total", "avg", "min", "max":
		return true
	}
	return false
}

func hasAggregate(tokens []token) bool {
	for i, t := range tokens {
		if aggregateName(t) && i+1 < len(tokens) && tokens[i+1].is("(") {
			return true
		}
	}
	return false
}

// rewrite puts the columns of the groups in the place of group expressions and
// aggregates. aliases says whether names of the SELECT list may stand there.
func (g *grouping) rewrite(tokens []token, aliases bool) (string, bool) {
	var out []string
	for i := 0; i < len(tokens); {
		if k, n := g.matches(tokens, i); n > 0 {
			out = append(out, dimName(k))
			i += n
			continue
		}
		t := tokens[i]
		call := i+1 < len(tokens) && tokens[i+1].is("(")
		switch {
		case aggregateName(t) && call:
			end := closing(tokens, i+1)
			name, ok := g.aggregate(t.text, tokens[i+2:end])
			if !ok {
				return "", false
			}
			out = append(out, name)
			i = end + 1
			continue
		case t.kind == tokenQuoted || t.kind == tokenWord && !keyword(t.text) && !call:
			if !aliases || !g.aliased(t.text) || g.view.layout.find(t.text) >= 0 {
				return "", false
			}
		}
		out = append(out, g.shape.sql[t.start:t.end])
		i++
	}
	return strings.Join(out, " "), true
}

func closing(tokens []token, open int) int {
	depth := 0
	for i := open; i < len(tokens); i++ {
		if tokens[i].is("(") {
			depth++
		} else if tokens[i].is(")") {
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(tokens) - 1
}

func dimName(k int) string { return fmt.Sprintf(`"arus dim %d"`, k) }
func aggName(k int) string { return fmt.Sprintf(`"arus agg %d"`, k) }

// matches finds a group expression that stands at a place as a whole operand.
func (g *grouping) matches(tokens []token, at int) (dim, n int) {
	for k, d := range g.dims {
		n := len(d)
		if at+n > len(tokens) || !same(tokens[at:at+n], d) {
			continue
		}
		first, next := at == 0, at+n == len(tokens)
		call := n > 3 && d[1].is("(") && closing(d, 1) == n-1 && d[0].kind == tokenWord
		single := n == 1 && (next || !tokens[at+n].is("("))
		if single || call || (first || tokens[at-1].is("(") || tokens[at-1].is(",")) && (next || tokens[at+n].is(")") || tokens[at+n].is(",") || tokens[at+n].is("asc") || tokens[at+n].is("desc")) {
			return k, n
		}
	}
	return 0, 0
}

func (g *grouping) aggregate(name string, arg []token) (string, bool) {
	a := &aggregate{fn: strings.ToLower(name), tokens: arg}
	for k, have := range g.aggs {
		if have.fn == a.fn && same(have.tokens, arg) {
			return aggName(k), true
		}
	}
	switch {
	case len(arg) == 0 && a.fn == "count" || len(arg) == 1 && arg[0].is("*") && a.fn == "count":
		a.star = true
	case len(arg) == 0 || arg[0].is("distinct") || len(split(arg)) != 1 || hasAggregate(arg):
		return "", false
	default:
		if a.arg = g.compiler.compile(arg); a.arg == nil || !g.view.layout.groupable(a.arg) && (a.fn != "count" || a.arg.op != "column") {
			return "", false
		}
		if a.fn == "count" {
			a.arg = &node{op: "notnull", args: []*node{a.arg}, columns: a.arg.columns}
		}
	}
	g.aggs = append(g.aggs, a)
	return aggName(len(g.aggs) - 1), true
}

// columns are the columns that the groups need.
func (g *grouping) columns() []int {
	var ids []int
	add := func(n *node) {
		for _, id := range n.columns {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if g.where != nil {
		add(g.where)
	}
	for _, n := range g.nodes {
		add(n)
	}
	for _, a := range g.aggs {
		if a.arg != nil {
			add(a.arg)
		}
	}
	return ids
}

// answer makes the groups and starts the statement over them. errRows means that
// the statement must be answered row by row.
func (g *grouping) answer(q *session) (rowSource, error) {
	read := &Read{Table: g.view.layout.table.Name, Path: "columns"}
	groups := &groups{dims: make([]dimension, len(g.nodes)), aggs: g.aggs}
	counted, err := g.fromManifest(q, read)
	if err == nil && !counted {
		err = g.scan(q, groups, read)
	}
	if err != nil {
		return nil, err
	}
	if len(g.nodes) == 0 {
		groups.n = 1
		for _, a := range g.aggs {
			a.grow(1)
		}
	}
	made, err := g.table(groups)
	if err != nil {
		return nil, err
	}
	read.Delivered = int64(made.rows)
	q.reads = append([]*Read{read}, q.reads...)
	if err := q.make(groupsName, made); err != nil {
		return nil, err
	}
	return q.conn.Query(q.ctx, g.final)
}

// fromManifest answers what the manifest knows: how many rows there are.
func (g *grouping) fromManifest(q *session, read *Read) (bool, error) {
	if g.where != nil || len(g.nodes) > 0 {
		return false, nil
	}
	for _, a := range g.aggs {
		if !a.star {
			return false, nil
		}
	}
	rows, err := g.view.Rows(q.ctx)
	if err != nil {
		return false, err
	}
	read.Path, read.Files, read.Rows = "manifest", int64(len(g.view.parts)), g.view.archived()
	for _, a := range g.aggs {
		a.grow(1)
		a.count[0] = rows
	}
	return true, nil
}

func (g *grouping) scan(q *session, into *groups, read *Read) (err error) {
	var conditions []condition
	var where []*node
	if g.where != nil {
		where = g.where.conjuncts()
		for _, n := range where {
			conditions = append(conditions, n.conditions()...)
		}
	}
	ids := g.columns()
	p := newPruner(q.ctx, g.view, conditions, read)
	req, err := p.request(ScanRequest{Columns: ids, Stored: true, Memory: p.memory})
	if err != nil {
		return err
	}
	s := g.view.Scan(q.ctx, req)
	defer func() { err = errors.Join(err, s.Close()) }()
	b := newColumnBatch(q, g.shape, g.view, ids)
	var chosen []int32
	for {
		batch, err := s.Next()
		if err != nil || batch == nil {
			read.LiveRead = s.liveRows
			return err
		}
		var all bool
		all, chosen, err = b.choose(batch, where, chosen)
		if err == nil && (all || len(chosen) > 0) {
			err = into.add(b, g.nodes, all, chosen)
		}
		batch.Release()
		if err != nil {
			return err
		}
	}
}

// table gives the groups to SQLite, ordered by the dimensions.
func (g *grouping) table(groups *groups) (*madeRows, error) {
	var names []string
	for k := range g.nodes {
		names = append(names, dimName(k))
	}
	for k := range g.aggs {
		names = append(names, aggName(k))
	}
	order := make([]int, groups.n)
	for i := range order {
		order[i] = i
	}
	if len(g.shape.group) > 0 {
		slices.SortFunc(order, func(a, b int) int {
			for _, d := range groups.dims {
				if c := compareValues(d.values[a], d.values[b]); c != 0 {
					return c
				}
			}
			return 0
		})
	}
	results := make([][]any, len(g.aggs))
	for k, a := range g.aggs {
		for i := range groups.n {
			v, err := a.result(i)
			if err != nil {
				return nil, err
			}
			results[k] = append(results[k], v)
		}
	}
	return &madeRows{
		declaration: "CREATE TABLE t (" + strings.Join(names, ", ") + ")", rows: groups.n,
		value: func(column, row int) any {
			if column < len(groups.dims) {
				return groups.dims[column].values[order[row]]
			}
			return results[column-len(groups.dims)][order[row]]
		},
	}, nil
}
