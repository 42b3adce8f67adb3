// Package transform changes rows between extract and load by a table's list of
// steps. Parse reads the list, Compile checks every step against the columns
// that reach it and fixes the columns of the result before a row moves, and a
// Plan then carries batches through: Plan.Run gives the rows that are left,
// counts those that were filtered, and names those that failed by their place in
// the batch that came in, so that the original row can be kept.
//
// A step never lets a row through half done: a row for which it has no answer
// fails, with the step's number and the reason.
//
// Steps and their configurations, {"type": ..., "config": {...}}:
//
//	rename         mapping {old: new}; all at once, so names may change places
//	remove_fields  fields [...]
//	compute        expression "name = expression" (package expression)
//	filter         condition; rows for which it is true stay
//	map_values     column, mapping {text: value}, default, type
//	type_cast      columns {name: type or {type, format, timezone, decimal, thousands}}
//	concat_fields  fields [...], separator " ", target "concatenated", drop_source false
//	script         script_name
//	mask           columns [...], method hash | partial | constant; salt; keep_start, keep_end, character; value
//	trim           columns [...], side both | left | right, characters
//	lower, upper   columns [...]
//	replace        columns [...], find, with, regex
//	split          column, separator, into [...], drop_source
//	parse_json     column, path, target, type, format
//	flatten        column, columns {key: type}, prefix, drop_source
//	deduplicate    columns [...], keep first | last, max_keys
//	add_constant   column, value, type
//
// Types are written as connectors.Type prints them, and as Python does: int,
// float, str, bool. Numbers become text in Python's spelling.
//
// deduplicate keeps the 128-bit fingerprints of the keys it has seen in this
// run's reading of the table, up to max_keys (2,000,000 unless said otherwise);
// with more the table fails. Keys of earlier runs are not known to it: the
// target's own key is for those. keep last holds back one row of each key until
// everything was read, up to 256 MiB of them. Two NULLs are the same key.
package transform
