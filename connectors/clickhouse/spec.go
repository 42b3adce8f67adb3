// Package clickhouse connects to ClickHouse as a destination, and as a source
// so that what was loaded can be read back. Rows travel as native column blocks
// filled from Arrow arrays. The server has neither transactions nor locks: every
// load fills a shadow table and enters the target by one atomic step.
package clickhouse

import (
	"context"

	"arus/connectors"
)

const (
	defaultPort = 9000
	tlsPort     = 9440 // the port that speaks TLS by convention
	// maxIdentifier leaves room, as table names become file names, in which
	// special characters are escaped.
	maxIdentifier = 200
)

// New describes the connector.
func New() connectors.Connector {
	return connectors.Connector{
		Type:          "clickhouse",
		Schemes:       []string{"clickhouse"},
		DefaultPort:   defaultPort,
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
