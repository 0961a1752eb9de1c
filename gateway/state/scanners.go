package state

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/platen-scan/platen/proto/scan"
)

// Scanners remembers which scanners each node had last, so that they can be named
// while the node is away, over restarts of the gateway too. Only the gateway that
// holds a node's link writes the node's entry.
type Scanners struct{ bucket *Bucket }

// Put replaces what is known of a node's scanners.
func (s *Scanners) Put(ctx context.Context, node string, scanners []scan.Scanner) error {
	value, err := json.Marshal(scanners)
	if err != nil {
		return fmt.Errorf("encoding the scanners of a node: %w", err)
	}
	_, err = s.bucket.Put(ctx, node, value)
	return err
}

// Delete forgets a node's scanners.
func (s *Scanners) Delete(ctx context.Context, node string) error { return s.bucket.Delete(ctx, node) }

// All returns the scanners of every node by node ID.
func (s *Scanners) All(ctx context.Context) (map[string][]scan.Scanner, error) {
	entries, err := s.bucket.List(ctx, "")
	if err != nil {
		return nil, err
	}
	all := make(map[string][]scan.Scanner, len(entries))
	for _, e := range entries {
		var scanners []scan.Scanner
		if err := json.Unmarshal(e.Value, &scanners); err != nil {
			return nil, fmt.Errorf("decoding the scanners of node %s: %w", e.Key, err)
		}
		all[e.Key] = scanners
	}
	return all, nil
}
