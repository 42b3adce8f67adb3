package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// form is how the values of a column stand in its open page.
type form uint8

const (
	words32 form = iota // int32s; the bits of float32s
	words64
	texts // bytes of varying length
	fixed // bytes of one length
	flags
)

// coding is how a column's pages are encoded.
type coding uint8

const (
	dictionaries coding = iota
	deltas
	plainly
)

const (
	pageBytes = 120 << 10 // zstd takes what is below 128 KiB at once
	pageRows  = 1 << 15
	// openBytes bounds the open pages of all columns together.
	openBytes = 8 << 20
)

// leaf is a column of a file that is being written.
type leaf struct {
	column  Column
	element format.SchemaElement
	order   format.ColumnOrder
	kind    parquet.Kind
	form    form
	width   int // of a value; 0 where it varies
	compare comparison
	coding  coding
	begin   coding // of a row group
	room    int    // bytes of a page
	long    bool   // has long values: no bounds
	taken   int    // bytes of values since somebody asked

	// The open page.
	rows, nulls int
	levels      []byte // a byte a row; empty while there is no null
	w32         []int32
	w64         []int64
	data        []byte
	ends        []uint32 // of texts: where each begins, and where the last one ends
	index       []int32  // places in the dictionary

	// The open row group.
	dict      dictionary
	first     []byte // the page of the dictionary
	pages     []byte
	locations []format.PageLocation
	done      int64 // rows in pages
	nullCount int64
	raw       int64 // bytes that are not compressed
	used      [3]int32
	bounds    bounds
	stored    int // pages to come that are not tried to be compressed

	at []int32 // places of values in an array
}

func newLeaf(c Column, columns int) (*leaf, error) {
	node, err := nodeOf(c.Type)
	if err != nil {
		return nil, err
	}
	typ := node.Type()
	l := &leaf{column: c, kind: typ.Kind(), room: max(8<<10, min(pageBytes, openBytes/columns)), order: *typ.ColumnOrder()}
	l.element = format.SchemaElement{Name: c.Name, FieldID: int32(c.ID + 1), Type: thrift.New(*typ.PhysicalType()), RepetitionType: thrift.New(format.Optional)}
	if logical := typ.LogicalType(); logical != nil {
		l.element.LogicalType = *logical
		if d, ok := logical.Value.(*format.DecimalType); ok {
			l.element.Scale, l.element.Precision = thrift.New(d.Scale), thrift.New(d.Precision)
		}
	}
	if converted := typ.ConvertedType(); converted != nil {
		l.element.ConvertedType = thrift.New(*converted)
	}
	switch l.kind {
	case parquet.Boolean:
		l.form, l.width = flags, 1
	case parquet.Int32, parquet.Float:
		l.form, l.width = words32, 4
	case parquet.Int64, parquet.Double:
		l.form, l.width = words64, 8
	case parquet.ByteArray:
		l.form = texts
	case parquet.FixedLenByteArray:
		l.form, l.width = fixed, typ.Length()
		l.element.TypeLength = thrift.New(int32(l.width))
	default:
		return nil, fmt.Errorf("no way to write %s", typ)
	}
	l.compare = comparisonOf(l.kind, c.Type)
	l.begin = plainly
	l.reset()
	return l, nil
}

// reset begins a row group.
func (l *leaf) reset() {
	l.empty()
	l.coding = l.begin
	l.dict.reset()
	l.first, l.pages, l.locations = l.first[:0], l.pages[:0], l.locations[:0]
	if cap(l.pages) > 2*groupBytes/8 { // of long values
		l.pages = nil
	}
	l.done, l.nullCount, l.raw, l.used, l.bounds, l.stored, l.taken = 0, 0, 0, [3]int32{}, bounds{}, 0, 0
}

// empty begins a page.
func (l *leaf) empty() {
	l.rows, l.nulls = 0, 0
	l.levels, l.w32, l.w64, l.index = l.levels[:0], l.w32[:0], l.w64[:0], l.index[:0]
	if cap(l.data) > 8*pageBytes {
		l.data = nil
	}
	l.data, l.ends = l.data[:0], append(l.ends[:0], 0)
}

// add takes n rows of an array, those from on or those that order has there.
func (l *leaf) add(e *encoder, arr arrow.Array, order []int32, from, n int) error {
	most := pageRows
	if l.width > 0 && l.coding != dictionaries {
		most = min(most, l.room/l.width)
	}
	for n > 0 {
		k := min(n, most-l.rows)
		if l.form == texts {
			k = l.fitting(arr, order, from, k)
		}
		if err := l.take(arr, order, from, k); err != nil {
			return err
		}
		from, n = from+k, n-k
		ends := l.coding == dictionaries && l.dict.size > dictBytes
		if l.rows >= most || len(l.data) >= l.room || ends {
			if err := l.page(e); err != nil {
				return err
			}
		}
		if ends { // the values stand for themselves from here on
			l.begin = l.alone()
			l.coding = l.begin
			if l.width > 0 {
				most = min(pageRows, l.room/l.width)
			}
		}
	}
	return nil
}

// alone is how values are encoded without a dictionary.
func (l *leaf) alone() coding {
	switch l.kind {
	case parquet.Int32, parquet.Int64, parquet.ByteArray:
		return deltas
	}
	return plainly
}

// lengths reads the lengths of an array of texts.
func lengths(arr arrow.Array) func(i int) int {
	switch a := arr.(type) {
	case *array.String:
		return a.ValueLen
	case *array.Binary:
		return a.ValueLen
	}
	return func(int) int { return 0 }
}

// fitting is how many of k rows of texts the page has room for: one at least.
func (l *leaf) fitting(arr arrow.Array, order []int32, from, k int) int {
	length := lengths(arr)
	room := l.room - len(l.data)
	for i := range k {
		at := from + i
		if order != nil {
			at = int(order[at])
		}
		n := length(at)
		if n >= longValue {
			l.long = true
		}
		l.taken += n
		if room -= n; room <= 0 {
			return i + 1
		}
	}
	return k
}

// take copies rows into the open page.
func (l *leaf) take(arr arrow.Array, order []int32, from, n int) error {
	l.taken += n * l.width
	at, all := l.places(arr, order, from, n)
	if !all {
		from = -1
	}
	if err := l.copy(arr, at, from, n); err != nil {
		return err
	}
	l.rows += n
	if l.coding == dictionaries {
		l.encode()
	}
	return nil
}

// places lists the rows that have values, and notes which have none; all means n
// rows, one after the other.
func (l *leaf) places(arr arrow.Array, order []int32, from, n int) (at []int32, all bool) {
	if arr.NullN() == 0 {
		if len(l.levels) > 0 {
			for range n {
				l.levels = append(l.levels, 1)
			}
		}
		if order == nil {
			return nil, true
		}
		return order[from : from+n], false
	}
	if len(l.levels) == 0 {
		for range l.rows {
			l.levels = append(l.levels, 1)
		}
	}
	bits, offset := arr.NullBitmapBytes(), arr.Data().Offset()
	l.at = l.at[:0]
	for i := from; i < from+n; i++ {
		row := i
		if order != nil {
			row = int(order[i])
		}
		if bitutil.BitIsSet(bits, offset+row) {
			l.at, l.levels = append(l.at, int32(row)), append(l.levels, 1)
		} else {
			l.levels = append(l.levels, 0)
			l.nulls++
		}
	}
	return l.at, false
}

type whole interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// pick appends the values at some places, or n from one place on.
func pick[D int32 | int64, S whole](dst []D, src []S, at []int32, from, n int) []D {
	if from >= 0 {
		for _, v := range src[from : from+n] {
			dst = append(dst, D(v))
		}
		return dst
	}
	for _, i := range at {
		dst = append(dst, D(src[i]))
	}
	return dst
}

// copy appends values to the open page.
func (l *leaf) copy(arr arrow.Array, at []int32, from, n int) error {
	switch a := arr.(type) {
	case *array.Boolean:
		l.each(at, from, n, func(i int) {
			b := byte(0)
			if a.Value(i) {
				b = 1
			}
			l.data = append(l.data, b)
		})
	case *array.Int8:
		l.w32 = pick(l.w32, a.Int8Values(), at, from, n)
	case *array.Int16:
		l.w32 = pick(l.w32, a.Int16Values(), at, from, n)
	case *array.Int32:
		l.w32 = pick(l.w32, a.Int32Values(), at, from, n)
	case *array.Uint8:
		l.w32 = pick(l.w32, a.Uint8Values(), at, from, n)
	case *array.Uint16:
		l.w32 = pick(l.w32, a.Uint16Values(), at, from, n)
	case *array.Uint32:
		l.w32 = pick(l.w32, a.Uint32Values(), at, from, n)
	case *array.Date32:
		l.w32 = pick(l.w32, a.Date32Values(), at, from, n)
	case *array.Float32:
		l.w32 = pick(l.w32, arrow.Int32Traits.CastFromBytes(arrow.Float32Traits.CastToBytes(a.Float32Values())), at, from, n)
	case *array.Int64:
		l.w64 = pick(l.w64, a.Int64Values(), at, from, n)
	case *array.Uint64:
		l.w64 = pick(l.w64, a.Uint64Values(), at, from, n)
	case *array.Time64:
		l.w64 = pick(l.w64, a.Time64Values(), at, from, n)
	case *array.Timestamp:
		l.w64 = pick(l.w64, a.TimestampValues(), at, from, n)
	case *array.Float64:
		l.w64 = pick(l.w64, arrow.Int64Traits.CastFromBytes(arrow.Float64Traits.CastToBytes(a.Float64Values())), at, from, n)
	case *array.Decimal128:
		switch l.form {
		case words32:
			l.each(at, from, n, func(i int) { l.w32 = append(l.w32, tinyDecimal(a.Value(i))) })
		case words64:
			l.each(at, from, n, func(i int) { l.w64 = append(l.w64, shortDecimal(a.Value(i))) })
		default:
			l.each(at, from, n, func(i int) { l.data = putDecimal128(l.data, a.Value(i)) })
		}
	case *array.Decimal256:
		l.each(at, from, n, func(i int) { l.data = putDecimal256(l.data, a.Value(i)) })
	case *array.FixedSizeBinary:
		l.each(at, from, n, func(i int) { l.data = append(l.data, a.Value(i)...) })
	case *array.String:
		l.each(at, from, n, func(i int) {
			l.data = append(l.data, a.Value(i)...)
			l.ends = append(l.ends, uint32(len(l.data)))
		})
	case *array.Binary:
		l.each(at, from, n, func(i int) {
			l.data = append(l.data, a.Value(i)...)
			l.ends = append(l.ends, uint32(len(l.data)))
		})
	default:
		return fmt.Errorf("no Parquet form for Arrow type %s", arr.DataType())
	}
	return nil
}

// each calls put with the places of values.
func (l *leaf) each(at []int32, from, n int, put func(i int)) {
	if from >= 0 {
		for i := from; i < from+n; i++ {
			put(i)
		}
		return
	}
	for _, i := range at {
		put(int(i))
	}
}

// encode puts places in the dictionary in the place of the values that were copied.
func (l *leaf) encode() {
	switch l.form {
	case words32:
		for _, v := range l.w32 {
			l.index = append(l.index, l.dict.word(uint64(uint32(v))))
		}
		l.w32 = l.w32[:0]
	case words64:
		for _, v := range l.w64 {
			l.index = append(l.index, l.dict.word(uint64(v)))
		}
		l.w64 = l.w64[:0]
	case texts:
		for i, end := range l.ends[1:] {
			l.index = append(l.index, l.dict.text(l.data[l.ends[i]:end]))
		}
		l.data, l.ends = l.data[:0], append(l.ends[:0], 0)
	case fixed:
		for i := 0; i < len(l.data); i += l.width {
			l.index = append(l.index, l.dict.text(l.data[i:i+l.width]))
		}
		l.data = l.data[:0]
	}
}

// little appends the plain form of words.
func (l *leaf) little(dst []byte, words []uint64) []byte {
	for _, v := range words {
		if l.form == words32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
		} else {
			dst = binary.LittleEndian.AppendUint64(dst, v)
		}
	}
	return dst
}
