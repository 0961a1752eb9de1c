package accesstest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
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
	As      As // SignIn(…), Gateway.As or Gateway.AsRoad

	// Page is As for pages of a foreign origin: SignInPage(…), Gateway.Page or Gateway.RoadPage. The end must
	// allow them (AllowPages). nil: no foreign page is tried.
	Page func(origin string) As
	// Cookie signs our own page in, as Cookie(…) does; nil: no cookie is tried.
	Cookie func(t testing.TB, role api.Role) *http.Cookie

	// Others are callers who are somebody, but nobody for whom the routes are: every route that
	// asks for a role refuses them.
	Others []Other

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

// Other is a caller that is refused.
type Other struct {
	Name string
	As   As
	Want problem.Code
}

// attack is one way to misuse a route. It changes a request that nobody has signed,
// and says which problem it wants, "" if the attack makes no sense there.
type attack struct {
	name string
	make maker
	echo string // the allowed origin whose page may read the refusal; "": nobody's
}

type maker = func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code)

// Walk tries every attack on every route that exists on the road: the right problem,
// no CORS header but for an allowed page, nothing changed.
func Walk(t *testing.T, w Walker) {
	walked := 0
	w.Page, w.Cookie = once(w.Page), onceEach(w.Cookie)
	for _, route := range w.Routes {
		if !route.On(w.Road) {
			continue
		}
		walked++
		t.Run(route.Method+" "+strings.ReplaceAll(route.Path, "/", "_"), func(t *testing.T) {
			for _, a := range attacks(w, route) {
				r, want := a.make(w, t, route)
				if want != "" {
					w.try(t, a, r, want)
				}
			}
			w.checkPreflight(t, route)
		})
	}
	if walked == 0 {
		t.Errorf("no route exists on road %q", w.Road)
	}
}

// once signs the pages of each origin in by one As.
func once(page func(origin string) As) func(string) As {
	if page == nil {
		return nil
	}
	all := map[string]As{}
	return func(origin string) As {
		if all[origin] == nil {
			all[origin] = page(origin)
		}
		return all[origin]
	}
}

// onceEach signs our own page in once with each role.
func onceEach(cookie func(testing.TB, api.Role) *http.Cookie) func(testing.TB, api.Role) *http.Cookie {
	if cookie == nil {
		return nil
	}
	all := map[api.Role]*http.Cookie{}
	return func(t testing.TB, role api.Role) *http.Cookie {
		if all[role] == nil {
			all[role] = cookie(t, role)
		}
		return all[role]
	}
}

func (w Walker) try(t *testing.T, a attack, r *http.Request, want problem.Code) {
	t.Helper()
	name := a.name
	before := w.snapshot()
	answer := Do(w.Handler, r)
	if got := Code(answer); got != want || answer.Code != want.Status() {
		t.Errorf("%s: status %d, problem %q, want %q (%s)", name, answer.Code, got, want, strings.TrimSpace(answer.Body.String()))
	}
	checkHeaders(t, a, answer)
	if after := w.snapshot(); after != before {
		t.Errorf("%s changed something.\nbefore: %s\nafter: %s", name, before, after)
	}
}

func checkHeaders(t *testing.T, a attack, answer *httptest.ResponseRecorder) {
	t.Helper()
	name, h := a.name, answer.Header()
	for header := range h {
		if strings.HasPrefix(header, "Access-Control-") && (a.echo == "" || !slices.Contains(echoed, header)) {
			t.Errorf("%s: the refusal has %s: %q", name, header, h[header])
		}
	}
	if got := h.Get("Access-Control-Allow-Origin"); got != a.echo {
		t.Errorf("%s: Access-Control-Allow-Origin = %q, want %q", name, got, a.echo)
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

// echoed are the CORS headers of an answer that an allowed page may read.
var echoed = []string{"Access-Control-Allow-Origin", "Access-Control-Expose-Headers"}

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
	if role != "" || w.Road == access.RoadLink || w.Road == access.RoadNode {
		w.As(t, r, cmp.Or(role, api.RoleAdmin))
	}
	return r
}

var parameter = regexp.MustCompile(`\{[a-z]+\}`)

// examples are well-formed identifiers of nothing.
var examples = map[string]string{
	"{scanner}": exampleID(scan.KindScanner), "{job}": exampleID(scan.KindJob), "{document}": exampleID(scan.KindDocument),
	"{n}": "1", "{node}": strings.Repeat("a", 26) + "k7",
	"{pairing}": exampleShortID, "{session}": exampleShortID, "{token}": exampleShortID, "{origin}": exampleShortID,
	"{user}": exampleShortID, "{passkey}": exampleShortID, "{permission}": exampleShortID, "{change}": exampleShortID,
	"{item}": exampleShortID, "{project}": "ORG-CODE", "{seat}": "1",
	"{slot}": "local", "{code}": "AAAAAAAA",
}

const exampleShortID = "aaaaaaaaaaaaaaaaaaaa"

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
