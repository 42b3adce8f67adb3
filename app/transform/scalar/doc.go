// Package scalar holds single values as the transforms see them: how they are
// read out of Arrow arrays and put back, their text, their exact arithmetic and
// the conversions between logical types. A value has one Go form by its type:
//
//	bool                    bool
//	int8..int64, uint8..32  int64
//	uint64                  *Decimal
//	float32, float64        float64
//	decimal, numeric        *Decimal
//	text, enum, uuid, json  string
//	bytes                   []byte
//	date, time, timestamp   arrow.Date32, arrow.Time64, arrow.Timestamp
//	timestamptz             Instant
//	interval                Duration
//	array                   []any, nested ones as JSON text
//
// and nil for null.
package scalar
