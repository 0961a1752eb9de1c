package driver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// The bounds of what a worker's standard error may put into the node's log.
const (
	stderrLine  = 1 << 10 // bytes of a line
	stderrRate  = 50      // lines in each stderrSpan
	stderrSpan  = 10 * time.Second
	stderrTail  = 2 << 10 // bytes kept for a WorkerError
	stderrLevel = slog.LevelInfo
)

// stderrLog copies a worker's standard error into the log and reads on where it may
// not log any more, so that the worker never waits for it.
type stderrLog struct {
	log *slog.Logger

	mu      sync.Mutex
	last    []byte
	crashed bool // last begins with the words of a crash
}

func (s *stderrLog) follow(r io.Reader) {
	lines := bufio.NewReaderSize(r, stderrLine)
	var began time.Time
	var logged, dropped int
	for {
		line, more, err := lines.ReadLine()
		for tail := more; tail && err == nil; {
			_, tail, err = lines.ReadLine()
		}
		if len(line) > 0 {
			s.keep(line)
			if now := time.Now(); now.Sub(began) > stderrSpan {
				s.tellDropped(dropped)
				began, logged, dropped = now, 0, 0
			}
			if logged < stderrRate {
				logged++
				s.log.Log(context.Background(), stderrLevel, "driver process says", "line", clip(string(line), stderrLine))
			} else {
				dropped++
			}
		}
		if err != nil {
			s.tellDropped(dropped)
			return
		}
	}
}

func (s *stderrLog) tellDropped(n int) {
	if n > 0 {
		s.log.Warn("driver process says too much", "dropped", n)
	}
}

// keep remembers the end of what was said or, of a crash, the beginning, which says why.
func (s *stderrLog) keep(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.crashed {
		for _, words := range []string{"panic: ", "fatal error: ", "SIG"} {
			if bytes.HasPrefix(line, []byte(words)) {
				s.crashed, s.last = true, nil
			}
		}
	}
	s.last = append(append(s.last, line...), '\n')
	switch over := len(s.last) - stderrTail; {
	case over <= 0:
	case s.crashed:
		s.last = s.last[:stderrTail]
	default:
		s.last = append(s.last[:0], s.last[over:]...)
	}
}

func (s *stderrLog) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.last)
}
