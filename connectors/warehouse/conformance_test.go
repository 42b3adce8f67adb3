package warehouse

import (
	"regexp"
	"testing"

	"arus/connectors"
	"arus/connectors/conformance"
)

// plain finds what a table's directory is not called by.
var plain = regexp.MustCompile(`[^A-Za-z0-9_]`)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		return &conformance.Harness{
			Connector: New(), Config: connectors.Config{Type: "embedded", Database: t.TempDir()},
			TableName: func(name string) string { return "t_" + plain.ReplaceAllString(name, "_") },
		}
	})
}
