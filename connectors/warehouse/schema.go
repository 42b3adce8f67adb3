package warehouse

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// rowColumn is the hidden key of tables that have no key of their own.
const rowColumn = "_arus_row"

// forLoad is the schema of a table made anew for a load.
func forLoad(name string, columns []connectors.Column, key []string) (*schema.Table, error) {
	t := &schema.Table{Name: name, Columns: []schema.Column{}, PrimaryKeyColumns: []int{}, Config: schema.DefaultConfig(), Version: 1, Loaded: true}
	add := func(name string, l connectors.Type, notNull bool) {
		t.Columns = append(t.Columns, schema.Column{Name: name, Type: schema.FromLogical(l).Name(), NotNull: notNull})
	}
	for _, c := range columns {
		add(c.Name, c.Type, slices.Contains(key, c.Name))
	}
	add(connectors.MetaRunID, connectors.Type{Kind: connectors.UUID}, true)
	add(connectors.MetaSyncedAt, connectors.Type{Kind: connectors.TimestampTZ}, false)
	if len(key) == 0 {
		add(rowColumn, connectors.Type{Kind: connectors.Int64}, true)
		key = []string{rowColumn}
	}
	for _, name := range key {
		id := t.ColumnID(name)
		if id < 0 {
			return nil, fmt.Errorf("the key column %s is not among the columns", name)
		}
		if slices.Contains(t.PrimaryKeyColumns, id) {
			return nil, fmt.Errorf("the key names column %s twice", name)
		}
		t.PrimaryKeyColumns = append(t.PrimaryKeyColumns, id)
	}
	return t, nil
}

// sameShape says whether a full refresh can keep a table's schema.
func sameShape(a, b *schema.Table) bool {
	return slices.EqualFunc(a.Columns, b.Columns, func(x, y schema.Column) bool {
		return x.Name == y.Name && x.Deleted == y.Deleted && x.NotNull == y.NotNull && x.Type == y.Type
	}) && slices.Equal(a.PrimaryKeyColumns, b.PrimaryKeyColumns)
}

// extend is the table's schema with what a load brings beside it: the table's own
// when that is nothing.
func (l *load) extend(current *layout) (*schema.Table, error) {
	if !slices.Equal(current.keyNames(), l.req.Key) {
		return nil, &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: l.table.name,
			Err:  fmt.Errorf("its key is (%s), and the load's (%s)", strings.Join(current.keyNames(), ", "), strings.Join(l.req.Key, ", ")),
			Hint: "run a full refresh: a table's key does not change otherwise",
		}
	}
	next, changed := current.table.Clone(), false
	add := func(name string, typ connectors.Type) {
		if next.ColumnID(name) < 0 {
			next.Columns, changed = append(next.Columns, schema.Column{Name: name, Type: schema.FromLogical(typ).Name()}), true
		}
	}
	for _, c := range l.req.Columns {
		id := next.ColumnID(c.Name)
		if id < 0 {
			add(c.Name, c.Type)
			continue
		}
		if !current.table.Loaded {
			continue // every value is brought into the declared type, or refused
		}
		have := current.columns[id].read
		if !holds(have, c.Type) {
			return nil, &connectors.Error{
				Kind: connectors.KindType, Op: "load", Object: l.table.name + "." + c.Name,
				Err: fmt.Errorf("the column is %s, and what comes is %s", have, c.Type), Hint: "run a full refresh",
			}
		}
		if t := looser(have, c.Type); !t.Equal(have) {
			next.Columns[id].Type, changed = schema.FromLogical(t).Name(), true
		}
	}
	add(connectors.MetaRunID, connectors.Type{Kind: connectors.UUID})
	add(connectors.MetaSyncedAt, connectors.Type{Kind: connectors.TimestampTZ})
	if len(next.Columns) > schema.MaxColumns {
		return nil, &connectors.Error{Kind: connectors.KindUnsupported, Op: "load", Object: l.table.name, Err: errors.New("the table would have too many columns"), Hint: "run a full refresh"}
	}
	if !changed {
		return current.table, nil
	}
	next.Version++
	return next, nil
}

// looser is the type of a column that holds have and gets want: the same storage,
// with the looser declaration of the two.
func looser(have, want connectors.Type) connectors.Type {
	if have.Kind != want.Kind {
		return have
	}
	most := func(a, b int) int {
		if a == 0 || b == 0 {
			return 0
		}
		return max(a, b)
	}
	t := have
	switch have.Kind {
	case connectors.Text, connectors.Bytes:
		t.Length, t.Fixed = most(have.Length, want.Length), have.Fixed && want.Fixed && have.Length == want.Length
	case connectors.Time, connectors.Timestamp, connectors.TimestampTZ:
		t.Precision = most(have.Precision, want.Precision)
	case connectors.Enum:
		t.Values = slices.Clone(have.Values)
		for _, v := range want.Values {
			if !slices.Contains(t.Values, v) {
				t.Values = append(t.Values, v)
			}
		}
	case connectors.JSON:
		t.Parsed = have.Parsed && want.Parsed
	}
	return t
}

// holds says whether a column of type have can take every value of type want
// without a change to what is stored.
func holds(have, want connectors.Type) bool {
	switch {
	case have.Equal(want):
		return true
	case have.Kind.IsInteger() && want.Kind.IsInteger():
		low, high := intRange(have.Kind)
		wantLow, wantHigh := intRange(want.Kind)
		return low <= wantLow && high >= wantHigh
	case have.Kind == connectors.Float64 && want.Kind == connectors.Float32:
		return true
	case have.Kind == connectors.Decimal && want.Kind == connectors.Decimal:
		return have.Scale == want.Scale && have.Precision >= want.Precision && cellWidth(have) == cellWidth(want) && (have.Precision > 18) == (want.Precision > 18)
	case have.Kind == connectors.Numeric && (want.Kind == connectors.Decimal || want.Kind.IsInteger()):
		return false // another form on disk
	case have.Kind == connectors.Text && (want.Kind == connectors.Text || want.Kind == connectors.Enum):
		return have.Length == 0 || want.Kind == connectors.Text && want.Length > 0 && want.Length <= have.Length
	case have.Kind == want.Kind:
		// The rest differs in declarations that bind no stored value: fractional
		// digits, the members of an enum, the length of bytes.
		return have.Kind != connectors.Time || have.Wide || !want.Wide
	}
	return false
}

func intRange(k connectors.Kind) (low int64, high uint64) {
	bits := map[connectors.Kind]uint{
		connectors.Int8: 8, connectors.Int16: 16, connectors.Int32: 32, connectors.Int64: 64,
		connectors.Uint8: 8, connectors.Uint16: 16, connectors.Uint32: 32, connectors.Uint64: 64,
	}[k]
	if k >= connectors.Uint8 {
		return 0, 1<<bits - 1
	}
	return -1 << (bits - 1), 1<<(bits-1) - 1
}

// checkColumns refuses what a table cannot have.
func checkColumns(columns []connectors.Column) error {
	seen := map[string]bool{connectors.MetaRunID: true, connectors.MetaSyncedAt: true, rowColumn: true}
	if len(columns) == 0 {
		return errors.New("there are no columns")
	}
	if len(columns)+len(seen) > schema.MaxColumns {
		return fmt.Errorf("it has %d columns, and %d are what a table can hold", len(columns), schema.MaxColumns-len(seen))
	}
	for _, c := range columns {
		if seen[c.Name] {
			return fmt.Errorf("the column name %q is taken or stands there twice", c.Name)
		}
		seen[c.Name] = true
		if c.Name == "" || len(c.Name) > schema.MaxName {
			return fmt.Errorf("a column name has 1 to %d bytes, %q does not", schema.MaxName, c.Name)
		}
		if _, ok := schema.ParseType(schema.FromLogical(c.Type).Name()); !ok {
			return fmt.Errorf("column %s has no type", c.Name)
		}
	}
	return nil
}

// checkName refuses names that are no table's.
func checkName(op, name string) error {
	if schema.ValidName(name) {
		return nil
	}
	return &connectors.Error{
		Kind: connectors.KindInvalid, Op: op, Object: name, Err: errors.New("this cannot be a table's name here"),
		Hint: fmt.Sprintf("use letters, digits and _, not a digit first, at most %d bytes", schema.MaxName),
	}
}
