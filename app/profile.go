//go:build profile

package app

import (
	"os"
	"runtime/pprof"
)

// Profile writes a profile of the processor's time to the file that ARUS_CPU_PROFILE names, until stop is called.
func Profile() (stop func()) {
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
