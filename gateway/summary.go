package gateway

import "github.com/platen-scan/platen/proto/scan"

// Summary counts the nodes by state.
func (g *Gateway) Summary() map[scan.NodeState]int {
	r := g.registry
	r.mu.RLock()
	defer r.mu.RUnlock()
	count := map[scan.NodeState]int{}
	for _, n := range r.ordered {
		count[n.describeLocked().State]++
	}
	return count
}
