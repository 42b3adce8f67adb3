// Package clickhouse connects to ClickHouse as a destination, and as a source
// so that what was loaded can be read back. Rows travel as native column blocks
// filled from Arrow arrays. The server has neither transactions nor locks: every
// load fills a shadow table and enters the target by one atomic step.
//
// What readers see: of a table without a key the rows of one load or of the next,
// never a mixture. Of a table with a key, <table>_current shows each key's row
// once, as the last load to bring it left it, and the table itself may show older
// versions of a row until the server has merged its parts. Servers before 20.10,
// and databases that are not Atomic, cannot exchange two tables: there a full
// refresh leaves an instant in which the target is not found.
package clickhouse

import (
	"context"

	"arus/connectors"
)

const (
	defaultPort = 9000
	tlsPort     = 9440 // the port that speaks TLS by convention
	// maxIdentifier follows from names becoming file names of 255 bytes, in which
	// a special byte takes three and the longest suffix is ".null.bin".
	maxIdentifier = 80
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
