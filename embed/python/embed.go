// Package python holds the program that runs transform scripts inside a Python interpreter.
package python

import _ "embed"

// Worker is the source of the worker; app/script says how it is spoken to.
//
//go:embed worker.py
var Worker string
