package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// The gateway's own key changes in three steps: the next key is made and announced in
// every hello, signed by the present one; a week later the gateway has it; the nodes
// come back over new links, whose hellos are signed by the new key. A node that was away
// all that time refuses the new key and has to join again.
const (
	announceFor  = 7 * 24 * time.Hour
	rotationKey  = "rotation" // of the record
	rotationKept = 5 * 365 * 24 * time.Hour
	rotationTick = time.Minute      // how often it is looked whether the time has come
	comeBackSoon = 5 * time.Second  // within which the nodes come back over new links
	oldKeyLinger = 30 * time.Second // links that began with the old key are cut after that
	tellAtOnce   = 16               // nodes
)

// announced is the key that follows.
type announced struct {
	Pin  string    `json:"pin"`
	At   time.Time `json:"at"`
	From time.Time `json:"from"`
}

// loadRotation finds out where a change of the gateway's key stands, and goes through
// with one whose time has come.
func (g *Gateway) loadRotation(ctx context.Context) error {
	value, _, err := g.cfg.State.Records().Get(ctx, rotationKey)
	if errors.Is(err, access.ErrNoRecord) {
		return nil
	}
	var next announced
	if err == nil {
		err = json.Unmarshal(value, &next)
	}
	if err != nil {
		return fmt.Errorf("reading the announcement of the next key: %w", err)
	}
	if g.cfg.Identity.Next() != next.Pin {
		// The change was done, or the key is lost: nothing is announced any more.
		return g.forgetRotation(ctx)
	}
	g.announced.Store(&next)
	_, err = g.changeKeyIfDue(ctx)
	return err
}

func (g *Gateway) forgetRotation(ctx context.Context) error {
	g.announced.Store(nil)
	if err := g.cfg.State.Records().Delete(ctx, rotationKey); err != nil {
		return fmt.Errorf("forgetting the announcement of the next key: %w", err)
	}
	return nil
}

func (g *Gateway) changeKeyIfDue(ctx context.Context) (changed bool, err error) {
	next := g.announced.Load()
	if next == nil || g.now().Before(next.From) {
		return false, nil
	}
	if err := g.cfg.Identity.Change(); err != nil {
		return false, err
	}
	g.log.Info("the gateway's key has changed", "pin", g.cfg.Identity.Pin())
	return true, g.forgetRotation(ctx)
}

// watchRotation changes the key when its time has come, and tells the nodes that are
// connected what was announced.
func (g *Gateway) watchRotation(ctx context.Context) error {
	tick := time.NewTicker(rotationTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.tell:
			g.onLinks(ctx, tellAtOnce, func(n *node, h *held) {
				if _, err := g.greet(ctx, n, h, h.signer); err != nil && ctx.Err() == nil {
					g.log.Warn("cannot tell a node of the next key", "node", n.id, "error", err)
				}
			})
		case <-tick.C:
			changed, err := g.changeKeyIfDue(ctx)
			if err != nil {
				g.log.Error("cannot change the gateway's key", "error", err)
			}
			if changed {
				g.renewLinks(ctx)
			}
		}
	}
}

// renewLinks has every node come back over a link of the present key, and cuts what
// links of another key still stand after a while.
func (g *Gateway) renewLinks(ctx context.Context) {
	g.onLinks(ctx, tellAtOnce, func(n *node, h *held) {
		if err := g.askForNext(ctx, h, comeBackSoon); err != nil && ctx.Err() == nil {
			g.log.Info("a node did not take the drain", "node", n.id, "error", err)
			h.Close("")
		}
	})
	select {
	case <-time.After(oldKeyLinger):
	case <-ctx.Done():
	}
	for _, n := range g.registry.all() {
		for _, h := range g.registry.linksOf(n) {
			if h.signer.Pin() != g.cfg.Identity.Pin() {
				h.Close("")
			}
		}
	}
}

// askForNext asks the node to open its next link within a time.
func (g *Gateway) askForNext(ctx context.Context, h *held, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, helloLimit)
	defer cancel()
	return askLink(ctx, h, "/api/v1/link/drain", api.LinkDrain{AfterMs: int(rand.N(max(within, 1)).Milliseconds())}, nil, maxBrief)
}

// onLinks does something with the link of each node that is connected, some at a time.
func (g *Gateway) onLinks(ctx context.Context, atOnce int, do func(*node, *held)) {
	slots := make(chan struct{}, atOnce)
	var doing sync.WaitGroup
	defer doing.Wait()
	for _, n := range g.registry.all() {
		links := g.registry.linksOf(n)
		if len(links) == 0 {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		doing.Go(func() {
			defer func() { <-slots }()
			do(n, links[len(links)-1])
		})
	}
}

// tellNodes has the nodes that are connected hear of the announcement as it is now.
func (g *Gateway) tellNodes() {
	select {
	case g.tell <- struct{}{}:
	default: // it is about to be done
	}
}

func (g *Gateway) getRotation(w http.ResponseWriter, _ *http.Request) error {
	return access.WriteJSON(w, http.StatusOK, g.rotation())
}

func (g *Gateway) rotation() api.Rotation {
	answer := api.Rotation{Pin: g.cfg.Identity.Pin()}
	if next := g.announced.Load(); next != nil {
		answer.Next, answer.Announced, answer.From = next.Pin, scan.At(next.At), scan.At(next.From)
		answer.Behind = g.registry.behind(next.Pin)
	}
	return answer
}

func (g *Gateway) postRotation(w http.ResponseWriter, r *http.Request) error {
	if g.announced.Load() != nil {
		return problem.RotationPending.Error()
	}
	rotation, err := g.cfg.Identity.Prepare()
	if err != nil {
		return err
	}
	now := g.now()
	next := announced{Pin: identity.PinOf(rotation.New), At: now, From: now.Add(announceFor)}
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encoding an announcement: %w", err)
	}
	_, err = g.cfg.State.Records().Create(r.Context(), rotationKey, value, now.Add(rotationKept))
	if errors.Is(err, access.ErrConflict) {
		return problem.RotationPending.Error()
	}
	if err != nil {
		return fmt.Errorf("announcing the next key: %w", err)
	}
	g.announced.Store(&next)
	g.tellNodes()
	access.Note(r.Context(), next.Pin, "")
	g.log.Info("the gateway's next key is announced", "pin", next.Pin, "from", next.From)
	return access.WriteJSON(w, http.StatusOK, g.rotation())
}

func (g *Gateway) deleteRotation(w http.ResponseWriter, r *http.Request) error {
	if next := g.announced.Load(); next != nil {
		access.Note(r.Context(), next.Pin, "")
	}
	if err := g.forgetRotation(r.Context()); err != nil {
		return err
	}
	if err := g.cfg.Identity.Drop(); err != nil {
		return err
	}
	g.tellNodes()
	w.WriteHeader(http.StatusNoContent)
	return nil
}
