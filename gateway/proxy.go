package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// class says how long an answer of a node may take its place on the link.
type class int

const (
	briefly   class = iota + 1 // a small answer, at once
	following                  // a stream of events, over the link that takes all other requests
	streaming                  // a page or a file, over whichever link is better
	uploading                  // a file for the node, which is not kept here; its answer is small
)

// answerLimit is how long a node may think before its answer begins. Asking a
// device for its capabilities can take half of that.
const answerLimit = 60 * time.Second

var errNoAnswer = errors.New("the node did not begin to answer in time")

// buffers are lent to bodies on their way from nodes to browsers.
var buffers relay.Buffers

// silent is the log of the reverse proxy: the guard's line has what is to be said.
var silent = log.New(io.Discard, "", 0)

// toOwner passes requests on to the node that owns the object whose ID is the path
// value with this name. A node that asks must present what it is of.
func (g *Gateway) toOwner(name string, c class) access.Handler {
	return g.toOwnerUnder(name, c, func(*http.Request, *node) (covering, error) { return covering{}, nil })
}

// toOwnerUnder is toOwner under a licence, where cover finds that one is needed.
func (g *Gateway) toOwnerUnder(name string, c class, cover func(*http.Request, *node) (covering, error)) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		n, err := g.registry.owner(r.PathValue(name))
		if err != nil {
			return err
		}
		if access.CallerOf(r.Context()).Road == access.RoadNode {
			if err := g.judgePresenter(r, n); err != nil {
				return err
			}
		}
		under, err := cover(r, n)
		if err != nil {
			return err
		}
		return g.passUnder(w, r, n, c, under)
	}
}

// pass is passUnder for what needs no licence.
func (g *Gateway) pass(w http.ResponseWriter, r *http.Request, n *node, c class) error {
	return g.passUnder(w, r, n, c, covering{})
}

// passing is a client's request on its way to a node, and the answer on its way back.
type passing struct {
	asking
	own     http.Header // of what is answered to the client, so far
	cancel  context.CancelCauseFunc
	waiting *waitingTime
	up      *upload  // the request's body; nil: it was read ahead
	file    *carried // the answer's body, copied here: the proxy would hold a large buffer for a slow browser
	failed  error    // that the proxy met
}

// passUnder asks the node what the client asked and answers what the node answers. An
// error that it returns has not begun the answer; a body that breaks off resets it.
func (g *Gateway) passUnder(w http.ResponseWriter, r *http.Request, n *node, c class, under covering) error {
	if c != uploading {
		if err := readAhead(r); err != nil {
			return err
		}
	}
	g.underWay.Enter()
	defer g.underWay.Leave()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	if c != briefly {
		release, err := g.registry.takeBody(n)
		if err != nil {
			return err
		}
		defer release()
	} else {
		ctx = relay.WithControl(ctx)
	}
	p := &passing{
		asking: asking{g: g, node: n, caller: access.CallerOf(ctx), class: c, under: under, ctx: ctx},
		own:    w.Header(), cancel: cancel, waiting: newWaitingTime(func() { cancel(errNoAnswer) }),
	}
	defer p.waiting.stop()
	if c == uploading {
		p.up = &upload{ReadCloser: r.Body, waiting: p.waiting}
		r.Body = p.up
	}
	if scanner := r.PathValue("scanner"); scanner != "" {
		p.may = g.guard.May(ctx, p.caller, scanner)
	}
	defer p.working.Wait()
	defer cancel(nil)
	proxy := httputil.ReverseProxy{
		Rewrite:        func(q *httputil.ProxyRequest) { q.Out.Header = towardsNode(q.In) },
		Transport:      p,
		ModifyResponse: p.answered,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { p.failed = err },
		BufferPool:     &buffers,
		ErrorLog:       silent,
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
	if p.file != nil {
		defer p.file.Close()
		if p.file.copyTo(w) != nil {
			panic(http.ErrAbortHandler)
		}
	}
	if p.failed == nil {
		return nil
	}
	if err := p.up.problem(); err != nil {
		return err
	}
	return g.explain(ctx, n, p.failed)
}

// answered makes what the client gets of the node's answer. Nobody gets one that it refuses.
func (p *passing) answered(answer *http.Response) error {
	p.waiting.stop()
	if err := p.up.problem(); err != nil {
		return err // what the node says of half a file is of no use
	}
	if err := p.under.judge(answer); err != nil {
		return err
	}
	if p.class == following {
		answer.Body = p.g.untilEnd(answer.Body, p.cancel)
	}
	if err := towardsBrowser(answer, p.own); err != nil {
		return err
	}
	if file, ok := answer.Body.(*carried); ok {
		p.file, answer.Body = file, http.NoBody
	}
	return nil
}

// readAhead takes in the whole request, which the guard has bounded. So a client
// that sends slowly holds no place on a link, and a request that never left can be
// sent again.
func readAhead(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return badBody(err)
	}
	setBody(r, body)
	return nil
}

// badBody is why a request's body could not be read.
func badBody(err error) error {
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit) && limit.Limit == 0:
		return problem.New(problem.BodyTooLarge, "This request takes no body.")
	case errors.As(err, &limit):
		return problem.New(problem.BodyTooLarge, "The body may have %d bytes.", limit.Limit)
	}
	return problem.New(problem.BadRequest, "The body ended early.")
}

func setBody(r *http.Request, body []byte) {
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	if len(body) == 0 {
		r.Body, r.GetBody = http.NoBody, nil
		return
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
}

// explain makes words of a failure to get an answer from the node.
func (g *Gateway) explain(ctx context.Context, n *node, err error) error {
	name := g.registry.record(n).Name
	var known *problem.Error
	switch {
	case errors.Is(context.Cause(ctx), errNoAnswer):
		return problem.New(problem.Unavailable, "%q did not answer in %d seconds.", name, int(answerLimit/time.Second)).After(time.Second)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, relay.ErrLinkLost):
		return g.registry.lost(n)
	case errors.As(err, &known) && known.Code == problem.NodeOffline && known.Detail == "":
		return g.registry.offline(n)
	case errors.As(err, &known):
		return known
	}
	g.log.Warn("node did not answer as it should", "node", n.id, "request", access.RequestID(ctx), "error", err)
	return problem.New(problem.Unavailable, "%q broke off its answer.", name).After(time.Second)
}
