package warehouse

import (
	"database/sql/driver"
	"errors"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// projection answers SELECT columns FROM table [WHERE condition] [LIMIT n], which
// SQLite has checked: the rows go out as the scan has them.
type projection struct {
	session *session
	shape   *shape
	view    *View
	where   []*node
	ids     []int // by column of the result
	names   []string
	left    int64 // rows that may still come
	read    *Read
	limits  connectors.Limits // of a batch

	scan   *Scanner
	values *columnBatch
	place  []int // by column of the result: its place in a batch
	batch  arrow.RecordBatch
	chosen []int32 // rows of the batch
	all    bool    // are chosen
	count  int
	show   []shower
	value  atom
	row    []driver.Value
	at     int
	rest   rowSource // after a value that SQLite has to see
	err    error
}

// newProjection plans a statement; nil when it is not of the form.
func newProjection(q *session, s *shape, v *View) *projection {
	if len(s.group)+len(s.having)+len(s.order) > 0 || s.unique {
		return nil
	}
	p := &projection{session: q, shape: s, view: v, left: 1<<63 - 1, limits: connectors.Limits{Rows: fillRows}}
	if len(s.limit) > 0 {
		n, err := strconv.ParseInt(s.limit[0].text, 10, 64)
		if err != nil || len(s.limit) > 1 || s.limit[0].kind != tokenNumber {
			return nil
		}
		p.left = n
	}
	for _, it := range s.items {
		tokens := unprefixed(it.tokens, s.alias)
		if len(tokens) != 1 {
			return nil
		}
		if tokens[0].is("*") {
			for _, id := range v.layout.visible() {
				p.add(id, v.layout.columns[id].name)
			}
			continue
		}
		id := -1
		if tokens[0].kind == tokenWord || tokens[0].kind == tokenQuoted {
			id = v.layout.find(tokens[0].text)
		}
		if id < 0 {
			return nil
		}
		name := v.layout.columns[id].name
		if it.alias != "" {
			name = it.alias
		}
		p.add(id, name)
	}
	if len(s.where) > 0 {
		n := newCompiler(q, s, v).compile(unprefixed(s.where, s.alias))
		if n == nil {
			return nil
		}
		p.where = n.conjuncts()
	}
	return p
}

func (p *projection) add(id int, name string) {
	p.ids, p.names = append(p.ids, id), append(p.names, name)
}

// answer starts the scan.
func (p *projection) answer() (rowSource, error) {
	p.read = &Read{Table: p.view.layout.table.Name, Path: "scan"}
	at := map[int]int{}
	var ids []int
	add := func(id int) int {
		if _, ok := at[id]; !ok {
			at[id] = len(ids)
			ids = append(ids, id)
		}
		return at[id]
	}
	for _, id := range p.ids {
		p.place = append(p.place, add(id))
	}
	var conditions []condition
	for _, n := range p.where {
		conditions = append(conditions, n.conditions()...)
		for _, id := range n.columns {
			add(id)
		}
	}
	req, err := newPruner(p.session.ctx, p.view, conditions, p.read).request(ScanRequest{Columns: ids, Stored: true, Limits: p.limits})
	if err != nil {
		return nil, err
	}
	p.session.reads = append([]*Read{p.read}, p.session.reads...)
	p.scan, p.row = p.view.Scan(p.session.ctx, req), make([]driver.Value, len(p.ids))
	p.values = newColumnBatch(p.session, p.shape, p.view, ids)
	return p, nil
}

// Columns names the columns.
func (p *projection) Columns() []string { return p.names }

// Next gives the next row.
func (p *projection) Next() ([]driver.Value, bool) {
	for p.rest == nil && (p.batch == nil || p.at == p.count) {
		if p.err != nil || p.left <= 0 || !p.load() {
			return nil, false
		}
	}
	if p.rest != nil {
		row, ok := p.rest.Next()
		p.err = p.rest.Err()
		return row, ok
	}
	if p.left <= 0 {
		return nil, false
	}
	row := p.at
	if !p.all {
		row = int(p.chosen[p.at])
	}
	for i, c := range p.place {
		p.show[c](&p.value, row)
		p.row[i] = p.value.value()
	}
	p.at++
	p.left--
	p.read.Delivered++
	return p.row, true
}

// load takes the next batch; false at the end.
func (p *projection) load() bool {
	if p.batch != nil {
		p.batch.Release()
	}
	p.at, p.count, p.show = 0, 0, p.show[:0]
	p.batch, p.err = p.scan.Next()
	p.read.LiveRead = p.scan.liveRows
	if p.err != nil || p.batch == nil {
		return false
	}
	if p.all, p.chosen, p.err = p.values.choose(p.batch, p.where, p.chosen); errors.Is(p.err, errRows) {
		p.rest, p.err = p.remaining()
	}
	if p.err != nil || p.rest != nil {
		return p.err == nil
	}
	if p.count = len(p.chosen); p.all {
		p.count = int(p.batch.NumRows())
	}
	for i, id := range p.scan.columns {
		if p.err = p.view.checkCases(id, p.batch.Column(i)); p.err != nil {
			return false
		}
		p.show = append(p.show, p.view.batchShower(id, p.batch.Column(i)))
	}
	return true
}

// remaining lets SQLite give the rows after those that went out, which it gets in
// the order of the scan.
func (p *projection) remaining() (rowSource, error) {
	p.session.inOrder = p.read.Delivered > 0
	rows, err := p.session.conn.Query(p.session.ctx, p.shape.sql)
	if err != nil {
		return nil, err
	}
	for range p.read.Delivered {
		if _, ok := rows.Next(); !ok {
			return nil, errors.Join(rows.Err(), rows.Close(), p.view.table.readError(errors.New("rows were not found again")))
		}
	}
	return rows, nil
}

// Err is the error that ended the rows.
func (p *projection) Err() error { return p.err }

// Close ends the scan.
func (p *projection) Close() error {
	if p.batch != nil {
		p.batch.Release()
		p.batch = nil
	}
	err := p.scan.Close()
	if p.rest != nil {
		err = errors.Join(err, p.rest.Close())
	}
	return err
}
