// Package script runs people's Python transforms in worker processes of their own.
//
// A script defines transform(row: dict) -> dict | None, or transform_batch(rows: list[dict]) -> list[dict]; None, or a row
// left out of the list, drops the row. Values have Python's own types: int, float, bool, None, str, bytes, Decimal, date,
// datetime (with a zone for timestamptz), time, UUID, dict and list for JSON; intervals are ISO 8601 text, and what a Python
// type cannot say (an infinite date, say) is its text. A value that comes back as the same object is passed through as it was.
//
// Columns that a script adds have the types of its `columns = {"name": "decimal(12,2)"}`, where None removes a column, or are
// inferred from a first batch and then held to. A key that a row lacks reads null.
//
// A worker gets an empty environment, a temporary directory of its own and batches of at most [batchRows] rows. On Linux the
// kernel keeps it from other files (Landlock), from the network, from other processes and from new ones (seccomp), from
// memory and file sizes over its limits, and from any privilege. Elsewhere only the limits of time hold; see
// [Runtime.Describe]. What a script prints goes to the log.
package script
