package main

import "testing"

// TestRefusals calls it as people might: nothing but platen starts a worker.
func TestRefusals(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"worker"}, {"worker", "virtual"}, {"worker", "convert", "{}"}} {
		if got := run(args); got != 2 {
			t.Errorf("run(%q) = %d, want 2", args, got)
		}
	}
}
