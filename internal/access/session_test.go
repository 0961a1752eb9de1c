package access_test

import (
	"context"
	"encoding/json"
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

// client is one signed-in program.
type client struct {
	t         testing.TB
	handler   http.Handler
	validated http.Handler // the same, for what the API document knows
	token     string
}

func (c client) do(method, path, body string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := accesstest.NewRequest(access.RoadLAN, method, path, body)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if path == jobPath { // answered by whoami
		return accesstest.Do(c.handler, r)
	}
	return accesstest.Do(c.validated, r)
}

func (e *end) client(t testing.TB, role api.Role) (client, api.Session) {
	h := e.on(access.RoadLAN)
	s := accesstest.Session(t, e.guard, h, access.RoadLAN, role)
	return client{t, h, e.validated(t, access.RoadLAN), s.Token}, s
}

func decode[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("decoding %s: %v", w.Body, err)
	}
	return v
}

// counting counts writes.
type counting struct {
	access.Records
	updates int
}

func (c *counting) Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error) {
	c.updates++
	return c.Records.Update(ctx, key, value, expires, revision)
}

func TestSessionEnds(t *testing.T) {
	const day, life = 24 * time.Hour, 30 * 24 * time.Hour
	tests := []struct {
		kind       api.SessionKind
		idle, life time.Duration
	}{
		{api.SessionKindPairing, life, life},
		{api.SessionKindOidc, 12 * time.Hour, life},
		{api.SessionKindPasskey, 12 * time.Hour, life},
		{api.SessionKindDevice, life, life},
		{api.SessionKindOrigin, life, life},
		{api.SessionKindToken, 7 * day, 7 * day},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnd(t, withProviders)
				idle, busy, last := e.signIn(t, tt.kind), e.signIn(t, tt.kind), e.signIn(t, tt.kind)
				begin := time.Now()
				for time.Since(begin)+11*time.Hour < tt.idle {
					time.Sleep(11 * time.Hour)
					wantStatus(t, busy.do("GET", jobPath, ""), http.StatusOK)
				}
				time.Sleep(tt.idle - time.Since(begin) - time.Second)
				wantStatus(t, busy.do("GET", jobPath, ""), http.StatusOK)
				wantStatus(t, last.do("GET", jobPath, ""), http.StatusOK) // a second before it is too late
				time.Sleep(time.Second)
				wantCode(t, idle.do("GET", jobPath, ""), problem.SessionExpired)
				for time.Since(begin)+11*time.Hour < tt.life {
					wantStatus(t, busy.do("GET", jobPath, ""), http.StatusOK)
					time.Sleep(11 * time.Hour)
				}
				if left := tt.life - time.Since(begin); left > 0 {
					wantStatus(t, busy.do("GET", jobPath, ""), http.StatusOK)
					time.Sleep(left)
				}
				wantCode(t, busy.do("GET", jobPath, ""), problem.SessionExpired)
			})
		})
	}
}

// That a session is in use is written down now and then, and not at each request.
func TestSessionIsSeldomWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &counting{Records: accesstest.NewRecords()}
		e := newEnd(t, func(c *access.Config) { c.Records = records })
		c, _ := e.client(t, api.RoleUser)
		records.updates = 0
		for i := range 65 {
			wantStatus(t, c.do("GET", jobPath, ""), http.StatusOK)
			if i == 0 {
				time.Sleep(4 * time.Minute)
			}
			time.Sleep(time.Second)
		}
		if records.updates != 1 {
			t.Errorf("%d writes for 65 requests within 5:05 minutes, want 1", records.updates)
		}
	})
}

func TestSignOut(t *testing.T) {
	e := newEnd(t)
	c, s := e.client(t, api.RoleKiosk)
	if got := decode[api.Session](t, c.do("GET", "/api/v1/sessions/current", "")); got.Id != s.Id || got.Token != "" || got.Role != api.RoleKiosk {
		t.Errorf("current session %+v, want %s without a token", got, s.Id)
	}
	w := c.do("DELETE", "/api/v1/sessions/current", "")
	wantStatus(t, w, http.StatusNoContent)
	if got := w.Header().Get("Set-Cookie"); !strings.Contains(got, "__Host-platen=;") || !strings.Contains(got, "Max-Age=0") {
		t.Errorf("Set-Cookie = %q, want the cookie cleared", got)
	}
	wantCode(t, c.do("GET", "/api/v1/sessions/current", ""), problem.SessionExpired)
}

func TestSessionsOfOthers(t *testing.T) {
	e := newEnd(t)
	user, own := e.client(t, api.RoleUser)
	admin, _ := e.client(t, api.RoleAdmin)
	_, third := e.client(t, api.RoleOperator)

	if list := decode[api.SessionList](t, user.do("GET", "/api/v1/sessions", "")); len(list.Items) != 1 || list.Items[0].Id != own.Id {
		t.Errorf("a user sees %+v, want only the own session", list.Items)
	}
	seen := map[string]bool{}
	next := ""
	for range 3 {
		list := decode[api.SessionList](t, admin.do("GET", "/api/v1/sessions?limit=1&cursor="+next, ""))
		if len(list.Items) != 1 {
			t.Fatalf("page of %d items, want 1", len(list.Items))
		}
		seen[list.Items[0].Id] = true
		next = list.Next
	}
	if len(seen) != 3 || next != "" {
		t.Errorf("pages hold %d sessions and then next = %q, want 3 and none", len(seen), next)
	}
	wantCode(t, user.do("DELETE", "/api/v1/sessions/"+third.Id, ""), problem.NotFound)
	wantStatus(t, admin.do("DELETE", "/api/v1/sessions/"+third.Id, ""), http.StatusNoContent)
	wantCode(t, admin.do("DELETE", "/api/v1/sessions/"+third.Id, ""), problem.NotFound)
	wantStatus(t, user.do("DELETE", "/api/v1/sessions/"+own.Id, ""), http.StatusNoContent)
	wantCode(t, user.do("GET", jobPath, ""), problem.SessionExpired)
}

func TestBadListParameters(t *testing.T) {
	e := newEnd(t)
	admin, _ := e.client(t, api.RoleAdmin)
	for _, query := range []string{
		"limit=0", "limit=201", "limit=x", "limit=1&limit=2", "limit=", "cursor=%21", "cursor=YQ", "cursor=a&cursor=b",
		"cursor=" + strings.Repeat("a", 2049), "%zz=1",
	} {
		wantCode(t, admin.do("GET", "/api/v1/sessions?"+query, ""), problem.BadRequest)
	}
}

func TestLoopbackSession(t *testing.T) {
	e := newEnd(t, func(c *access.Config) { c.LoopbackTrust = true })
	s := httptest.NewServer(accesstest.Validate(t, e.on(access.RoadLoopback)))
	defer s.Close()
	resp, err := http.Get(s.URL + "/api/v1/sessions/current")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got api.Session
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Id != "loopback" || got.Role != api.RoleAdmin {
		t.Errorf("session %+v, %v, want loopback", got, err)
	}
}

// The guard's clock counts, however late the records are to forget.
func TestSessionEndsByTheGuardsClock(t *testing.T) {
	var ahead time.Duration
	e := newEnd(t, func(c *access.Config) { c.Now = func() time.Time { return time.Now().Add(ahead) } })
	c, _ := e.client(t, api.RoleAdmin)
	ahead = 30*24*time.Hour + time.Hour
	wantCode(t, c.do("GET", jobPath, ""), problem.SessionExpired)
	admin, _ := e.client(t, api.RoleAdmin)
	if list := decode[api.SessionList](t, admin.do("GET", "/api/v1/sessions", "")); len(list.Items) != 1 {
		t.Errorf("%d sessions, want the new one only", len(list.Items))
	}
}
