package warehouse

import (
	"database/sql/driver"
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// atom is one value as SELECT sees it; see the package comment.
type atom struct {
	kind  atomKind
	whole int64
	real  float64
	text  string // of a blob too
}

type atomKind uint8

const (
	nullAtom atomKind = iota
	wholeAtom
	realAtom
	textAtom
	blobAtom
)

func (a *atom) setWhole(v int64) { a.kind, a.whole = wholeAtom, v }

func (a *atom) setReal(v float64) {
	if a.kind, a.real = realAtom, v; v != v {
		a.setText(nan)
	}
}

func (a *atom) setText(s string) { a.kind, a.text = textAtom, s }

// set takes what shown gives.
func (a *atom) set(v driver.Value) {
	switch v := v.(type) {
	case nil:
		a.kind = nullAtom
	case int64:
		a.setWhole(v)
	case float64:
		a.kind, a.real = realAtom, v
	case string:
		a.setText(v)
	case []byte:
		a.kind, a.text = blobAtom, string(v)
	}
}

// value is the atom as a driver gives it.
func (a *atom) value() driver.Value {
	switch a.kind {
	case wholeAtom:
		return a.whole
	case realAtom:
		return a.real
	case textAtom:
		return a.text
	case blobAtom:
		return []byte(a.text)
	}
	return nil
}

// out gives the atom to SQLite.
func (a *atom) out(to lite.Out) {
	switch a.kind {
	case wholeAtom:
		to.Int(a.whole)
	case realAtom:
		to.Real(a.real)
	case textAtom:
		to.Text(a.text)
	case blobAtom:
		to.Blob(a.text)
	}
}

// shower gives row i of a column to a.
type shower func(a *atom, i int)

func newShower(arr arrow.Array, t connectors.Type) shower {
	return nullable(arr, plainShower(arr, t))
}

func nullable(arr arrow.Array, show shower) shower {
	if arr.NullN() == 0 {
		return show
	}
	return func(a *atom, i int) {
		if arr.IsNull(i) {
			a.kind = nullAtom
			return
		}
		show(a, i)
	}
}

// wholes shows a column of integers.
func wholes[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](values []T) shower {
	return func(a *atom, i int) { a.setWhole(int64(values[i])) }
}

// spelled shows a column whose texts are made, each once for a stretch of rows that
// have it.
func spelled[T comparable](get func(i int) T, spell func(dst []byte, v T) []byte) shower {
	var buf []byte
	var last T
	text := "" // which nothing is spelled
	return func(a *atom, i int) {
		if v := get(i); v != last || text == "" {
			buf = spell(buf[:0], v)
			last, text = v, string(buf)
		}
		a.setText(text)
	}
}

func plainShower(arr arrow.Array, t connectors.Type) shower {
	switch x := arr.(type) {
	case *array.Boolean:
		return func(a *atom, i int) {
			if a.setWhole(0); x.Value(i) {
				a.whole = 1
			}
		}
	case *array.Int8:
		return wholes(x.Int8Values())
	case *array.Int16:
		return wholes(x.Int16Values())
	case *array.Int32:
		return wholes(x.Int32Values())
	case *array.Int64:
		return wholes(x.Int64Values())
	case *array.Uint8:
		return wholes(x.Uint8Values())
	case *array.Uint16:
		return wholes(x.Uint16Values())
	case *array.Uint32:
		return wholes(x.Uint32Values())
	case *array.Uint64:
		return func(a *atom, i int) {
			v := x.Value(i)
			if a.setWhole(int64(v)); v > math.MaxInt64 {
				a.setText(strconv.FormatUint(v, 10))
			}
		}
	case *array.Float32:
		return func(a *atom, i int) { a.setReal(float64(x.Value(i))) }
	case *array.Float64:
		return func(a *atom, i int) { a.setReal(x.Value(i)) }
	case *array.Decimal128:
		return func(a *atom, i int) {
			// The quotient of two exact REALs is the REAL nearest to the decimal,
			// which shows all of up to 15 digits.
			const exact = 999_999_999_999_999
			n := x.Value(i)
			low := int64(n.LowBits())
			if n.HighBits() == low>>63 && low >= -exact && low <= exact && t.Scale > 0 && t.Scale <= 22 {
				a.setReal(float64(low) / math.Pow10(t.Scale))
				return
			}
			a.set(shown(string(connectors.AppendDecimal128(nil, n, t.Scale))))
		}
	case *array.Decimal256:
		return func(a *atom, i int) { a.set(shown(string(connectors.AppendDecimal256(nil, x.Value(i), t.Scale)))) }
	case *array.String:
		if t.Kind == connectors.Numeric {
			return func(a *atom, i int) { a.set(shown(x.Value(i))) }
		}
		return func(a *atom, i int) { a.setText(x.Value(i)) }
	case *array.Binary:
		return func(a *atom, i int) { a.kind, a.text = blobAtom, x.ValueString(i) }
	case *array.Timestamp:
		return spelled(x.Value, func(dst []byte, v arrow.Timestamp) []byte { return connectors.AppendTimestamp(dst, v, ' ') })
	case *array.Date32:
		return spelled(x.Value, connectors.AppendDate)
	case *array.FixedSizeBinary:
		return spelled(func(i int) [16]byte { return [16]byte(x.Value(i)) }, func(dst []byte, v [16]byte) []byte { return connectors.AppendUUID(dst, v[:]) })
	}
	return func(a *atom, i int) { a.setText(string(connectors.AppendValue(nil, arr, t, i))) }
}

// shown gives a number where a REAL (or, without a fraction, an INTEGER) shows
// all digits of the decimal text, and the text itself where none does.
func shown(s string) driver.Value {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	want, ok := parseNumber(s)
	if !ok || want.special != 0 {
		return s
	}
	// SQLite itself writes 15 digits of a REAL and Go the shortest text that
	// reads back: what both write is what the REAL shows.
	got, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if !ok || got.Cmp(want.rat) != 0 {
		return s
	}
	return f
}
