package gateway

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/platen-scan/platen/relay"
)

// A gateway that is told to end lets its nodes go one by one, so that not all of them
// dial the next gateway, or this one when it is back, at one moment. Streams of events
// end at once and in good order: their readers ask again. Files may come to their end.
// A node that finds no other gateway keeps its link, and what goes over it, as long as
// this one has it.
const (
	tellAllAtOnce  = 128                    // nodes
	nodesPerSecond = 500                    // that are asked to come
	nodesCome      = 300 * time.Millisecond // for the last of them, to have the next link
)

// serveLinks holds the links that AddLink brings until ctx ends, and then as long as
// they are needed.
func (g *Gateway) serveLinks(ctx context.Context) {
	links, cut := context.WithCancel(context.WithoutCancel(ctx))
	var holding relay.Load
	defer func() { cut(); <-holding.Idle() }()
	for {
		select {
		case <-ctx.Done():
			g.end()
			g.drain(links, holding.Idle())
			return
		case a := <-g.links:
			holding.Enter()
			go g.hold(links, a, holding.Leave)
		}
	}
}

// drain asks the nodes to open their next links elsewhere and waits until they had the
// time for that and nothing is under way, until all links are gone, or until DrainTime
// is over.
func (g *Gateway) drain(ctx context.Context, gone <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.DrainTime)
	nodes := g.registry.connected()
	spread := min(time.Duration(nodes)*time.Second/nodesPerSecond, comeBackSoon)
	g.log.Info("the gateway ends", "nodes", nodes)
	var telling sync.WaitGroup
	telling.Go(func() {
		g.onLinks(ctx, tellAllAtOnce, func(n *node, h *held) {
			if err := g.askForNext(ctx, h, spread); err != nil && ctx.Err() == nil {
				g.log.Info("a node did not take the drain", "node", n.id, "error", err)
			}
		})
	})
	defer telling.Wait()
	defer cancel()

	come := time.NewTimer(spread + nodesCome)
	defer come.Stop()
	select {
	case <-come.C:
	case <-gone:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-g.underWay.Idle():
	case <-gone:
	case <-ctx.Done():
	}
}

// untilEnd makes the body of a stream of events end, as if the node had ended it, when
// the gateway is told to end. give ends the request for it.
func (g *Gateway) untilEnd(body io.ReadCloser, give context.CancelCauseFunc) io.ReadCloser {
	return &endingBody{body, g.ending, context.AfterFunc(g.ending, func() { give(nil) })}
}

type endingBody struct {
	io.ReadCloser
	ending context.Context
	forget func() bool
}

func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.ending.Err() != nil {
		err = io.EOF
	}
	return n, err
}

func (b *endingBody) Close() error {
	b.forget()
	return b.ReadCloser.Close()
}
