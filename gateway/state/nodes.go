package state

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/platen-scan/platen/proto/scan"
)

// Node is what the registry knows of a node. It is kept when the node is revoked,
// so that its key stays refused.
type Node struct {
	ID      string            `json:"id"`
	Key     ed25519.PublicKey `json:"key"`
	Name    string            `json:"name"`
	Version string            `json:"version,omitempty"`
	Token   string            `json:"token"` // ID of the join token that enrolled it
	Joined  scan.Time         `json:"joined"`
	Revoked scan.Time         `json:"revoked,omitzero"`

	Revision uint64 `json:"-"` // of the record, for Update
}

// Nodes is the registry. Its keys are the routing prefixes, so that two nodes can
// never share one.
type Nodes struct{ bucket *Bucket }

// Create enrols a node; access.ErrConflict if its routing prefix is in use.
func (n *Nodes) Create(ctx context.Context, node Node) (Node, error) {
	value, err := json.Marshal(node)
	if err != nil {
		return Node{}, fmt.Errorf("encoding a node: %w", err)
	}
	node.Revision, err = n.bucket.Create(ctx, scan.Prefix(node.ID), value, 0)
	return node, err
}

// Update replaces a node's record if it still has node.Revision, else access.ErrConflict.
func (n *Nodes) Update(ctx context.Context, node Node) (Node, error) {
	value, err := json.Marshal(node)
	if err != nil {
		return Node{}, fmt.Errorf("encoding a node: %w", err)
	}
	node.Revision, err = n.bucket.Update(ctx, scan.Prefix(node.ID), value, 0, node.Revision)
	return node, err
}

// Get returns the node with a routing prefix, or access.ErrNoRecord.
func (n *Nodes) Get(ctx context.Context, prefix string) (Node, error) {
	e, err := n.bucket.Get(ctx, prefix)
	if err != nil {
		return Node{}, err
	}
	return decodeNode(e)
}

// List returns all nodes in the order of their IDs, the revoked ones included.
func (n *Nodes) List(ctx context.Context) ([]Node, error) {
	entries, err := n.bucket.List(ctx, "")
	if err != nil {
		return nil, err
	}
	nodes := make([]Node, 0, len(entries))
	for _, e := range entries {
		node, err := decodeNode(e)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// Watch calls yield for every node, then for every change to one, until ctx ends.
// It is how a gateway learns what another one has written.
func (n *Nodes) Watch(ctx context.Context, yield func(Node)) error {
	return n.bucket.Watch(ctx, func(e Entry) error {
		if e.Deleted {
			return nil // nobody deletes a node
		}
		node, err := decodeNode(e)
		if err != nil {
			return err
		}
		yield(node)
		return nil
	})
}

func decodeNode(e Entry) (Node, error) {
	var node Node
	if err := json.Unmarshal(e.Value, &node); err != nil {
		return Node{}, fmt.Errorf("decoding the record of node %s: %w", e.Key, err)
	}
	if scan.ParseNodeID(node.ID) != nil || scan.Prefix(node.ID) != e.Key || len(node.Key) != ed25519.PublicKeySize {
		return Node{}, fmt.Errorf("the record of node %s is damaged", e.Key)
	}
	node.Revision = e.Revision
	return node, nil
}
