package access_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const tokensPath = "/api/v1/tokens"

func TestAPIToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		admin, adminSession := e.client(t, api.RoleAdmin)
		w := admin.do("POST", tokensPath, `{"label":"backup","role":"operator","days":1}`)
		made := decode[api.Token](t, w)
		if !strings.HasPrefix(made.Token, "platen-token.") || made.Label != "backup" || made.By != adminSession.Id || made.Expires.Sub(made.Created.Time) != 24*time.Hour ||
			w.Header().Get("Location") != tokensPath+"/"+made.Id {
			t.Errorf("token %+v, Location %q", made, w.Header().Get("Location"))
		}
		machine := client{t, e.on(access.RoadLAN), e.validated(t, access.RoadLAN), made.Token}
		bare := machine
		bare.token = strings.TrimPrefix(made.Token, "platen-token.")
		for _, c := range []client{machine, bare} {
			got := decode[map[string]string](t, c.do("GET", jobPath, ""))
			if got["role"] != "operator" || got["subject"] != made.Id {
				t.Errorf("caller %v, want an operator that is its own subject", got)
			}
		}
		if s := decode[api.Session](t, machine.do("GET", "/api/v1/sessions/current", "")); s.Kind != api.SessionKindToken {
			t.Errorf("session %+v, want a token's", s)
		}
		list := decode[api.TokenList](t, admin.do("GET", tokensPath, ""))
		if len(list.Items) != 1 || list.Items[0].Used.IsZero() || list.Items[0].Token != "" {
			t.Errorf("list %+v, want one that was used", list.Items)
		}
		if all := decode[api.SessionList](t, admin.do("GET", "/api/v1/sessions", "")); len(all.Items) != 1 {
			t.Errorf("%d sessions, want the administrator's: tokens have their own list", len(all.Items))
		}
		wantCode(t, machine.do("POST", tokensPath, `{"label":"x","role":"user"}`), problem.PermissionDenied)
		time.Sleep(24*time.Hour - time.Second)
		wantStatus(t, machine.do("GET", jobPath, ""), http.StatusOK)
		time.Sleep(time.Second)
		wantCode(t, machine.do("GET", jobPath, ""), problem.SessionExpired)
	})
}

func TestAPITokenIsForProgramsOnly(t *testing.T) {
	e := newEnd(t)
	accesstest.AllowPages(e.guard.Origins)
	admin, _ := e.client(t, api.RoleAdmin)
	token := decode[api.Token](t, admin.do("POST", tokensPath, `{"label":"backup","role":"admin"}`)).Token
	foreign := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
	foreign.Header.Set("Origin", accesstest.ShopOrigin)
	foreign.Header.Set("Authorization", "Bearer "+token)
	wantCode(t, accesstest.Do(e.on(access.RoadLAN), foreign), problem.SessionRequired)
	for _, value := range []string{token, strings.TrimPrefix(token, "platen-token.")} {
		r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
		r.AddCookie(&http.Cookie{Name: "__Host-platen", Value: value})
		wantCode(t, accesstest.Do(e.on(access.RoadLAN), r), problem.SessionRequired)
	}
}

func TestRevokedTokenMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		e.streams()
		admin, _ := e.client(t, api.RoleAdmin)
		made := decode[api.Token](t, admin.do("POST", tokensPath, `{"label":"backup","role":"user"}`))
		ended := e.stream(made.Token)
		wantStatus(t, admin.do("DELETE", tokensPath+"/"+made.Id, ""), http.StatusNoContent)
		if status := <-ended; status != 0 {
			t.Errorf("status %d, want a reset stream", status)
		}
		wantCode(t, admin.do("DELETE", tokensPath+"/"+made.Id, ""), problem.NotFound)
		own := decode[api.Session](t, admin.do("GET", "/api/v1/sessions/current", ""))
		wantCode(t, admin.do("DELETE", tokensPath+"/"+own.Id, ""), problem.NotFound) // no token
	})
}

func TestBadTokenRequests(t *testing.T) {
	e := newEnd(t)
	admin, _ := e.client(t, api.RoleAdmin)
	before := e.records.Dump()
	for _, body := range []string{
		`{}`, `{"label":"","role":"user"}`, `{"label":"x","role":"root"}`, `{"label":"x","role":"user","days":-1}`,
		`{"label":"x","role":"user","days":3651}`, `{"label":"a\tb","role":"user"}`, `{"label":"x","role":"user","days":"1"}`,
	} {
		wantCode(t, admin.do("POST", tokensPath, body), problem.InvalidJSON)
	}
	if e.records.Dump() != before {
		t.Error("a refused token was stored")
	}
}

const streamPath = "/api/v1/x"

// streams adds a route whose answer has no end.
func (e *end) streams() {
	e.routes = append(e.routes, access.Route{Method: "GET", Path: streamPath, Policy: access.AtLeast(api.RoleUser),
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			io.WriteString(w, "event")
			<-r.Context().Done()
			return r.Context().Err()
		}})
}

// stream follows it in a synctest bubble; the status comes when it ends, 0 if it was reset.
func (e *end) stream(token string) <-chan int {
	ended := make(chan int, 1)
	h := e.on(access.RoadLAN)
	go func() {
		r := accesstest.NewRequest(access.RoadLAN, "GET", streamPath, "")
		r.Header.Set("Authorization", "Bearer "+token)
		ended <- accesstest.Do(h, r).Code
	}()
	synctest.Wait()
	return ended
}
