package relaytest

import (
	"crypto/ed25519"
	"sync"
)

// Gate is a gateway's answer to whether a node's key is allowed, which a test can
// change: at first it allows all.
type Gate struct {
	mu      sync.Mutex
	allowed func(ed25519.PublicKey) error
}

// Allow changes the answer.
func (g *Gate) Allow(f func(ed25519.PublicKey) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.allowed = f
}

// Allowed is what an adapter's Accept takes.
func (g *Gate) Allowed(key ed25519.PublicKey) error {
	g.mu.Lock()
	f := g.allowed
	g.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(key)
}
