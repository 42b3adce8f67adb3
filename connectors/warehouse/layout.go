package warehouse

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
	"arus/connectors/warehouse/segment"
)

// column is a column of a table as the storage needs it.
type column struct {
	name    string
	typ     schema.Type
	stored  connectors.Type // what is kept
	read    connectors.Type // what readers see
	def     cell            // of rows from before the column; nil = null
	deleted bool
}

// layout is a table's schema with everything that is derived from it.
type layout struct {
	table   *schema.Table
	enums   schema.Enums
	columns []column
	widths  []int // of the cells, by column ID
	key     []int
	keyer   keyer
}

func newLayout(t *schema.Table, enums schema.Enums) (*layout, error) {
	l := &layout{table: t, enums: enums, key: t.PrimaryKeyColumns, columns: make([]column, len(t.Columns)), widths: make([]int, len(t.Columns))}
	for id, c := range t.Columns {
		typ, ok := schema.ParseType(c.Type)
		if !ok {
			return nil, fmt.Errorf("the schema has an unknown type %q", c.Type)
		}
		if c.HLLConfig.IsHLLColumn {
			typ = schema.Of(schema.Uint32) // hashes of the values
		}
		l.columns[id] = column{name: c.Name, typ: typ, stored: typ.Stored(), read: typ.Read(enums[id]), deleted: c.Deleted}
		l.widths[id] = cellWidth(typ.Stored())
		if err := l.setDefault(id, c); err != nil {
			return nil, err
		}
	}
	if len(l.key) == 0 {
		return nil, fmt.Errorf("the schema has no primary key")
	}
	types := make([]connectors.Type, len(l.key))
	for i, id := range l.key {
		if id < 0 || id >= len(l.columns) {
			return nil, fmt.Errorf("the schema's key names column %d, which does not exist", id)
		}
		types[i] = l.columns[id].stored
	}
	for _, id := range t.ArchivingSortColumns {
		if id < 0 || id >= len(l.columns) {
			return nil, fmt.Errorf("the schema's sort columns name column %d, which does not exist", id)
		}
	}
	l.keyer = newKeyer(types)
	return l, nil
}

// setDefault stores a column's default as rows have it.
func (l *layout) setDefault(id int, c schema.Column) error {
	text, ok := c.Default()
	if !ok || c.Deleted {
		return nil
	}
	col := &l.columns[id]
	b := array.NewBuilder(memory.DefaultAllocator, col.stored.Arrow())
	defer b.Release()
	if col.typ.IsEnum() && !col.typ.Array {
		_, ids, err := col.typ.Cases(l.enums[id], []string{text})
		if err != nil {
			return err
		}
		text = fmt.Sprint(ids[0])
	}
	if err := appendText(b, col.stored, text); err != nil {
		return fmt.Errorf("the default of column %s: %w", c.Name, err)
	}
	arr := b.NewArray()
	defer arr.Release()
	put, err := newCellPutter(arr)
	if err != nil {
		return err
	}
	if col.def = put(nil, 0); col.def == nil {
		col.def = cell{}
	}
	return nil
}

// isFact says whether rows have a time.
func (l *layout) isFact() bool { return l.table.IsFactTable }

// segmentColumns are the columns that a new file has.
func (l *layout) segmentColumns() (columns []segment.Column, ids []int) {
	for id, c := range l.columns {
		if !c.deleted {
			columns, ids = append(columns, l.segmentColumn(id)), append(ids, id)
		}
	}
	return columns, ids
}

func (l *layout) segmentColumn(id int) segment.Column {
	c := l.columns[id]
	out := segment.Column{ID: id, Name: c.name, Type: c.stored}
	for _, s := range l.table.ArchivingSortColumns {
		out.Sort = out.Sort || s == id
	}
	return out
}

// keyOrderer makes the ordered form of the keys of rows; arrays are by column ID.
func (l *layout) keyOrderer(arrays []arrow.Array) (orderer, error) {
	return l.rowOrderer(arrays, l.key, false)
}

// rowOrderer makes the ordered form of several columns.
func (l *layout) rowOrderer(arrays []arrow.Array, ids []int, nulls bool) (orderer, error) {
	parts := make([]orderer, len(ids))
	for i, id := range ids {
		var err error
		if parts[i], err = newOrderer(arrays[id], l.columns[id].stored, nulls); err != nil {
			return nil, err
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return func(dst []byte, i int) []byte {
		for _, p := range parts {
			dst = p(dst, i)
		}
		return dst
	}, nil
}

// keyNames is the key as people chose it: none for a table that has only the hidden one.
func (l *layout) keyNames() []string {
	var names []string
	for _, id := range l.key {
		if l.columns[id].name != rowColumn {
			names = append(names, l.columns[id].name)
		}
	}
	return names
}

// hidden says whether the table has no key but the hidden one.
func (l *layout) hidden() bool { return len(l.keyNames()) == 0 }

// managed says whether loads write the table: it has the metadata columns, or
// was declared and gets them by its first load.
func (l *layout) managed() bool {
	t := l.table
	return !t.Loaded || t.ColumnID(connectors.MetaRunID) >= 0 && t.ColumnID(connectors.MetaSyncedAt) >= 0
}

// describe gives the table to the outside: without deleted and hidden columns
// and, in tables that loads made, without the metadata columns.
func (l *layout) describe() connectors.Table {
	t := connectors.Table{TableRef: connectors.TableRef{Name: l.table.Name}, DefaultSchema: true, Managed: l.managed(), Declared: !l.table.Loaded, PrimaryKey: l.keyNames(), RowEstimate: -1, Bytes: -1}
	for id, c := range l.columns {
		if c.deleted || c.name == rowColumn || t.Managed && (c.name == connectors.MetaRunID || c.name == connectors.MetaSyncedAt) {
			continue
		}
		t.Columns = append(t.Columns, connectors.Column{Name: c.name, Type: c.read, Native: l.table.Columns[id].Type, Nullable: !l.table.Columns[id].NotNull && !l.table.IsKey(id)})
	}
	if len(t.PrimaryKey) > 0 {
		t.Indexed = t.PrimaryKey[:1]
	}
	return t
}
