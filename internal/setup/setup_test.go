package setup

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// world is a Setup whose service is imagined.
type world struct {
	*Setup
	t       testing.TB
	config  Config
	audit   *audit.Log
	handler http.Handler
	token   string
	local   string // address of this machine by which requests come
	plain   bool

	running *config.Config // as Apply left it
	applied int
	taken   error // of Apply
	joined  []string
	certs   fakeCertificates
}

type fakeCertificates struct{ calls []string }

func (f *fakeCertificates) List() []api.Certificate {
	at := scan.At(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	return []api.Certificate{{Name: api.CertificateNameExternal, Source: api.CertificateSourceOwn, Hosts: []string{"a.example"},
		NotBefore: at, NotAfter: at, State: api.CertificateStateUrgent}}
}

func (f *fakeCertificates) Put(slot string, u api.CertificateUpload) (api.Certificate, error) {
	if u.Key == "bad" {
		return api.Certificate{}, problem.CertificateInvalid.Error()
	}
	f.calls = append(f.calls, "put "+slot)
	return f.List()[0], nil
}

func (f *fakeCertificates) Remove(slot string) error {
	f.calls = append(f.calls, "remove "+slot)
	return nil
}

func newWorld(t testing.TB, role api.SetupRole, text string, env ...string) *world {
	t.Helper()
	w := &world{t: t, local: "127.0.0.1:18625", plain: true}
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if w.audit, err = audit.Open(audit.Config{Dir: filepath.Join(dir, "audit"), Signer: id}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.audit.Close() })
	w.config = Config{
		Role: role, Path: filepath.Join(dir, "platen.ini"), Env: env, Dir: filepath.Join(dir, "setup"),
		Apply: func(_ context.Context, c *config.Config) error {
			w.applied++
			if w.taken != nil {
				return w.taken
			}
			w.running = c
			w.Level.Configure(c.Log.Level)
			return nil
		},
		State: func(context.Context) State {
			return State{Name: "Reception", Version: "1", Running: true, Paths: []api.SetupPath{{Name: api.SetupPathNameKeys, Path: "/keys"}}}
		},
		Certificates: &w.certs, Audit: w.audit, Level: NewLevel(slog.LevelInfo, slog.LevelDebug),
		Join:  func(_ context.Context, token string) error { w.joined = append(w.joined, "token "+token); return nil },
		Ask:   func(_ context.Context, address string) error { w.joined = append(w.joined, "ask "+address); return nil },
		Leave: func(context.Context) error { w.joined = append(w.joined, "leave"); return nil },
		Interfaces: func() []api.SetupInterface {
			return []api.SetupInterface{{Name: "eth0", Addresses: []string{"192.168.1.5", "fd00::5"}}}
		},
		LookPath: func(program string) (string, error) {
			if program == "ufw" {
				return "/usr/sbin/ufw", nil
			}
			return "", errors.New("not found")
		},
	}
	if text != "" {
		if err := os.WriteFile(w.config.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	return w
}

// validated checks every answer against the API document from now on.
func (w *world) validated() *world {
	w.t.Helper()
	w.handler = accesstest.Validate(w.t, w.handler)
	return w
}

// start begins a process on the files as they are.
func (w *world) start() {
	w.t.Helper()
	if err := Recover(context.Background(), w.config); err != nil {
		w.t.Fatal(err)
	}
	var err error
	if w.running, err = config.Load(w.config.Path, w.config.Env); errors.Is(err, os.ErrNotExist) {
		w.running, err = config.Load("", w.config.Env)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if w.Setup, err = New(w.config); err != nil {
		w.t.Fatal(err)
	}
	hosts, err := access.NewHosts("localhost")
	if err != nil {
		w.t.Fatal(err)
	}
	guard := access.New(access.Config{Records: accesstest.NewRecords(), Rate: 10_000, Audit: w.audit, Hosts: hosts, Service: func(access.Caller) api.Service { return api.Service{} }})
	routes := append(access.SignInRoutes(guard), w.Routes()...)
	routes = append(routes, AuditRoutes(w.audit)...)
	w.handler = guard.Handler(access.RoadSetup, routes, nil)
	w.token = accesstest.Session(w.t, guard, w.handler, access.RoadSetup, api.RoleAdmin).Token
}

// do sends a request by the address local and decodes the answer into v.
func (w *world) do(method, path, body string, v any) (int, *problem.Error) {
	w.t.Helper()
	r := accesstest.NewRequest(access.RoadSetup, method, "/api/v1"+path, body)
	local, err := net.ResolveTCPAddr("tcp", w.local)
	if err != nil {
		w.t.Fatal(err)
	}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
	r.Host = w.local
	if w.plain {
		r.TLS = nil
	}
	if local.IP.IsLoopback() {
		r.RemoteAddr = "127.0.0.1:50000"
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	answer := accesstest.Do(w.handler, r)
	if answer.Code >= 400 {
		var p problem.Error
		if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil {
			w.t.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
		}
		return answer.Code, &p
	}
	if v != nil {
		if err := json.Unmarshal(answer.Body.Bytes(), v); err != nil {
			w.t.Fatalf("%s %s: %s: %v", method, path, answer.Body, err)
		}
	}
	return answer.Code, nil
}

// change posts values; options are further members of the request.
func (w *world) change(values map[string]string, options string) (api.SetupChange, *problem.Error) {
	w.t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		w.t.Fatal(err)
	}
	var c api.SetupChange
	_, p := w.do(http.MethodPost, "/setup/changes", `{"values":`+string(text)+options+`}`, &c)
	return c, p
}

// must is change with confirmation, which succeeds.
func (w *world) must(values map[string]string) api.SetupChange {
	w.t.Helper()
	c, p := w.change(values, `,"confirmed":true`)
	if p != nil {
		w.t.Fatalf("changing %v: %v", values, p)
	}
	return c
}

func (w *world) file() string {
	b, _ := os.ReadFile(w.config.Path)
	return string(b)
}

// load reads the file as a new process would.
func (w *world) load() *config.Config {
	w.t.Helper()
	c, err := config.Load(w.config.Path, w.config.Env)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// state is the state of a change in the list.
func (w *world) state(id string) api.SetupChangeState {
	w.t.Helper()
	var list api.SetupChangeList
	w.do(http.MethodGet, "/setup/changes", "", &list)
	for _, c := range list.Items {
		if c.Id == id {
			return c.State
		}
	}
	return ""
}

func (w *world) actions() string {
	w.t.Helper()
	list, _, err := w.audit.List(100, "", "setup.")
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, strings.TrimPrefix(e.Action, "setup.")+" "+string(e.Result))
	}
	return strings.Join(names, ", ")
}
