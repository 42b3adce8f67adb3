package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/model"
	"arus/connectors"
)

// shape says which columns are read, which are loaded, and how the ones come
// from the others.
type shape struct {
	read   []connectors.Column
	load   []connectors.Column
	from   []int // by column of load: its column of read, -1 = null
	same   bool  // batches pass as they are
	strict []bool
	held   []heldColumn // what the target holds after the load
}

// addColumn appends a column of the load.
func (s *shape) addColumn(load connectors.Column, read *connectors.Column) {
	at := -1
	if read != nil {
		at = len(s.read)
		s.read = append(s.read, *read)
	}
	s.load, s.from = append(s.load, load), append(s.from, at)
	s.strict = append(s.strict, false)
}

// finish notes whether batches pass as they are.
func (s *shape) finish() {
	s.same = len(s.read) == len(s.load)
	for i, at := range s.from {
		s.same = s.same && at == i && !s.strict[i] && s.read[at].Type.Equal(s.load[i].Type)
	}
}

// part is the shape of some of the load's columns alone.
func (s *shape) part(names []string) shape {
	var p shape
	for _, name := range names {
		if i := findColumn(s.load, name); i >= 0 && s.from[i] >= 0 {
			p.addColumn(s.load[i], &s.read[s.from[i]])
		}
	}
	p.finish()
	return p
}

// reshape decides the columns of the load by the drift and the policy, and
// alters the target where it has to grow. It goes after the plan.
func (c *tableCopy) reshape(ctx context.Context, target connectors.TableRef) error {
	if err := c.checkKey(); err != nil {
		return err
	}
	add, widen := c.layOut(ctx)
	if c.plan.load == connectors.Replace || len(add)+len(widen) == 0 {
		return nil
	}
	alterer, ok := c.destination.(connectors.Alterer)
	if !ok {
		return &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "alter", Object: target.String(),
			Err:  fmt.Errorf("columns %q cannot be added or widened in this destination", connectors.ColumnNames(slices.Concat(add, widen))),
			Hint: "run a full refresh of the table",
		}
	}
	if err := alterer.Alter(ctx, target, add, widen); err != nil {
		return err
	}
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("altered %s: added %s, widened %s", target, columnList(add), columnList(widen)))
	return nil
}

// layOut makes the shape, and gives what the target lacks for it.
func (c *tableCopy) layOut(ctx context.Context) (add, widen []connectors.Column) {
	d, s := c.drift, &shape{}
	c.shape = s
	if d.fresh {
		for i := range c.made {
			s.addColumn(c.made[i], &c.made[i])
		}
		s.held = holdColumns(c.made)
	} else {
		add, widen = c.reshapeHeld(ctx, c.plan.load == connectors.Replace)
	}
	if c.marks() {
		s.addColumn(markColumn(), nil)
		if !d.fresh && !slices.Contains(d.present, connectors.MetaDeletedAt) {
			add = append(add, s.load[len(s.load)-1])
		}
	}
	s.finish()
	return add, widen
}

// markColumn says since when a row is gone from the source.
func markColumn() connectors.Column {
	return connectors.Column{Name: connectors.MetaDeletedAt, Type: connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}, Nullable: true}
}

func columnList(columns []connectors.Column) string {
	if len(columns) == 0 {
		return "nothing"
	}
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = c.Name + " " + c.Type.String()
	}
	return strings.Join(texts, ", ")
}

// reshapeHeld makes the load's columns those that the target holds, and follows
// the changes that the policy lets it follow: it gives what to alter.
func (c *tableCopy) reshapeHeld(ctx context.Context, replace bool) (add, widen []connectors.Column) {
	d, s := c.drift, c.shape
	_, alters := c.destination.(connectors.Alterer)
	follows := func(f foundOne) bool { return (alters || replace) && c.does(f.SchemaChange) == model.DriftEvolve }
	for _, h := range d.held {
		col := h.logical()
		altered, strict := false, false
		at := findColumn(c.made, h.Name)
		if c.job.Agreed && at >= 0 {
			strict = c.made[at].Nullable && !h.Nullable
		}
		if at < 0 {
			if !h.Nullable {
				col.Nullable, altered = true, true
			}
			h.Gone = true
		} else {
			h.Gone = false
		}
		for _, f := range d.byName[h.Name] {
			switch {
			case f.Kind == model.ColumnRemoved:
				d.follow = append(d.follow, f.ID) // it is kept and reads null, whatever the policy
			case !follows(f) || f.Kind == model.TypeNarrowed:
				strict = strict || f.Kind == model.NullAllowed
			case f.Kind == model.TypeWidened:
				col.Type, altered = f.joined, true
				d.follow = append(d.follow, f.ID)
			case f.Kind == model.NullAllowed:
				col.Nullable, altered = true, true
				d.follow = append(d.follow, f.ID)
			case f.Kind == model.TypeIncompatible && replace:
				col.Type = c.made[at].Type
				d.follow = append(d.follow, f.ID)
			}
		}
		if altered {
			widen = append(widen, col)
		}
		h.Type, h.Nullable = holdType(col.Type), col.Nullable
		s.held = append(s.held, h)
		if at < 0 {
			s.addColumn(col, nil)
			continue
		}
		s.addColumn(col, &c.made[at])
		s.strict[len(s.strict)-1] = strict
	}
	for i, col := range c.made {
		if findHeld(d.held, col.Name) >= 0 {
			continue
		}
		if c.job.Agreed {
			continue
		}
		f := d.byName[col.Name][0]
		if !follows(f) {
			c.log(ctx, slog.LevelWarn, fmt.Sprintf("column %s is new at the source and not in %s: it is left out until the change is applied or a full refresh is run", col.Name, c.stat.Target))
			continue
		}
		d.follow = append(d.follow, f.ID)
		col.Nullable = true
		s.addColumn(col, &c.made[i])
		s.held = append(s.held, holdColumns([]connectors.Column{col})...)
		if replace {
			continue
		}
		if !slices.Contains(d.present, col.Name) {
			add = append(add, col)
		}
		c.log(ctx, slog.LevelWarn, fmt.Sprintf("column %s is new at the source and was added to %s: rows loaded before read NULL there, whatever default the source gave them, until they change or a full refresh is run",
			col.Name, c.stat.Target))
	}
	return add, widen
}

// apply makes a batch of the load's columns of one of the read's. Rows with a
// value that the target's type does not hold are taken out, as they were read.
// The batch is the caller's until apply returns, then the result is; it is nil
// when no row is left.
func (s *shape) apply(batch arrow.RecordBatch) (arrow.RecordBatch, []badRow) {
	if s.same {
		return batch, nil
	}
	defer batch.Release()
	rows := int(batch.NumRows())
	bad := map[int]string{}
	columns := make([]arrow.Array, len(s.load))
	for i, col := range s.load {
		if s.from[i] < 0 {
			columns[i] = array.MakeArrayOfNull(memory.DefaultAllocator, col.Type.Arrow(), rows)
			continue
		}
		read := s.read[s.from[i]]
		arr := batch.Column(s.from[i])
		if s.strict[i] && arr.NullN() > 0 {
			for r := range rows {
				if arr.IsNull(r) && bad[r] == "" {
					bad[r] = fmt.Sprintf("column %s: NULL, which the target does not take", col.Name)
				}
			}
		}
		if read.Type.Equal(col.Type) || sameForm(read.Type, col.Type) {
			arr.Retain()
			columns[i] = arr
			continue
		}
		columns[i] = castColumn(arr, read, col, bad)
	}
	out := array.NewRecordBatch(connectors.Schema(s.load), columns, int64(rows))
	for _, col := range columns {
		col.Release()
	}
	if len(bad) == 0 {
		return out, nil
	}
	defer out.Release()
	var letters []badRow
	var keep []int
	for r := range rows {
		if reason, ok := bad[r]; ok {
			letters = append(letters, badRow{row: r, data: connectors.AppendRowJSON(nil, batch, s.read, r), reason: reason})
		} else {
			keep = append(keep, r)
		}
	}
	if len(keep) == 0 {
		return nil, letters
	}
	return connectors.SelectRows(out, keep), letters
}

// sameForm says whether every value of a column stands in the other type as it
// is.
func sameForm(read, load connectors.Type) bool {
	joined, ok := connectors.Widen(read, load)
	return ok && joined.Equal(load) && arrow.TypeEqual(read.Arrow(), load.Arrow())
}

// castColumn reads each value's canonical text by the other type. A value that
// the type does not hold makes its row bad.
func castColumn(arr arrow.Array, read, load connectors.Column, bad map[int]string) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, load.Type.Arrow())
	defer b.Release()
	b.Reserve(arr.Len())
	var text []byte
	foreign := (read.Type.Kind == connectors.Bytes) != (load.Type.Kind == connectors.Bytes) // the text of bytes is an encoding
	for r := range arr.Len() {
		if arr.IsNull(r) {
			b.AppendNull()
			continue
		}
		text = connectors.AppendValue(text[:0], arr, read.Type, r)
		err := errBytes
		if !foreign {
			err = connectors.AppendParsed(b, load.Type, string(text))
		}
		if err != nil {
			b.AppendNull()
			if bad[r] == "" {
				bad[r] = fmt.Sprintf("column %s: %.80q is no %s: %s", load.Name, text, load.Type, plainWords(err))
			}
		}
	}
	return b.NewArray()
}

var errBytes = errors.New("bytes and text are not each other")

// plainWords is the innermost message of an error.
func plainWords(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
