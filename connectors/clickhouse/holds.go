package clickhouse

import (
	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Holds says what the types of the server's version take. Servers before 20.5
// keep dates and timestamps as text, which could hold any; they are bounded as
// those of a current server are, so that a table means the same after an upgrade.
func (d *Destination) Holds() connectors.Holds {
	first, last := 1900, 2299
	if d.version.hasDateTime64() || d.version.hasDate32() {
		first, last = d.version.years()
	}
	return connectors.Holds{
		NUL: true, NaN: true, NumericNaN: true,
		MinDate: arrow.Date32(connectors.DaysFromCivil(first, 1, 1)), MaxDate: arrow.Date32(connectors.DaysFromCivil(last, 12, 31)),
	}
}
