package state

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Node is what the registry knows of a node. It is kept when the node is revoked,
// so that its key stays refused.
type Node struct {
	ID       string            `json:"id"`
	Key      ed25519.PublicKey `json:"key"`
	NextKey  ed25519.PublicKey `json:"nextKey,omitempty"` // admitted too, until it has linked
	Name     string            `json:"name"`
	Version  string            `json:"version,omitempty"`
	Labels   []string          `json:"labels,omitempty"`
	Draining bool              `json:"draining,omitempty"` // it takes no new jobs
	Token    string            `json:"token,omitempty"`    // ID of the join token that enrolled it; "": a person did
	Joined   scan.Time         `json:"joined"`
	Revoked  scan.Time         `json:"revoked,omitzero"`
	Presents []string          `json:"presents,omitempty"` // scanners of other nodes that it may see and use, by ID

	// The numbers of its links: see package gateway, sequence.go.
	Sequence    int64     `json:"sequence,omitempty"` // that the node has stored
	Offer       int64     `json:"offer,omitempty"`    // that it may have stored since; 0: none
	Trust       bool      `json:"trust,omitempty"`    // whoever links next is the right one
	Quarantined scan.Time `json:"quarantined,omitzero"`

	// Fault is the problem code of how it failed to account for pages; "": it did not.
	Fault string `json:"fault,omitempty"`

	Heard string `json:"heard,omitempty"` // pin of the gateway's next key that it has stored
	Audit string `json:"audit,omitempty"` // the newest signed head of its audit log

	Revision uint64 `json:"-"` // of the record, for Update
}

// Barred is why the node may hold no link and answer no request: nil if it may.
func (n Node) Barred() error {
	switch {
	case !n.Revoked.IsZero():
		return problem.NodeRevoked.Error()
	case !n.Quarantined.IsZero():
		return problem.NodeQuarantined.Error()
	}
	return nil
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

// Delete forgets a node whose record still has node.Revision, else access.ErrConflict.
func (n *Nodes) Delete(ctx context.Context, node Node) error {
	return n.bucket.DeleteRevision(ctx, scan.Prefix(node.ID), node.Revision)
}

// Watch calls put for every node, then for every change to one, and gone with the
// routing prefix and revision of every node that is deleted, until ctx ends. It is how
// a gateway learns what another one has written.
func (n *Nodes) Watch(ctx context.Context, put func(Node), gone func(prefix string, revision uint64)) error {
	return n.bucket.Watch(ctx, func(e Entry) error {
		if e.Deleted {
			gone(e.Key, e.Revision)
			return nil
		}
		node, err := decodeNode(e)
		if err != nil {
			return err
		}
		put(node)
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
