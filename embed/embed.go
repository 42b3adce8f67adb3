// Package embed holds the files that travel inside the binary.
package embed

import "embed"

// Migrations holds the SQL steps of the state file under "migrations/", in goose's format. They only go forward: a
// step that has been released is never edited, the next change is a new step.
//
//go:embed migrations/*.sql
var Migrations embed.FS
