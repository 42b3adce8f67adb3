package warehouse

import (
	"cmp"
	"errors"
	"fmt"
	"math"
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
	g := &grouping{shape: s, view: v}
	g.compiler = &compiler{layout: v.layout, alias: s.alias, fold: func(tokens []token) (any, bool) {
		values, err := q.all("SELECT " + s.text(tokens))
		return single(values), err == nil && len(values) == 1
	}}
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
		if n == nil || !g.groupable(n) {
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

// groupable says whether the values of an expression compare byte by byte.
func (g *grouping) groupable(n *node) bool {
	for _, id := range n.columns {
		if !g.view.layout.vectorable(id) || g.view.layout.numberCollation(id) {
			return false
		}
	}
	return !n.strict
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
		if a.arg = g.compiler.compile(arg); a.arg == nil || !g.groupable(a.arg) && (a.fn != "count" || a.arg.op != "column") {
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
	req, err := newPruner(q.ctx, g.view, conditions, read).request(ScanRequest{Columns: ids, Stored: true})
	if err != nil {
		return err
	}
	s := g.view.Scan(q.ctx, req)
	defer func() { err = errors.Join(err, s.Close()) }()
	b := &columnBatch{session: q, shape: g.shape, ids: ids, ready: make([]bool, len(ids))}
	for _, id := range ids {
		b.columns = append(b.columns, &columnVector{view: g.view, id: id})
	}
	if len(b.columns) == 0 {
		b.columns = append(b.columns, &columnVector{view: g.view})
	}
	var chosen []int32
	for {
		batch, err := s.Next()
		if err != nil || batch == nil {
			read.LiveRead = s.liveRows
			return err
		}
		b.rows, b.arrays = int(batch.NumRows()), batch.Columns()
		clear(b.ready)
		all := true
		for _, n := range where {
			if all, chosen, err = n.choose(b, all, chosen); err != nil {
				break
			}
		}
		if err == nil && (all || len(chosen) > 0) {
			err = into.add(b, g.nodes, all, chosen)
		}
		batch.Release()
		if err != nil {
			return err
		}
	}
}

// choose narrows the rows that are chosen to those for which a condition is true.
func (n *node) choose(b *columnBatch, all bool, chosen []int32) (bool, []int32, error) {
	if !all && len(chosen) == 0 {
		return false, chosen, nil
	}
	if n.memo == nil && len(n.args) == 2 && n.args[0].op == "column" && n.args[1].op == "literal" && strings.ContainsAny(n.op, "<>=") {
		v, err := b.column(n.args[0].columns[0])
		if err != nil {
			return false, nil, err
		}
		whole, isWhole := n.args[1].literal.(int64)
		fraction, isReal := n.args[1].literal.(float64)
		if isWhole && v.kind == realVector && whole < exactReal && whole > -exactReal {
			fraction, isReal = float64(whole), true
		}
		switch {
		case isWhole && v.kind == wholeVector:
			all, chosen = pickCompared(n.op, v.whole, v.null, whole, b.rows, all, chosen)
			return all, chosen, nil
		case isReal && v.kind == realVector:
			all, chosen = pickCompared(n.op, v.real, v.null, fraction, b.rows, all, chosen)
			return all, chosen, nil
		}
	}
	if n.memo != nil {
		x, err := b.column(n.memo.id)
		if err != nil {
			return false, nil, err
		}
		if truths := n.memo.tests(b, x); truths != nil {
			all, chosen = pickCodes(truths, x.codes, b.rows, all, chosen)
			return all, chosen, nil
		}
	}
	v, err := n.eval(b)
	if err != nil {
		return false, nil, err
	}
	if v.kind != wholeVector && v.kind != realVector {
		return false, nil, errRows
	}
	yes := func(i int) bool {
		return !v.isNull(i) && (v.kind == wholeVector && v.whole[i] != 0 || v.kind == realVector && v.real[i] != 0)
	}
	if all {
		chosen = chosen[:0]
		for i := range b.rows {
			if yes(i) {
				chosen = append(chosen, int32(i))
			}
		}
		return len(chosen) == b.rows, chosen, nil
	}
	k := 0
	for _, i := range chosen {
		if yes(int(i)) {
			chosen[k] = i
			k++
		}
	}
	return false, chosen[:k], nil
}

// pickCompared is choose for a column that is compared with a constant: one pass over the
// rows that are chosen.
func pickCompared[T int64 | float64](op string, values []T, null []bool, with T, rows int, all bool, chosen []int32) (bool, []int32) {
	var less, equal, more bool
	switch op {
	case "=":
		equal = true
	case "<>":
		less, more = true, true
	case "<":
		less = true
	case "<=":
		less, equal = true, true
	case ">":
		more = true
	case ">=":
		equal, more = true, true
	}
	k := 0
	if all {
		chosen = resize(chosen, rows)
		for i, x := range values[:rows] {
			chosen[k] = int32(i)
			if (x < with && less || x > with && more || x == with && equal) && (null == nil || !null[i]) {
				k++
			}
		}
		return k == rows, chosen[:k]
	}
	for _, i := range chosen {
		x := values[i]
		if (x < with && less || x > with && more || x == with && equal) && (null == nil || !null[i]) {
			chosen[k] = i
			k++
		}
	}
	return false, chosen[:k]
}

// pickCodes is choose for a column of texts of which it is known which are wanted.
func pickCodes(truths []bool, codes []int32, rows int, all bool, chosen []int32) (bool, []int32) {
	k := 0
	if all {
		chosen = resize(chosen, rows)
		for i, c := range codes[:rows] {
			chosen[k] = int32(i)
			if truths[c] {
				k++
			}
		}
		return k == rows, chosen[:k]
	}
	for _, i := range chosen {
		chosen[k] = i
		if truths[codes[i]] {
			k++
		}
	}
	return false, chosen[:k]
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

// compareValues is SQLite's order of values of one column.
func compareValues(a, b any) int {
	rank := func(v any) int {
		switch v.(type) {
		case nil:
			return 0
		case int64, float64:
			return 1
		}
		return 2
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	}
	return 0
}

// dimension is one expression that groups are made by.
type dimension struct {
	seen   numberer
	values []any // by group
}

// maxGroups bounds the groups that are held in memory.
const maxGroups = 1 << 19

// groups are the groups of a table and their aggregates.
type groups struct {
	dims  []dimension
	aggs  []*aggregate
	pairs []map[int64]int32 // by dimension after the first
	n     int
	of    []int32 // the batch's rows' groups
	size  int
}

// add takes the chosen rows of a batch.
func (g *groups) add(b *columnBatch, nodes []*node, all bool, chosen []int32) error {
	if all {
		chosen = nil
	}
	g.of = resize(g.of, b.rows)
	if len(nodes) == 0 {
		g.n = 1
		clear(g.of)
	}
	for d, n := range nodes {
		v, err := n.eval(b)
		if err != nil {
			return err
		}
		if err := g.dimension(d, v, b.rows, chosen, d == len(nodes)-1); err != nil {
			return err
		}
	}
	if len(nodes) > 0 {
		if err := g.remember(b, nodes, chosen); err != nil {
			return err
		}
	}
	for _, a := range g.aggs {
		a.grow(g.n)
		if err := a.add(b, g.of, chosen); err != nil {
			return err
		}
	}
	return nil
}

// nullBits stands for a null among the bits of a dimension's values.
const nullBits = math.MinInt64 + 7

// dimension numbers the combinations of the dimensions so far.
func (g *groups) dimension(d int, v *vector, rows int, chosen []int32, last bool) error {
	seen := &g.dims[d].seen
	if d > 0 && len(g.pairs) < d {
		g.pairs = append(g.pairs, map[int64]int32{})
	}
	lastPair, lastCode := int64(-1), int32(0)
	each := func(i int) error {
		bits := int64(nullBits)
		if !v.isNull(i) {
			if bits = v.bits(i); bits == nullBits || v.kind == realVector && bits == math.MinInt64 {
				return errRows // the one integer that is taken, a negative zero
			}
		}
		code, _ := seen.number(bits)
		if d > 0 {
			pair := int64(g.of[i])<<32 | int64(code)
			if pair != lastPair {
				c, ok := g.pairs[d-1][pair]
				if !ok {
					c = int32(len(g.pairs[d-1]))
					g.pairs[d-1][pair] = c
				}
				lastPair, lastCode = pair, c
			}
			code = lastCode
		}
		g.of[i] = code
		if last && int(code) >= g.n {
			if g.n = int(code) + 1; g.n > maxGroups {
				return errRows
			}
		}
		return nil
	}
	if chosen == nil {
		for i := range rows {
			if err := each(i); err != nil {
				return err
			}
		}
		return nil
	}
	for _, i := range chosen {
		if err := each(int(i)); err != nil {
			return err
		}
	}
	return nil
}

// remember keeps the values of the groups that are new.
func (g *groups) remember(b *columnBatch, nodes []*node, chosen []int32) error {
	have := len(g.dims[0].values)
	if have == g.n {
		return nil
	}
	vectors := make([]*vector, len(nodes))
	for d, n := range nodes {
		v, err := n.eval(b)
		if err != nil {
			return err
		}
		vectors[d] = v
	}
	each := func(i int) {
		// Groups are numbered as they come.
		if int(g.of[i]) != have {
			return
		}
		for d, v := range vectors {
			value := v.value(i)
			if s, ok := value.(string); ok {
				g.size += len(s)
			}
			g.size += 16
			g.dims[d].values = append(g.dims[d].values, value)
		}
		have++
	}
	if chosen == nil {
		for i := range b.rows {
			each(i)
		}
	} else {
		for _, i := range chosen {
			each(int(i))
		}
	}
	if g.size > maxCodeBytes {
		return errRows
	}
	return nil
}
