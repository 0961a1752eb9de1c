//go:build bench

package bench

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// amend puts the sections of this run, and what they were to reach, into the document
// that -out names. Its other sections stay: -run chose some parts only.
func (r *report) amend(t *testing.T) {
	t.Helper()
	t.Log("\n" + strings.Join(r.goals, "\n") + "\n" + r.String())
	if *out == "" || t.Failed() {
		return
	}
	b, err := os.ReadFile(*out)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Split(string(b), "\n## ") // [0] is the head, [1] what is to be reached
	if len(old) < 2 {
		t.Fatalf("%s has no sections", *out)
	}
	loads, err := os.ReadFile("/proc/loadavg") // other work slows what is measured
	if err != nil {
		t.Fatal(err)
	}
	load, _, _ := strings.Cut(string(loads), " ")
	at := len(old)
	for _, section := range strings.Split(r.String(), "\n## ")[1:] {
		title, rest, _ := strings.Cut(section, "\n\n")
		section = title + "\n\nMeasured by itself on " + time.Now().UTC().Format(time.DateOnly) + ", load " + load + " at the end. " + rest
		i := slices.IndexFunc(old, func(s string) bool { return strings.HasPrefix(s, title+"\n") })
		if i < 0 {
			old = slices.Insert(old, at, section)
			i = at
		} else {
			old[i] = section
		}
		at = i + 1
	}
	lines := strings.Split(strings.TrimRight(old[1], "\n"), "\n")
	for _, goal := range r.goals {
		what, _, _ := strings.Cut(goal, " | ")
		row := "| " + goal + " |"
		if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| "+what+" |") }); i >= 0 {
			lines[i] = row
		} else {
			lines = append(lines, row)
		}
	}
	old[1] = strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(*out, []byte(strings.Join(old, "\n## ")), 0o644); err != nil {
		t.Fatal(err)
	}
}
