// Package postgres connects to PostgreSQL as a source and as a destination.
// Rows travel by binary COPY in both directions, straight between the wire and
// Arrow arrays; a load is one transaction, so a killed one leaves nothing.
package postgres

import (
	"context"

	"arus/connectors"
)

// maxIdentifier is the longest name PostgreSQL keeps; it cuts longer ones silently.
const maxIdentifier = 63

// New describes the connector.
func New() connectors.Connector {
	return connectors.Connector{
		Type:          "postgresql",
		Schemes:       []string{"postgres", "postgresql"},
		DefaultPort:   5432,
		MaxIdentifier: maxIdentifier,
		Check:         check,
		OpenSource: func(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
			db, err := open(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return &Source{db}, nil
		},
		OpenDestination: func(ctx context.Context, cfg connectors.Config) (connectors.Destination, error) {
			db, err := open(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return &Destination{db}, nil
		},
	}
}
