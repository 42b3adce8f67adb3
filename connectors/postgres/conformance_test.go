package postgres

import (
	"testing"

	"arus/connectors/conformance"
	"arus/testdata/servers"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		return &conformance.Harness{Connector: New(), Config: parseConfig(t, servers.PostgresDatabase(t)), Schema: "analytics", Schemas: true}
	})
}
