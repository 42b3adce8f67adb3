// Package upsert reads and writes AresDB's upsert batches: rows of some columns
// of a table in binary form. Nothing of a batch is believed before it was checked
// against the batch's length, and what is decoded takes memory in proportion to
// the batch.
package upsert

// Mode says how a value meets the one that a row has.
type Mode uint8

// The modes, by their numbers on the wire.
const (
	Overwrite     Mode = iota // unless it is null
	OverwriteNull             // null too
	Add
	Min
	Max
)
