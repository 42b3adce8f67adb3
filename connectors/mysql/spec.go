// Package mysql reads from and writes to MySQL (8.0 and later) and MariaDB
// (10.6 and later). A target schema is a database.
//
// Reading takes the bytes of the text protocol straight into Arrow builders;
// writing streams the arrays to LOAD DATA LOCAL INFILE, or to multi-row INSERTs
// where the server forbids that. Forms that need explaining:
//
//	numeric        longtext holding the exact digits, because decimal(65,30) would round
//	timestamptz    datetime(6) in UTC, because TIMESTAMP ends in 2038
//	uuid           char(36): MariaDB's own type refuses some values
//	interval       longtext, array json
//	text           in a collation that compares bytes and does not pad, so that keys stay distinct
//
// Where the native type alone would not tell the logical type, the column's
// comment does: "arus:timestamptz".
package mysql

import (
	"context"

	"arus/connectors"
)

const (
	defaultPort   = 3306
	maxIdentifier = 64
)

// New is the connector for MySQL.
func New() connectors.Connector { return spec("mysql") }

// NewMariaDB is the connector for MariaDB.
func NewMariaDB() connectors.Connector { return spec("mariadb") }

func spec(name string) connectors.Connector {
	return connectors.Connector{
		Type:          name,
		Schemes:       []string{name},
		DefaultPort:   defaultPort,
		MaxIdentifier: maxIdentifier,
		Check:         check,
		OpenSource: func(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
			return openSource(ctx, cfg)
		},
		OpenDestination: func(ctx context.Context, cfg connectors.Config) (connectors.Destination, error) {
			return openDestination(ctx, cfg)
		},
	}
}
