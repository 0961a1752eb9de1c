package accesstest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// elements are what other sites' pages make a browser send without asking anybody.
// They bring the victim's cookie where SameSite does not keep it back.
func elements() []attack {
	embed := func(method, mode, dest string, more ...string) maker {
		return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
			if route.Method != method {
				return nil, ""
			}
			r := w.signed(t, route, w.request(route))
			for i := 0; i < len(more); i += 2 {
				r.Header.Set(more[i], more[i+1])
			}
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", mode)
			r.Header.Set("Sec-Fetch-Dest", dest)
			if r.Header.Get("Origin") == evilOrigin || r.Header.Get("Origin") == "null" {
				return r, problem.OriginNotAllowed
			}
			return r, problem.CrossSite
		}
	}
	text := []string{"Content-Type", "text/plain"}
	return []attack{
		{name: "cross-site img", make: embed(http.MethodGet, "no-cors", "image")},
		{name: "cross-site navigation", make: embed(http.MethodGet, "navigate", "document")},
		{name: "cross-site frame", make: embed(http.MethodGet, "navigate", "iframe")},
		{name: "cross-site script", make: embed(http.MethodGet, "no-cors", "script")},
		{name: "cross-site form", make: embed(http.MethodPost, "navigate", "document", append(text, "Origin", evilOrigin)...)},
		{name: "cross-site form of a sandbox", make: embed(http.MethodPost, "navigate", "document", append(text, "Origin", "null")...)},
		{name: "cross-site form without an Origin", make: embed(http.MethodPost, "navigate", "document", text...)},
		{name: "cross-site beacon", make: embed(http.MethodPost, "no-cors", "empty", append(text, "Origin", evilOrigin)...)},
	}
}

// pageAttacks are what pages of an allowed origin may not do all the same.
func pageAttacks(w Walker, route access.Route) []attack {
	if w.Page == nil {
		return nil
	}
	if w.Road == access.RoadLink || w.Road == access.RoadDirect {
		return []attack{
			{name: "grant for a page that the node does not allow", make: pageOf(problem.OriginNotAllowed, evilOrigin, "")},
			{name: "grant for a null page", make: pageOf(problem.OriginNotAllowed, "null", "")},
		}
	}
	if route.Policy.Probes() {
		return nil // every page may have the constant answer
	}
	if !route.Policy.ForForeignPages(w.Road) {
		return []attack{
			{name: "allowed page where only our own may", make: pageOf(problem.OriginNotAllowed, ShopOrigin, ShopOrigin)},
			{name: "preflight of an allowed page where only our own may", make: preflight(ShopOrigin)},
		}
	}
	list := []attack{{name: "form of an allowed page", make: formOf(ShopOrigin)}}
	if route.Policy.TakesTickets() {
		list = append(list, attack{name: "ticket that is none", make: badTicket})
	}
	if route.Policy.Role() == "" {
		return list
	}
	return append(list,
		attack{name: "session of another page", make: pageOf(problem.SessionRequired, DeskOrigin, ShopOrigin), echo: ShopOrigin},
		attack{name: "page with a session of our own", make: pageOf(problem.SessionRequired, "", ShopOrigin), echo: ShopOrigin},
		attack{name: "page's session in our own page", make: pageOf(problem.SessionRequired, ShopOrigin, OwnOrigin(w.Road))},
		attack{name: "page's session in a program", make: pageOf(problem.SessionRequired, ShopOrigin, "")},
		attack{name: "page without a session", make: pageOf(problem.SessionRequired, "none", ShopOrigin), echo: ShopOrigin},
		attack{name: "page with a cookie of our own", make: pageWithCookie, echo: ShopOrigin},
		attack{name: "page whose role is too low", make: lowRoleOf(ShopOrigin), echo: ShopOrigin},
	)
}

// pageOf signs with a session of the one origin and sends from the other, "" for our
// own pages and programs.
func pageOf(want problem.Code, session, from string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		if w.nobodyKnown(route) {
			return nil, ""
		}
		r := w.request(route)
		role := cmp.Or(route.Policy.Role(), api.RoleAdmin)
		switch session {
		case "none":
		case "":
			w.As(t, r, role)
		default:
			w.Page(session)(t, r, role)
		}
		r.Header.Del("Origin")
		if from != "" {
			r.Header.Set("Origin", from)
		}
		if from == ShopOrigin {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "cors")
		}
		return r, want
	}
}

func pageWithCookie(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	if w.Cookie == nil {
		return nil, ""
	}
	r := w.request(route)
	r.AddCookie(w.Cookie(t, route.Policy.Role()))
	r.Header.Set("Origin", ShopOrigin)
	return r, problem.SessionRequired
}

func formOf(origin string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		if route.Method != http.MethodPost {
			return nil, ""
		}
		r := w.signed(t, route, w.request(route))
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		return r, problem.CrossSite
	}
}

// badTicket is sent with a good session, which it does not fall back to.
func badTicket(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
	good := w.request(route).URL.RequestURI()
	separator := "?"
	if strings.Contains(good, "?") {
		separator = "&"
	}
	r := w.requestTo(route, good+separator+"ticket="+strings.Repeat("a", 52), "")
	return w.signed(t, route, r), problem.TicketInvalid
}

// lowRoleOf is lowRole for a page of the origin.
func lowRoleOf(origin string) maker {
	return func(w Walker, t *testing.T, route access.Route) (*http.Request, problem.Code) {
		page := w
		page.As = w.Page(origin)
		return lowRole(page, t, route)
	}
}

// checkPreflight asks as a browser does for a page of an allowed origin.
func (w Walker) checkPreflight(t *testing.T, route access.Route) {
	t.Helper()
	if w.Page == nil || w.Road == access.RoadLink || w.Road == access.RoadDirect || !route.Policy.ForForeignPages(w.Road) {
		return
	}
	for _, network := range []string{"", "Private", "Local"} {
		r, _ := preflight(ShopOrigin)(w, t, route)
		r.Header.Del("Access-Control-Request-Private-Network")
		if network != "" {
			r.Header.Set("Access-Control-Request-"+network+"-Network", "true")
		}
		answer := Do(w.Handler, r)
		h := answer.Header()
		if answer.Code != http.StatusNoContent || answer.Body.Len() > 0 {
			t.Errorf("preflight: status %d, %s", answer.Code, answer.Body)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": ShopOrigin, "Access-Control-Max-Age": "600", "Access-Control-Allow-Credentials": "",
			"Access-Control-Allow-Private-Network": flag(network == "Private"), "Access-Control-Allow-Local-Network": flag(network == "Local"),
			"Vary": "Origin,Access-Control-Request-Method,Access-Control-Request-Headers,Access-Control-Request-Private-Network,Access-Control-Request-Local-Network",
		} {
			if got := strings.Join(h.Values(name), ","); got != want {
				t.Errorf("preflight: %s = %q, want %q", name, got, want)
			}
		}
		methods := strings.Split(h.Get("Access-Control-Allow-Methods"), ", ")
		for _, other := range w.Routes {
			if other.Path == route.Path && other.On(w.Road) && slices.Contains(methods, other.Method) != other.Policy.ForForeignPages(w.Road) {
				t.Errorf("preflight: Access-Control-Allow-Methods = %q, which is wrong about %s", methods, other.Method)
			}
		}
	}
}

func flag(on bool) string {
	if on {
		return "true"
	}
	return ""
}
