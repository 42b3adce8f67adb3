package warehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// with lends a state of a table to f.
func (s *Source) with(ctx context.Context, op, name string, f func(*View) error) error {
	if err := checkName(op, name); err != nil {
		return err
	}
	v, err := s.table(name).view(ctx)
	if err != nil {
		return err
	}
	return fail(ctx, op, name, errors.Join(f(v), v.Close()))
}

// Read streams rows of one state of the table. Any column can be asked for by its
// name, the metadata columns too.
func (s *Source) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	return s.with(ctx, "read", req.Table.Name, func(v *View) error {
		r, err := newRead(v, req)
		if err != nil {
			return err
		}
		return r.run(ctx, emit)
	})
}

// tableRead is one read of a table.
type tableRead struct {
	v       *View
	req     connectors.ReadRequest
	ids     []int // the request's columns
	order   []int
	filter  *filter
	columns []int // all that are needed
	schema  *arrow.Schema
	picked  []int
}

func newRead(v *View, req connectors.ReadRequest) (*tableRead, error) {
	const op = "read"
	name := req.Table.Name
	invalid := func(err error) error {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: name, Err: err, Hint: "discover the table again"}
	}
	if len(req.Columns) == 0 {
		return nil, invalid(errors.New("no columns are asked for"))
	}
	r := &tableRead{v: v, req: req, schema: connectors.Schema(req.Columns)}
	for _, c := range req.Columns {
		id := v.layout.table.ColumnID(c.Name)
		if id < 0 {
			return nil, &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: name + "." + c.Name, Err: errors.New("there is no such column"), Hint: "discover the table again"}
		}
		if have := v.layout.columns[id].read; have.Kind != c.Type.Kind || !holds(c.Type, have) {
			return nil, &connectors.Error{Kind: connectors.KindType, Op: op, Object: name + "." + c.Name, Err: fmt.Errorf("the column is %s, not %s", have, c.Type), Hint: "discover the table again"}
		}
		r.ids = append(r.ids, id)
	}
	var err error
	if r.filter, err = newFilter(v.layout, req.Window, req.Range); err != nil {
		return nil, invalid(err)
	}
	for _, o := range req.OrderBy {
		id := v.layout.table.ColumnID(o)
		if id < 0 {
			return nil, invalid(fmt.Errorf("there is no column %s to order by", o))
		}
		r.order = append(r.order, id)
	}
	r.columns = slices.Clone(r.ids)
	more := r.order
	if r.filter != nil {
		more = slices.Concat(more, r.filter.columns)
	}
	for _, id := range more {
		if !slices.Contains(r.columns, id) {
			r.columns = append(r.columns, id)
		}
	}
	return r, nil
}

func (r *tableRead) run(ctx context.Context, emit func(arrow.RecordBatch) error) error {
	if len(r.order) > 0 {
		return r.sorted(ctx, emit)
	}
	return r.scan(ctx, emit)
}

// each gives the batches of the scan by column ID, with the rows that are wanted;
// nil means all of them.
func (r *tableRead) each(ctx context.Context, row func(arrays []arrow.Array, rows int, picked []int) error) error {
	return r.v.Each(ctx, ScanRequest{Columns: r.columns, Limits: r.req.Limits, Skip: r.skip()}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		arrays, n := r.v.layout.byID(batch, r.columns), int(batch.NumRows())
		if r.filter == nil {
			return row(arrays, n, nil)
		}
		var err error
		if r.picked, err = r.filter.pick(arrays, n, r.picked); err != nil || len(r.picked) == 0 {
			return err
		}
		if len(r.picked) == n {
			return row(arrays, n, nil)
		}
		return row(arrays, n, r.picked)
	})
}

// skip leaves out the files whose keys lie beyond the filter's bounds.
func (r *tableRead) skip() func(int) bool {
	if r.filter == nil {
		return nil
	}
	return func(i int) bool { return r.filter.excludes(r.v.parts[i]) }
}

func (r *tableRead) scan(ctx context.Context, emit func(arrow.RecordBatch) error) error {
	return r.each(ctx, func(arrays []arrow.Array, rows int, picked []int) error {
		out := make([]arrow.Array, len(r.ids))
		defer releaseAll(out)
		for i, id := range r.ids {
			if picked == nil {
				arrays[id].Retain()
				out[i] = arrays[id]
				continue
			}
			out[i] = connectors.SelectValues(arrays[id], picked)
		}
		if picked != nil {
			rows = len(picked)
		}
		return emit(array.NewRecordBatch(r.schema, out, int64(rows)))
	})
}

// sorted sorts the rows, outside memory where they are many.
func (r *tableRead) sorted(ctx context.Context, emit func(arrow.RecordBatch) error) error {
	s := newSorter("")
	defer s.close()
	// The rows on their way have the form of live ones, of the columns asked for.
	shape := &layout{columns: make([]column, len(r.ids)), widths: make([]int, len(r.ids))}
	for i, id := range r.ids {
		shape.columns[i].stored = r.v.layout.columns[id].read
		shape.widths[i] = cellWidth(r.v.layout.columns[id].read)
	}
	var key, row []byte
	err := r.each(ctx, func(arrays []arrow.Array, rows int, picked []int) error {
		order, err := r.v.layout.readOrderer(arrays, r.order)
		if err != nil {
			return err
		}
		out := make([]arrow.Array, len(r.ids))
		for i, id := range r.ids {
			out[i] = arrays[id]
		}
		w, err := shape.newRowWriter(out)
		if err != nil {
			return err
		}
		if picked != nil {
			rows = len(picked)
		}
		for i := range rows {
			at := i
			if picked != nil {
				at = picked[i]
			}
			key, row = order(key[:0], at), w.append(row[:0], at)
			if err := s.add(key, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b := connectors.NewBatcher(r.req.Columns, r.req.Limits, emit)
	defer b.Release()
	cells := make([]cell, len(r.ids))
	err = s.each(func(_, row []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := shape.splitRow(row, cells); err != nil {
			return err
		}
		for i, c := range cells {
			appendCell(b.Builders[i], c)
		}
		return b.EndRow(len(row))
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// readOrderer orders rows by what readers see.
func (l *layout) readOrderer(arrays []arrow.Array, ids []int) (orderer, error) {
	var parts []orderer
	for _, id := range ids {
		p, err := newOrderer(arrays[id], l.columns[id].read, true)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return func(dst []byte, i int) []byte {
		for _, p := range parts {
			dst = p(dst, i)
		}
		return dst
	}, nil
}

// Max finds the greatest value of a column.
func (s *Source) Max(ctx context.Context, table connectors.Table, name string) (connectors.Bound, bool, error) {
	const op = "find the greatest value of"
	var bound connectors.Bound
	found := false
	err := s.with(ctx, op, table.Name, func(v *View) error {
		object := table.Name + "." + name
		id := v.layout.table.ColumnID(name)
		if id < 0 {
			return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: object, Err: errors.New("there is no such column"), Hint: "discover the table again"}
		}
		t := v.layout.columns[id].read
		switch t.Kind {
		case connectors.JSON, connectors.Array, connectors.Bytes, connectors.Interval:
			return &connectors.Error{
				Kind: connectors.KindUnsupported, Op: op, Object: object,
				Err: fmt.Errorf("a %s has no order to read by", t.Kind), Hint: "choose a number, a date, a time or a text",
			}
		}
		var best, buf []byte
		return v.Each(ctx, ScanRequest{Columns: []int{id}}, func(batch arrow.RecordBatch) error {
			defer batch.Release()
			arr := batch.Column(0)
			order, err := newOrderer(arr, t, true)
			if err != nil {
				return err
			}
			for i := range arr.Len() {
				if arr.IsNull(i) {
					continue
				}
				if buf = order(buf[:0], i); !found || string(buf) > string(best) {
					best, found = append(best[:0], buf...), true
					bound = connectors.Bound{Kind: t.Kind, Text: string(connectors.AppendValue(nil, arr, t, i))}
				}
			}
			return nil
		})
	})
	return bound, found && err == nil, err
}
