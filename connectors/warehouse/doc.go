// Package warehouse is the built-in warehouse: tables in a directory, no server.
//
// A table is a directory DIR/<table> that stands for itself: copied into another
// warehouse, it brings the table along.
//
//	schema.json       columns, key, version; a column's ID is its position, never reused
//	schema.next.json  the schema of a load that is about to commit
//	manifest.json     names the live file and its generation
//	live-<n>.db       SQLite, one table "rows" with the columns c0, c1, ... by ID
//	lock              held by the one process that loads the table
//
// The live file's user_version is the version of the schema it goes with, so the
// commit of the file (or, for a new generation, the rename of manifest.json) is
// the commit of the schema too: a reader takes whichever of schema.json and
// schema.next.json has that version. A kill leaves the old state or the new one,
// and the next load rolls the rest forward or sweeps it.
//
// # Storage
//
// The columns of rows have no affinity: every value stays as it was bound.
//
//	bool, integers        INTEGER
//	uint64                INTEGER up to 2^63-1, TEXT above; collation arus_number keeps the order
//	float32, float64      REAL; NaN is TEXT 'NaN', since SQLite would make it NULL
//	decimal(p<=18,s)      INTEGER, in units of 10^-s; NaN is TEXT 'NaN'
//	decimal(p>18,s)       BLOB of 16 or 32 bytes, big endian with the sign bit flipped: memcmp is the order
//	numeric               TEXT as it is; collation arus_number
//	text, enum, json, array, interval   TEXT
//	bytes                 BLOB
//	uuid                  TEXT, lower case
//	date                  INTEGER days, time, timestamp, timestamptz INTEGER microseconds
//
// # What SELECT sees
//
// Query gives each table as a view by the names of its columns. Integers, floats,
// texts and uuids are the stored values themselves, so that joins and filters on
// them use keys. Dates and times are ISO text (2006-01-02 15:04:05.999999, UTC for
// timestamptz) that compares in order and that SQLite's date functions take.
// Decimals and numerics are numbers wherever a REAL shows all their digits, which
// is always so up to 15: sum(price), price > 10 and ORDER BY price do what they
// say. A value with more digits than a REAL shows is its exact text instead:
// nothing is rounded on the screen. The limits: such a text sorts after every
// number and counts as above it, and sum() takes it as the nearest REAL; write
// CAST(x AS REAL) to compare approximately. A literal above 2^63-1 compared with
// a uint64 column must stand in quotes. NaN is the text NaN.
package warehouse
