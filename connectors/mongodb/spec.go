// Package mongodb connects to MongoDB as a source. A collection is a table, a
// top-level field a column. Documents declare no types, so Settle looks at all
// of them and gives each field the least type that holds every value exactly;
// documents then go as bson.Raw straight into Arrow builders. Nested values, and
// fields of several types, become JSON text (see appendJSON). A field that is
// missing and one that is null both read as NULL.
package mongodb

import (
	"context"

	"arus/connectors"
)

const (
	defaultPort   = 27017
	maxIdentifier = 255 // bytes of database.collection on every server version
)

// New describes the connector.
func New() connectors.Connector {
	return connectors.Connector{
		Type:          "mongodb",
		Schemes:       []string{"mongodb"},
		DefaultPort:   defaultPort,
		MaxIdentifier: maxIdentifier,
		Check:         check,
		OpenSource: func(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
			s, err := open(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}
