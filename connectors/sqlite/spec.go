// Package sqlite reads SQLite files. SQLite checks few of the types a table
// declares, so Settle looks at the values themselves before they are read.
package sqlite

import (
	"context"

	"arus/connectors"
)

// New is the connector for SQLite files, a source only.
func New() connectors.Connector {
	return connectors.Connector{
		Type:    "sqlite",
		Schemes: []string{"sqlite"},
		File:    true,
		Check:   check,
		OpenSource: func(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
			return openSource(ctx, cfg)
		},
	}
}
