// Package schema is the table schema of the built-in warehouse: AresDB's, with
// further types beside AresDB's own. It knows the JSON shapes, the data types,
// the rules for new tables and for changes, and how a desired state differs from
// what there is. It does no I/O.
//
// A rule that is broken is an *Error with the text that AresDB's clients know,
// the first one in AresDB's order.
package schema
