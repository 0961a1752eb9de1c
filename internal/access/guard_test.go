package access_test

import (
	"context"
	"errors"
	"io"
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

func TestRouting(t *testing.T) {
	e := newEnd(t)
	tests := []struct {
		road         access.Road
		method, path string
		code         problem.Code
		allow        string
	}{
		{access.RoadLAN, "GET", "/api/v1/nothing", problem.NotFound, ""},
		{access.RoadLAN, "GET", "/api/v1/jobs/", problem.NotFound, ""},
		{access.RoadLAN, "GET", "/api/v2/service", problem.NotFound, ""},
		{access.RoadLAN, "GET", "/api/v1/../v1/service", problem.NotFound, ""},
		{access.RoadLAN, "GET", "/api/v1//service", problem.NotFound, ""},
		{access.RoadLAN, "POST", "/api/v1/service", problem.MethodNotAllowed, "GET, HEAD, OPTIONS"},
		{access.RoadLAN, "PUT", jobPath, problem.MethodNotAllowed, "DELETE, GET, HEAD, OPTIONS"},
		{access.RoadLAN, "TRACE", jobPath, problem.MethodNotAllowed, "DELETE, GET, HEAD, OPTIONS"},
		{access.RoadLAN, "GET", "/api/v1/sessions/" + strings.Repeat("a", 20), problem.MethodNotAllowed, "DELETE, OPTIONS"},
		{access.RoadLAN, "POST", "/api/v1/link/drain", problem.NotFound, ""},
		{access.RoadLAN, "POST", "/api/v1/node/join", problem.NotFound, ""},
		{access.RoadLink, "POST", "/api/v1/node/join", problem.NotFound, ""},
		{access.RoadLink, "POST", "/api/v1/sessions", problem.NotFound, ""},
		{access.RoadLink, "GET", "/", problem.NotFound, ""},
		{access.RoadNode, "GET", "/api/v1/service", problem.NotFound, ""},
		{access.RoadNode, "GET", jobPath, problem.NotFound, ""},
		{access.RoadNode, "GET", "/", problem.NotFound, ""},
		{access.RoadNode, "POST", "/api/v1/node/join", problem.NodeUnknown, ""},
	}
	for _, tt := range tests {
		w := accesstest.Do(e.on(tt.road), accesstest.NewRequest(tt.road, tt.method, tt.path, ""))
		if got := accesstest.Code(w); got != tt.code || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s %s = %q, Allow %q, want %q, Allow %q", tt.road, tt.method, tt.path, got, w.Header().Get("Allow"), tt.code, tt.allow)
		}
	}
}

func TestOptions(t *testing.T) {
	e := newEnd(t)
	for _, origin := range []string{"", accesstest.OwnOrigin(access.RoadLAN)} {
		r := accesstest.NewRequest(access.RoadLAN, "OPTIONS", jobPath, "")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := accesstest.Do(e.on(access.RoadLAN), r)
		wantStatus(t, w, http.StatusNoContent)
		if got := w.Header().Get("Allow"); got != "DELETE, GET, HEAD, OPTIONS" {
			t.Errorf("Allow = %q", got)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("OPTIONS answers with a CORS header")
		}
	}
}

func TestWrongTablesPanic(t *testing.T) {
	good := access.Route{Method: "GET", Path: "/api/v1/x", Policy: access.Anonymous(), Handle: whoami}
	noPolicy, noHandler, outside := good, good, good
	noPolicy.Policy, noHandler.Handle, outside.Path = access.Policy{}, nil, "/x"
	for name, routes := range map[string][]access.Route{
		"no policy": {noPolicy}, "no handler": {noHandler}, "outside /api/": {outside}, "twice": {good, good},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a table with a route %s was taken", name)
				}
			}()
			access.New(access.Config{}).Handler(access.RoadLAN, routes, nil)
		}()
	}
}

// serve answers one request to GET /api/v1/x with the handler.
func serve(t *testing.T, handle access.Handler, change ...func(*http.Request)) (*httptest.ResponseRecorder, *end) {
	t.Helper()
	e := newEnd(t)
	e.routes = []access.Route{{Method: "GET", Path: "/api/v1/x", Policy: access.Anonymous(), Handle: handle}}
	r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/x?pair=topsecret", "")
	for _, f := range change {
		f(r)
	}
	return accesstest.Do(e.on(access.RoadLAN), r), e
}

func TestAnswerHeaders(t *testing.T) {
	w, _ := serve(t, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Add("X-Content-Type-Options", "something")
		w.Header().Add("X-Content-Type-Options", "else")
		w.Header().Set("Vary", "Accept")
		w.Header().Set("Cache-Control", "private, max-age=60")
		return access.WriteJSON(w, http.StatusOK, 1)
	})
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "", "X-Content-Type-Options": "nosniff", "Vary": "Accept,Origin",
		"Cache-Control": "private, max-age=60", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
	} {
		if got := strings.Join(w.Header().Values(name), ","); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if id := w.Header().Get(access.HeaderRequestID); len(id) != 16 {
		t.Errorf("request ID = %q, want 16 characters", id)
	}
}

func TestHandlerErrors(t *testing.T) {
	secret := errors.New("disk /dev/sda is on fire")
	tests := []struct {
		name   string
		handle access.Handler
		code   problem.Code
		status int
		logged string
	}{
		{"problem", func(http.ResponseWriter, *http.Request) error { return problem.JobWrongState.Error() },
			problem.JobWrongState, http.StatusConflict, "job-wrong-state"},
		{"unknown error", func(http.ResponseWriter, *http.Request) error { return secret },
			problem.Internal, http.StatusInternalServerError, "/dev/sda"},
		{"panic", func(http.ResponseWriter, *http.Request) error { panic(secret) },
			problem.Internal, http.StatusInternalServerError, "/dev/sda"},
		{"error after the answer began", func(w http.ResponseWriter, _ *http.Request) error {
			io.WriteString(w, "half")
			return problem.PageLost.Error()
		}, "", 0, "aborted=true"},
		{"panic after the answer began", func(w http.ResponseWriter, _ *http.Request) error {
			io.WriteString(w, "half")
			panic(secret)
		}, "", 0, "/dev/sda"},
		{"abort", func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, "", 0, "aborted=true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, e := serve(t, tt.handle)
			wantStatus(t, w, tt.status)
			if tt.code != "" {
				wantCode(t, w, tt.code)
			}
			if strings.Contains(w.Body.String(), "/dev/sda") {
				t.Error("the answer tells what only the log may")
			}
			if !strings.Contains(e.log.String(), tt.logged) {
				t.Errorf("the log lacks %q: %s", tt.logged, e.log)
			}
			if strings.Contains(e.log.String(), "topsecret") {
				t.Error("the log holds the query")
			}
		})
	}
}

func TestHeadIsGet(t *testing.T) {
	w, _ := serve(t, whoami, func(r *http.Request) { r.Method = "HEAD" })
	wantStatus(t, w, http.StatusOK)
}

func TestWriterReachesTheConnection(t *testing.T) {
	e := newEnd(t)
	e.routes = []access.Route{{Method: "GET", Path: "/api/v1/x", Policy: access.Anonymous(), Handle: func(w http.ResponseWriter, r *http.Request) error {
		c := http.NewResponseController(w)
		if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Late", "yes")
		if _, err := io.Copy(w, strings.NewReader("hello")); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
		w.(http.Flusher).Flush()
		return nil
	}}}
	s := httptest.NewServer(e.on(access.RoadLoopback))
	defer s.Close()
	resp, err := http.Get(s.URL + "/api/v1/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "hello" || resp.Header.Get("X-Late") != "yes" || resp.Header.Get("Vary") != "Origin" {
		t.Errorf("answer %q, %v, header %v", body, err, resp.Header)
	}
}

func TestApp(t *testing.T) {
	e := newEnd(t)
	h := e.on(access.RoadLAN)
	get := func(headers ...string) *httptest.ResponseRecorder {
		r := accesstest.NewRequest(access.RoadLAN, "GET", "/scan", "")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return accesstest.Do(h, r)
	}
	w := get()
	wantStatus(t, w, http.StatusOK)
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || w.Header().Get("Cross-Origin-Opener-Policy") != "same-origin" {
		t.Errorf("headers of a page: %v", w.Header())
	}
	for name, value := range map[string]string{"Access-Control-Allow-Origin": "", "Cache-Control": "", "X-Content-Type-Options": "nosniff"} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	wantCode(t, get("Origin", "https://evil.example"), problem.OriginNotAllowed)
	wantCode(t, get("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"), problem.CrossSite)
	wantCode(t, get("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"), problem.CrossSite)
	wantStatus(t, get("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), http.StatusOK)
	wantStatus(t, get("Sec-Fetch-Site", "same-origin"), http.StatusOK)
}

func TestNavigationToTheAPIIsRefused(t *testing.T) {
	e := newEnd(t)
	r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	wantCode(t, accesstest.Do(e.on(access.RoadLAN), r), problem.CrossSite)
}

func TestService(t *testing.T) {
	e := newEnd(t)
	h := e.on(access.RoadLAN)
	token := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleKiosk).Token
	const constant = `{"api":"1","product":"platen"}` + "\n"
	tests := []struct {
		name     string
		headers  []string
		constant bool
	}{
		{"nobody", nil, true},
		{"own page without a session", []string{"Origin", accesstest.OwnOrigin(access.RoadLAN)}, true},
		{"foreign page", []string{"Origin", "https://evil.example"}, true},
		{"foreign page with a session", []string{"Origin", "https://evil.example", "Authorization", "Bearer " + token}, true},
		{"cross-site with a session", []string{"Sec-Fetch-Site", "cross-site", "Authorization", "Bearer " + token}, true},
		{"null", []string{"Origin", "null"}, true},
		{"bad session", []string{"Authorization", "Bearer x"}, true},
		{"session", []string{"Authorization", "Bearer " + token}, false},
		{"own page with a session", []string{"Origin", accesstest.OwnOrigin(access.RoadLAN), "Authorization", "Bearer " + token}, false},
	}
	for _, tt := range tests {
		r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/service", "")
		for i := 0; i < len(tt.headers); i += 2 {
			r.Header.Set(tt.headers[i], tt.headers[i+1])
		}
		w := accesstest.Do(accesstest.Validate(t, h), r)
		wantStatus(t, w, http.StatusOK)
		if got := w.Body.String() == constant; got != tt.constant {
			t.Errorf("%s: body %s, constant = %v, want %v", tt.name, w.Body, got, tt.constant)
		}
		allow, policy := "", "same-origin"
		if tt.constant {
			allow, policy = "*", "cross-origin"
		}
		if got := w.Header(); got.Get("Access-Control-Allow-Origin") != allow || got.Get("Cross-Origin-Resource-Policy") != policy ||
			got.Get("Vary") != "Origin" || got.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: headers %v", tt.name, got)
		}
	}
}

func TestSigningOutEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		e.routes = append(e.routes, access.Route{Method: "GET", Path: "/api/v1/x", Policy: access.AtLeast(api.RoleUser),
			Handle: func(w http.ResponseWriter, r *http.Request) error {
				io.WriteString(w, "event")
				<-r.Context().Done()
				return r.Context().Err()
			}})
		h := e.on(access.RoadLAN)
		s := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser)
		ended := make(chan int, 1)
		go func() {
			r := accesstest.NewRequest(access.RoadLAN, "GET", "/api/v1/x", "")
			r.Header.Set("Authorization", "Bearer "+s.Token)
			ended <- accesstest.Do(h, r).Code
		}()
		synctest.Wait()
		if err := e.guard.EndSession(context.Background(), s.Id); err != nil {
			t.Fatal(err)
		}
		if code := <-ended; code != 0 {
			t.Errorf("status %d, want a reset stream", code)
		}
	})
}

func TestUnannouncedLargeBody(t *testing.T) {
	e := newEnd(t)
	h := e.on(access.RoadLAN)
	for size, want := range map[int]problem.Code{100: "", 2000: problem.BodyTooLarge} {
		r := accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/scanners/aaaaaaaaaaaaaaaa-saaaaaaaaaaaaaaaaaaaa/jobs", `{"name":"`+strings.Repeat("x", size)+`"}`)
		r.ContentLength = -1
		accesstest.SignIn(e.guard, h, access.RoadLAN)(t, r, api.RoleUser)
		wantCode(t, accesstest.Do(h, r), want)
	}
}
