package access

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Neighbours judges programs of the local network that have no sign-in, as eSCL clients.
// They have to be on a network of the interface that they come in by, or in Allow. No
// web page can use them for its own ends: names that are not this end's are refused, which
// stops DNS rebinding, and so is what another site's page makes a browser send. It is
// safe for concurrent use.
type Neighbours struct {
	Hosts   *Hosts                // names of this end beside its addresses; nil: none
	Origins *Origins              // foreign pages that may ask; nil: none
	Allow   func() []netip.Prefix // who may, wherever it is; nil or none: the networks of the interface. This machine itself always may
	Links   func() []Link         // network interfaces that are up; nil: this machine's
	Log     *slog.Logger          // nil: discarded

	mu    sync.Mutex
	links []Link
	read  time.Time
}

// linksFresh is how long the interfaces' addresses are believed: a scan asks several
// times a second.
const linksFresh = 5 * time.Second

// What pages of allowed origins may send to a neighbour's service and read of it.
const (
	neighbourMethods = "DELETE, GET, POST, PUT"
	neighbourHeaders = "Content-Location, Location"
)

// Admits reports whether a peer may use a service that it reached at a local address. A
// listener closes the connections of others at once.
func (n *Neighbours) Admits(local, peer netip.Addr) bool {
	local, peer = local.Unmap().WithZone(""), peer.Unmap().WithZone("")
	if !local.IsValid() || !peer.IsValid() {
		return false
	}
	links := n.linksWith(local)
	if peer.IsLoopback() || slices.ContainsFunc(links, func(l Link) bool { return l.has(peer) }) {
		return true
	}
	if n.Allow != nil {
		if allowed := n.Allow(); len(allowed) > 0 {
			return slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(peer) })
		}
	}
	return slices.ContainsFunc(links, func(l Link) bool { return l.has(local) && l.reaches(peer) })
}

// linksWith are the interfaces as they were at most a moment ago, and as they are now if
// none of those had the address: this machine has just got it.
func (n *Neighbours) linksWith(local netip.Addr) []Link {
	n.mu.Lock()
	links, read := n.links, n.read
	n.mu.Unlock()
	now := time.Now()
	if now.Sub(read) < linksFresh && slices.ContainsFunc(links, func(l Link) bool { return l.has(local) }) {
		return links
	}
	if n.Links != nil {
		links = n.Links()
	} else {
		links = machineLinks()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links, n.read = links, now
	return links
}

// Handler lets those in that may ask. Refusals say in plain words what to do: eSCL
// clients show nothing of them, people who look for the cause with curl see it.
func (n *Neighbours) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		commonHeaders(w.Header())
		vary(w.Header(), "Origin")
		foreign, refused := n.judge(r)
		if refused != nil {
			n.refuse(w, r, refused)
			return
		}
		var asked *preflight
		if foreign != (Origin{}) && r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			asked = preflightOf(r, neighbourMethods)
		}
		allowPage(w.Header(), foreign, asked, neighbourHeaders)
		if asked != nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refusal is why somebody may not ask.
type refusal struct {
	status int
	why    string // for the log
	words  string // for who asked
}

// judge finds out whether the request may pass, and the foreign page that it is of.
func (n *Neighbours) judge(r *http.Request) (foreign Origin, refused *refusal) {
	local, _ := localAddr(r)
	peer := remoteIP(r)
	if !n.Admits(local.Addr(), peer) {
		return Origin{}, &refusal{http.StatusForbidden, "address", fmt.Sprintf(
			"This scanner answers computers of its own network, or those that Allow in section [escl] of platen.ini names. Yours, %s, is none of them.", peer)}
	}
	at, err := ParseAuthority(withoutZone(r.Host), local.Port()) // some clients leave the port out
	if err != nil || !n.Hosts.has(at, local.Port()) && !at.reaches(local) {
		return Origin{}, &refusal{http.StatusMisdirectedRequest, "host", fmt.Sprintf(
			"This scanner has no such name. Ask for it by its address: %s://%s/", scheme(r), netip.AddrPortFrom(local.Addr().Unmap().WithZone(""), local.Port()))}
	}
	o, err := pageOrigin(r)
	switch {
	case err != nil:
		return Origin{}, &refusal{http.StatusForbidden, "origin", "This web page may not use the scanner."}
	case o == (Origin{}), o == Origin{Scheme: scheme(r), Authority: at}:
		if _, err := fetchSite(r); err != nil && !(navigation(r) && r.URL.Path == "/") {
			return Origin{}, crossSite()
		}
		return Origin{}, nil
	case !n.Origins.Allows(r.Context(), o):
		return Origin{}, &refusal{http.StatusForbidden, "origin", fmt.Sprintf(
			"Web pages of %s may not use this scanner. Its administrator can let them: platen origins allow %[1]s", o)}
	case !fetchCORS(r):
		return Origin{}, crossSite()
	}
	return o, nil
}

// withoutZone is a Host without the zone of a link-local address, which means something
// to the client alone. Some send it all the same (RFC 6874, section 3, forbids it).
func withoutZone(host string) string {
	i, j := strings.IndexByte(host, '%'), strings.IndexByte(host, ']')
	if i < 0 || j < i || !strings.HasPrefix(strings.ToLower(host), "[fe80:") {
		return host
	}
	return host[:i] + host[j:]
}

func crossSite() *refusal {
	return &refusal{http.StatusForbidden, "cross-site", "Another web page made the browser send this. Open the scanner's address by itself."}
}

func (n *Neighbours) refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	if n.Log != nil {
		n.Log.Info("request of a neighbour refused", "why", why.why, "peer", r.RemoteAddr)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(why.status)
	fmt.Fprintln(w, why.words)
}
