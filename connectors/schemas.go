package connectors

import "context"

// SchemaLister is the ability of a source to name the schemas a person may read
// tables from, in order, without the system's own.
type SchemaLister interface {
	Schemas(ctx context.Context) ([]string, error)
}
