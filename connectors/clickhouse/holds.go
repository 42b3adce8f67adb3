package clickhouse

import (
	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// Holds says what the types of the server's version take. Servers before 20.5
// keep dates and timestamps as text, which holds any; from then on the calendar
// of the server's own types bounds both.
func (d *Destination) Holds() connectors.Holds {
	h := connectors.Holds{NUL: true, NaN: true, NumericNaN: true}
	if !d.version.hasDateTime64() && !d.version.hasDate32() {
		h.InfiniteTimes = true
		return h
	}
	first, last := d.version.years()
	h.MinDate, h.MaxDate = arrow.Date32(connectors.DaysFromCivil(first, 1, 1)), arrow.Date32(connectors.DaysFromCivil(last, 12, 31))
	return h
}
