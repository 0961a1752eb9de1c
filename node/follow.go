package node

import (
	"context"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// permissionsEvery is how late FollowScanners notices that a scanner was opened to all or
// closed: edits of permissions are no events.
const permissionsEvery = 5 * time.Second

// FollowScanners tells what a person could choose among: it calls see at once, and again
// whenever a scanner came or went, or its name, its place, whether it is shared, what is
// known of its abilities, whether it is offline or OpenToAll has changed. The list has
// all scanners that were found since the start, in the order of the API, as the node
// itself sees them: May is empty. see owns it; while see runs, changes wait and become
// one. FollowScanners returns when ctx or Serve ends.
func (n *Node) FollowScanners(ctx context.Context, see func([]scan.Scanner)) {
	tick := time.NewTicker(permissionsEvery)
	defer tick.Stop()
	var told []choice
	for first := true; ; first = false {
		seq, _ := n.hub.head() // before the look: what happens meanwhile is looked at again
		list, choices := n.choices(ctx)
		if ctx.Err() != nil || n.ctx.Err() != nil {
			return
		}
		if first || !slices.EqualFunc(choices, told, choice.equal) {
			told = choices
			see(list)
		}
		n.awaitScanner(ctx, seq, tick.C)
	}
}

// choice is what FollowScanners compares of a scanner.
type choice struct {
	id, name, location, maker, model string
	sources                          []scan.Source
	shared, offline, open            bool
}

func (c choice) equal(o choice) bool {
	return c.id == o.id && c.name == o.name && c.location == o.location && c.maker == o.maker && c.model == o.model &&
		slices.Equal(c.sources, o.sources) && c.shared == o.shared && c.offline == o.offline && c.open == o.open
}

func (n *Node) choices(ctx context.Context) (list []scan.Scanner, choices []choice) {
	for _, l := range n.scanners() {
		s := l.scanner
		list = append(list, s)
		choices = append(choices, choice{
			id: s.ID, name: s.Name, location: s.Location, maker: s.Make, model: s.Model, sources: s.Sources,
			shared: s.Shared, offline: s.Status.State == scan.ScannerOffline, open: n.OpenToAll(ctx, s.ID),
		})
	}
	return list, choices
}

// awaitScanner returns when something happened to a scanner after the event seq, or when
// it is time to look anyway, or to end.
func (n *Node) awaitScanner(ctx context.Context, seq uint64, tick <-chan time.Time) {
	for {
		notices, more, err := n.hub.after(seq)
		if err != nil { // so much has happened that the beginning of it is forgotten
			return
		}
		for _, m := range notices {
			if m.event.Scanner != nil {
				return
			}
			seq = m.seq
		}
		select {
		case <-more:
		case <-tick:
			return
		case <-ctx.Done():
			return
		case <-n.ctx.Done():
			return
		}
	}
}

// OpenToAll reports whether people who have not signed in may see and use the scanner:
// no permission names it.
func (n *Node) OpenToAll(ctx context.Context, scanner string) bool {
	may := n.guard.May(ctx, access.Caller{Road: access.RoadESCL, Role: api.RoleKiosk}, scanner)
	return slices.Contains(may, scan.See) && slices.Contains(may, scan.Use)
}
