//go:build !linux

package ocr

import (
	"os/exec"
	"time"
)

// group is the process alone.
type group struct{}

// prepare leaves the program as the system makes it; it is killed by itself.
func prepare(*exec.Cmd) group { return group{} }

// confine has nothing to do: these systems bound no process of another's.
func confine(int, uint64, time.Duration) {}

func (group) wait(cmd *exec.Cmd) error { return cmd.Wait() }
