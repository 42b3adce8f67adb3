package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/segment"
)

// ScanRequest says what a scan gives.
type ScanRequest struct {
	Columns []int // IDs, in the order of the batches' columns
	Limits  connectors.Limits
	// Stored gives the values as they are kept: the numbers of enums.
	Stored bool
	// Skip leaves out a whole file, Ranges all but some rows of one (nil = all);
	// both are hints of what cannot be wanted. Indexes are those of Parts.
	Skip   func(index int) bool
	Ranges func(index int) []segment.Range
	// NoLive leaves out the rows that are in no file. Live names the least and
	// the greatest time that is wanted of them; both 0 = all.
	NoLive           bool
	LiveMin, LiveMax int64
	// Memory is what batches are made of; nil = Go's.
	Memory memory.Allocator
}

// Scanner gives the rows of a scan batch by batch: those of the files, then the
// live ones, without hidden ones.
type Scanner struct {
	v       *View
	ctx     context.Context
	req     ScanRequest
	limits  connectors.Limits
	columns []int
	build   []array.Builder
	schema  *arrow.Schema

	next    int // the part after the open one
	reader  *segment.Reader
	place   []int // by column: its place in the reader, -1 = the part lacks it
	ranges  []segment.Range
	live    *lite.Rows
	cells   []cell
	ended   bool
	started bool

	liveRows int64 // that were read
	spans    []span
}

// span is a stretch of a batch's rows. The numbers of rows count up from first;
// no other row of the view has them.
type span struct{ first, rows int64 }

// firstLive is the number of the first live row. Those of files have the part's
// index above their place of 32 bits.
const firstLive = 1 << 62

// Scan starts reading.
func (v *View) Scan(ctx context.Context, req ScanRequest) *Scanner {
	s := &Scanner{v: v, ctx: ctx, req: req, limits: req.Limits.OrDefault(), columns: req.Columns, cells: make([]cell, len(v.layout.columns))}
	if req.Memory == nil {
		req.Memory = memory.DefaultAllocator
	}
	fields := make([]arrow.Field, len(req.Columns))
	for i, id := range req.Columns {
		c := v.layout.columns[id]
		s.build = append(s.build, array.NewBuilder(req.Memory, c.stored.Arrow()))
		typ := c.read
		if req.Stored {
			typ = c.stored
		}
		fields[i] = arrow.Field{Name: c.name, Type: typ.Arrow(), Nullable: true}
	}
	s.schema = arrow.NewSchema(fields, nil)
	return s
}

// Next gives the next batch, which the caller releases; nil at the end.
func (s *Scanner) Next() (arrow.RecordBatch, error) {
	rows := 0
	s.spans = nil
	for !s.ended && rows < s.limits.Rows {
		if err := s.ctx.Err(); err != nil {
			return nil, err
		}
		n, err := s.fill(s.limits.Rows - rows)
		if err != nil {
			return nil, err
		}
		if rows += n; s.size() >= s.limits.Bytes {
			break
		}
	}
	if rows == 0 {
		return nil, nil
	}
	return s.batch(rows)
}

// size estimates what the builders hold, in bytes.
func (s *Scanner) size() int {
	n := 0
	for i, b := range s.build {
		switch b := b.(type) {
		case *array.StringBuilder:
			n += b.DataLen() + 4*b.Len()
		case *array.BinaryBuilder:
			n += b.DataLen() + 4*b.Len()
		default:
			n += max(1, cellWidth(s.v.layout.columns[s.columns[i]].stored)) * b.Len()
		}
	}
	return n
}

// fillRows is how many rows are appended between two looks at the batch's size.
const fillRows = 4096

// fill appends up to n rows and says how many.
func (s *Scanner) fill(n int) (int, error) {
	for {
		if len(s.ranges) > 0 {
			r := s.ranges[0]
			if room := min(r.To-r.From, int64(n)); room > fillRows {
				for _, b := range s.build {
					b.Reserve(int(room))
				}
			}
			part := segment.Range{From: r.From, To: min(r.To, r.From+int64(min(n, fillRows)))}
			if s.ranges[0].From = part.To; part.To == r.To {
				s.ranges = s.ranges[1:]
			}
			s.spans = append(s.spans, span{int64(s.next-1)<<32 | part.From, part.To - part.From})
			return int(part.To - part.From), s.fillPart(part)
		}
		if s.reader != nil {
			err := s.reader.Close()
			if s.reader = nil; err != nil {
				return 0, err
			}
		}
		if s.next < len(s.v.parts) {
			if err := s.openPart(); err != nil {
				return 0, err
			}
			continue
		}
		first := s.liveRows
		read, err := s.fillLive(n)
		s.spans = append(s.spans, span{firstLive | first, int64(read)})
		return read, err
	}
}

func (s *Scanner) openPart() error {
	index := s.next
	p := s.v.parts[index]
	s.next++
	if p.deadRows == p.info.Rows || s.req.Skip != nil && s.req.Skip(index) {
		return nil
	}
	ranges := []segment.Range{{From: 0, To: p.info.Rows}}
	if s.req.Ranges != nil {
		if some := s.req.Ranges(index); some != nil {
			ranges = some
		}
	}
	seg, err := s.v.segment(p)
	if err != nil {
		return err
	}
	s.place = s.place[:0]
	var columns []segment.Column
	for _, id := range s.columns {
		if _, ok := seg.Place(id); ok {
			s.place = append(s.place, len(columns))
			columns = append(columns, s.v.layout.segmentColumn(id))
		} else {
			s.place = append(s.place, -1)
		}
	}
	if s.reader, err = seg.NewReader(columns); err != nil {
		return s.v.table.damaged(p, err)
	}
	s.ranges = alive(ranges, p)
	return nil
}

// alive takes the hidden rows out of ranges.
func alive(ranges []segment.Range, p *part) []segment.Range {
	if p.deadRows == 0 {
		return ranges
	}
	var out []segment.Range
	for _, r := range ranges {
		from := r.From
		for at := r.From; at < r.To; {
			if at&63 == 0 && at+64 <= r.To && (at>>6 >= int64(len(p.dead)) || p.dead[at>>6] == 0) {
				at += 64
				continue
			}
			if p.dead.get(at) {
				if at > from {
					out = append(out, segment.Range{From: from, To: at})
				}
				from = at + 1
			}
			at++
		}
		if r.To > from {
			out = append(out, segment.Range{From: from, To: r.To})
		}
	}
	return out
}

func (s *Scanner) fillPart(r segment.Range) error {
	for i, id := range s.columns {
		if s.place[i] < 0 {
			def := s.v.layout.columns[id].def
			for range r.To - r.From {
				appendCell(s.build[i], def)
			}
			continue
		}
		if err := s.reader.Fill(s.place[i], s.build[i], r); err != nil {
			return s.v.table.damaged(s.v.parts[s.next-1], err)
		}
	}
	return nil
}

func (s *Scanner) fillLive(n int) (int, error) {
	if !s.started {
		s.started = true
		if s.req.NoLive {
			s.ended = true
			return 0, nil
		}
		sql, bounded := "SELECT v FROM rows", s.req.LiveMin != 0 || s.req.LiveMax != 0
		var err error
		if bounded {
			s.live, err = s.v.conn.Query(s.ctx, sql+" WHERE t BETWEEN ? AND ? OR t IS NULL ORDER BY k", s.req.LiveMin, s.req.LiveMax)
		} else {
			s.live, err = s.v.conn.Query(s.ctx, sql+" ORDER BY k")
		}
		if err != nil {
			return 0, err
		}
	}
	for i := range min(n, fillRows) {
		row, ok := s.live.Next()
		if !ok {
			s.ended = true
			err := errors.Join(s.live.Err(), s.live.Close())
			s.live = nil
			return i, err
		}
		data, _ := row[0].([]byte)
		if err := s.v.layout.splitRow(data, s.cells); err != nil {
			return i, s.v.table.readError(err)
		}
		for c, id := range s.columns {
			appendCell(s.build[c], s.cells[id])
		}
		s.liveRows++
	}
	return min(n, fillRows), nil
}

func (s *Scanner) batch(rows int) (arrow.RecordBatch, error) {
	arrays := make([]arrow.Array, len(s.build))
	defer func() {
		for _, a := range arrays {
			if a != nil {
				a.Release()
			}
		}
	}()
	for i, b := range s.build {
		arrays[i] = b.NewArray()
		if c := s.v.layout.columns[s.columns[i]]; !s.req.Stored && c.typ.IsEnum() && !c.typ.Array {
			named, err := caseNames(arrays[i], c.read.Values)
			if err != nil {
				return nil, s.v.table.readError(fmt.Errorf("column %s: %w", c.name, err))
			}
			arrays[i].Release()
			arrays[i] = named
		}
	}
	return array.NewRecordBatch(s.schema, arrays, int64(rows)), nil
}

// caseNames puts the names of enum cases in the place of their numbers.
func caseNames(arr arrow.Array, cases []string) (arrow.Array, error) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.Reserve(arr.Len())
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		id := 0
		switch a := arr.(type) {
		case *array.Uint8:
			id = int(a.Value(i))
		case *array.Uint16:
			id = int(a.Value(i))
		}
		if id >= len(cases) {
			return nil, fmt.Errorf("its dictionary has no case %d", id)
		}
		b.Append(cases[id])
	}
	return b.NewArray(), nil
}

// Close ends the scan.
func (s *Scanner) Close() error {
	var errs []error
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.live != nil {
		errs = append(errs, s.live.Close())
	}
	for _, b := range s.build {
		b.Release()
	}
	s.ended, s.reader, s.live = true, nil, nil
	return errors.Join(errs...)
}

// Each scans and gives the batches one by one; emit takes them over.
func (v *View) Each(ctx context.Context, req ScanRequest, emit func(arrow.RecordBatch) error) error {
	s := v.Scan(ctx, req)
	for {
		batch, err := s.Next()
		if err == nil && batch != nil {
			err = emit(batch)
		}
		if err != nil || batch == nil {
			return errors.Join(err, s.Close())
		}
	}
}
