// Package warehouse is the built-in warehouse: tables in a directory, no server.
//
// A table is a directory DIR/<table> that stands for itself: copied into another
// warehouse, it brings the table along.
//
//	schema.json                    the schema, for people and other programs; see package schema
//	live.db                        SQLite: live rows, manifest, schema with its history, enum cases
//	snapshot/<n>.parquet           rows of a dimension table
//	archive/<day>/<n>.parquet      rows of a fact table's UTC day, in the order of its sort columns
//	lock                           held by the one process that changes the table
//
// Fact tables have a time column and an archive; all others, those that loads
// make without a declaration among them, are dimension tables.
//
// # One commit
//
// The manifest, which names the current Parquet files with their checksums, is a
// table of live.db, beside the live rows, the marks of archived rows that newer
// ones hide, and the schema. Whatever changes a table writes its new files first,
// each under a temporary name, synced and renamed; then one transaction of live.db
// makes all of it visible, and the files that are of no use any more are removed.
// A kill anywhere leaves the old state or the new one, and the next writer sweeps
// the rest. schema.json is written after that commit; one that is older than the
// schema in live.db is a change whose last step has not happened, any other
// difference is an error. A new table appears by the rename of its live.db.
//
// # Rows
//
// A row is live or in a file. A live row hides the rows of files that have its
// key: a change looks its keys up in the files that can have them, by the bounds
// of their keys and a filter in the manifest, and marks the rows it finds. Whole
// loads and long ones go straight into files. Jobs move live rows into files and
// rewrite files that have many hidden rows (see jobs.go).
//
// A live row is a blob of its values by column ID; rows that were written before a
// column came have its default, in files and live.
//
// # How a SELECT is answered
//
// SQLite checks every statement over virtual tables. SELECT columns FROM one table
// [WHERE ...] [LIMIT n] is what a scan gives. A statement of the form SELECT ...
// FROM one table WHERE ... GROUP BY ... is answered from whole columns: groups and
// aggregates are made here, and SQLite evaluates what is around them. Of its
// expressions, arithmetic and comparisons of numbers are calculated here; all others
// of up to four columns SQLite evaluates, once for every combination of their
// values. Of SELECT ... FROM one table WHERE ... ORDER BY ... LIMIT n the first n
// rows are found in the columns of the condition and the order, and SQLite gets a
// table of these. All else, and all that meets a value with which these ways do not
// calculate exactly as SQLite (an integer overflow, NaN, a decimal that is a text,
// more than some 500,000 groups) or an expression of which most rows have another
// value, goes row by row, by a module that belongs to the connection (see package
// lite). All ways leave out files, days, row groups and stretches of sorted rows by
// the conditions that compare a column with a constant. EXPLAIN says which way it
// was, and what was read.
//
// # What SELECT sees
//
// Query gives each table by the names of its columns. Integers, floats, texts and
// uuids are what they are. Enums are their cases' names. Dates and times are ISO
// text (2006-01-02 15:04:05.999999, UTC for timestamptz) that compares in order
// and that SQLite's date functions take. Decimals and numerics are numbers
// wherever a REAL shows all their digits, which is always so up to 15: sum(price),
// price > 10 and ORDER BY price do what they say. A value with more digits than a
// REAL shows is its exact text instead: nothing is rounded on the screen. The
// limits: such a text sorts after every number and counts as above it, and sum()
// takes it as the nearest REAL; write CAST(x AS REAL) to compare approximately. A
// literal above 2^63-1 compared with a uint64 column must stand in quotes. NaN is
// the text NaN.
package warehouse
