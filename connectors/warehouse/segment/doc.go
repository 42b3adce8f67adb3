// Package segment writes and reads the Parquet files of the built-in warehouse,
// column by column between Arrow arrays and Parquet pages. A file is written once
// and never changed.
//
// A column's field ID is its ID in the table's schema plus one (zero means none),
// so that a name can be used again after its column was deleted. Types are those
// that other readers know: DECIMAL, UUID, TIMESTAMP, DATE, STRING, JSON; NaN in a
// decimal column is the lowest number of its form. Whatever is read
// is compared with the checksums that Info holds, block by block.
package segment

import (
	"arus/connectors"
)

// Column is one column of a file.
type Column struct {
	ID   int
	Name string
	Type connectors.Type
	Sort bool // rows are ordered by it: keep it as runs
}

// GroupRows is how many rows a row group has at most.
const GroupRows = 1 << 16
