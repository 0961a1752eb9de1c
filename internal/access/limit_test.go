package access_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t, func(c *access.Config) { c.Rate = 2 })
		h := e.on(access.RoadLAN)
		ask := func(peer, token string) *httptest.ResponseRecorder {
			r := accesstest.NewRequest(access.RoadLAN, "GET", pagePath, "")
			r.RemoteAddr = peer
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			return accesstest.Do(h, r)
		}
		for range 8 {
			wantCode(t, ask("[2001:db8::1]:1", ""), problem.SessionRequired)
		}
		w := ask("[2001:db8::2]:2", "") // the same network
		wantCode(t, w, problem.TooManyRequests)
		if w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After = %q, want 1", w.Header().Get("Retry-After"))
		}
		wantCode(t, ask("[2001:db8:0:1::1]:1", ""), problem.SessionRequired)
		token := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleKiosk).Token
		for range 8 {
			wantStatus(t, ask("[2001:db8::1]:1", token), http.StatusOK)
		}
		wantCode(t, ask("203.0.113.5:1", token), problem.TooManyRequests) // a session is one wherever it comes from
		time.Sleep(time.Second)
		wantStatus(t, ask("203.0.113.5:1", token), http.StatusOK)
	})
}

func TestLimitOfARoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		e.routes = append(e.routes, access.Route{Method: "POST", Path: "/api/v1/x", Handle: whoami,
			Policy: access.AtLeast(api.RoleUser).Limit(20, time.Minute)})
		h := e.on(access.RoadLAN)
		ask := func(token string) *httptest.ResponseRecorder {
			r := accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/x", "")
			r.Header.Set("Authorization", "Bearer "+token)
			return accesstest.Do(h, r)
		}
		one := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser).Token
		other := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser).Token
		for range 20 {
			wantStatus(t, ask(one), http.StatusOK)
		}
		w := ask(one)
		wantCode(t, w, problem.TooManyRequests)
		if w.Header().Get("Retry-After") != "3" {
			t.Errorf("Retry-After = %q, want 3", w.Header().Get("Retry-After"))
		}
		wantStatus(t, ask(other), http.StatusOK)
		time.Sleep(3 * time.Second)
		wantStatus(t, ask(one), http.StatusOK)
		wantCode(t, ask(one), problem.TooManyRequests)
	})
}

// A node with computers around it has four people's limits, at its gateway and, over the
// link, at the scanner's node.
func TestLimitOfANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := access.NewGrantVerifier(testNode, nil)
		n := newNodes(t, func(c *access.Config) { c.Grants = v })
		gateway := accesstest.NewGateway(t, v, testNode)
		n.routes = append(n.routes, access.Route{Method: "POST", Path: "/api/v1/x", Handle: whoami,
			Policy: access.AtLeast(api.RoleKiosk).Nodes().Limit(20, time.Minute)})
		by := func(session string) accesstest.As {
			return func(_ testing.TB, r *http.Request, _ api.Role) {
				c := access.Caller{Session: session, Subject: session, Role: api.RoleKiosk}
				r.Header.Set(access.HeaderGrant, access.NewGrant(c, testNode, r, time.Now()).Sign(gateway.Identity))
			}
		}
		for _, tt := range []struct {
			name string
			road access.Road
			as   accesstest.As
			want int
		}{
			{"node", access.RoadNode, n.as(n.branch), 80},
			{"node over a link", access.RoadLink, by("node:" + n.branch.NodeID()), 80},
			{"person over a link", access.RoadLink, by("aaaaaaaaaaaaaaaaaaaa"), 20},
		} {
			h, passed := n.on(tt.road), 0
			for range 100 {
				r := accesstest.NewRequest(tt.road, "POST", "/api/v1/x", "")
				tt.as(t, r, api.RoleKiosk)
				if accesstest.Do(h, r).Code == http.StatusOK {
					passed++
				}
			}
			if passed != tt.want {
				t.Errorf("%s: %d of 100 jobs in a minute, want %d", tt.name, passed, tt.want)
			}
		}
	})
}

func TestParallelWaitsThenRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		release := make(chan struct{})
		e.routes = append(e.routes, access.Route{Method: "GET", Path: "/api/v1/x", Policy: access.AtLeast(api.RoleUser).Parallel(2),
			Handle: func(w http.ResponseWriter, r *http.Request) error {
				<-release
				return whoami(w, r)
			}})
		h := e.on(access.RoadLAN)
		token := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser).Token
		ask := func() chan *httptest.ResponseRecorder {
			answer := make(chan *httptest.ResponseRecorder, 1)
			go func() {
				r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/x", "")
				r.Header.Set("Authorization", "Bearer "+token)
				answer <- accesstest.Do(h, r)
			}()
			synctest.Wait()
			return answer
		}
		first, second := ask(), ask()
		start := time.Now()
		wantCode(t, <-ask(), problem.TooManyRequests)
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("the third waited %v, want 10 s", waited)
		}
		fourth := ask()
		release <- struct{}{}
		synctest.Wait()
		release <- struct{}{}
		release <- struct{}{}
		for _, answer := range []chan *httptest.ResponseRecorder{first, second, fourth} {
			wantStatus(t, <-answer, http.StatusOK)
		}
	})
}
