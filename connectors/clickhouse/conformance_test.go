package clickhouse

import (
	"context"
	"testing"

	"arus/connectors/conformance"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		f := newFixture(t)
		return &conformance.Harness{
			Connector: New(), Config: f.config, Schema: f.schema, Schemas: true,
			Gap: true, // the server under test is older than EXCHANGE TABLES
			DropSchema: func(t testing.TB, name string) {
				if err := f.dest.exec(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+ident(name)); err != nil {
					t.Error(err)
				}
			},
		}
	})
}
