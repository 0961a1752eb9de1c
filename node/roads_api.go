package node

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxOffer       = 16 << 10 // bytes
	maxSession     = 128      // bytes of a session's name
	maxRoadBody    = access.MaxRoadGrant + 1<<10
	maxLinkRoads   = 64 << 10 // an offer and the servers to find the own address with
	maxSTUN        = 4
	maxSTUNAddress = 256             // bytes
	offerTime      = 3 * time.Second // to answer an offer
	roadBodyTime   = 5 * time.Second // for a grant to arrive
)

// openRoad opens the road that the request came by, or keeps it open.
func (n *Node) openRoad(w http.ResponseWriter, r *http.Request) error {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(roadBodyTime)) // a writer without deadlines is a test's
	var body api.RoadOpening
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	_ = control.SetReadDeadline(time.Time{})
	way := roadOf(r.Context())
	if way == nil {
		return problem.RoadNotOpen.Error()
	}
	grant, left, err := n.grants.VerifyRoad(r.Context(), body.Grant)
	if err != nil {
		return err
	}
	if grant, err = n.roads.open(way, grant, left); err != nil {
		return err
	}
	n.log.Debug("direct road opened", "kind", way.session.Kind(), "session", grant.Session, "left", left)
	return access.WriteJSON(w, http.StatusOK, api.RoadOpen{Node: n.id, Expires: scan.At(grant.Expires)})
}

// linkRoads tells the gateway how browsers reach the node directly.
func (n *Node) linkRoads(w http.ResponseWriter, r *http.Request) error {
	var q api.LinkRoadsRequest
	if err := access.ReadPeerJSON(r, &q); err != nil {
		return err
	}
	if len(q.Offer) > maxOffer {
		return problem.New(problem.BadRequest, "An offer has at most %d bytes.", maxOffer).At("offer")
	}
	c := n.roads.config
	if c.WebTransport == nil && c.WebRTC == nil {
		return access.WriteJSON(w, http.StatusOK, api.LinkRoads{})
	}
	said := api.LinkRoads{Chain: n.identity.Chain()}
	said.Statement = c.statement().Sign(n.identity, time.Now())
	if q.Offer != "" && c.WebRTC != nil {
		answer, err := c.answer(r.Context(), q)
		if err != nil {
			return err
		}
		said.Answer = answer
	}
	return access.WriteJSON(w, http.StatusOK, said)
}

// statement is where the node is reached and by which keys.
func (c Roads) statement() (s access.RoadStatement) {
	if c.WebTransport != nil && c.Addresses != nil {
		s.Hashes = c.WebTransport.Hashes()
		for _, address := range c.Addresses() {
			s.WebTransport = append(s.WebTransport, "https://"+address+"/road")
		}
	}
	if c.WebRTC != nil {
		s.Fingerprint = c.WebRTC.Fingerprint()
	}
	return s
}

// answer is the one to the browser's offer.
func (c Roads) answer(ctx context.Context, q api.LinkRoadsRequest) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, offerTime)
	defer cancel()
	var stun []string
	for _, server := range q.IceServers {
		for _, u := range server.Urls {
			if strings.HasPrefix(u, "stun:") && len(u) <= maxSTUNAddress && len(stun) < maxSTUN {
				stun = append(stun, u)
			}
		}
	}
	answer, err := c.WebRTC.Answer(ctx, q.Offer, stun)
	var known *problem.Error
	switch {
	case err == nil:
		return answer, nil
	case errors.As(err, &known):
		return "", known
	case ctx.Err() != nil:
		return "", problem.Unavailable.Error().After(time.Second)
	}
	return "", problem.New(problem.BadRequest, "The offer cannot be answered.").At("offer")
}

// linkRoadsClose closes the roads of a session that has ended at the gateway.
func (n *Node) linkRoadsClose(w http.ResponseWriter, r *http.Request) error {
	var q api.LinkRoadsClose
	if err := access.ReadPeerJSON(r, &q); err != nil {
		return err
	}
	if q.Session == "" || len(q.Session) > maxSession {
		return problem.New(problem.BadRequest, "It is the name of a session.").At("session")
	}
	if q.At.IsZero() {
		return problem.New(problem.BadRequest, "The time is missing.").At("at")
	}
	n.roads.endSession(q.Session, q.At.Time)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
