// Package store keeps what Arus knows: configuration, watermarks and the history of runs, in one SQLite file inside the
// data directory.
//
// One process owns a data directory at a time (arus.lock). All writes go through one connection, so a write never meets
// another one half-way; reads have connections of their own that cannot write and never wait for the writer. Every write
// method is one transaction that is on disk when the method returns.
//
// Methods return nouns of package model and the sentinels of this package; errors of the driver do not get out
// untranslated. Permissions and validation are the caller's: the CHECK constraints only catch what slipped through.
package store
