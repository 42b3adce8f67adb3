package warehouse

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// intake brings a load's batches into the form of the table's columns.
type intake struct {
	layout  *layout
	table   string
	request connectors.LoadRequest
	source  []int // by column ID: the batch's column, -1 = none
	seconds int   // the batch's column that becomes the time, -1 = none does
	given   []int // IDs of the columns that rows bring, the metadata with them
	run     [16]byte
	row     int64 // the next hidden key
	enums   schema.Enums
	grown   bool // cases were added
	now     int64
}

func newIntake(l *layout, req connectors.LoadRequest, row, now int64) (*intake, error) {
	in := &intake{layout: l, table: l.table.Name, request: req, source: make([]int, len(l.columns)), seconds: -1, row: row, enums: l.enums.Clone(), now: now}
	in.run, _ = parseUUID(req.RunID)
	for id := range in.source {
		in.source[id] = -1
	}
	for i, c := range req.Columns {
		if id := l.table.ColumnID(c.Name); id >= 0 {
			in.source[id] = i
		}
		if l.isFact() && c.Name == l.table.Config.TimeSource {
			in.seconds = i
		}
	}
	if l.isFact() && in.source[0] < 0 {
		if in.source[0] = in.seconds; in.seconds < 0 {
			return nil, &connectors.Error{
				Kind: connectors.KindInvalid, Op: "load", Object: in.table, Err: fmt.Errorf("no column of the source becomes the time column %s", l.columns[0].name),
				Hint: "set timeSource in the table's configuration to a timestamp of the source",
			}
		}
	}
	for id, c := range l.columns {
		if !c.deleted && (in.source[id] >= 0 || c.name == connectors.MetaRunID || c.name == connectors.MetaSyncedAt || c.name == rowColumn) {
			in.given = append(in.given, id)
		}
	}
	return in, nil
}

// covers says whether rows bring every column of the table.
func (in *intake) covers() bool {
	return !slices.ContainsFunc(in.layout.columns, func(c column) bool { return !c.deleted && !slices.Contains(in.given, in.layout.table.ColumnID(c.name)) })
}

// arrays gives the batch's columns by column ID, nil for those it lacks; release
// them.
func (in *intake) arrays(batch arrow.RecordBatch) ([]arrow.Array, error) {
	out := make([]arrow.Array, len(in.layout.columns))
	n := int(batch.NumRows())
	for _, id := range in.given {
		c := in.layout.columns[id]
		var arr arrow.Array
		var err error
		switch {
		case in.source[id] >= 0:
			col := in.request.Columns[in.source[id]]
			arr, err = in.convert(batch.Column(in.source[id]), col.Type, id)
			if err == nil && arr.NullN() > 0 && (in.layout.table.IsKey(id) || in.layout.isFact() && id == 0) {
				arr.Release()
				err = &connectors.Error{Kind: connectors.KindConstraint, Op: "load", Object: in.table + "." + c.name, Err: errors.New("a key column has a NULL"), Hint: "choose another key"}
			}
		case c.name == connectors.MetaRunID:
			b := array.NewFixedSizeBinaryBuilder(memory.DefaultAllocator, &arrow.FixedSizeBinaryType{ByteWidth: 16})
			b.Reserve(n)
			for range n {
				b.Append(in.run[:])
			}
			arr = b.NewArray()
		case c.name == connectors.MetaSyncedAt:
			b := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
			b.Reserve(n)
			for range n {
				b.UnsafeAppend(arrow.Timestamp(in.request.SyncedAt.UnixMicro()))
			}
			arr = b.NewArray()
		default:
			b := array.NewInt64Builder(memory.DefaultAllocator)
			b.Reserve(n)
			for i := range n {
				b.UnsafeAppend(in.row + int64(i))
			}
			arr = b.NewArray()
		}
		if err != nil {
			releaseAll(out)
			return nil, err
		}
		out[id] = arr
	}
	if in.layout.isFact() {
		if err := in.checkTimes(out[0]); err != nil {
			releaseAll(out)
			return nil, err
		}
	}
	in.row += int64(n)
	return out, nil
}

func releaseAll(arrays []arrow.Array) {
	for _, a := range arrays {
		if a != nil {
			a.Release()
		}
	}
}

func slice(a arrow.Array, from, to int) arrow.Array { return array.NewSlice(a, int64(from), int64(to)) }

// timeOf is a row's event time.
func timeOf(arr arrow.Array, i int) int64 { return int64(arr.(*array.Uint32).Value(i)) }

// checkTimes refuses rows of the future and of before the retention.
func (in *intake) checkTimes(arr arrow.Array) error {
	oldest := int64(0)
	if days := in.layout.table.Config.RecordRetentionInDays; days > 0 {
		oldest = (in.now/86400 - int64(days)) * 86400
	}
	for i := range arr.Len() {
		t := timeOf(arr, i)
		var err error
		hint := "leave the row out, or choose another time column"
		switch {
		case t > in.now:
			err = fmt.Errorf("a row's time %d lies in the future", t)
		case t < oldest:
			err, hint = fmt.Errorf("a row of %s is older than the table's retention", dayName(t/86400)), "raise recordRetentionInDays, 0 keeps rows for ever"
		}
		if err != nil {
			return &connectors.Error{Kind: connectors.KindConstraint, Op: "load", Object: in.table + "." + in.layout.columns[0].name, Err: err, Hint: hint}
		}
	}
	return nil
}

// convert gives an array in the stored form of a column.
func (in *intake) convert(arr arrow.Array, from connectors.Type, id int) (arrow.Array, error) {
	c := in.layout.columns[id]
	typ := c.typ
	out, err := in.cast(arr, from, id)
	if err != nil {
		if _, ok := errors.AsType[*connectors.Error](err); ok {
			return nil, err
		}
		return nil, &connectors.Error{Kind: connectors.KindType, Op: "load", Object: in.table + "." + c.name, Err: fmt.Errorf("a value does not fit %s: %w", typ.Name(), err), Hint: "run a full refresh, or declare the column with another type"}
	}
	return out, nil
}

func (in *intake) cast(arr arrow.Array, from connectors.Type, id int) (arrow.Array, error) {
	c := in.layout.columns[id]
	isTime := in.layout.isFact() && id == 0
	simple := !c.typ.IsEnum() && c.typ.Base != schema.GeoPoint && !isTime
	if simple && (from.Kind == c.stored.Kind || c.stored.Kind == connectors.Text && from.Kind == connectors.Enum) && arrow.TypeEqual(arr.DataType(), c.stored.Arrow()) {
		arr.Retain()
		return arr, nil
	}
	if simple {
		if out, err := widenNumbers(arr, c.stored); out != nil || err != nil {
			return out, err
		}
	}
	b := array.NewBuilder(memory.DefaultAllocator, c.stored.Arrow())
	defer b.Release()
	b.Reserve(arr.Len())
	index := map[string]int{}
	for i, name := range in.enums[id] {
		index[name] = i
	}
	var text []byte
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		text = connectors.AppendValue(text[:0], arr, from, i)
		value := string(text)
		switch {
		case isTime:
			t, err := seconds(arr, from, i)
			if err != nil {
				return nil, err
			}
			b.(*array.Uint32Builder).Append(t)
			continue
		case c.typ.IsEnum() && !c.typ.Array:
			n, ok := index[value]
			if !ok {
				var err error
				if n, ok, err = in.newCase(id, value); err != nil {
					return nil, err
				}
				if !ok {
					b.AppendNull()
					continue
				}
				index[value] = n
			}
			value = fmt.Sprint(n)
		case c.typ.Base == schema.GeoPoint || c.typ.Array:
			canonical, err := c.typ.Canonical(value)
			if err != nil {
				return nil, err
			}
			value = canonical
		}
		if err := appendText(b, c.stored, value); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// newCase adds a case to a column's dictionary. ok is false for a value that the
// column takes as null.
func (in *intake) newCase(id int, value string) (n int, ok bool, err error) {
	c := in.layout.table.Columns[id]
	if c.CaseInsensitive {
		value = strings.ToLower(value)
	}
	if c.DisableAutoExpand {
		if n = slices.Index(in.enums[id], value); n < 0 && c.DefaultValue != nil {
			n = slices.Index(in.enums[id], *c.DefaultValue)
		}
		return n, n >= 0, nil
	}
	if value == "" || value == "null" {
		return 0, false, nil
	}
	cases, ids, err := in.layout.columns[id].typ.Cases(in.enums[id], []string{value})
	if err != nil {
		return 0, false, err
	}
	in.grown = in.grown || len(cases) != len(in.enums[id])
	in.enums[id] = cases
	return ids[0], true, nil
}

// seconds reads a time column's value: an integer is seconds, as it is, or
// milliseconds where it fits no Uint32.
func seconds(arr arrow.Array, from connectors.Type, i int) (uint32, error) {
	v := int64(0)
	switch a := arr.(type) {
	case *array.Timestamp:
		v = floorDiv(int64(a.Value(i)), 1_000_000)
	case *array.Date32:
		v = int64(a.Value(i)) * 86400
	case *array.Uint32:
		return a.Value(i), nil
	case *array.Int64:
		v = a.Value(i)
	case *array.Int32:
		v = int64(a.Value(i))
	case *array.Uint64:
		v = int64(min(a.Value(i), math.MaxInt64))
	default:
		return 0, fmt.Errorf("a %s is no time", from)
	}
	if from.Kind.IsInteger() && v > math.MaxUint32 {
		v /= 1000
	}
	if v < 0 || v > math.MaxUint32 {
		return 0, fmt.Errorf("the time %d is not within 1970 and 2106", v)
	}
	return uint32(v), nil
}

func floorDiv(a, b int64) int64 {
	if q := a / b; a%b >= 0 {
		return q
	}
	return a/b - 1
}

// widenNumbers brings integers and floats into a wider form; nil where it is not
// about that.
func widenNumbers(arr arrow.Array, to connectors.Type) (arrow.Array, error) {
	if f, ok := arr.(*array.Float32); ok && to.Kind == connectors.Float64 {
		b := array.NewFloat64Builder(memory.DefaultAllocator)
		defer b.Release()
		b.Reserve(f.Len())
		for i := range f.Len() {
			if f.IsNull(i) {
				b.AppendNull()
			} else {
				b.UnsafeAppend(float64(f.Value(i)))
			}
		}
		return b.NewArray(), nil
	}
	value := integers(arr)
	b := array.NewBuilder(memory.DefaultAllocator, to.Arrow())
	defer b.Release()
	if value == nil || !to.Kind.IsInteger() {
		return nil, nil
	}
	put, low, high := integerSink(b)
	b.Reserve(arr.Len())
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		v := value(i)
		if v < low || v > high {
			return nil, fmt.Errorf("%d is beyond %s", v, to)
		}
		put(v)
	}
	return b.NewArray(), nil
}

// integers reads an array of integers that an int64 holds, nil for another.
func integers(arr arrow.Array) func(i int) int64 {
	switch a := arr.(type) {
	case *array.Int8:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Int16:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Int32:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Int64:
		return func(i int) int64 { return a.Value(i) }
	case *array.Uint8:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Uint16:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Uint32:
		return func(i int) int64 { return int64(a.Value(i)) }
	}
	return nil
}

// integerSink appends integers to a builder, within its bounds.
func integerSink(b array.Builder) (put func(int64), low, high int64) {
	switch b := b.(type) {
	case *array.Int8Builder:
		return func(v int64) { b.Append(int8(v)) }, math.MinInt8, math.MaxInt8
	case *array.Int16Builder:
		return func(v int64) { b.Append(int16(v)) }, math.MinInt16, math.MaxInt16
	case *array.Int32Builder:
		return func(v int64) { b.Append(int32(v)) }, math.MinInt32, math.MaxInt32
	case *array.Int64Builder:
		return b.Append, math.MinInt64, math.MaxInt64
	case *array.Uint8Builder:
		return func(v int64) { b.Append(uint8(v)) }, 0, math.MaxUint8
	case *array.Uint16Builder:
		return func(v int64) { b.Append(uint16(v)) }, 0, math.MaxUint16
	case *array.Uint32Builder:
		return func(v int64) { b.Append(uint32(v)) }, 0, math.MaxUint32
	case *array.Uint64Builder:
		return func(v int64) { b.Append(uint64(v)) }, 0, math.MaxInt64
	}
	return nil, 0, -1
}
