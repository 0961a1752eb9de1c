package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// asking sends one client's requests to one node, each with a grant of its own. It
// is the http.RoundTripper of the reverse proxy.
type asking struct {
	g      *Gateway
	node   *node
	caller access.Caller
	class  class         // zero: briefly
	may    []scan.Action // with the scanner of the path
	under  covering
	// ctx stands for the request's: the proxy's own has a hook that would pass a
	// node's interim answers, with any header, straight to the browser.
	ctx context.Context

	working sync.WaitGroup // requests for a file; they have ended soon after its body was closed
}

// RoundTrip sends the request. If the node has used up the pages of a licence which has
// more, it gets them, and the request once again.
func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.overLinks(r)
	if err != nil || a.under.more == nil || r.GetBody == nil {
		return answer, err
	}
	used, err := pagesUsed(answer)
	if err != nil || !used {
		return answer, err
	}
	permit, err := a.under.more()
	if err == nil && permit.String() == a.under.permit.String() {
		return answer, nil
	}
	answer.Body.Close()
	if err != nil {
		return nil, err
	}
	a.under.permit = permit
	if r.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	return a.overLinks(r)
}

// overLinks sends the request over the node's link, or for a file over the better one.
// If that broke, and doing it twice is no harm, it tries the next link once.
func (a *asking) overLinks(r *http.Request) (*http.Response, error) {
	find := a.g.registry.linkTo
	if a.class == streaming {
		find = a.g.registry.bodyLink
	}
	link, err := find(a.ctx, a.node, nil)
	if err != nil {
		return nil, err
	}
	answer, err := a.ask(link, r)
	if err == nil || !again(r, err) {
		return answer, err
	}
	next, linkErr := find(a.ctx, a.node, link)
	if linkErr != nil {
		return nil, err
	}
	if r.GetBody != nil {
		body, bodyErr := r.GetBody()
		if bodyErr != nil {
			return nil, bodyErr
		}
		r.Body = body
	}
	return a.ask(next, r)
}

// ask sends the request over a link. The body of a file outlives that link.
func (a *asking) ask(link *held, r *http.Request) (*http.Response, error) {
	if a.class == streaming {
		return a.begin(link, r)
	}
	return a.send(a.ctx, link, r)
}

func (a *asking) send(ctx context.Context, link *held, r *http.Request) (*http.Response, error) {
	out := r.WithContext(ctx)
	grant := access.NewGrant(a.caller, a.node.id, out, a.g.now(), a.may...)
	a.under.sign(&grant, a.caller, out.Header)
	out.Header.Set(access.HeaderGrant, grant.Sign(link.signer))
	out.Header.Set(access.HeaderRequestID, access.RequestID(a.ctx))
	return link.RoundTrip(out)
}

// maxResource is how many bytes of a node's resource are read here.
const maxResource = 4 << 20

// look asks a node for a resource in the name of a caller who waits for it.
func (g *Gateway) look(ctx context.Context, n *node, caller access.Caller, path string, v any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errNoAnswer)
	defer cancel()
	if err := g.get(ctx, n, caller, path, v); err != nil {
		return g.explain(ctx, n, err)
	}
	return nil
}

// get asks a node for a resource in the caller's name.
func (g *Gateway) get(ctx context.Context, n *node, caller access.Caller, path string, v any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, nodeURL(path), nil)
	if err != nil {
		return err
	}
	answer, err := (&asking{g: g, node: n, caller: caller, ctx: ctx}).RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return readAnswer(answer, maxResource, v)
}

// again reports whether a request may be sent a second time: because it never left,
// or its link broke and a second time does what the first did.
func again(r *http.Request, err error) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false // part of it is gone
	}
	var known *problem.Error
	if errors.As(err, &known) {
		return known.Code == problem.NodeOffline
	}
	if !errors.Is(err, relay.ErrLinkLost) {
		return false
	}
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Header.Get(headerIdempotency) != ""
}
