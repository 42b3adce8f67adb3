package app

import (
	"os"
	"runtime/debug"
)

// Memory of the Go runtime, which is all of the program's but some 50 MB of its own text and data.
const (
	memoryOfOneRun = 120 << 20
	memoryOfEach   = 80 << 20 // further run at the same time
)

// SaveMemory keeps the memory of a program that makes one run small: garbage is collected when half as much again is in
// use, not when twice as much is, since what the program holds is mostly batches, which are collected at no cost; and
// what was freed goes back to the system before a limit is exceeded. GOGC and GOMEMLIMIT say otherwise.
func SaveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryOfOneRun)
	}
}

// allowRuns raises the limit of SaveMemory for so many runs at a time.
func allowRuns(runs int) {
	if debug.SetMemoryLimit(-1) == memoryOfOneRun {
		debug.SetMemoryLimit(memoryOfOneRun + int64(max(1, runs)-1)*memoryOfEach)
	}
}
