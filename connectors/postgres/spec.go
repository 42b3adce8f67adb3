// Package postgres connects to PostgreSQL as a source and as a destination.
// Rows travel by binary COPY in both directions, straight between the wire and
// Arrow arrays; a load is one transaction, so a killed one leaves nothing.
package postgres

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// maxIdentifier is the longest name PostgreSQL keeps; it cuts longer ones silently.
const maxIdentifier = 63

// The dates PostgreSQL holds: 4713 BC to 5874897; the Arrow form bounds timestamps.
const (
	minDate = arrow.Date32(-2440588)
	maxDate = arrow.Date32(2145042905)
)

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

// Holds leaves out what an older server's types lack.
func (d *Destination) Holds() connectors.Holds {
	return connectors.Holds{
		NaN: true, DecimalNaN: true, InfiniteTimes: true, MinDate: minDate, MaxDate: maxDate,
		NumericNaN: d.major >= 14, // infinite numerics are as old as that
	}
}
