package warehouse

import (
	"database/sql/driver"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// projection answers SELECT columns FROM table [LIMIT n], which SQLite has checked:
// the rows go out as the scan has them, in the order in which SQLite would get them.
type projection struct {
	session *session
	view    *View
	ids     []int // by column of the result
	names   []string
	left    int64 // rows that may still come
	read    *Read

	scan  *Scanner
	place []int // by column of the result: its place in a batch
	batch arrow.RecordBatch
	show  []shower
	value atom
	row   []driver.Value
	at    int
	err   error
}

// newProjection plans a statement; nil when it is not of the form.
func newProjection(q *session, s *shape, v *View) *projection {
	if len(s.where)+len(s.group)+len(s.having)+len(s.order) > 0 || s.unique {
		return nil
	}
	p := &projection{session: q, view: v, left: 1<<63 - 1}
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
	for _, id := range p.ids {
		if _, ok := at[id]; !ok {
			at[id] = len(ids)
			ids = append(ids, id)
		}
		p.place = append(p.place, at[id])
	}
	req, err := newPruner(p.session.ctx, p.view, nil, p.read).request(ScanRequest{Columns: ids, Stored: true, Limits: connectors.Limits{Rows: fillRows}})
	if err != nil {
		return nil, err
	}
	p.session.reads = append([]*Read{p.read}, p.session.reads...)
	p.scan, p.row = p.view.Scan(p.session.ctx, req), make([]driver.Value, len(p.ids))
	return p, nil
}

// Columns names the columns.
func (p *projection) Columns() []string { return p.names }

// Next gives the next row.
func (p *projection) Next() ([]driver.Value, bool) {
	for p.batch == nil || p.at == int(p.batch.NumRows()) {
		if p.err != nil || p.left <= 0 || !p.load() {
			return nil, false
		}
	}
	if p.left <= 0 {
		return nil, false
	}
	for i, c := range p.place {
		p.show[c](&p.value, p.at)
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
	p.at, p.show = 0, p.show[:0]
	p.batch, p.err = p.scan.Next()
	p.read.LiveRead = p.scan.liveRows
	if p.err != nil || p.batch == nil {
		return false
	}
	for i, id := range p.scan.columns {
		if p.err = p.view.checkCases(id, p.batch.Column(i)); p.err != nil {
			return false
		}
		p.show = append(p.show, p.view.batchShower(id, p.batch.Column(i)))
	}
	return true
}

// Err is the error that ended the rows.
func (p *projection) Err() error { return p.err }

// Close ends the scan.
func (p *projection) Close() error {
	if p.batch != nil {
		p.batch.Release()
		p.batch = nil
	}
	return p.scan.Close()
}
