package postgres

import (
	"errors"
	"fmt"
	"strings"

	"arus/connectors"
)

// ident quotes one name.
func ident(name string) string { return connectors.Quote(name, '"') }

// qualified quotes schema.name; a table without a schema is looked up in the
// session's search path.
func qualified(ref connectors.TableRef) string {
	if ref.Schema == "" {
		return ident(ref.Name)
	}
	return ident(ref.Schema) + "." + ident(ref.Name)
}

var errNUL = errors.New("PostgreSQL cannot hold a NUL character in text")

// literal quotes a string constant, right whatever standard_conforming_strings
// says. It is the only way a value enters SQL text.
func literal(s string) (string, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return "", errNUL
	}
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.IndexByte(s, '\\') >= 0 {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`), nil
	}
	return quoted, nil
}

// mustLiteral is literal for texts of this program, and for names that have
// passed ident, which hold no NUL.
func mustLiteral(s string) string {
	quoted, err := literal(strings.ReplaceAll(s, "\x00", ""))
	if err != nil {
		panic(err)
	}
	return quoted
}

// boundLiteral writes a bound as a constant of its type.
func boundLiteral(b connectors.Bound) (string, error) {
	cast := ""
	text := b.Text
	switch b.Kind {
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64, connectors.Uint8, connectors.Uint16, connectors.Uint32:
		cast = "int8"
	case connectors.Uint64, connectors.Decimal, connectors.Numeric:
		cast = "numeric"
	case connectors.Float32:
		cast = "float4"
	case connectors.Float64:
		cast = "float8"
	case connectors.Bool:
		cast = "bool"
	case connectors.Text, connectors.Enum:
		cast = "text"
	case connectors.UUID:
		cast = "uuid"
	case connectors.Date:
		cast, text = "date", historic(text)
	case connectors.Time:
		cast = "time"
	case connectors.Timestamp:
		cast, text = "timestamp", historic(text)
	case connectors.TimestampTZ:
		cast, text = "timestamptz", historic(text)
	default:
		return "", fmt.Errorf("a %s cannot bound a read", b.Kind)
	}
	quoted, err := literal(text)
	if err != nil {
		return "", err
	}
	return quoted + "::pg_catalog." + cast, nil
}

// historic turns the astronomical year of a canonical date (0000, -0043) into
// PostgreSQL's spelling (0001 BC, 0044 BC).
func historic(text string) string {
	if !strings.HasPrefix(text, "-") && !strings.HasPrefix(text, "0000-") || text == "-infinity" {
		return text
	}
	digits, rest, ok := strings.Cut(strings.TrimPrefix(text, "-"), "-")
	year := 0
	for _, c := range []byte(digits) {
		if !ok || c < '0' || c > '9' || year > 1_000_000 {
			return text
		}
		year = year*10 + int(c-'0')
	}
	return fmt.Sprintf("%04d-%s BC", year+1, rest)
}

// condition is the WHERE expression of a window. Texts compare bytewise, so
// that every connector orders them alike.
func condition(w connectors.Window) (string, error) {
	var either []string
	for _, one := range w.Apart() {
		column := ident(one.Column)
		var parts []string
		for _, side := range []struct {
			bound *connectors.Bound
			op    string
		}{{one.Lower, ">="}, {one.Upper, "<="}} {
			if side.bound == nil {
				continue
			}
			value, err := boundLiteral(*side.bound)
			if err != nil {
				return "", fmt.Errorf("column %q: %w", one.Column, err)
			}
			left := column
			if side.bound.Kind == connectors.Text || side.bound.Kind == connectors.Enum {
				left = bytewise(column)
			}
			parts = append(parts, left+" "+side.op+" "+value)
		}
		if len(parts) == 0 {
			parts = append(parts, column+" IS NOT NULL")
		}
		either = append(either, strings.Join(parts, " AND "))
	}
	if w.Nulls {
		if w.Lower == nil && w.Upper == nil {
			return "true", nil
		}
		either = append(either, ident(w.Column)+" IS NULL")
	}
	if len(either) == 1 {
		return either[0], nil
	}
	return "(" + strings.Join(either, " OR ") + ")", nil
}

func bytewise(expr string) string { return expr + `::pg_catalog.text COLLATE "C"` }
