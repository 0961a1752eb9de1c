package gateway

import (
	"context"
	"net/http"
	"slices"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
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

// createJob passes a job on to a node that takes new ones.
func (g *Gateway) createJob(w http.ResponseWriter, r *http.Request) error {
	n, err := g.registry.owner(r.PathValue("scanner"))
	if err != nil {
		return err
	}
	if g.registry.record(n).Draining {
		return problem.NodeDraining.Error()
	}
	return g.pass(w, r, n, briefly)
}
