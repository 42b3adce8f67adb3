package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"arus/connectors"
	"arus/connectors/conformance"
	"arus/connectors/sqlite/lite"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		path := filepath.Join(t.TempDir(), "conformance.db")
		c, err := lite.Open(driver(), path, lite.Create, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		exec(t, c, "PRAGMA journal_mode = wal", "CREATE TABLE made_first (id INTEGER)")
		return &conformance.Harness{
			Connector: New(), Config: connectors.Config{Type: "sqlite", Database: path},
			Make: func(t testing.TB, name string, columns []connectors.Column, key []string, rows [][]any) {
				exec(t, c, createTable(name, columns, key))
				exec(t, c, "BEGIN")
				for _, row := range rows {
					exec(t, c, insertRow(name, columns, row))
				}
				exec(t, c, "COMMIT")
			},
		}
	})
}

var declarations = map[connectors.Kind]string{
	connectors.Int64: "BIGINT", connectors.Text: "TEXT", connectors.Float64: "REAL", connectors.TimestampTZ: "TIMESTAMPTZ",
	connectors.UUID: "UUID", connectors.Decimal: "DECIMAL(12,2)",
}

func createTable(name string, columns []connectors.Column, key []string) string {
	var parts []string
	for _, c := range columns {
		part := ident(c.Name) + " " + declarations[c.Type.Kind]
		if !c.Nullable {
			part += " NOT NULL"
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("CREATE TABLE %s (%s, PRIMARY KEY (%s))", ident(name), strings.Join(parts, ", "), connectors.QuoteList(key, '"'))
}

func insertRow(name string, columns []connectors.Column, row []any) string {
	var values []string
	for i, v := range row {
		switch text, ok := v.(string); {
		case !ok:
			values = append(values, "NULL")
		case columns[i].Type.Kind == connectors.Int64, columns[i].Type.Kind == connectors.Float64:
			values = append(values, text)
		default:
			values = append(values, "'"+strings.ReplaceAll(text, "'", "''")+"'")
		}
	}
	return fmt.Sprintf("INSERT INTO %s VALUES (%s)", ident(name), strings.Join(values, ", "))
}
