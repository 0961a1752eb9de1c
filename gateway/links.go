package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// What a gateway says in its hello, and what it takes for an answer.
const (
	apiVersion   = "1"
	linkVersion  = 1
	helloLimit   = 5 * time.Second
	silenceLimit = 7 * time.Second // a node sends a heartbeat every two seconds
	maxBrief     = 16 << 10        // bytes of a short answer
	maxVersion   = 64              // bytes of a version that is stored and shown
)

// Errors that end a link.
var (
	errSilent   = errors.New("nothing was heard from the node for too long")
	errReplaced = errors.New("a newer link of the node has taken over")
)

// arrival is a link that AddLink brings.
type arrival struct {
	relay.Link
	met chan struct{} // closed once the node has answered the hello, or is refused
}

func newArrival(link relay.Link) arrival { return arrival{link, make(chan struct{})} }

// hold serves one link until it is gone or serving ends, then calls left. An idle node
// costs most by the stacks of what waits for it, and a stack that has grown stays large.
// So who has greeted the node and heard of its scanners leaves it to another goroutine
// to listen to its heartbeats.
func (g *Gateway) hold(serving context.Context, a arrival, left func()) {
	n, h, err := g.take(serving, a.Link)
	close(a.met)
	if err != nil {
		a.Close(closingWord(err))
		left()
		return
	}
	f, err := g.follow(n, h)
	go func() {
		defer left()
		if err == nil {
			err = f.listen()
		}
		g.leave(serving, n, h, f.end(err))
	}()
}

// take greets the node over a new link and enters it into the registry.
func (g *Gateway) take(serving context.Context, link relay.Link) (*node, *held, error) {
	log := g.logOf(link)
	n, err := g.registry.allowed(link.Peer())
	if err != nil {
		log.Warn("link refused", "error", err)
		return nil, nil, err
	}
	log = log.With("node", n.id)
	signer := g.cfg.Identity.Frozen()
	welcome, err := g.greet(serving, n, link, signer)
	if err != nil {
		if serving.Err() == nil {
			log.Warn("node did not answer the hello", "error", err)
		}
		return nil, nil, err
	}
	h := &held{Link: link, since: time.Now(), signer: signer, chosen: make(chan struct{})}
	h.ctx, h.end = context.WithCancelCause(serving)
	older, excess, err := g.registry.up(n, h, welcome.Bulk)
	if err != nil {
		h.end(nil)
		return nil, nil, err
	}
	for _, old := range older {
		old.end(errReplaced)
	}
	for _, old := range excess {
		old.Close("")
	}
	log.Info("node connected", "version", welcome.Version, "bulk", welcome.Bulk)
	g.noteAudit(h.ctx, n, link.Peer(), welcome.Audit)
	return n, h, nil
}

// leave forgets a link that has ended, or that another one has replaced.
func (g *Gateway) leave(serving context.Context, n *node, h *held, cause error) {
	if errors.Is(cause, errReplaced) {
		// The node closes it after its last answer; until then it takes no new requests.
		select {
		case <-h.Done():
		case <-serving.Done():
		}
	}
	h.end(nil)
	g.registry.down(n, h)
	h.Close("")
	g.logOf(h).Info("link ended", "node", n.id, "cause", cause)
}

func (g *Gateway) logOf(link relay.Link) *slog.Logger {
	return g.log.With("kind", link.Kind(), "remote", link.RemoteAddr().String())
}

// closingWord is what the other end is told: a problem's code, or nothing.
func closingWord(err error) string {
	var p *problem.Error
	if errors.As(err, &p) {
		return string(p.Code)
	}
	return ""
}

// hello introduces the gateway: the versions it speaks, and, signed, its time, by which
// the node will judge grants, the number of the link, and the key that follows.
func (g *Gateway) hello(ctx context.Context, n *node, link relay.Link, signer *identity.Identity, number int64) (api.LinkWelcome, error) {
	ctx, cancel := context.WithTimeout(ctx, helloLimit)
	defer cancel()
	hello := api.LinkHello{
		Api: apiVersion, Link: linkVersion, Gateway: g.cfg.Name,
		Chain: signer.Chain(), Time: access.TimeToken(signer, n.id, g.now()), Sequence: access.SequenceToken(signer, n.id, number),
	}
	if next := g.announced.Load(); next != nil {
		hello.NextKey = access.NextKeyToken(signer, n.id, access.NextKey{Pin: next.Pin, From: next.From})
	}
	var welcome api.LinkWelcome
	if err := askLink(ctx, link, "/api/v1/link/hello", hello, &welcome, maxBrief); err != nil {
		return api.LinkWelcome{}, err
	}
	if welcome.Api != apiVersion || welcome.Link != linkVersion {
		return api.LinkWelcome{}, problem.New(problem.VersionNotSpoken, "the node speaks API %.20q and link %d", welcome.Api, welcome.Link)
	}
	return welcome, nil
}

// askLink posts what the gateway itself asks of a node. Its answer, of at most limit bytes,
// goes into said; nil: it has none.
func askLink(ctx context.Context, link relay.Link, path string, question, said any, limit int64) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encoding a question for a node: %w", err)
	}
	r, err := http.NewRequestWithContext(relay.WithControl(ctx), http.MethodPost, nodeURL(path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := link.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if said == nil && (answer.StatusCode == http.StatusNoContent || answer.StatusCode == http.StatusAccepted) {
		return nil
	}
	return readAnswer(answer, limit, said)
}

// nodeURL is a node's resource as a request over a link names it.
func nodeURL(path string) string { return "https://" + relay.Host + path }

// readAnswer reads a JSON answer of a node, at most limit bytes of it. An answer
// that is a problem is the error.
func readAnswer(answer *http.Response, limit int64, v any) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return fmt.Errorf("reading the node's answer: %w", err)
	}
	if int64(len(body)) > limit {
		return fmt.Errorf("the node's answer is longer than %d bytes", limit)
	}
	if answer.StatusCode != http.StatusOK {
		var p problem.Error
		if strings.HasPrefix(answer.Header.Get("Content-Type"), problem.MediaType) && json.Unmarshal(body, &p) == nil {
			return &p
		}
		return fmt.Errorf("the node answered with status %d", answer.StatusCode)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decoding the node's answer: %w", err)
	}
	return nil
}

// clean cuts text that a node sent to something that can be stored and shown.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) { // what steers a terminal, or turns the direction of what stands beside it
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") // without the part of a character at its end
	}
	return strings.TrimSpace(s)
}

// cut closes links at once.
func cut(links []*held, why problem.Code) {
	for _, h := range slices.Backward(links) {
		h.Close(string(why))
	}
}
