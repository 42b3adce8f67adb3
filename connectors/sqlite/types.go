package sqlite

import (
	"regexp"
	"strconv"
	"strings"

	"arus/connectors"
)

// affinity is how SQLite coerces values stored in a column of a declared type,
// by its own five rules in their order.
type affinity uint8

const (
	affInteger affinity = iota + 1
	affText
	affBlob
	affReal
	affNumeric
)

func affinityOf(native string) affinity {
	n := strings.ToUpper(native)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(n, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return affInteger
	case has("CHAR", "CLOB", "TEXT"):
		return affText
	case n == "" || has("BLOB"):
		return affBlob
	case has("REAL", "FLOA", "DOUB"):
		return affReal
	}
	return affNumeric
}

var spelling = regexp.MustCompile(`^\s*([^(]*?)\s*(?:\(\s*([0-9]+)\s*(?:,\s*([0-9]+)\s*)?\)\s*(.*?))?\s*$`)

// declared is the logical type of a column's declaration. It binds nobody but
// in STRICT tables: Settle looks at what is really there.
func declared(native string) connectors.Type {
	m := spelling.FindStringSubmatch(strings.ToUpper(native))
	if m == nil {
		return byAffinity(native)
	}
	name := strings.Join(strings.Fields(m[1]+" "+m[4]), " ")
	first, _ := strconv.Atoi(m[2])
	second, _ := strconv.Atoi(m[3])
	switch name {
	case "TINYINT", "SMALLINT", "INT1", "INT2":
		return connectors.Type{Kind: connectors.Int16}
	case "BOOL", "BOOLEAN":
		return connectors.Type{Kind: connectors.Bool}
	case "DECIMAL", "NUMERIC", "DEC", "NUMBER", "MONEY", "SMALLMONEY":
		if m[2] == "" {
			return connectors.Type{Kind: connectors.Numeric}
		}
		return connectors.NewDecimal(first, second)
	case "DATE":
		return connectors.Type{Kind: connectors.Date}
	case "TIME", "TIME WITHOUT TIME ZONE":
		return connectors.Type{Kind: connectors.Time}
	case "DATETIME", "DATETIME2", "SMALLDATETIME", "TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE":
		return connectors.Type{Kind: connectors.Timestamp}
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "DATETIMEOFFSET", "TIMESTAMP WITH LOCAL TIME ZONE":
		return connectors.Type{Kind: connectors.TimestampTZ}
	case "UUID", "GUID", "UNIQUEIDENTIFIER":
		return connectors.Type{Kind: connectors.UUID}
	case "JSON", "JSONB":
		return connectors.Type{Kind: connectors.JSON}
	case "BINARY", "VARBINARY", "BYTEA", "IMAGE":
		return connectors.Type{Kind: connectors.Bytes}
	case "STRING":
		return connectors.Type{Kind: connectors.Text}
	}
	t := byAffinity(native)
	if t.Kind == connectors.Text && strings.Contains(name, "CHAR") {
		t.Length = first
	}
	return t
}

func byAffinity(native string) connectors.Type {
	switch affinityOf(native) {
	case affInteger:
		return connectors.Type{Kind: connectors.Int64}
	case affText:
		return connectors.Type{Kind: connectors.Text}
	case affReal:
		return connectors.Type{Kind: connectors.Float64}
	case affBlob:
		if native != "" {
			return connectors.Type{Kind: connectors.Bytes}
		}
		return connectors.Type{Kind: connectors.Text}
	}
	return connectors.Type{Kind: connectors.Numeric}
}
