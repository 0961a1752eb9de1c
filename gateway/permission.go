package gateway

import (
	"context"
	"slices"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// standsAt is the node of a scanner and that node's labels, by which permissions are
// given: access.Config.Place.
func (g *Gateway) standsAt(scanner string) (node string, labels []string) {
	n, err := g.registry.owner(scanner)
	if err != nil {
		return "", nil
	}
	return n.id, g.registry.record(n).Labels
}

// asSeen is the scanner as the caller may see it; ok is false if he may not.
func (g *Gateway) asSeen(ctx context.Context, caller access.Caller, s scan.Scanner) (seen scan.Scanner, ok bool) {
	s.May = g.guard.May(ctx, caller, s.ID)
	if !caller.May(api.RoleOperator) {
		s.Status.Job = "" // only the node knows who owns it
	}
	return s, slices.Contains(s.May, scan.See)
}
