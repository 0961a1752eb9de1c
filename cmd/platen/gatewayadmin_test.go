package main

import (
	"strings"
	"testing"

	"github.com/platen-scan/platen/proto/scan"
)

func TestNodeCalled(t *testing.T) {
	nodes := []scan.Node{
		{ID: "aaaa", Name: "Office", State: scan.NodeOnline},
		{ID: "bbbb", Name: "Branch", State: scan.NodeOffline},
		{ID: "cccc", Name: "branch", State: scan.NodeWaiting},
		{ID: "dddd", Name: "aaaa", State: scan.NodeWaiting},
	}
	for word, want := range map[string]string{
		"aaaa": "aaaa", "office": "aaaa", "bbbb": "bbbb", "cccc": "cccc", "dddd": "dddd",
		"Branch": "several", "Off": "no node", "": "no node",
	} {
		n, err := nodeCalled(nodes, word)
		if err == nil && n.ID != want || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("nodeCalled(%q) = %q, %v, want %q", word, n.ID, err, want)
		}
	}
}

func TestScannerCalled(t *testing.T) {
	node := strings.Repeat("a", 28)
	hall, desk, other := scan.DerivedID(node, scan.KindScanner, "1"), scan.DerivedID(node, scan.KindScanner, "2"), scan.DerivedID(node, scan.KindScanner, "3")
	known := []scan.Scanner{{ID: hall, Name: "Hall"}, {ID: desk, Name: "Desk"}, {ID: other, Name: "desk"}}
	for word, want := range map[string]string{
		hall: hall, "hall": hall, "Desk": "several", "Hal": "no scanner", "": "no scanner",
		scan.DerivedID(node, scan.KindScanner, "not known"): scan.DerivedID(node, scan.KindScanner, "not known"),
		scan.DerivedID(node, scan.KindJob, "1"):             "no scanner",
	} {
		id, err := scannerCalled(known, word)
		if err == nil && id != want || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("scannerCalled(%q) = %q, %v, want %q", word, id, err, want)
		}
	}
}
