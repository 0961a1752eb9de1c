package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/node"
)

// lookingWords say what a node without a gateway does about it.
func (n *nodeService) lookingWords() string {
	cfg := n.cfg.Load().Node
	switch {
	case len(cfg.Gateways) > 0:
		return "none yet: asking " + strings.Join(cfg.Gateways, ", ")
	case cfg.FindGateway:
		return "none yet: looking for one nearby (elsewhere: platen node --join TOKEN, or --gateway HOST:PORT)"
	}
	return "none: run platen node --join TOKEN, or --gateway HOST:PORT"
}

// tellNews tells people how a node fares that looks for a gateway by itself.
func (n *nodeService) tellNews(news node.GatewayNews) {
	switch news.Kind {
	case node.NewsWaiting:
		n.announce("gateway", fmt.Sprintf("%s at %s was asked to let this node in", quoted(news.Gateway.Name), news.Gateway.Address))
		n.tellSymbols(news.Check)
	case node.NewsSeveral:
		n.announce("gateway", "there are several, so none is asked; choose one: platen node --gateway HOST:PORT")
		for _, g := range news.Found {
			n.announce("", fmt.Sprintf("%s at %s, key %s", quoted(g.Name), g.Address, g.Fingerprint))
		}
	case node.NewsJoined:
		n.announce("gateway", news.Gateway.Address)
	case node.NewsEnded:
		n.announce("gateway", fmt.Sprintf("%s did not let this node in: %v", quoted(news.Gateway.Name), news.Err))
	}
}

func quoted(name string) string {
	if name == "" {
		return "the gateway"
	}
	return strconv.Quote(name)
}

func (n *nodeService) tellSymbols(check string) {
	n.announce("symbols", check)
	n.announce("", "approve this node at the gateway only if it shows the same")
}

// awaitApproval asks the gateway for approval, shows the symbols that a person there
// compares, and waits for the answer.
func (n *nodeService) awaitApproval(ctx context.Context) error {
	if err := n.node.Ask(ctx, n.ask); err != nil {
		return fmt.Errorf("asking %s: %w", n.ask, err)
	}
	if _, check, waiting := n.node.Approval(); waiting {
		n.tellSymbols(check)
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
