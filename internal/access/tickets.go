package access

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	ticketLife       = 60 * time.Second
	ticketPrefix     = "ticket=" // in the query
	ticketsPerMinute = 600       // of one session: the thumbnails of a large document
	maxTickets       = 1 << 14   // open at a time
	maxTicketPath    = 2048
)

// tickets are the links that stand in for a session once. They live in memory: who
// loses one to a restart asks for another. Only their hashes are kept.
type tickets struct {
	mu   sync.Mutex
	open map[string]ticket // by the hash of the text
}

type ticket struct {
	caller      Caller
	path, query string // escaped, as they must come
	expires     time.Time
}

func newTickets() *tickets { return &tickets{open: map[string]ticket{}} }

// issue keeps a ticket and gives its text; false if there is no room.
func (t *tickets) issue(k ticket, now time.Time) (text string, ok bool) {
	text = scan.RandomText(tokenLength)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) >= maxTickets {
		for key, old := range t.open {
			if !now.Before(old.expires) {
				delete(t.open, key)
			}
		}
	}
	if len(t.open) >= maxTickets {
		return "", false
	}
	t.open[string(hash(text))] = k
	return text, true
}

// take gives the ticket to the first who asks in time, and to nobody else.
func (t *tickets) take(text string, now time.Time) (ticket, bool) {
	key := string(hash(text))
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.open[key]
	delete(t.open, key)
	return k, ok && now.Before(k.expires)
}

func (g *Guard) ticketRoutes() []Route {
	return []Route{{Method: http.MethodPost, Path: "/api/v1/tickets", Handle: g.postTicket, MaxBody: maxSignInBody,
		Policy: AtLeast(api.RoleKiosk).Direct().Limit(ticketsPerMinute, time.Minute)}}
}

func (g *Guard) postTicket(w http.ResponseWriter, r *http.Request) error {
	var body api.TicketRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	u, err := url.ParseRequestURI(body.Path)
	if err != nil || len(body.Path) > maxTicketPath || u.RequestURI() != body.Path || !w.(*exchange).h.takesTickets(u) {
		return problem.New(problem.BadRequest, "It is not the path of a page's or document's content.").At("path")
	}
	expires := g.Now().Add(ticketLife)
	text, ok := g.tickets.issue(ticket{CallerOf(r.Context()), u.EscapedPath(), u.RawQuery, expires}, g.Now())
	if !ok {
		return problem.Unavailable.Error().After(ticketLife)
	}
	separator := "?"
	if u.RawQuery != "" {
		separator = "&"
	}
	return WriteJSON(w, http.StatusCreated, api.Ticket{Url: body.Path + separator + ticketPrefix + text, Expires: scan.At(expires)})
}

// takesTickets reports whether a GET of the URL is one that a ticket can be for.
func (h *handler) takesTickets(u *url.URL) bool {
	if u.Host != "" || !clean(u.EscapedPath()) || strings.Contains("&"+u.RawQuery, "&"+ticketPrefix) {
		return false
	}
	found, _ := h.routes.Handler(&http.Request{Method: http.MethodGet, URL: u})
	s, ok := found.(*resource)
	return ok && s.methods[http.MethodGet].Policy.tickets
}

// cutTicket takes the ticket out of the query where the policy knows of tickets, so
// that no handler sees it and no gateway passes it on.
func (h *handler) cutTicket(x *exchange, r *http.Request, p Policy) *http.Request {
	if !p.tickets || h.road.internal() || !strings.Contains(r.URL.RawQuery, ticketPrefix) {
		return r
	}
	var rest []string
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if strings.HasPrefix(part, ticketPrefix) {
			x.ticket += part // two of them are none that was ever issued
		} else {
			rest = append(rest, part)
		}
	}
	r = r.WithContext(r.Context())
	u := *r.URL
	u.RawQuery = strings.Join(rest, "&")
	r.URL, r.RequestURI = &u, u.RequestURI()
	return r
}

// identifyTicket finds who a ticket stands for. It is used up whatever comes of it.
func (h *handler) identifyTicket(ctx context.Context, x *exchange, r *http.Request) (Caller, error) {
	k, ok := h.tickets.take(strings.TrimPrefix(x.ticket, ticketPrefix), h.Now())
	if !ok || r.Method != http.MethodGet || r.URL.EscapedPath() != k.path || r.URL.RawQuery != k.query {
		return Caller{}, problem.TicketInvalid.Error()
	}
	if from := x.origin(); from != "" && from != k.caller.Origin {
		return Caller{}, problem.TicketInvalid.Error()
	}
	c, err := h.again(ctx, k.caller)
	x.shared = err == nil
	return c, err
}
