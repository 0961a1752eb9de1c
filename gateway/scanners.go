package gateway

import (
	"slices"
	"strings"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// How much of a node's scanners is remembered.
const (
	maxScanners    = 256
	maxScannerText = 256 // bytes of a name, and of each other text for people
	maxScannerList = 16  // sources; reasons of a state
)

// cutScanner leaves of what a node says of a scanner what can be stored and shown.
func cutScanner(s scan.Scanner) scan.Scanner {
	for _, text := range []*string{&s.Name, &s.Make, &s.Model, &s.Location, &s.Driver} {
		*text = clean(*text, maxScannerText)
	}
	s.Sources = s.Sources[:min(len(s.Sources), maxScannerList)]
	s.Status.Reasons = s.Status.Reasons[:min(len(s.Status.Reasons), maxScannerList)]
	return s
}

func compareScanner(s scan.Scanner, id string) int { return strings.Compare(s.ID, id) }

func sortedScanners(list []scan.Scanner) []scan.Scanner {
	slices.SortFunc(list, func(a, b scan.Scanner) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(list, func(a, b scan.Scanner) bool { return a.ID == b.ID })
}

// putScanner takes in what the node says of one of its scanners. It answers
// whether the set of scanners, or what describes this one, has changed.
func (r *registry) putScanner(n *node, h *held, s scan.Scanner) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.link != h || !n.owns(s.ID) {
		return false
	}
	s = cutScanner(s)
	s.Node = n.id
	at, known := slices.BinarySearchFunc(n.scanners, s.ID, compareScanner)
	switch {
	case known:
		changed = !sameDevice(n.scanners[at], s)
		n.scanners[at] = s
	case len(n.scanners) >= maxScanners:
		return false
	default:
		changed = true
		n.scanners = slices.Insert(n.scanners, at, s)
	}
	r.publishScannerLocked(n, scan.EventDeviceState, s)
	return changed
}

// removeScanner forgets a scanner that the node no longer has.
func (r *registry) removeScanner(n *node, h *held, id string) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.link != h {
		return false
	}
	at, known := slices.BinarySearchFunc(n.scanners, id, compareScanner)
	if !known {
		return false
	}
	gone := n.scanners[at]
	n.scanners = slices.Delete(n.scanners, at, at+1)
	r.publishScannerLocked(n, scan.EventDeviceGone, gone)
	return true
}

// keepScanners forgets the scanners that are not in told, by which the node has
// named all that it has.
func (r *registry) keepScanners(n *node, h *held, told map[string]bool) (changed bool) {
	r.mu.RLock()
	var gone []string
	for _, s := range n.scanners {
		if !told[s.ID] {
			gone = append(gone, s.ID)
		}
	}
	r.mu.RUnlock()
	for _, id := range gone {
		changed = r.removeScanner(n, h, id) || changed
	}
	return changed
}

// scannersOf is a copy of a node's scanners, to be stored.
func (r *registry) scannersOf(n *node) []scan.Scanner {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(n.scanners)
}

// scannerPage lists scanners of all nodes after an ID, at most limit of them, and
// names the nodes that are away.
func (r *registry) scannerPage(after string, limit int) (page []scan.Scanner, away []api.Absent, more bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	page = []scan.Scanner{}
	for _, n := range r.ordered {
		if n.record.Barred() != nil {
			continue
		}
		if n.link == nil {
			away = append(away, n.absentLocked())
		}
		if more || n.prefix < after[:min(len(after), len(n.prefix))] {
			continue
		}
		at, found := slices.BinarySearchFunc(n.scanners, after, compareScanner)
		if found {
			at++
		}
		for _, s := range n.scanners[at:] {
			if len(page) == limit {
				more = true
				break
			}
			page = append(page, n.presentLocked(s))
		}
	}
	return page, away, more
}

func (n *node) absentLocked() api.Absent {
	return api.Absent{Node: n.id, Name: n.record.Name, Since: scan.At(n.since)}
}

// owns reports whether the node may speak of a scanner with this ID.
func (n *node) owns(id string) bool {
	prefix, kind, err := scan.ParseID(id)
	return err == nil && prefix == n.prefix && kind == scan.KindScanner
}

// presentLocked is a scanner as it stands now: that of a node that is away is offline.
func (n *node) presentLocked(s scan.Scanner) scan.Scanner {
	s.Node, s.NodeName = n.id, n.record.Name
	if n.link == nil {
		s.Status = scan.Status{
			State: scan.ScannerOffline, Reasons: []scan.Reason{scan.ReasonOffline},
			Feeder: offlineFeeder(s.Status.Feeder), Since: scan.At(n.since),
		}
	}
	return s
}

// offlineFeeder is what is still known of the feeder of a scanner that is away.
func offlineFeeder(f scan.FeederState) scan.FeederState {
	if f == scan.FeederNone {
		return f
	}
	return scan.FeederUnknown
}

// publishScannerLocked tells of a scanner.
func (r *registry) publishScannerLocked(n *node, kind scan.EventType, s scan.Scanner) {
	s = n.presentLocked(s)
	r.events.publish(scan.Event{Type: kind, Scanner: &s})
}

// sameDevice compares all but the status.
func sameDevice(a, b scan.Scanner) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Make == b.Make && a.Model == b.Model &&
		a.Location == b.Location && a.Driver == b.Driver && slices.Equal(a.Sources, b.Sources)
}
