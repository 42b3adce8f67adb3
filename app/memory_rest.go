package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	restFirst = 3 * time.Second // after the start, whose code is needed no more
	restEvery = time.Minute
	restQuiet = 8 << 20 // bytes that are allocated between two looks when nothing goes on
)

// rest gives memory back to the system when nothing goes on: what the program freed, and the pages of its own file, which
// come back from there when they are needed.
func rest(ctx context.Context) {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	timer := time.NewTimer(restFirst)
	defer timer.Stop()
	var seen uint64
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		metrics.Read(allocated)
		now := allocated[0].Value.Uint64()
		if first || now-seen < restQuiet {
			debug.FreeOSMemory()
			releaseFile()
		}
		seen = now
		timer.Reset(restEvery)
	}
}
