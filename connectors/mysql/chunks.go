package mysql

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// A stretch of a key is read in the order of the key's index, so that the index serves it: texts by the column's own
// collation, with its rules for case and trailing blanks. A bound is spelled as a value of the column's own character set
// and collation, so that the server compares it as it compares the column's values with each other.

// indexOrder is the literal of a bound as the column's index orders it; ok is false for columns whose index has an order
// that no literal can be compared by, such as that of an enum, and for values that are no bound.
func (n native) indexOrder(b connectors.Bound) (text string, ok bool) {
	kind := n.logical().Kind
	switch {
	case n.data == "uuid":
		return "CAST(" + literal(b.Text) + " AS UUID)", true
	case n.data == "char" || n.data == "varchar":
		text = "_utf8mb4 x'" + hex.EncodeToString([]byte(b.Text)) + "'"
		if n.charset != "utf8mb4" {
			text = "CONVERT(" + text + " USING " + n.charset + ")"
		}
		return text + " COLLATE " + n.collation, plainName(n.charset) && plainName(n.collation)
	case n.data == "date" && kind == connectors.Date:
		day, err := connectors.ParseDate(b.Text)
		return "DATE" + literal(string(connectors.AppendDate(nil, day))), err == nil && day >= minDate && day <= maxDate
	case n.data == "binary", n.data == "varbinary", n.data == "decimal", n.data == "time", n.data == "datetime", n.data == "timestamp",
		kind.IsInteger() && n.data != "year" && n.data != "bit":
		text, err := boundLiteral(kind, b)
		return text, err == nil
	}
	return "", false
}

func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
}

// rangeCondition is a stretch of a key as a condition. A row comparison would say the same, but no index serves it here.
func rangeCondition(key []native, r connectors.KeyRange) (string, error) {
	var parts []string
	for _, side := range []struct {
		bounds     []connectors.Bound
		past, last string
	}{{r.From, " > ", " >= "}, {r.To, " < ", " < "}} {
		if side.bounds == nil {
			continue
		}
		if len(side.bounds) != len(key) {
			return "", fmt.Errorf("a bound of %d values for a key of %d columns", len(side.bounds), len(key))
		}
		exprs, values := make([]string, len(key)), make([]string, len(key))
		for i, n := range key {
			var ok bool
			exprs[i] = ident(n.name)
			if values[i], ok = n.indexOrder(side.bounds[i]); ok {
				continue
			}
			exprs[i] = n.comparison()
			var err error
			if values[i], err = boundLiteral(n.logical().Kind, side.bounds[i]); err != nil {
				return "", err
			}
		}
		condition := ""
		for i, value := range slices.Backward(values) {
			if condition == "" {
				condition = exprs[i] + side.last + value
				continue
			}
			condition = "(" + exprs[i] + side.past + value + " OR " + exprs[i] + " = " + value + " AND " + condition + ")"
		}
		if len(key) > 1 { // what the index can begin with
			parts = append(parts, exprs[0]+side.past[:2]+"= "+values[0])
		}
		parts = append(parts, condition)
	}
	return strings.Join(parts, " AND "), nil
}

// Chunks walks the key's index and takes every rows-th key as a bound.
func (s *source) Chunks(ctx context.Context, table connectors.Table, key []string, rows int64) ([]connectors.KeyRange, error) {
	var ranges []connectors.KeyRange
	object := table.String()
	err := s.with(ctx, func(ss *session) (err error) {
		ranges, err = ss.divide(ctx, table.TableRef, key, max(rows, 1))
		return s.fail("divide", object, err)
	})
	return ranges, err
}

func (ss *session) divide(ctx context.Context, table connectors.TableRef, key []string, rows int64) ([]connectors.KeyRange, error) {
	whole := []connectors.KeyRange{{Columns: key}}
	r := reading{ss: ss, table: table}
	for _, name := range key {
		r.columns = append(r.columns, connectors.Column{Name: name})
	}
	if err := r.look(ctx, r.columns); err != nil {
		return nil, err
	}
	_, indexes, err := ss.describe(ctx, table)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(indexes, func(ix index) bool { return ix.serves(key) })
	if len(key) == 0 || at < 0 {
		return whole, nil
	}
	w := walk{reading: r, key: r.natives, rows: rows}
	w.prepare(indexes[at].name)
	var ranges []connectors.KeyRange
	var from []connectors.Bound
	for {
		to, err := w.next(ctx, from)
		if err != nil {
			return nil, err
		}
		if slices.Equal(to, from) { // a key that is not unique
			to = nil
		}
		ranges = append(ranges, connectors.KeyRange{Columns: key, From: from, To: to})
		if to == nil {
			return ranges, nil
		}
		from = to
	}
}

// serves says whether the index holds the whole key in its order, without prefixes and NULLs.
func (ix index) serves(key []string) bool {
	return ix.whole && len(ix.columns) >= len(key) && slices.EqualFunc(ix.columns[:len(key)], key, strings.EqualFold)
}

// walk goes along a key's index.
type walk struct {
	reading
	key         []native
	rows        int64
	query, tail string
}

func (w *walk) prepare(index string) {
	var names, selected []string
	same := []string{"1"} // a text that its own character set spells in two ways would come back as another
	for i, n := range w.key {
		w.columns[i].Type = n.logical()
		names, selected = append(names, ident(n.name)), append(selected, n.selection())
		if plainName(n.charset) && !strings.HasPrefix(n.charset, "utf8") {
			same = append(same, "CAST(CONVERT(CONVERT("+ident(n.name)+" USING utf8mb4) USING "+n.charset+") AS BINARY) = CAST("+ident(n.name)+" AS BINARY)")
		}
	}
	w.query = "SELECT " + strings.Join(append(selected, strings.Join(same, " AND ")), ", ") + " FROM " + qualified(w.table) + " FORCE INDEX (" + ident(index) + ")"
	w.tail = " ORDER BY " + strings.Join(names, ", ") + fmt.Sprintf(" LIMIT 1 OFFSET %d", w.rows)
	w.columns = append(w.columns, connectors.Column{Name: "same", Type: connectors.Type{Kind: connectors.Bool}})
	w.natives = append(slices.Clone(w.key), native{name: "same", data: "tinyint"})
}

// next is the key that follows from by the walk's rows; nil at the end, and where the next key cannot be a bound.
func (w *walk) next(ctx context.Context, from []connectors.Bound) (to []connectors.Bound, err error) {
	where, err := rangeCondition(w.key, connectors.KeyRange{From: from})
	if err != nil {
		return nil, err
	}
	if where != "" {
		where = " WHERE " + where
	}
	err = w.ss.guard(ctx, func() error {
		return w.stream(ctx, w.query+where+w.tail, connectors.Limits{}, func(batch arrow.RecordBatch) error {
			defer batch.Release()
			for i, n := range append(w.key, w.natives[len(w.key)]) {
				values, t := batch.Column(i), w.columns[i].Type
				if values.Len() == 0 || values.IsNull(0) {
					to = nil
					return nil
				}
				b := connectors.Bound{Kind: t.Kind, Text: string(connectors.AppendValue(nil, values, t, 0))}
				if i == len(w.key) {
					if b.Text != "true" {
						to = nil
					}
					return nil
				}
				if _, ok := n.indexOrder(b); !ok {
					to = nil
					return nil
				}
				to = append(to, b)
			}
			return nil
		})
	})
	return to, err
}
