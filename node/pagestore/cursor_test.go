package pagestore

import (
	"math"
	"strings"
	"testing"

	"github.com/platen-scan/platen/proto/problem"
)

var cursorTable = []cursor{
	{0, ""}, {1, ""}, {127, ""}, {128, "a"}, {math.MaxInt64, strings.Repeat("x", 40)}, {1_772_352_000_000, "gopc76ixmmcqpnve-dvnkjlqj6vwpv43ap3vjv"},
}

func TestCursor(t *testing.T) {
	for _, c := range cursorTable {
		text := c.encode(listDocuments)
		if got, ok, err := parseCursor(listDocuments, text); err != nil || !ok || got != c {
			t.Errorf("parseCursor(%q) = %+v, %v, %v, want %+v", text, got, ok, err, c)
		}
		_, _, err := parseCursor(listJobs, text)
		wantProblem(t, "the cursor of another list", err, problem.BadRequest)
	}
	if c, ok, err := parseCursor(listJobs, ""); ok || err != nil || c != (cursor{}) {
		t.Errorf("parseCursor of none = %+v, %v, %v", c, ok, err)
	}
	for _, text := range []string{"!", "Sg", "Sg==", "SgE=", "SoA", "SoEA", "SgE\n", " SgE", strings.Repeat("A", maxCursor+1), "Sv___________wE"} {
		_, _, err := parseCursor(listJobs, text)
		wantProblem(t, text, err, problem.BadRequest)
		if f := problem.From(err).Field; f != "cursor" {
			t.Errorf("field %q, want cursor", f)
		}
	}
}

// Whatever a client sends is refused or is what the store itself writes.
func FuzzCursor(f *testing.F) {
	for _, c := range cursorTable {
		for _, l := range []list{listJobs, listPages, listDocuments} {
			f.Add(byte(l), c.encode(l))
		}
	}
	f.Add(byte('J'), "SoEA")
	f.Add(byte('J'), "")
	f.Fuzz(func(t *testing.T, l byte, text string) {
		c, ok, err := parseCursor(list(l), text)
		switch {
		case err != nil && (ok || c != cursor{}):
			t.Errorf("parseCursor(%q) = %+v, %v with %v", text, c, ok, err)
		case ok && c.encode(list(l)) != text:
			t.Errorf("%q is read as %+v, which is written %q", text, c, c.encode(list(l)))
		case ok && c.place < 0:
			t.Errorf("%q has place %d", text, c.place)
		case !ok && err == nil && text != "":
			t.Errorf("%q is taken for none", text)
		}
	})
}
