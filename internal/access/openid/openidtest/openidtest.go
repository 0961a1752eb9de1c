// Package openidtest runs an identity provider on a loopback port for tests: the
// OpenID provider of github.com/zitadel/oidc, which is certified, with its login form
// and users in memory. It is never part of a program.
package openidtest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The client that is registered at every Server, and one without a secret.
const (
	ClientID     = "platen"
	ClientSecret = "platen-secret"
	PublicClient = "platen-public"
)

// Password is that of every user.
const Password = "verysecure"

// User is a person at the provider.
type User struct {
	Username    string
	First, Last string
	Groups      []string // in the claim "groups" of the ID token
}

// Ann is an administrator and Bob nobody special.
var (
	Ann = User{Username: "ann", First: "Ann", Last: "Archer", Groups: []string{"it", "staff"}}
	Bob = User{Username: "bob", First: "Bob", Last: "Baker", Groups: []string{"staff"}}
)

// Server is a running identity provider.
type Server struct {
	Issuer string // its address

	mu        sync.Mutex
	users     map[string]User
	redirects []string
	exchanges int
}

// Start runs a provider with Ann and Bob until the test ends. redirects are the
// addresses to which it sends people back; more can be added.
func Start(t testing.TB, redirects ...string) *Server {
	t.Helper()
	s := &Server{users: map[string]User{}, redirects: redirects}
	s.Put(Ann)
	s.Put(Bob)
	h := httptest.NewUnstartedServer(nil)
	s.Issuer = "http://" + h.Listener.Addr().String()
	native := storage.NativeClient(PublicClient)
	clients := map[string]*storage.Client{ClientID: storage.WebClient(ClientID, ClientSecret), PublicClient: native}
	store := &store{storage.NewStorageWithClients(people{s}, clients), s}
	provider := exampleop.SetupServer(s.Issuer, store, slog.New(slog.DiscardHandler), false)
	h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			s.mu.Lock()
			s.exchanges++
			s.mu.Unlock()
		}
		provider.ServeHTTP(w, r)
	})
	h.Start()
	t.Cleanup(h.Close)
	return s
}

// Put adds a user, or gives one other names and groups.
func (s *Server) Put(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Username] = u
}

// Redirect registers one more address to send people back to.
func (s *Server) Redirect(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redirects = append(s.redirects, address)
}

// Exchanges counts the requests for tokens.
func (s *Server) Exchanges() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchanges
}

var hiddenID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// SignIn does what a person does in a browser that was sent to address: fills in the
// login form. It answers what the provider sends back to our page.
func (s *Server) SignIn(t testing.TB, address, username string) (code, state string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back *url.URL
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), s.Issuer) {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	form := get(t, browser, address)
	id := hiddenID.FindStringSubmatch(form)
	if id == nil {
		t.Fatalf("the provider shows no login form: %s", form)
	}
	answer, err := browser.PostForm(s.Issuer+"/login/username",
		url.Values{"id": {id[1]}, "username": {username}, "password": {Password}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if back == nil {
		t.Fatalf("the provider does not send %s back: %s", username, answer.Status)
	}
	q := back.Query()
	if q.Get("code") == "" {
		t.Fatalf("the provider sends %s back without a code: %s", username, back)
	}
	return q.Get("code"), q.Get("state")
}

func get(t testing.TB, c *http.Client, address string) string {
	t.Helper()
	answer, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var b strings.Builder
	if err := answer.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// people are the users as the provider's storage asks for them; the user name is the ID.
type people struct{ s *Server }

func (p people) GetUserByID(id string) *storage.User {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	u, ok := p.s.users[id]
	if !ok {
		return nil
	}
	return &storage.User{ID: id, Username: id, Password: Password, FirstName: u.First, LastName: u.Last,
		Email: id + "@office.example"}
}

func (p people) GetUserByUsername(name string) *storage.User { return p.GetUserByID(name) }

func (p people) ExampleClientID() string { return storage.ServiceUserID }

// store is the provider's storage with groups, and with redirect addresses that may
// be added while it runs.
type store struct {
	*storage.Storage
	s *Server
}

// SetUserinfoFromRequest is called for the ID token.
func (s *store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if u, ok := s.s.users[token.GetSubject()]; ok && u.Groups != nil {
		info.AppendClaims("groups", u.Groups)
	}
	return nil
}

func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{c, s.s}, nil
}

type client struct {
	op.Client
	s *Server
}

func (c client) RedirectURIs() []string {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return slices.Clone(c.s.redirects)
}
