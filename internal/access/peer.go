package access

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"
)

// claimKey holds the user ID of the first person who used a service that runs under
// an account of its own.
const claimKey = "loopback.claimant"

// firstPerson is the lowest user ID that operating systems give to people.
const firstPerson = 1000

// claimFor is how long a claim lives: as long as the installation.
const claimFor = 100 * 365 * 24 * time.Hour

// allowedUser decides whether loopback trust holds for a process of the user peer:
// that is this process's own user, root, who can read our files anyway, or, where
// we run under a service account, the first person who came.
func (g *Guard) allowedUser(ctx context.Context, self, peer int) bool {
	if peer == self || peer == 0 {
		return true
	}
	if self == 0 || self >= firstPerson || peer < firstPerson || g.Records == nil {
		return false
	}
	claimant := strconv.Itoa(peer)
	_, err := g.Records.Create(ctx, claimKey, []byte(claimant), g.Now().Add(claimFor))
	if err == nil {
		g.Log.Info("the first local user is trusted from now on", "uid", peer)
		return true
	}
	if !errors.Is(err, ErrConflict) {
		g.Log.LogAttrs(ctx, slog.LevelError, "cannot record the first local user", slog.Any("error", err))
		return false
	}
	first, _, err := g.Records.Get(ctx, claimKey)
	return err == nil && string(first) == claimant
}
