package mysql

import (
	"context"
	"strings"
	"testing"

	"arus/connectors/conformance"
	"arus/testdata/servers"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	for name, url := range map[string]func(testing.TB) string{"load data": servers.MariaDBDatabase, "insert": servers.MariaDBNoLocalDatabase} {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, func(t testing.TB) *conformance.Harness {
				f := fixtureOf(t, url(t))
				return &conformance.Harness{Connector: NewMariaDB(), Config: f.cfg, Schema: f.cfg.Database, Schemas: true, Name: func(name string) string { return strings.ReplaceAll(name, "😀", "\uffe5") }, // names end at U+FFFF
					DropSchema: func(t testing.TB, name string) {
						if _, err := f.db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+ident(name)); err != nil {
							t.Error(err)
						}
					}}
			})
		})
	}
}
