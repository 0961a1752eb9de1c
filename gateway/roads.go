package gateway

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// RoadsConfig is what helps browsers and nodes to find each other.
type RoadsConfig struct {
	STUN []string // addresses, as "stun:gateway.example:3478"; nil: none
	// TURN is a relay for browsers that nothing else gets through, and what the user of this
	// name needs for it for a while. It must not block. ok is false while there is none.
	// nil: there never is.
	TURN func(user string) (server api.ICEServer, ok bool)
}

const (
	// Of one session: its tabs, each for each node, once a minute, and a few times whenever
	// the phone goes from one access point to the next.
	roadsPerMinute = 120

	maxOffer        = 16 << 10 // bytes
	maxRoadsRequest = 24 << 10 // an offer in JSON
	maxRoadsAnswer  = 128 << 10
	roadsLimit      = 8 * time.Second // for the node to say how it is reached
)

// roadRoutes are how browsers get to a node without this gateway between them.
func (g *Gateway) roadRoutes() []access.Route {
	return []access.Route{{
		Method: http.MethodPost, Path: v1 + "/nodes/{node}/roads", Policy: anybody.Limit(roadsPerMinute, time.Minute),
		MaxBody: maxRoadsRequest, Handle: g.openRoads,
	}}
}

// openRoads grants the caller a direct road to the node, and passes on how it is reached.
func (g *Gateway) openRoads(w http.ResponseWriter, r *http.Request) error {
	var q api.RoadRequest
	if err := access.ReadJSON(r, &q); err != nil {
		return err
	}
	if len(q.Offer) > maxOffer {
		return problem.New(problem.BadRequest, "An offer has at most %d bytes.", maxOffer).At("offer")
	}
	ctx, caller := r.Context(), access.CallerOf(r.Context())
	n, ok := g.registry.get(r.PathValue("node"))
	if !ok {
		return problem.NotFound.Error()
	}
	actions := g.actionsAt(ctx, caller, n)
	if len(actions) == 0 && !caller.May(api.RoleOperator) {
		return problem.NotFound.Error() // nobody learns of a node that has nothing for them
	}
	if g.licensed(caller) {
		if err := accountable(g.registry.record(n)); err != nil {
			return err // what comes by such a road nobody counts but the node
		}
	}
	said, signer, err := g.askRoads(ctx, n, q)
	if err != nil {
		return err
	}
	watch, err := g.roads.keep(ctx, caller, n)
	if err != nil {
		return err
	}
	grant := access.NewRoadGrant(caller, n.id, []string{access.OwnPage(r)}, actions, g.now())
	answer := api.Roads{
		Grant: grant.Sign(signer), Expires: scan.At(grant.Expires),
		Statement: said.Statement, Chain: said.Chain, Answer: said.Answer,
		IceServers: g.iceServers(caller), Near: near(r),
	}
	if answer.Network, err = g.networkOf(caller, n); err != nil {
		return err
	}
	if ctx.Err() != nil || watch.over() {
		return problem.Unavailable.Error() // the session has ended, and the node may have been told before the grant
	}
	g.log.Debug("direct road granted", "node", n.id, "session", caller.Session, "request", access.RequestID(ctx))
	return access.WriteJSON(w, http.StatusOK, answer)
}

// actionsAt is what the caller may do with each of the node's scanners that he may see.
func (g *Gateway) actionsAt(ctx context.Context, caller access.Caller, n *node) map[string][]scan.Action {
	actions := map[string][]scan.Action{}
	for _, s := range g.registry.scannersOf(n) {
		if may := g.guard.May(ctx, caller, s.ID); len(may) > 0 {
			actions[s.ID] = may
		}
	}
	return actions
}

// askRoads has the node say how it is reached, and answers with whose key the gateway
// speaks to it.
func (g *Gateway) askRoads(ctx context.Context, n *node, q api.RoadRequest) (said api.LinkRoads, signer *identity.Identity, err error) {
	asking, cancel := context.WithTimeout(ctx, roadsLimit)
	defer cancel()
	request := api.LinkRoadsRequest{Offer: q.Offer}
	if len(g.cfg.Roads.STUN) > 0 {
		request.IceServers = []api.ICEServer{{Urls: g.cfg.Roads.STUN}}
	}
	var failed *held
	for range 2 {
		var link *held
		if link, err = g.registry.linkTo(asking, n, failed); err != nil {
			break
		}
		if err = askLink(asking, link, "/api/v1/link/roads", request, &said, maxRoadsAnswer); err == nil {
			return said, link.signer, nil
		}
		if errors.Is(err, problem.NotFound.Error()) {
			return api.LinkRoads{}, link.signer, nil // its program is older than direct roads
		}
		if !errors.Is(err, problem.NodeOffline.Error()) && !errors.Is(err, relay.ErrLinkLost) {
			break
		}
		failed = link // asking twice does no harm
	}
	if ctx.Err() == nil && asking.Err() != nil {
		name := g.registry.record(n).Name
		return said, nil, problem.New(problem.Unavailable, "%q did not answer in %d seconds.", name, int(roadsLimit/time.Second)).After(time.Second)
	}
	return said, nil, g.explain(ctx, n, err)
}

// iceServers are those that the caller may use.
func (g *Gateway) iceServers(caller access.Caller) (servers []api.ICEServer) {
	if len(g.cfg.Roads.STUN) > 0 {
		servers = append(servers, api.ICEServer{Urls: g.cfg.Roads.STUN})
	}
	if g.cfg.Roads.TURN != nil {
		if turn, ok := g.cfg.Roads.TURN(caller.Session); ok {
			servers = append(servers, turn)
		}
	}
	return servers
}

// shared is the range that providers give to customers (RFC 6598); browsers take its
// addresses for local ones.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// near reports whether both ends of the caller's connection have local addresses, so that
// browsers let the page ask other local addresses.
func near(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For"} {
		if len(r.Header.Values(name)) > 0 {
			return false // both ends are a proxy's and ours
		}
	}
	there, err := netip.ParseAddrPort(r.RemoteAddr)
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if err != nil || !ok {
		return false
	}
	here, err := netip.ParseAddrPort(at.String())
	return err == nil && isLocal(here.Addr()) && isLocal(there.Addr())
}

func isLocal(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || shared.Contains(ip)
}

const networkLength = 12 // bytes: 96 bits

// networkOf names the network from which the caller reaches the node. The name is the same
// after a restart and tells nothing.
func (g *Gateway) networkOf(caller access.Caller, n *node) (string, error) {
	ip, err := netip.ParseAddr(caller.Address)
	if err != nil {
		return "", nil // nobody knows
	}
	bits := 24
	if ip.Is6() {
		bits = 56
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return "", fmt.Errorf("naming a network: %w", err)
	}
	key, err := hkdf.Key(sha256.New, g.cfg.Identity.Signer().Seed(), nil, "platen gateway networks", sha256.Size)
	if err != nil {
		return "", fmt.Errorf("naming a network: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s %s", prefix, n.id)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:networkLength]), nil
}
