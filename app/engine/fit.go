package engine

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/model"
	"arus/connectors"
)

// fitter applies the pipeline's policies to values that the destination cannot
// hold. Batches in which all values fit, which is nearly all, pass untouched
// after one scan over their buffers.
type fitter struct {
	holds    connectors.Holds
	policies model.Policies
	columns  []connectors.Column
	key      []string
	lengths  []int            // see connectors.Limiter; nil = none
	replaced map[string]int64 // values, by column and reason
}

// misfit is one value that the destination cannot hold.
type misfit struct {
	row, column int
	reason      string
	policy      model.Policy
	tooLong     bool
}

// badRow is a row that is kept as a dead letter.
type badRow struct {
	row    int    // in the batch it was taken out of
	data   []byte // the row as exact JSON, as it was read
	raw    []byte // raw mode: the row as the target would have got it; nil: it came to none
	reason string
}

// fit gives the batch with every value fitting, and the rows that were taken
// out of it. A value under the policy fail is an error that names it. The batch
// is the caller's until fit returns, then the result is.
func (f *fitter) fit(batch arrow.RecordBatch) (arrow.RecordBatch, []badRow, error) {
	var found []misfit
	for c := range f.columns {
		found = f.scan(found, batch.Column(c), c)
	}
	if len(found) == 0 {
		return batch, nil, nil
	}
	defer batch.Release()
	bad := map[int]string{}
	byColumn := map[int]map[int]bool{}
	for _, m := range found {
		col := f.columns[m.column]
		replace := m.policy == model.PolicyReplace
		isKey := slices.Contains(f.key, col.Name)
		if replace && (m.tooLong && isKey || !m.tooLong && !isText(col.Type.Kind) && (!col.Nullable || isKey)) {
			m.policy, replace = model.PolicyDeadLetter, false // a cut key is another's, and there is no NULL to put in its place
		}
		reason := fmt.Sprintf("column %s: %s", col.Name, m.reason)
		switch {
		case m.policy == model.PolicyFail:
			return nil, nil, &connectors.Error{
				Kind: connectors.KindType, Op: "load", Object: "column " + col.Name, Err: fmt.Errorf("%s, which the destination cannot hold", m.reason),
				Hint: "mend the value at the source, or set the pipeline's policy to replace or dead_letter",
			}
		case replace:
			if byColumn[m.column] == nil {
				byColumn[m.column] = map[int]bool{}
			}
			byColumn[m.column][m.row] = true
		default:
			if _, ok := bad[m.row]; !ok {
				bad[m.row] = reason
			}
		}
	}
	var letters []badRow
	keep := make([]int, 0, batch.NumRows())
	for i := range int(batch.NumRows()) {
		if reason, ok := bad[i]; ok {
			letters = append(letters, badRow{row: i, data: connectors.AppendRowJSON(nil, batch, f.columns, i), reason: reason})
		} else {
			keep = append(keep, i)
		}
	}
	for _, m := range found {
		if _, dead := bad[m.row]; !dead {
			f.replaced[f.columns[m.column].Name+": "+m.reason]++
		}
	}
	columns := make([]arrow.Array, batch.NumCols())
	for c := range columns {
		if rows := byColumn[c]; rows != nil {
			limit := 0
			if f.lengths != nil {
				limit = f.lengths[c]
			}
			columns[c] = replaceValues(batch.Column(c), rows, limit)
		} else {
			columns[c] = batch.Column(c)
			columns[c].Retain()
		}
	}
	out := array.NewRecordBatch(batch.Schema(), columns, batch.NumRows())
	for _, col := range columns {
		col.Release()
	}
	if len(letters) == 0 {
		return out, nil, nil
	}
	defer out.Release()
	if len(keep) == 0 {
		return nil, letters, nil
	}
	return connectors.SelectRows(out, keep), letters, nil
}

func isText(k connectors.Kind) bool {
	switch k {
	case connectors.Text, connectors.Enum, connectors.JSON, connectors.Array, connectors.Interval:
		return true
	}
	return false
}

// scan appends the misfits of one column.
func (f *fitter) scan(found []misfit, arr arrow.Array, c int) []misfit {
	each := func(reason func(i int) string, policy model.Policy) {
		for i := range arr.Len() {
			if !arr.IsNull(i) {
				if r := reason(i); r != "" {
					found = append(found, misfit{row: i, column: c, reason: r, policy: policy})
				}
			}
		}
	}
	kind := f.columns[c].Type.Kind
	if f.lengths != nil && f.lengths[c] > 0 {
		limit := f.lengths[c]
		from := len(found)
		each(func(i int) string { return overLong(arr, i, limit) }, f.policies.Long)
		for i := from; i < len(found); i++ {
			found[i].tooLong = true
		}
	}
	switch a := arr.(type) {
	case *array.String:
		if kind == connectors.Numeric {
			if !f.holds.NumericNaN {
				each(func(i int) string { return notANumber(a.Value(i)) }, f.policies.Number)
			}
			break
		}
		data := a.ValueBytes()
		if !utf8.Valid(data) {
			each(func(i int) string {
				if utf8.ValidString(a.Value(i)) {
					return ""
				}
				return "a text that is not UTF-8"
			}, f.policies.UTF8)
		}
		if !f.holds.NUL && bytes.IndexByte(data, 0) >= 0 {
			each(func(i int) string {
				if strings.IndexByte(a.Value(i), 0) < 0 {
					return ""
				}
				return "a text with U+0000"
			}, f.policies.NUL)
		}
	case *array.Float64:
		if !f.holds.NaN {
			each(func(i int) string { return notFinite(a.Value(i)) }, f.policies.Number)
		}
	case *array.Float32:
		if !f.holds.NaN {
			each(func(i int) string { return notFinite(float64(a.Value(i))) }, f.policies.Number)
		}
	case *array.Decimal128:
		if !f.holds.DecimalNaN {
			each(func(i int) string { return isNaN(a.Value(i) == connectors.DecimalNaN128) }, f.policies.Number)
		}
	case *array.Decimal256:
		if !f.holds.DecimalNaN {
			each(func(i int) string { return isNaN(a.Value(i) == connectors.DecimalNaN256) }, f.policies.Number)
		}
	case *array.Date32:
		each(func(i int) string { return f.dateReason(a.Value(i)) }, f.policies.Date)
	case *array.Timestamp:
		each(func(i int) string { return f.timestampReason(a.Value(i)) }, f.policies.Date)
	}
	return found
}

func overLong(arr arrow.Array, i, limit int) string {
	switch a := arr.(type) {
	case *array.String:
		if v := a.Value(i); len(v) > limit {
			if n := utf8.RuneCountInString(v); n > limit {
				return fmt.Sprintf("a text of %d characters where %d fit", n, limit)
			}
		}
	case *array.Binary:
		if n := len(a.Value(i)); n > limit {
			return fmt.Sprintf("%d bytes where %d fit", n, limit)
		}
	}
	return ""
}

// cut shortens s to limit characters; 0 does not.
func cut(s string, limit int) string {
	if limit <= 0 {
		return s
	}
	n := 0
	for at := range s {
		if n == limit {
			return s[:at]
		}
		n++
	}
	return s
}

func notANumber(s string) string {
	switch s {
	case "NaN", "Infinity", "-Infinity":
		return "the number " + s
	}
	return ""
}

func notFinite(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprintf("the number %v", v)
	}
	return ""
}

func isNaN(nan bool) string {
	if nan {
		return "the number NaN"
	}
	return ""
}

func (f *fitter) dateReason(d arrow.Date32) string {
	switch {
	case d == connectors.DateInfinity || d == connectors.DateMinusInfinity:
		if f.holds.InfiniteTimes {
			return ""
		}
	case connectors.IsInvalidDate(d):
		if f.holds.InvalidDates {
			return ""
		}
	case f.holds.MinDate == 0 && f.holds.MaxDate == 0, d >= f.holds.MinDate && d <= f.holds.MaxDate:
		return ""
	}
	return "the date " + string(connectors.AppendDate(nil, d))
}

const microsPerDay = 86_400 * microsPerSecond

func (f *fitter) timestampReason(ts arrow.Timestamp) string {
	switch {
	case ts == connectors.TimestampInfinity || ts == connectors.TimestampMinInfinity:
		if f.holds.InfiniteTimes {
			return ""
		}
	case connectors.IsInvalidTimestamp(ts):
		if f.holds.InvalidDates {
			return ""
		}
	case f.holds.MinDate == 0 && f.holds.MaxDate == 0:
		return ""
	default:
		days := int64(ts) / microsPerDay
		if int64(ts)%microsPerDay < 0 {
			days--
		}
		if days >= int64(f.holds.MinDate) && days <= int64(f.holds.MaxDate) {
			return ""
		}
	}
	return "the timestamp " + string(connectors.AppendTimestamp(nil, ts, ' '))
}

// replaceValues makes the given rows of a column fit: text gets U+FFFD for what
// does not belong there and is cut to limit, bytes are cut, everything else
// becomes NULL.
func replaceValues(arr arrow.Array, rows map[int]bool, limit int) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, arr.DataType())
	defer b.Release()
	b.Reserve(arr.Len())
	text, isString := arr.(*array.String)
	binary, isBinary := arr.(*array.Binary)
	for i := range arr.Len() {
		switch {
		case !rows[i]:
			appendFrom(b, arr, i)
		case isString && notANumber(text.Value(i)) == "":
			v := strings.ReplaceAll(text.Value(i), "\x00", "\ufffd")
			b.(*array.StringBuilder).Append(cut(strings.ToValidUTF8(v, "\ufffd"), limit))
		case isBinary:
			b.(*array.BinaryBuilder).Append(binary.Value(i)[:min(limit, len(binary.Value(i)))])
		default:
			b.AppendNull()
		}
	}
	return b.NewArray()
}

// appendFrom copies one value of a kind that replaceValues meets.
func appendFrom(b array.Builder, arr arrow.Array, i int) {
	if arr.IsNull(i) {
		b.AppendNull()
		return
	}
	switch a := arr.(type) {
	case *array.String:
		b.(*array.StringBuilder).Append(a.Value(i))
	case *array.Binary:
		b.(*array.BinaryBuilder).Append(a.Value(i))
	case *array.Float64:
		b.(*array.Float64Builder).Append(a.Value(i))
	case *array.Float32:
		b.(*array.Float32Builder).Append(a.Value(i))
	case *array.Decimal128:
		b.(*array.Decimal128Builder).Append(a.Value(i))
	case *array.Decimal256:
		b.(*array.Decimal256Builder).Append(a.Value(i))
	case *array.Date32:
		b.(*array.Date32Builder).Append(a.Value(i))
	case *array.Timestamp:
		b.(*array.TimestampBuilder).Append(a.Value(i))
	default:
		panic("engine: no policy applies to " + arr.DataType().String())
	}
}
