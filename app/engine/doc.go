// Package engine moves rows. A run takes the tables of one pipeline from a
// source to a destination; each table goes through
//
//	settle -> plan -> extract -> load -> checkpoint
//
// and fails or succeeds on its own. Extract and load overlap through a bounded
// queue of Arrow batches, so memory does not grow with the table.
//
// What holds, whatever happens between any two steps:
//   - A watermark is stored only after the rows up to it are durable, and never
//     exceeds the upper bound that was fixed before the read began.
//   - The lower bound is inclusive, so rows that share the watermark's value are
//     never lost; fingerprints of the rows already loaded at the boundary keep
//     unchanged ones from being loaded and counted again.
//   - Loads are idempotent: by key they are upserts, without one the window is
//     replaced, a full refresh swaps. Running any window again gives the same table.
//   - Every row read is counted as loaded, filtered or dead-lettered.
package engine
