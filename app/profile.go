//go:build profile

package app

import (
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// Profile writes a profile of the processor's time to the file that ARUS_CPU_PROFILE names, until stop is called, and one of
// the memory in use, at its highest, to the file that ARUS_HEAP_PROFILE names.
func Profile() (stop func()) {
	if name := os.Getenv("ARUS_HEAP_PROFILE"); name != "" {
		runtime.MemProfileRate = 16 << 10
		go watchHeap(name)
	}
	name := os.Getenv("ARUS_CPU_PROFILE")
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name) //nolint:gosec // named by who measures
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		panic(err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}
}

// watchHeap writes a profile each time that a collection left more than any before. A profile shows what the last one left.
func watchHeap(name string) {
	var stats runtime.MemStats
	var most uint64
	var seen uint32
	for range time.Tick(10 * time.Millisecond) {
		runtime.ReadMemStats(&stats)
		left := stats.NextGC
		if stats.NumGC == seen || left < most+most/50 {
			continue
		}
		seen, most = stats.NumGC, left
		f, err := os.Create(name) //nolint:gosec // named by who measures
		if err != nil {
			panic(err)
		}
		if err := pprof.WriteHeapProfile(f); err != nil {
			panic(err)
		}
		_ = f.Close()
	}
}
