package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Rotate changes the node's key; its ID stays. A gateway that was joined takes the new
// key first, so it must be reachable. Cut short at any point, it can be called again.
func (n *Node) Rotate(ctx context.Context) error {
	u := n.uplink
	u.rotating.Lock()
	defer u.rotating.Unlock()
	rotation, err := u.identity.Prepare()
	if err != nil {
		return err
	}
	if g := u.current(); g != nil {
		if _, err := u.ask(ctx, g, http.MethodPost, "/node/key", api.KeyRotation{Rotation: rotation.String()}, nil); err != nil {
			var refused *problem.Error
			if !errors.As(err, &refused) {
				refused = problem.New(problem.Unavailable, "The gateway cannot be reached, so that the key stays as it is.")
			}
			return fmt.Errorf("telling the gateway of the node's next key: %w: %w", refused, err)
		}
	}
	if err := u.identity.Change(); err != nil {
		return err
	}
	u.log.Info("the node's key has changed", "pin", u.identity.Pin())
	if k := u.link(); k != nil {
		k.Redial(0)
	}
	return nil
}

// rotationRoutes are for the node's own key. A gateway uses them for nobody.
func (n *Node) rotationRoutes() []access.Route {
	const path = "/api/v1/identity/rotation"
	rules := access.AtLeast(api.RoleAdmin).Direct().OwnPages()
	return []access.Route{
		{Method: http.MethodGet, Path: path, Policy: rules, Handle: n.getRotation},
		{Method: http.MethodPost, Path: path, Policy: rules, Audit: "identity.rotate", Handle: n.postRotation},
		{Method: http.MethodDelete, Path: path, Policy: rules, Audit: "identity.keep", Handle: n.deleteRotation},
	}
}

func (n *Node) getRotation(w http.ResponseWriter, _ *http.Request) error {
	return access.WriteJSON(w, http.StatusOK, api.Rotation{Pin: n.identity.Pin(), Next: n.identity.Next()})
}

func (n *Node) postRotation(w http.ResponseWriter, r *http.Request) error {
	if err := n.Rotate(r.Context()); err != nil {
		return err
	}
	access.Note(r.Context(), n.identity.Pin(), "")
	return n.getRotation(w, r)
}

// deleteRotation drops a key that was prepared and that a gateway did not take.
func (n *Node) deleteRotation(w http.ResponseWriter, _ *http.Request) error {
	n.uplink.rotating.Lock()
	defer n.uplink.rotating.Unlock()
	if err := n.identity.Drop(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
