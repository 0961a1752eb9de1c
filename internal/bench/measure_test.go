//go:build bench || scale

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// side is one party of a comparison.
type side struct {
	name string
	run  func() error
}

// series are the times of one side, warm-up left out.
type series struct {
	name  string
	times []time.Duration
}

// interleave runs every side once a round, the first round as warm-up.
func interleave(t *testing.T, rounds int, sides ...side) []series {
	t.Helper()
	out := make([]series, len(sides))
	for i, s := range sides {
		out[i].name = s.name
	}
	for round := range rounds + 1 {
		for i, s := range sides {
			begin := time.Now()
			if err := s.run(); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			if round > 0 {
				out[i].times = append(out[i].times, time.Since(begin))
			}
		}
	}
	return out
}

func median[N int | int64 | float64 | time.Duration](v []N) N {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func (s series) median() time.Duration { return median(s.times) }

// over is the ratio of medians.
func (s series) over(base series) float64 { return float64(s.median()) / float64(base.median()) }

func (s series) String() string {
	return fmt.Sprintf("%s (%s–%s)", ms(s.median()), ms(slices.Min(s.times)), ms(slices.Max(s.times)))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

// family lists a process and its descendants.
func family(pid int) []int {
	pids := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, w := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(w); err == nil {
				pids = append(pids, family(child)...)
			}
		}
	}
	return pids
}

// pss is the proportional memory of processes in bytes.
func pss(pids []int) (sum int64) {
	for _, pid := range pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				sum += kib << 10
			}
		}
	}
	return sum
}

// cpu is the processor time that processes have used, at the kernel's 100 ticks a second.
func cpu(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, ok := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 13 {
			continue
		}
		user, _ := strconv.ParseInt(fields[11], 10, 64)
		system, _ := strconv.ParseInt(fields[12], 10, 64)
		sum += time.Duration(user+system) * 10 * time.Millisecond
	}
	return sum
}
