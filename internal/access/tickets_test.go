package access_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// ticketEnd is an end whose page route answers with the query that it saw.
func ticketEnd(t *testing.T, change ...func(*access.Config)) (e *end, h http.Handler, token string) {
	e, _, token = newShop(t, change...)
	for i := range e.routes {
		if strings.HasSuffix(e.routes[i].Path, "/pages/{n}") {
			e.routes[i].Handle = func(w http.ResponseWriter, r *http.Request) error {
				return access.WriteJSON(w, http.StatusOK, []string{r.URL.RawQuery, r.RequestURI, access.CallerOf(r.Context()).Session})
			}
		}
	}
	return e, e.on(access.RoadLAN), token
}

// newTicket asks for a link to the path.
func newTicket(t *testing.T, h http.Handler, token, path string) string {
	t.Helper()
	w := page(accesstest.Validate(t, h), access.RoadLAN, "POST", "/api/v1/tickets", `{"path":"`+path+`"}`, shop, token)
	var ticket api.Ticket
	if err := json.Unmarshal(w.Body.Bytes(), &ticket); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("asking for a ticket: status %d, %s", w.Code, w.Body)
	}
	return ticket.Url
}

// embed fetches a link as an img element of whatever page does.
func embed(h http.Handler, url string) *httptest.ResponseRecorder {
	r := accesstest.NewRequest(access.RoadLAN, "GET", url, "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "no-cors")
	r.Header.Set("Sec-Fetch-Dest", "image")
	return accesstest.Do(h, r)
}

func TestTicket(t *testing.T) {
	for _, path := range []string{pagePath, pagePath + "?width=300&format=jpeg"} {
		e, h, token := ticketEnd(t)
		url := newTicket(t, h, token, path)
		w := embed(h, url)
		wantStatus(t, w, http.StatusOK)
		var saw [3]string
		if err := json.Unmarshal(w.Body.Bytes(), &saw); err != nil {
			t.Fatal(err)
		}
		if _, query, _ := strings.Cut(path, "?"); saw[0] != query || saw[1] != path || !strings.HasPrefix(token, saw[2]+".") {
			t.Errorf("the handler saw %q for %s", saw, path)
		}
		if got := w.Header().Get("Cross-Origin-Resource-Policy"); got != "cross-origin" {
			t.Errorf("Cross-Origin-Resource-Policy = %q", got)
		}
		w = embed(h, url)
		wantCode(t, w, problem.TicketInvalid)
		if got := w.Header().Get("Cross-Origin-Resource-Policy"); got != "same-origin" {
			t.Errorf("refused: Cross-Origin-Resource-Policy = %q", got)
		}
		_, secret, _ := strings.Cut(url, "ticket=")
		if len(secret) != 52 || strings.Contains(e.log.String(), secret) || strings.Contains(e.records.Dump(), secret) {
			t.Errorf("the ticket %q is in the log or in the records, or is short", secret)
		}
	}
}

func TestTicketRefused(t *testing.T) {
	var now atomic.Pointer[time.Time]
	e, h, token := ticketEnd(t, func(c *access.Config) {
		c.Now = func() time.Time {
			if at := now.Load(); at != nil {
				return *at
			}
			return time.Now()
		}
	})
	later := func(d time.Duration) func(*http.Request) {
		return func(*http.Request) { at := time.Now().Add(d); now.Store(&at) }
	}
	query := func(f func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = f(r.URL.RawQuery) }
	}
	tests := []struct {
		name   string
		change func(*http.Request)
		want   problem.Code
	}{
		{"as it is", func(*http.Request) {}, ""},
		{"from its own page", func(r *http.Request) { r.Header.Set("Origin", shop) }, ""},
		{"in time", later(58 * time.Second), ""},
		{"a second late", later(61 * time.Second), problem.TicketInvalid},
		{"another page of the job", func(r *http.Request) { r.URL.Path = jobPath + "/pages/2" }, problem.TicketInvalid},
		{"another query", query(func(q string) string { return q + "&width=1" }), problem.TicketInvalid},
		{"no query", query(func(q string) string { return q[strings.Index(q, "ticket="):] }), problem.TicketInvalid},
		{"twice in the query", query(func(q string) string { return q + q[strings.Index(q, "&ticket="):] }), problem.TicketInvalid},
		{"cut short", query(func(q string) string { return q[:len(q)-1] }), problem.TicketInvalid},
		{"empty", query(func(q string) string { return "width=300&ticket=" }), problem.TicketInvalid},
		{"HEAD", func(r *http.Request) { r.Method = "HEAD" }, problem.TicketInvalid},
		{"from another page", func(r *http.Request) { r.Header.Set("Origin", accesstest.DeskOrigin) }, problem.TicketInvalid},
		{"from a page that is not allowed", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, problem.OriginNotAllowed},
		{"with a good session beside a bad ticket", func(r *http.Request) {
			r.URL.RawQuery = "ticket=x"
			r.Header.Set("Origin", shop)
			r.Header.Set("Authorization", "Bearer "+token)
		}, problem.TicketInvalid},
		{"on a route that takes none", func(r *http.Request) { r.URL.Path = jobPath }, problem.SessionRequired},
	}
	for _, tt := range tests {
		now.Store(nil)
		url := newTicket(t, h, token, pagePath+"?width=300")
		r := accesstest.NewRequest(access.RoadLAN, "GET", url, "")
		tt.change(r)
		if got := accesstest.Code(accesstest.Do(h, r)); got != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, got, tt.want)
		}
	}

	now.Store(nil)
	url := newTicket(t, h, token, pagePath)
	e.guard.Origins.Configure(false, nil)
	wantCode(t, embed(h, url), problem.OriginNotAllowed)
	accesstest.AllowPages(e.guard.Origins)
	url = newTicket(t, h, token, pagePath)
	if err := e.guard.EndSession(t.Context(), token[:20]); err != nil {
		t.Fatal(err)
	}
	wantCode(t, embed(h, url), problem.SessionExpired)
}

func TestTicketPaths(t *testing.T) {
	_, h, token := ticketEnd(t)
	for _, path := range []string{
		"", "x", jobPath, "/api/v1/sessions", "/", "//evil.example" + pagePath, "https://evil.example" + pagePath, pagePath + "#x",
		pagePath + "?ticket=x", pagePath + "?width=3&ticket=x", "/api/v1/jobs/../jobs/x/pages/1", pagePath + " ", pagePath + "?" + strings.Repeat("x", 2048),
	} {
		body, err := json.Marshal(api.TicketRequest{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, page(h, access.RoadLAN, "POST", "/api/v1/tickets", string(body), shop, token), problem.BadRequest)
	}
}

// Of sixteen at once one gets the page.
func TestTicketOneWins(t *testing.T) {
	_, h, token := ticketEnd(t)
	for range 20 {
		url := newTicket(t, h, token, pagePath)
		var won atomic.Int32
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if w := embed(h, url); w.Code == http.StatusOK {
					won.Add(1)
				} else {
					wantCode(t, w, problem.TicketInvalid)
				}
			})
		}
		all.Wait()
		if got := won.Load(); got != 1 {
			t.Fatalf("%d of 16 got the page, want 1", got)
		}
	}
}
