package warehouse

import (
	"strconv"
	"strings"

	"arus/connectors"
)

// memo is an expression that SQLite evaluates, once for every combination of the
// values of its columns, or, of one column, for every stretch of times in which it
// has one value.
type memo struct {
	tokens []token
	ids    []int
	step   int64      // of the stretch; 0 = not looked at, 1 = every value
	seen   []numberer // by column
	pairs  []numberer // of the combinations so far and the next column
	rows   int64      // that were looked at
	values []any      // by combination
	out    vector
	dict   dictionary
	codes  []int32
	truths []bool // by the code of a text, see tests
	never  bool
}

// maxCases is how large a dictionary may be of which each text is tested.
const maxCases = 1 << 12

// maxMemo is how many columns the expression of a memo may have.
const maxMemo = 4

// tests says for every text of a column's dictionary whether the expression is true
// of it: as many of them as there are, or nil where that does not go.
func (m *memo) tests(b *columnBatch, x *vector) []bool {
	if x.kind != codeVector || x.null != nil || len(x.dict.texts) > maxCases || m.never {
		return nil
	}
	for len(m.truths) < len(x.dict.texts) {
		var fresh [][]any
		for _, text := range x.dict.texts[len(m.truths):] {
			fresh = append(fresh, []any{text})
		}
		values, err := m.evaluate(b, fresh)
		if err != nil { // perhaps of a text that no row has
			m.never = true
			return nil
		}
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				m.truths = append(m.truths, false)
			case int64:
				m.truths = append(m.truths, v != 0)
			case float64:
				m.truths = append(m.truths, v != 0)
			default:
				m.never = true
				return nil
			}
		}
	}
	return m.truths
}

func (m *memo) evaluate(b *columnBatch, rows [][]any) ([]any, error) {
	return b.session.evaluate(b.columns[0].view.layout, b.shape.alias, b.shape.text(m.tokens), m.ids, rows)
}

func (m *memo) eval(b *columnBatch) (*vector, error) {
	vectors := make([]*vector, len(m.ids))
	for i, id := range m.ids {
		v, err := b.column(id)
		if err != nil {
			return nil, err
		}
		vectors[i] = v
	}
	if m.step == 0 {
		m.step, m.seen, m.pairs = 1, make([]numberer, len(m.ids)), make([]numberer, len(m.ids)-1)
		if len(m.ids) == 1 {
			m.step = stretch(m.tokens, vectors[0].kind, b.columns[0].view.layout.columns[m.ids[0]].stored.Kind)
		}
	}
	m.codes = resize(m.codes, b.rows)
	var fresh [][]any
	for i, v := range vectors {
		isNew, err := m.number(i, v, b.rows)
		if err != nil {
			return nil, err
		}
		if i < len(vectors)-1 {
			continue
		}
		for _, row := range isNew {
			values := make([]any, len(vectors))
			for k, x := range vectors {
				values[k] = x.value(int(row))
			}
			fresh = append(fresh, values)
		}
	}
	m.rows += int64(b.rows)
	if len(fresh) > 0 {
		// Where most rows have values of their own SQLite had better take the rows.
		if n := int64(len(m.values) + len(fresh)); n > maxCodes/4 || n > maxMemoFirst+m.rows/8 {
			return nil, errRows
		}
		values, err := m.evaluate(b, fresh)
		if err != nil { // perhaps of a row that a condition leaves out
			return nil, errRows
		}
		m.values = append(m.values, values...)
	}
	return m.spread(b.rows)
}

// maxMemoFirst is how many combinations a memo may have before there are eight
// rows for each.
const maxMemoFirst = 1 << 14

// number adds a column to the combinations, and lists the rows in which a new one
// comes first.
func (m *memo) number(column int, v *vector, rows int) (isNew []int32, err error) {
	seen := &m.seen[column]
	for i := range rows {
		bits := int64(nullBits)
		if !v.isNull(i) {
			bits = v.bits(i)
			if m.step > 1 {
				if v.kind == timeVector && (bits < firstDay*86400e6 || bits > (lastDay+1)*86400e6-1) {
					return nil, errRows
				}
				bits = floorDiv(bits, m.step)
			} else if bits == nullBits {
				return nil, errRows
			}
		}
		code, first := seen.number(bits)
		if column > 0 {
			code, first = m.pairs[column-1].number(pairBits(m.codes[i], code))
		}
		if m.codes[i] = code; first {
			isNew = append(isNew, int32(i))
		}
	}
	return isNew, nil
}

// spread gives every row the value of its code.
func (m *memo) spread(rows int) (*vector, error) {
	v := &m.out
	known, null := false, false
	for _, x := range m.values {
		kind := wholeVector
		switch x.(type) {
		case nil:
			null = true
			continue
		case int64:
		case float64:
			kind = realVector
		case string:
			kind = codeVector
		default:
			return nil, errRows
		}
		if known && kind != v.kind {
			return nil, errRows // values of several kinds
		}
		v.kind, known = kind, true
	}
	v.null = nil
	if null {
		v.null = make([]bool, rows)
		for i, c := range m.codes {
			v.null[i] = m.values[c] == nil
		}
	}
	switch v.kind {
	case wholeVector:
		of := make([]int64, len(m.values))
		for i, x := range m.values {
			of[i], _ = x.(int64)
		}
		v.whole = resize(v.whole, rows)
		for i, c := range m.codes {
			v.whole[i] = of[c]
		}
	case realVector:
		of := make([]float64, len(m.values))
		for i, x := range m.values {
			of[i], _ = x.(float64)
		}
		v.real = resize(v.real, rows)
		for i, c := range m.codes {
			v.real[i] = of[c]
		}
	default:
		of := make([]int32, len(m.values))
		for i, x := range m.values {
			if s, ok := x.(string); ok {
				code, err := m.dict.code(s)
				if err != nil {
					return nil, err
				}
				of[i] = code
			}
		}
		v.dict, v.codes = &m.dict, resize(v.codes, rows)
		for i, c := range m.codes {
			v.codes[i] = of[c]
		}
	}
	return v, nil
}

// stretch says how long the values of a column are in which a function of them
// has one value: date functions of whole days, hours or minutes, and the first
// characters of a time.
func stretch(tokens []token, kind vectorKind, typ connectors.Kind) int64 {
	var args [][]token
	if n := len(tokens); n >= 4 && tokens[0].kind == tokenWord && tokens[1].is("(") && tokens[n-1].is(")") {
		args = split(tokens[2 : n-1])
	}
	unit := int64(1) // a second
	switch {
	case kind == timeVector && typ != connectors.Date:
		unit = 1_000_000
	case kind != wholeVector:
		return 1
	}
	column := func(a []token) bool {
		return len(a) == 1 && (a[0].kind == tokenWord || a[0].kind == tokenQuoted) || len(a) == 3 && a[1].is(".")
	}
	text := func(a []token) string {
		if len(a) == 1 && a[0].kind == tokenText {
			return a[0].text
		}
		return ""
	}
	name := ""
	if len(args) > 0 {
		name = strings.ToLower(tokens[0].text)
	}
	format := ""
	switch name {
	case "date":
		format = "%Y"
	case "strftime":
		if format, args = text(args[0]), args[1:]; format == "" {
			return 1
		}
	case "substr", "substring":
		if kind == timeVector && len(args) == 3 && column(args[0]) && len(args[1]) == 1 && args[1][0].text == "1" && len(args[2]) == 1 {
			switch n, err := strconv.Atoi(args[2][0].text); {
			case err != nil || n < 1:
			case n <= 10:
				return 86400 * unit
			case n <= 13:
				return 3600 * unit
			case n <= 16:
				return 60 * unit
			}
		}
		return 1
	default:
		return 1
	}
	if kind == wholeVector && (len(args) != 2 || !strings.EqualFold(text(args[1]), "unixepoch")) || kind == timeVector && len(args) != 1 || !column(args[0]) {
		return 1
	}
	step := 86400 * unit
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if i++; i == len(format) {
			return 1
		}
		switch format[i] {
		case 'Y', 'm', 'd', 'j', 'w', 'u', 'W', 'U', 'V', 'G', 'g', 'F', '%':
		case 'H', 'I', 'k', 'l', 'p', 'P':
			step = min(step, 3600*unit)
		case 'M', 'R':
			step = min(step, 60*unit)
		default:
			return 1
		}
	}
	return step
}
