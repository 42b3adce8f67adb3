package connectors

import "bytes"

// RawKeeper is the ability of a load in raw mode to keep rows that its target
// does not hold.
type RawKeeper interface {
	// KeepRaw adds rows, marked by MarkDead, to those that Commit makes last in
	// the staging table. The target is not built from them.
	KeepRaw(rows [][]byte)
}

// MetaDeadLetter is the field that a row of the staging table has when it is a
// dead letter of the target.
const MetaDeadLetter = "_arus_dead_letter"

const deadMark = `"` + MetaDeadLetter + `":true}`

// MarkDead gives a row, as AppendRowJSON writes it, as a dead letter's.
func MarkDead(row []byte) []byte {
	out := append(make([]byte, 0, len(row)+len(deadMark)+1), row[:len(row)-1]...)
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(out, deadMark...)
}

// IsDead says whether a row that MarkDead may have made is one, where its text
// is kept as it is.
func IsDead(row []byte) bool { return bytes.HasSuffix(row, []byte(deadMark)) }
