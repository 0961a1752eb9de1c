package gateway

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
)

// nodeRecords is *state.Nodes, or the memory of a test.
type nodeRecords interface {
	Create(ctx context.Context, n state.Node) (state.Node, error)
	Update(ctx context.Context, n state.Node) (state.Node, error)
	Get(ctx context.Context, prefix string) (state.Node, error)
	Delete(ctx context.Context, n state.Node) error
}

// editTries is how often an edit is tried against others of the same record.
const editTries = 5

// editNode changes a node's record, in the state and then here. change is called
// with the record as it is now, more than once if others change it too. A change that
// changes nothing is not written.
func (g *Gateway) editNode(ctx context.Context, n *node, change func(*state.Node)) (state.Node, error) {
	record := g.registry.record(n)
	for range editTries {
		before := record
		change(&record)
		if reflect.DeepEqual(before, record) {
			return record, nil
		}
		edited, err := g.nodes.Update(ctx, record)
		if err == nil {
			g.applied(edited)
			return edited, nil
		}
		if !errors.Is(err, access.ErrConflict) {
			return state.Node{}, fmt.Errorf("changing node %s: %w", n.id, err)
		}
		if record, err = g.nodes.Get(ctx, n.prefix); err != nil {
			return state.Node{}, fmt.Errorf("changing node %s: %w", n.id, err)
		}
		g.applied(record)
	}
	return state.Node{}, problem.Unavailable.Error()
}

// applied takes in a record that the state has. A barred node's links are cut at once
// and its scanners forgotten. What a node has under way at others' scanners ends if it is
// barred or may use one less: what it still may it asks for again.
func (g *Gateway) applied(record state.Node) {
	n, links, changed, lost := g.registry.apply(record)
	barred := record.Barred()
	if changed && (lost || barred != nil) {
		g.guard.EndNode(n.id)
	}
	if changed && barred != nil {
		cut(links, problem.From(barred).Code)
		g.remember(n)
	}
}

// removed takes in that a node's record was deleted.
func (g *Gateway) removed(prefix string, revision uint64) {
	if n, links := g.registry.remove(prefix, revision); n != nil {
		g.guard.EndNode(n.id)
		cut(links, problem.NodeUnknown)
		g.remember(n)
	}
}
