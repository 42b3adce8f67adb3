package mysql

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"arus/connectors"
)

// where joins the conditions of the request's window and range.
func (r *reading) where(req connectors.ReadRequest) (string, error) {
	invalid := func(column, hint string, err error) error {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "read", Object: r.table.String() + "." + column, Hint: hint, Err: err}
	}
	var parts []string
	if w := req.Window; w != nil {
		var either []string
		for _, one := range w.Apart() {
			n, err := r.native(one.Column)
			if err != nil {
				return "", err
			}
			condition, err := windowCondition(n, n.comparison(), one)
			if err != nil {
				return "", invalid(n.name, "reset the table's watermark", err)
			}
			either = append(either, condition)
		}
		parts = append(parts, "("+strings.Join(either, " OR ")+")")
	}
	if k := req.Range; k != nil {
		key := make([]native, len(k.Columns))
		for i, name := range k.Columns {
			var err error
			if key[i], err = r.native(name); err != nil {
				return "", err
			}
		}
		condition, err := rangeCondition(key, *k)
		if err != nil {
			return "", invalid(strings.Join(k.Columns, ", "), "divide the table again", err)
		}
		if condition != "" {
			parts = append(parts, condition)
		}
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), nil
}

// windowCondition is the window as a condition: both bounds inclusive, rows
// without a value only when asked for.
func windowCondition(n native, expr string, w connectors.Window) (string, error) {
	var parts []string
	for _, side := range []struct {
		op    string
		bound *connectors.Bound
	}{{" >= ", w.Lower}, {" <= ", w.Upper}} {
		if side.bound == nil {
			continue
		}
		v, err := boundLiteral(n.logical().Kind, *side.bound)
		if err != nil {
			return "", err
		}
		parts = append(parts, expr+side.op+v)
	}
	name := ident(n.name)
	if len(parts) == 0 {
		if w.Nulls {
			return "1 = 1", nil
		}
		return name + " IS NOT NULL", nil
	}
	condition := strings.Join(parts, " AND ")
	if w.Nulls {
		condition = "(" + condition + " OR " + name + " IS NULL)"
	}
	return condition, nil
}

// boundLiteral spells a bound for comparison with a column of the kind. Texts
// are binary literals, because they are compared by their bytes.
func boundLiteral(kind connectors.Kind, b connectors.Bound) (string, error) {
	invalid := fmt.Errorf("%q is not a value of %s", b.Text, kind)
	switch {
	case kind.IsInteger() || kind == connectors.Decimal || kind == connectors.Numeric:
		if !isNumber(b.Text) {
			return "", invalid
		}
		return b.Text, nil
	case kind == connectors.Bool:
		switch b.Text {
		case "true", "1":
			return "1", nil
		case "false", "0":
			return "0", nil
		}
		return "", invalid
	case kind == connectors.Float32 || kind == connectors.Float64:
		f, err := strconv.ParseFloat(b.Text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return "", invalid
		}
		return strconv.FormatFloat(f, 'e', -1, 64), nil
	case kind == connectors.Date || kind == connectors.Timestamp || kind == connectors.TimestampTZ:
		ts, _, err := connectors.ParseTimestamp(b.Text)
		if err != nil || ts == connectors.TimestampInfinity || ts == connectors.TimestampMinInfinity {
			return "", invalid
		}
		return "TIMESTAMP" + literal(string(connectors.AppendTimestamp(nil, ts, ' '))), nil
	case kind == connectors.Time:
		if _, err := connectors.ParseTime(b.Text); err != nil {
			return "", invalid
		}
		return "TIME" + literal(b.Text), nil
	case kind == connectors.Bytes:
		raw, err := base64.StdEncoding.DecodeString(b.Text)
		if err != nil {
			return "", invalid
		}
		return "x'" + hex.EncodeToString(raw) + "'", nil
	}
	return "x'" + hex.EncodeToString([]byte(b.Text)) + "'", nil
}

func isNumber(s string) bool {
	digits, point := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c-'0' <= 9:
			digits++
		case c == '.' && !point:
			point = true
		case c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0
}
