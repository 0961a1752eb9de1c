package main

import (
	"context"
	"fmt"
)

// awaitApproval asks the gateway for approval, shows the symbols that a person there
// compares, and waits for the answer.
func (n *nodeService) awaitApproval(ctx context.Context) error {
	if err := n.node.Ask(ctx, n.ask); err != nil {
		return fmt.Errorf("asking %s: %w", n.ask, err)
	}
	if _, check, waiting := n.node.Approval(); waiting {
		n.announce("symbols", check)
		n.announce("", "approve this node at the gateway only if it shows the same")
	}
	if err := n.node.AwaitApproval(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("the gateway did not let this node in: %w", err)
	}
	gateway, _ := n.node.Gateway()
	n.announce("gateway", gateway)
	return nil
}
