package app

import (
	"os"
	"runtime/debug"
)

// SaveMemory makes the program collect garbage when half as much again is in use, not when twice as much is, unless
// GOGC says otherwise: what it holds is mostly batches, which are collected at no cost.
func SaveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
