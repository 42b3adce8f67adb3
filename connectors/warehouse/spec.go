package warehouse

import (
	"context"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// New is the connector of the built-in warehouse, source and destination.
func New() connectors.Connector {
	return connectors.Connector{
		Type:          "embedded",
		Schemes:       []string{"embedded"},
		File:          true,
		MaxIdentifier: schema.MaxName,
		Check:         check,
		OpenSource: func(_ context.Context, cfg connectors.Config) (connectors.Source, error) {
			return openSource(cfg)
		},
		OpenDestination: func(_ context.Context, cfg connectors.Config) (connectors.Destination, error) {
			return openDestination(cfg)
		},
	}
}
