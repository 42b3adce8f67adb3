// Package all lists the connectors that Arus ships with.
package all

import (
	"arus/connectors"
	"arus/connectors/clickhouse"
	"arus/connectors/mongodb"
	"arus/connectors/mysql"
	"arus/connectors/postgres"
	"arus/connectors/sqlite"
	"arus/connectors/warehouse"
)

// Registry gives every connector by its type.
func Registry() connectors.Registry {
	r := connectors.Registry{}
	for _, c := range []connectors.Connector{
		postgres.New(), mysql.New(), mysql.NewMariaDB(), mongodb.New(), sqlite.New(), clickhouse.New(), warehouse.New(),
	} {
		r[c.Type] = c
	}
	return r
}
