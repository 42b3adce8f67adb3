// Package connectors is the seam between the engine and databases. A connector
// is a folder below this one; it reads tables as Arrow record batches (Source),
// writes them (Destination), or both. The package knows nothing of pipelines,
// of the state file or of HTTP.
//
// A value has one logical type (Type) and one Arrow form (Type.Arrow):
//
//	kind         Arrow form                 notes
//	bool         Boolean
//	int8..int64  Int8..Int64
//	uint8..64    Uint8..Uint64
//	float32/64   Float32, Float64           NaN and infinities are kept
//	decimal      Decimal128 (p<=38),        the type's lowest value stands for
//	             Decimal256 (p<=76)         NaN: see DecimalNaN128, DecimalNaN256
//	numeric      String                     exact text, "NaN", "Infinity", "-Infinity"
//	text, enum   String                     UTF-8
//	bytes        Binary
//	date         Date32                     days since 1970-01-01, proleptic Gregorian;
//	                                        MaxInt32/MinInt32 are +/- infinity
//	time         Time64[us]                 0..24h inclusive; with Wide any signed span
//	timestamp    Timestamp[us]              naive wall clock, as if in UTC;
//	                                        MaxInt64/MinInt64 are +/- infinity
//	timestamptz  Timestamp[us, UTC]         an instant; infinities as above
//	interval     String                     ISO 8601 duration, as PostgreSQL prints it
//	uuid         FixedSizeBinary(16)
//	json         String                     one JSON text; SQL NULL and JSON null differ
//	array        String                     one JSON array text
//
// Every session a connector opens runs in UTC.
package connectors
