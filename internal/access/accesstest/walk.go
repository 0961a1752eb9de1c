package accesstest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Walker attacks every route of a table.
type Walker struct {
	Handler http.Handler
	Routes  []access.Route
	Road    access.Road
	As      As // SignIn(…) or Gateway.As

	// Target gives the path (and query) of a request to the route that would be served
	// but for the attack; nil or "": the route's path with well-formed IDs of nothing.
	Target func(access.Route) string
	// Header puts on what else a good request to the route has, as an Idempotency-Key; may be nil.
	Header func(access.Route, http.Header)
	// Body is a good JSON object for the route; nil or "": one that is empty.
	Body func(access.Route) string
	// Snapshot is everything that a request could change, as text; nil: nothing is compared.
	Snapshot func() string
}

// attack is one way to misuse a route. It changes a request that nobody has signed,
// and says which problem it wants, "" if the attack makes no sense there.
type attack struct {
	name string
	make func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code)
}

// Walk tries every attack on every route that exists on the road: the right problem,
// no CORS header, nothing changed.
func Walk(t *testing.T, w Walker) {
	walked := 0
	for _, route := range w.Routes {
		if !route.Policy.On(w.Road) {
			continue
		}
		walked++
		t.Run(route.Method+" "+strings.ReplaceAll(route.Path, "/", "_"), func(t *testing.T) {
			for _, a := range attacks(w.Road, route) {
				r, want := a.make(w, t, route)
				if want != "" {
					w.try(t, a.name, r, want)
				}
			}
		})
	}
	if walked == 0 {
		t.Errorf("no route exists on road %q", w.Road)
	}
}

func (w Walker) try(t *testing.T, name string, r *http.Request, want problem.Code) {
	t.Helper()
	before := w.snapshot()
	answer := Do(w.Handler, r)
	if got := Code(answer); got != want || answer.Code != want.Status() {
		t.Errorf("%s: status %d, problem %q, want %q (%s)", name, answer.Code, got, want, strings.TrimSpace(answer.Body.String()))
	}
	checkHeaders(t, name, answer)
	if after := w.snapshot(); after != before {
		t.Errorf("%s changed something.\nbefore: %s\nafter: %s", name, before, after)
	}
}

func checkHeaders(t *testing.T, name string, answer *httptest.ResponseRecorder) {
	t.Helper()
	h := answer.Header()
	for header := range h {
		if strings.HasPrefix(header, "Access-Control-") {
			t.Errorf("%s: the refusal has %s: %q", name, header, h[header])
		}
	}
	if v := strings.Join(h.Values("Vary"), ","); !strings.Contains(v, "Origin") {
		t.Errorf("%s: Vary = %q, want Origin", name, v)
	}
	for header, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := h.Values(header); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s = %q, want %q", name, header, got, want)
		}
	}
}

func (w Walker) snapshot() string {
	if w.Snapshot == nil {
		return ""
	}
	return w.Snapshot()
}

// request makes a good request, as yet of nobody.
func (w Walker) request(route access.Route) *http.Request {
	target, body := "", ""
	if w.Target != nil {
		target = w.Target(route)
	}
	if target == "" {
		target = FillPath(route.Path)
	}
	if route.MaxBody > 0 {
		if w.Body != nil {
			body = w.Body(route)
		}
		if body == "" {
			body = "{}"
		}
	}
	return w.requestTo(route, target, body)
}

func (w Walker) requestTo(route access.Route, target, body string) *http.Request {
	r := NewRequest(w.Road, route.Method, target, body)
	if w.Header != nil {
		w.Header(route, r.Header)
	}
	return r
}

// signed makes a good request of somebody whose role is enough.
func (w Walker) signed(t *testing.T, route access.Route, r *http.Request) *http.Request {
	role := route.Policy.Role()
	if role != "" || w.Road == access.RoadLink {
		w.As(t, r, cmp.Or(role, api.RoleAdmin))
	}
	return r
}

var parameter = regexp.MustCompile(`\{[a-z]+\}`)

// examples are well-formed identifiers of nothing.
var examples = map[string]string{
	"{scanner}": exampleID(scan.KindScanner), "{job}": exampleID(scan.KindJob), "{document}": exampleID(scan.KindDocument),
	"{n}": "1", "{node}": strings.Repeat("a", 26) + "k7",
	"{pairing}": strings.Repeat("a", 20), "{session}": strings.Repeat("a", 20), "{token}": strings.Repeat("a", 20),
}

func exampleID(k scan.Kind) string {
	return strings.Repeat("a", 16) + "-" + string(k) + strings.Repeat("a", 20)
}

// FillPath puts a well-formed identifier of nothing in each parameter of a route's path.
func FillPath(path string) string {
	return parameter.ReplaceAllStringFunc(path, func(name string) string {
		if v, ok := examples[name]; ok {
			return v
		}
		panic(fmt.Sprintf("accesstest: no example for %s in %s", name, path))
	})
}
