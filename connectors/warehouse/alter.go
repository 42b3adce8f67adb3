package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// Alter adds columns, and gives others types that hold every value they have. A
// type of another form means that the rows are written anew.
func (d *Destination) Alter(ctx context.Context, ref connectors.TableRef, add, widen []connectors.Column) error {
	const op = "alter"
	if err := checkName(op, ref.Name); err != nil {
		return err
	}
	t := d.table(ref.Name)
	if !t.exists() {
		return t.readError(errNoTable(op, ref.Name))
	}
	if len(add)+len(widen) == 0 {
		return nil
	}
	lock, err := t.lock(ctx, connectors.DefaultLockWait)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	_, err = d.perform(ctx, t, op, d.now(), func(j *job) error { return j.alter(ctx, add, widen) })
	return err
}

func errNoTable(op, name string) error {
	return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: name, Err: errors.New("there is no such table"), Hint: "see which tables there are"}
}

func (j *job) alter(ctx context.Context, add, widen []connectors.Column) error {
	before := j.layout
	next, rewrite := before.table.Clone(), false
	for _, c := range widen {
		id := next.ColumnID(c.Name)
		object := j.table.name + "." + c.Name
		if id < 0 {
			return &connectors.Error{Kind: connectors.KindNotFound, Op: "alter", Object: object, Err: errors.New("there is no such column"), Hint: "discover the table again"}
		}
		if !next.Loaded {
			return &connectors.Error{
				Kind: connectors.KindConflict, Op: "alter", Object: object, Err: errors.New("a declared column does not change its type"),
				Hint: "add a column of the new type and delete the old one",
			}
		}
		have, want := before.columns[id].stored, schema.FromLogical(c.Type)
		rewrite = rewrite || have.Kind != c.Type.Kind || cellWidth(have) != cellWidth(c.Type) || have.Scale != c.Type.Scale ||
			have.Kind == connectors.Decimal && have.Precision != c.Type.Precision
		next.Columns[id].Type = want.Name()
		if c.Nullable && !next.IsKey(id) {
			next.Columns[id].NotNull = false
		}
	}
	for _, c := range add {
		if next.ColumnID(c.Name) >= 0 {
			return &connectors.Error{Kind: connectors.KindConflict, Op: "alter", Object: j.table.name + "." + c.Name, Err: errors.New("there is such a column"), Hint: "discover the table again"}
		}
		next.Columns = append(next.Columns, schema.Column{Name: c.Name, Type: schema.FromLogical(c.Type).Name()})
	}
	if err := checkColumns(columnsOf(next)); err != nil || len(next.Columns) > schema.MaxColumns {
		return &connectors.Error{Kind: connectors.KindUnsupported, Op: "alter", Object: j.table.name, Err: errors.Join(err, errors.New("the table cannot have these columns")), Hint: "rename or leave out the column"}
	}
	next.Version++
	layout, err := newLayout(next, before.enums)
	if err != nil {
		return err
	}
	if rewrite {
		if err := j.rewrite(ctx, layout); err != nil {
			return err
		}
	}
	return j.setSchema(ctx, layout, j.now)
}

// columnsOf are a table's columns without those that loads add themselves.
func columnsOf(t *schema.Table) []connectors.Column {
	var out []connectors.Column
	for id, c := range t.Columns {
		if !c.Deleted && c.Name != connectors.MetaRunID && c.Name != connectors.MetaSyncedAt && c.Name != rowColumn {
			out = append(out, connectors.Column{Name: c.Name, Type: t.DataType(id).Read(nil)})
		}
	}
	return out
}

// rewrite writes all rows of a dimension table anew, in another layout.
func (j *job) rewrite(ctx context.Context, next *layout) error {
	old, ids := j.layout, j.layout.liveIDs()
	w := j.writer()
	w.layout = next
	w.columns, w.ids = next.segmentColumns()
	var made []*part
	w.done = func(_ context.Context, p *part, _ *partWriter) error {
		j.made, made = append(j.made, p.file), append(made, p)
		return nil
	}
	in := &intake{layout: next, table: j.table.name}
	write := func(b arrow.RecordBatch) error {
		arrays := make([]arrow.Array, len(next.columns))
		defer releaseAll(arrays)
		for i, id := range ids {
			var err error
			if arrays[id], err = in.convert(b.Column(i), old.columns[id].stored, id); err != nil {
				return err
			}
		}
		for id, c := range next.columns {
			if arrays[id] == nil && !c.deleted {
				arrays[id] = repeat(c, int(b.NumRows()))
			}
		}
		return w.write(ctx, arrays, int(b.NumRows()), nil)
	}
	err := j.readParts(ctx, j.parts, ids, write)
	if err == nil {
		err = j.eachLive(ctx, ids, func(_ [][]byte, b arrow.RecordBatch) error { return write(b) })
	}
	if err == nil {
		err = w.finish(ctx)
	}
	if err != nil {
		w.abort()
		return fmt.Errorf("rewrite: %w", err)
	}
	upserts := j.values
	if err := j.clear(ctx); err != nil {
		return err
	}
	for name, v := range upserts {
		if name != stateUpserts && name != stateNextPart {
			delete(j.values, name)
			if err := j.set(ctx, name, v); err != nil {
				return err
			}
		}
	}
	for _, p := range made {
		if err := j.addPart(ctx, p); err != nil {
			return err
		}
		p.keys = nil
	}
	return nil
}
