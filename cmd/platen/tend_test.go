package main

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestGarbageOfAGateway(t *testing.T) {
	t.Setenv("GOGC", "")
	before := gcPercent()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var handshakes atomic.Int64
		go tend(ctx, func() int { return int(handshakes.Load()) })
		for _, step := range []struct {
			handshakes int64
			after      time.Duration
			want       uint64
		}{
			{0, time.Millisecond, crowdGC}, // the nodes of before a restart are on their way
			{0, calmAfter + time.Second, calmGC},
			{crowd - 1, 10 * time.Second, calmGC},
			{crowd, time.Second, crowdGC},
			{0, calmAfter - 2*time.Second, crowdGC},
			{0, 4 * time.Second, calmGC},
		} {
			handshakes.Store(step.handshakes)
			time.Sleep(step.after)
			synctest.Wait()
			if got := gcPercent(); got != step.want {
				t.Errorf("%v after %d handshakes were under way, GOGC = %d, want %d", step.after, step.handshakes, got, step.want)
			}
		}
		cancel()
		synctest.Wait()
	})
	if got := gcPercent(); got != before {
		t.Errorf("afterwards GOGC = %d, want %d as before", got, before)
	}
}

func gcPercent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
