package access_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const usersPath = "/api/v1/users"

// as signs a user in by a pairing that the administrator makes for them.
func (e *end) as(t testing.TB, admin client, user string) (client, api.Session) {
	t.Helper()
	w := admin.do("POST", "/api/v1/pairings", `{"user":"`+user+`"}`)
	wantStatus(t, w, http.StatusCreated)
	w = e.redeem(t, secret(decode[api.Pairing](t, w).Secret))
	wantStatus(t, w, http.StatusCreated)
	s := decode[api.Session](t, w)
	return client{t, e.on(access.RoadLAN), e.validated(t, access.RoadLAN), s.Token}, s
}

func addUser(t testing.TB, admin client, name string, role api.Role) api.User {
	t.Helper()
	w := admin.do("POST", usersPath, fmt.Sprintf(`{"name":%q,"role":%q,"groups":["office"]}`, name, role))
	wantStatus(t, w, http.StatusCreated)
	return decode[api.User](t, w)
}

func TestUsers(t *testing.T) {
	e := newEnd(t)
	admin, _ := e.client(t, api.RoleAdmin)
	ada := addUser(t, admin, "Ada", api.RoleUser)
	if ada.Source != api.UserSourceLocal || ada.Locked || ada.Created.IsZero() || !ada.Seen.IsZero() {
		t.Errorf("user %+v", ada)
	}
	phone, s := e.as(t, admin, ada.Id)
	tablet, _ := e.as(t, admin, ada.Id)
	if s.User != ada.Id || s.Name != "Ada" || s.Role != api.RoleUser || s.Kind != api.SessionKindPairing {
		t.Errorf("session %+v, want Ada's", s)
	}
	for _, key := range []string{"passkey." + ada.Id + ".a", "passkey." + ada.Id + ".b", "passkey.bbbbbbbbbbbbbbbbbbbb.c"} {
		if _, err := e.records.Create(t.Context(), key, []byte("{}"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	list := decode[api.UserList](t, admin.do("GET", usersPath, ""))
	if len(list.Items) != 1 || list.Items[0].Sessions != 2 || list.Items[0].Passkeys != 2 || list.Items[0].Seen.IsZero() {
		t.Errorf("list %+v, want Ada with two sessions and two passkeys", list.Items)
	}
	// An edit counts for the next request of every session.
	wantCode(t, phone.do("GET", usersPath, ""), problem.PermissionDenied)
	w := admin.do("PATCH", usersPath+"/"+ada.Id, `{"role":"admin","name":"Ada L.","groups":[]}`)
	if u := decode[api.User](t, w); u.Name != "Ada L." || u.Role != api.RoleAdmin || len(u.Groups) != 0 || u.Sessions != 2 {
		t.Errorf("edited user %+v", u)
	}
	wantStatus(t, phone.do("GET", usersPath, ""), http.StatusOK)
	if s := decode[api.Session](t, tablet.do("GET", "/api/v1/sessions/current", "")); s.Role != api.RoleAdmin || s.Name != "Ada L." {
		t.Errorf("session %+v, want an administrator's", s)
	}
	wantStatus(t, admin.do("DELETE", usersPath+"/"+ada.Id, ""), http.StatusNoContent)
	wantCode(t, phone.do("GET", jobPath, ""), problem.SessionExpired)
	wantCode(t, admin.do("DELETE", usersPath+"/"+ada.Id, ""), problem.NotFound)
	wantCode(t, admin.do("PATCH", usersPath+"/"+ada.Id, `{"name":"x"}`), problem.NotFound)
	for _, prefix := range []string{"user.", "session.", "passkey." + ada.Id} {
		e.records.List(t.Context(), prefix, func(key string, value []byte) error {
			if strings.Contains(key+string(value), ada.Id) {
				t.Errorf("after Ada was removed there is still %s %s", key, value)
			}
			return nil
		})
	}
	if !strings.Contains(e.records.Dump(), "passkey.bbbb") {
		t.Error("another's passkey was removed too")
	}
}

func TestUsersPage(t *testing.T) {
	e := newEnd(t)
	admin, _ := e.client(t, api.RoleAdmin)
	for i := range 3 {
		addUser(t, admin, fmt.Sprint(i), api.RoleUser)
	}
	seen, next := map[string]bool{}, ""
	for range 3 {
		list := decode[api.UserList](t, admin.do("GET", usersPath+"?limit=1&cursor="+next, ""))
		for _, u := range list.Items {
			seen[u.Name] = true
		}
		next = list.Next
	}
	if len(seen) != 3 || next != "" {
		t.Errorf("pages hold %d users and then next = %q, want 3 and none", len(seen), next)
	}
}

func TestBadUserRequests(t *testing.T) {
	e := newEnd(t)
	admin, _ := e.client(t, api.RoleAdmin)
	ada := addUser(t, admin, "Ada", api.RoleUser)
	before := e.records.Dump()
	groups := `["` + strings.Repeat(`g","`, 50) + `g"]`
	for _, body := range []string{
		`{}`, `{"name":"Ada"}`, `{"role":"user"}`, `{"name":"","role":"user"}`, `{"name":"  ","role":"user"}`, `{"name":"a\nb","role":"user"}`,
		`{"name":"` + strings.Repeat("x", 81) + `","role":"user"}`, `{"name":"Ada","role":"root"}`, `{"name":"Ada","role":"user","groups":` + groups + `}`,
		`{"name":"Ada","role":"user","groups":[""]}`, `{"name":"Ada","role":"user","groups":["a\u0007"]}`, `{"name":"A\u202eda","role":"user"}`,
	} {
		wantCode(t, admin.do("POST", usersPath, body), problem.InvalidJSON)
	}
	for _, body := range []string{`{"name":"a\nb"}`, `{"role":"root"}`, `{"groups":` + groups + `}`, `{"groups":[""]}`, `{"locked":"yes"}`} {
		wantCode(t, admin.do("PATCH", usersPath+"/"+ada.Id, body), problem.InvalidJSON)
	}
	if e.records.Dump() != before {
		t.Error("a refused request changed something")
	}
}

// A locked user's streams end at once, and no way leads back in until they are unlocked.
func TestLockedUserMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t, withProviders)
		e.streams()
		admin, _ := e.client(t, api.RoleAdmin)
		office := decode[api.Session](t, e.redeem(t, viaOIDC("ada", api.RoleUser)))
		_, phone := e.as(t, admin, office.User)
		p := decode[api.Pairing](t, admin.do("POST", "/api/v1/pairings", `{"user":"`+office.User+`"}`))
		first, second := e.stream(office.Token), e.stream(phone.Token)
		wantStatus(t, admin.do("PATCH", usersPath+"/"+office.User, `{"locked":true}`), http.StatusOK)
		for _, ended := range []<-chan int{first, second} {
			if status := <-ended; status != 0 {
				t.Errorf("status %d, want a reset stream", status)
			}
		}
		for _, token := range []string{office.Token, phone.Token} {
			wantCode(t, client{t, e.on(access.RoadLAN), nil, token}.do("GET", jobPath, ""), problem.SessionExpired)
		}
		wantCode(t, e.redeem(t, viaOIDC("ada", api.RoleUser)), problem.UserLocked)
		wantCode(t, e.redeem(t, secret(p.Secret)), problem.UserLocked)
		wantCode(t, admin.do("POST", "/api/v1/pairings", `{"user":"`+office.User+`"}`), problem.UserLocked)
		wantStatus(t, admin.do("PATCH", usersPath+"/"+office.User, `{"locked":false}`), http.StatusOK)
		wantStatus(t, e.redeem(t, viaOIDC("ada", api.RoleUser)), http.StatusCreated)
		wantCode(t, client{t, e.on(access.RoadLAN), nil, phone.Token}.do("GET", jobPath, ""), problem.SessionExpired)
	})
}

// Who loses a right loses what that right has under way, but not the session.
func TestDemotedUserMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		e.streams()
		admin, _ := e.client(t, api.RoleAdmin)
		ada := addUser(t, admin, "Ada", api.RoleOperator)
		c, s := e.as(t, admin, ada.Id)
		ended := e.stream(s.Token)
		wantStatus(t, admin.do("PATCH", usersPath+"/"+ada.Id, `{"name":"Ada L."}`), http.StatusOK)
		select {
		case <-ended:
			t.Fatal("a new name ended a stream")
		default:
		}
		wantStatus(t, admin.do("PATCH", usersPath+"/"+ada.Id, `{"role":"user"}`), http.StatusOK)
		if status := <-ended; status != 0 {
			t.Errorf("status %d, want a reset stream", status)
		}
		wantStatus(t, c.do("GET", jobPath, ""), http.StatusOK)
	})
}

// Another process's edit counts within two seconds.
func TestUsersAreFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		admin, _ := e.client(t, api.RoleAdmin)
		ada := addUser(t, admin, "Ada", api.RoleUser)
		c, _ := e.as(t, admin, ada.Id)
		wantStatus(t, c.do("GET", jobPath, ""), http.StatusOK)
		elsewhere := newEnd(t, func(c *access.Config) { c.Records = e.records })
		boss, _ := elsewhere.client(t, api.RoleAdmin)
		wantStatus(t, boss.do("PATCH", usersPath+"/"+ada.Id, `{"role":"kiosk"}`), http.StatusOK)
		time.Sleep(2 * time.Second)
		wantCode(t, c.do("GET", jobPath, ""), problem.PermissionDenied)
	})
}

func TestNobodyLocksThemselvesOut(t *testing.T) {
	e := newEnd(t)
	first, _ := e.client(t, api.RoleAdmin)
	ada := addUser(t, first, "Ada", api.RoleAdmin)
	own, _ := e.as(t, first, ada.Id)
	before := e.records.Dump()
	wantCode(t, own.do("PATCH", usersPath+"/"+ada.Id, `{"locked":true}`), problem.LastAdministrator)
	wantCode(t, own.do("PATCH", usersPath+"/"+ada.Id, `{"role":"operator"}`), problem.LastAdministrator)
	wantCode(t, own.do("DELETE", usersPath+"/"+ada.Id, ""), problem.LastAdministrator)
	if e.records.Dump() != before {
		t.Error("a refused request changed something")
	}
	wantStatus(t, own.do("PATCH", usersPath+"/"+ada.Id, `{"name":"Ada L.","role":"admin","locked":false}`), http.StatusOK)
	wantStatus(t, first.do("PATCH", usersPath+"/"+ada.Id, `{"locked":true}`), http.StatusOK)
}

func TestPairingForAUser(t *testing.T) {
	e := newEnd(t)
	admin, _ := e.client(t, api.RoleAdmin)
	operator, _ := e.client(t, api.RoleOperator)
	ada, grace := addUser(t, admin, "Ada", api.RoleUser), addUser(t, admin, "Grace", api.RoleOperator)
	own, _ := e.as(t, admin, ada.Id)
	tests := []struct {
		name, body string
		by         client
		want       problem.Code
	}{
		{"own further device", `{"user":"` + ada.Id + `"}`, own, ""},
		{"own, with the role", `{"user":"` + ada.Id + `","role":"user"}`, own, ""},
		{"own, with a higher role", `{"user":"` + ada.Id + `","role":"operator"}`, own, problem.InvalidJSON},
		{"another's", `{"user":"` + grace.Id + `"}`, own, problem.PermissionDenied},
		{"nobody's, by a user", `{}`, own, problem.PermissionDenied},
		{"another's, by an operator", `{"user":"` + ada.Id + `"}`, operator, problem.PermissionDenied},
		{"an unknown user's", `{"user":"aaaaaaaaaaaaaaaaaaaa"}`, admin, problem.InvalidJSON},
		{"a malformed user's", `{"user":"x"}`, admin, problem.InvalidJSON},
	}
	for _, tt := range tests {
		w := tt.by.do("POST", "/api/v1/pairings", tt.body)
		if got := accesstest.Code(w); got != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, got, tt.want)
		}
		if tt.want == "" {
			if p := decode[api.Pairing](t, w); p.User != ada.Id || p.Role != api.RoleUser {
				t.Errorf("%s: pairing %+v", tt.name, p)
			}
		}
	}
	// Users know of their own pairings only, operators of all.
	theirs := decode[api.Pairing](t, admin.do("POST", "/api/v1/pairings", `{}`))
	wantCode(t, own.do("GET", "/api/v1/pairings/"+theirs.Id, ""), problem.NotFound)
	wantCode(t, own.do("DELETE", "/api/v1/pairings/"+theirs.Id, ""), problem.NotFound)
	if list := decode[api.PairingList](t, own.do("GET", "/api/v1/pairings", "")); len(list.Items) != 2 {
		t.Errorf("a user sees %d open pairings, want the two of their own", len(list.Items))
	}
	if list := decode[api.PairingList](t, operator.do("GET", "/api/v1/pairings", "")); len(list.Items) != 3 {
		t.Errorf("an operator sees %d open pairings, want 3", len(list.Items))
	}
	// A pairing of somebody who is removed meanwhile signs nobody in.
	late := decode[api.Pairing](t, own.do("POST", "/api/v1/pairings", `{"user":"`+ada.Id+`"}`))
	wantStatus(t, admin.do("DELETE", usersPath+"/"+ada.Id, ""), http.StatusNoContent)
	wantCode(t, e.redeem(t, secret(late.Secret)), problem.PairingExpired)
}

func TestUpsert(t *testing.T) {
	e := newEnd(t)
	ctx := context.Background()
	const peers = 16
	ids := make([]string, peers)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			u, err := e.guard.Upsert(ctx, "oidc", "https://idp.example ada", api.UserRequest{Name: fmt.Sprint(i), Role: api.RoleUser})
			if err != nil {
				t.Error(err)
			}
			ids[i] = u.Id
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("%d first sign-ins at once made the users %v, want one", peers, ids)
		}
	}
	other, err := e.guard.Upsert(ctx, "oidc", "https://idp.example grace", api.UserRequest{Name: " \u202eGrace\n" + strings.Repeat("x", 100), Role: api.RoleUser, Groups: []string{"office", "", "a\x00b"}})
	if err != nil || other.Id == ids[0] || other.Source != api.UserSourceOidc || len([]rune(other.Name)) != 80 || !strings.HasPrefix(other.Name, "Gracexx") || len(other.Groups) != 1 {
		t.Errorf("user %+v, %v", other, err)
	}
	if _, err := e.guard.Upsert(ctx, "oidc", "x", api.UserRequest{Name: "x", Role: "root"}); err == nil {
		t.Error("a user with an unknown role was made")
	}
	if _, err := e.guard.Upsert(ctx, "oidc", "", api.UserRequest{Name: "x", Role: api.RoleUser}); err == nil {
		t.Error("a user without a subject was made")
	}
	if u, err := e.guard.UserOf(ctx, other.Id); err != nil || u.Id != other.Id {
		t.Errorf("UserOf = %+v, %v", u, err)
	}
	for _, id := range []string{"", "x", strings.Repeat("a", 20), "../../session.aaaaaa"} {
		if _, err := e.guard.UserOf(ctx, id); problem.From(err).Code != problem.NotFound {
			t.Errorf("UserOf(%q) = %v, want not-found", id, err)
		}
	}
	admin, _ := e.client(t, api.RoleAdmin)
	wantCode(t, admin.do("PATCH", usersPath+"/"+other.Id, `{"role":"admin"}`), problem.SettingFixed)
	wantCode(t, admin.do("PATCH", usersPath+"/"+other.Id, `{"groups":["x"]}`), problem.SettingFixed)
	wantStatus(t, admin.do("PATCH", usersPath+"/"+other.Id, `{"locked":true}`), http.StatusOK)
	if _, err := e.guard.UserOf(ctx, other.Id); problem.From(err).Code != problem.UserLocked {
		t.Errorf("UserOf of a locked user: %v, want user-locked", err)
	}
	if _, err := e.guard.Upsert(ctx, "oidc", "https://idp.example grace", api.UserRequest{Name: "Grace", Role: api.RoleAdmin}); problem.From(err).Code != problem.UserLocked {
		t.Errorf("Upsert of a locked user: %v, want user-locked", err)
	}
}
