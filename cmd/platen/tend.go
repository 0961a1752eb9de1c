package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

// A gateway's memory belongs to links that are idle, nearly all of it. Go's garbage
// collector would let it double, and what it leaves between two collections lies among what
// stays: the gaps are never given back. So it is made to collect often, but not while many
// nodes come at once, as after a start: then the processor is what they wait for.
const (
	crowd     = 128             // handshakes under way at a time
	crowdGC   = 200             // percent of what is in use that may be garbage
	calmGC    = 15              // the same where there is no crowd
	calmAfter = 5 * time.Second // without a crowd, or after the start
)

// tend sets how much garbage the gateway may hold by the handshakes under way, until ctx
// ends. Who sets GOGC decides by himself.
func tend(ctx context.Context, handshakes func() int) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	defer debug.SetGCPercent(debug.SetGCPercent(crowdGC))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	crowded := true
	for last := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if handshakes() >= crowd {
			last = time.Now()
		}
		switch calm := time.Since(last) >= calmAfter; {
		case calm && crowded:
			debug.SetGCPercent(calmGC)
			debug.FreeOSMemory()
		case !calm && !crowded:
			debug.SetGCPercent(crowdGC)
		default:
			continue
		}
		crowded = !crowded
	}
}
