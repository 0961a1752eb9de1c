package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestOrigins(t *testing.T) {
	list := parseAll(t, "https://shop.example", "https://desk.example:8443", "https://other.example")
	shop, desk, other, ctx := list[0], list[1], list[2], t.Context()
	if (*access.Origins)(nil).Allows(ctx, shop) {
		t.Error("nil Origins allow something")
	}
	o := access.NewOrigins()
	check := func(when string, wantShop, wantDesk, wantOther bool) {
		t.Helper()
		if got := o.Allows(ctx, shop); got != wantShop {
			t.Errorf("%s: Allows(%v) = %v", when, shop, got)
		}
		if got := o.Allows(ctx, desk); got != wantDesk {
			t.Errorf("%s: Allows(%v) = %v", when, desk, got)
		}
		if got := o.Allows(ctx, other); got != wantOther {
			t.Errorf("%s: Allows(%v) = %v", when, other, got)
		}
		if o.Allows(ctx, access.Origin{}) {
			t.Errorf("%s: no origin is allowed", when)
		}
	}
	check("at first", false, false, false)
	o.Configure(false, list[:1])
	check("with a list", true, false, false)
	o.Configure(false, list[1:2])
	check("with another list", false, true, false)
	o.Configure(true, nil)
	check("with a star", true, true, true)
	o.Configure(false, nil)
	check("with nothing", false, false, false)
	o.Licensed(func(o access.Origin) bool { return o == desk })
	check("with a licence", false, true, false)
	o.Licensed(nil)
	check("without it", false, false, false)
}

// page sends a request of the origin's page.
func page(h http.Handler, road access.Road, method, path, body, origin, token string) *httptest.ResponseRecorder {
	r := accesstest.NewRequest(road, method, path, body)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return accesstest.Do(h, r)
}

func TestEveryOrigin(t *testing.T) {
	e := newEnd(t)
	e.guard.Origins.Configure(true, nil)
	h := e.on(access.RoadLAN)
	for _, origin := range []string{"https://whoever.example", "http://192.168.1.7:8080", "http://localhost:3000"} {
		token := accesstest.PageSession(t, e.guard, h, access.RoadLAN, api.RoleUser, origin).Token
		w := page(h, access.RoadLAN, "GET", jobPath, "", origin, token)
		wantStatus(t, w, http.StatusOK)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("Access-Control-Allow-Origin = %q, want %q", got, origin)
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
	}
	for _, origin := range []string{"null", "*", "file://", "https://Whoever.example", "chrome-extension://abc"} {
		w := page(h, access.RoadLAN, "GET", jobPath, "", origin, "")
		wantCode(t, w, problem.OriginNotAllowed)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("Origin %s: Access-Control-Allow-Origin = %q", origin, got)
		}
	}
}

// streams gives an end a route whose answer lasts until its request ends.
func streams(e *end) {
	e.routes = append(e.routes, access.Route{Method: "GET", Path: "/api/v1/x", Policy: access.AtLeast(api.RoleUser),
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			w.WriteHeader(http.StatusOK)
			<-r.Context().Done()
			return r.Context().Err()
		}})
}

// stream begins such an answer; ended says whether it is over.
func stream(h http.Handler, origin, token string) (ended func() bool) {
	done := make(chan struct{})
	go func() {
		page(h, access.RoadLAN, "GET", "/api/v1/x", "", origin, token)
		close(done)
	}()
	synctest.Wait()
	return func() bool {
		synctest.Wait()
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestReloadedOrigins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		streams(e)
		h := e.on(access.RoadLAN)
		accesstest.AllowPages(e.guard.Origins)
		shop := accesstest.PageSession(t, e.guard, h, access.RoadLAN, api.RoleUser, accesstest.ShopOrigin).Token
		desk := accesstest.PageSession(t, e.guard, h, access.RoadLAN, api.RoleUser, accesstest.DeskOrigin).Token
		own := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser).Token
		shopEnded, deskEnded, ownEnded := stream(h, accesstest.ShopOrigin, shop), stream(h, accesstest.DeskOrigin, desk), stream(h, "", own)
		e.guard.Origins.Configure(false, parseAll(t, accesstest.DeskOrigin))
		if !shopEnded() || deskEnded() || ownEnded() {
			t.Errorf("ended: shop %v, desk %v, own %v; want the shop's alone", shopEnded(), deskEnded(), ownEnded())
		}
		w := page(h, access.RoadLAN, "GET", jobPath, "", accesstest.ShopOrigin, shop)
		wantCode(t, w, problem.OriginNotAllowed)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("Access-Control-Allow-Origin = %q", got)
		}
		accesstest.AllowPages(e.guard.Origins) // the session is still good
		wantStatus(t, page(h, access.RoadLAN, "GET", jobPath, "", accesstest.ShopOrigin, shop), http.StatusOK)
		for _, token := range []string{desk, own} { // lets the streams go
			s := strings.SplitN(token, ".", 2)[0]
			if err := e.guard.EndSession(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// admin sends a request of an administrator's program.
func admin(t *testing.T, e *end, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	h := e.validated(t, access.RoadLAN)
	r := accesstest.NewRequest(access.RoadLAN, method, path, body)
	accesstest.SignIn(e.guard, h, access.RoadLAN)(t, r, api.RoleAdmin)
	return accesstest.Do(h, r)
}

func TestConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shop = accesstest.ShopOrigin
		e := newEnd(t)
		streams(e)
		h := e.on(access.RoadLAN)
		elsewhere := newEnd(t, func(c *access.Config) { c.Records = e.records }).on(access.RoadLAN) // another process
		asks := func(h http.Handler) problem.Code {
			return accesstest.Code(page(h, access.RoadLAN, "GET", jobPath, "", shop, ""))
		}
		if asks(h) != problem.OriginNotAllowed || asks(elsewhere) != problem.OriginNotAllowed {
			t.Fatal("the page is allowed before anybody allowed it")
		}
		w := admin(t, e, "POST", "/api/v1/origins", `{"origin":"`+shop+`"}`)
		wantStatus(t, w, http.StatusCreated)
		var allowed api.AllowedOrigin
		if err := json.Unmarshal(w.Body.Bytes(), &allowed); err != nil || allowed.Origin != shop || allowed.Source != "person" || allowed.By == "" {
			t.Errorf("allowed = %+v, %v", allowed, err)
		}
		wantStatus(t, admin(t, e, "POST", "/api/v1/origins", `{"origin":"HTTPS://Shop.Example:443"}`), http.StatusCreated) // says the same
		if got := asks(h); got != problem.SessionRequired {
			t.Errorf("after the consent: %q, want that it may ask", got)
		}
		time.Sleep(2 * time.Second)
		if got := asks(elsewhere); got != problem.SessionRequired {
			t.Errorf("in another process two seconds later: %q, want that it may ask", got)
		}
		w = admin(t, e, "GET", "/api/v1/origins", "")
		if got := w.Body.String(); strings.Count(got, shop) != 1 || !strings.Contains(got, string(allowed.Id)) {
			t.Errorf("list = %s", got)
		}

		token := accesstest.PageSession(t, e.guard, h, access.RoadLAN, api.RoleUser, shop).Token
		own := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser)
		ended, ownEnded := stream(h, shop, token), stream(h, "", own.Token)
		wantStatus(t, admin(t, e, "DELETE", "/api/v1/origins/"+string(allowed.Id), ""), http.StatusNoContent)
		if !ended() || ownEnded() {
			t.Errorf("withdrawn: the page's stream ended = %v, our own = %v", ended(), ownEnded())
		}
		if got := asks(h); got != problem.OriginNotAllowed {
			t.Errorf("withdrawn: %q", got)
		}
		time.Sleep(2 * time.Second)
		if got := asks(elsewhere); got != problem.OriginNotAllowed {
			t.Errorf("withdrawn, in another process two seconds later: %q", got)
		}
		wantStatus(t, admin(t, e, "POST", "/api/v1/origins", `{"origin":"`+shop+`"}`), http.StatusCreated)
		wantCode(t, page(h, access.RoadLAN, "GET", jobPath, "", shop, token), problem.SessionExpired) // the old session stays ended
		if err := e.guard.EndSession(t.Context(), own.Id); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOriginRoutes(t *testing.T) {
	e := newEnd(t)
	e.guard.Origins.Configure(true, parseAll(t, accesstest.DeskOrigin))
	for _, origin := range []string{"null", "*", "", "shop.example", "https://shop.example/", "https://*.example", "https://shop.example, https://b.example"} {
		body, err := json.Marshal(api.OriginRequest{Origin: origin})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, admin(t, e, "POST", "/api/v1/origins", string(body)), problem.InvalidJSON)
	}
	wantCode(t, admin(t, e, "DELETE", "/api/v1/origins/"+strings.Repeat("a", 20), ""), problem.NotFound)
	w := admin(t, e, "GET", "/api/v1/origins", "")
	if got, want := strings.TrimSpace(w.Body.String()),
		`{"items":[{"origin":"*","source":"configuration"},{"origin":"https://desk.example:8443","source":"configuration"}]}`; got != want {
		t.Errorf("list = %s, want %s", got, want)
	}

	// What a person allowed can be withdrawn where the configuration allows it too; then it cannot.
	w = admin(t, e, "POST", "/api/v1/origins", `{"origin":"`+accesstest.DeskOrigin+`"}`)
	var allowed api.AllowedOrigin
	if err := json.Unmarshal(w.Body.Bytes(), &allowed); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, admin(t, e, "DELETE", "/api/v1/origins/"+string(allowed.Id), ""), http.StatusNoContent)
	wantCode(t, admin(t, e, "DELETE", "/api/v1/origins/"+string(allowed.Id), ""), problem.OriginFixed)
}

// brokenRecords cannot list.
type brokenRecords struct{ *accesstest.Records }

func (brokenRecords) List(context.Context, string, func(string, []byte) error) error {
	return errors.New("disk on fire")
}

func TestOriginsFailClosed(t *testing.T) {
	e := newEnd(t)
	wantStatus(t, admin(t, e, "POST", "/api/v1/origins", `{"origin":"`+accesstest.ShopOrigin+`"}`), http.StatusCreated)
	broken := newEnd(t, func(c *access.Config) { c.Records = brokenRecords{e.records} })
	wantCode(t, page(broken.on(access.RoadLAN), access.RoadLAN, "GET", jobPath, "", accesstest.ShopOrigin, ""), problem.OriginNotAllowed)
	if !strings.Contains(broken.log.String(), "disk on fire") {
		t.Errorf("the log does not say why: %s", broken.log)
	}
}
