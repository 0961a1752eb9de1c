package access

import (
	"context"

	"github.com/platen-scan/platen/proto/api"
)

// Verify judges a grant as the guard does.
func (v *GrantVerifier) Verify(ctx context.Context, text, method, path string) (Grant, error) {
	g, _, err := v.verify(ctx, text, method, path)
	return g, err
}

// Pairing is the present state of a pairing, without its secrets.
func (g *Guard) Pairing(ctx context.Context, id string) (api.Pairing, error) {
	p, _, err := g.readPairing(ctx, id)
	return p.describe(g.Now()), err
}
