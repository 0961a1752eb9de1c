package access_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func (e *end) newPairing(t testing.TB, role api.Role) api.Pairing {
	t.Helper()
	p, err := e.guard.NewPairing(t.Context(), role, "test")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (e *end) redeem(t testing.TB, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/sessions", body)
	return accesstest.Do(e.validated(t, access.RoadLAN), r)
}

func code(c string) string   { return fmt.Sprintf(`{"code":%q,"bearer":true}`, c) }
func secret(s string) string { return fmt.Sprintf(`{"secret":%q,"bearer":true}`, s) }

// isCode is what people can type and read out.
var isCode = regexp.MustCompile(`^[2-9A-HJ-NP-Z]{8}$`)

// wrong is a code that none of the pairings has.
func wrong(pairings ...api.Pairing) string {
	for n := 0; ; n++ {
		c, taken := fmt.Sprintf("AAAAAA%c%c", 'A'+n/8, 'A'+n%8), false
		for _, p := range pairings {
			taken = taken || p.Code == c
		}
		if !taken {
			return c
		}
	}
}

func TestPairing(t *testing.T) {
	e := newEnd(t, func(c *access.Config) {
		c.PairingBase = func() string { return "https://192.168.1.5:18623" }
		c.CAPin = "pin"
	})
	for _, by := range []func(api.Pairing) string{
		func(p api.Pairing) string { return code(p.Code) },
		func(p api.Pairing) string { return secret(p.Secret) },
	} {
		p := e.newPairing(t, api.RoleOperator)
		if !isCode.MatchString(p.Code) || len(p.Secret) != 32 || p.Url != "https://192.168.1.5:18623/#pair="+p.Secret+"&ca=pin" || p.State != api.PairingStateOpen {
			t.Errorf("new pairing %+v", p)
		}
		w := e.redeem(t, by(p))
		wantStatus(t, w, http.StatusCreated)
		s := decode[api.Session](t, w)
		if s.Role != api.RoleOperator || s.Token == "" || len(s.Check) != 4 || w.Header().Get("Location") != "/api/v1/sessions/"+s.Id {
			t.Errorf("session %+v, Location %q", s, w.Header().Get("Location"))
		}
		if got, err := e.guard.Pairing(t.Context(), p.Id); err != nil || got.State != api.PairingStateUsed || got.Check != s.Check || got.Code != "" || got.Secret != "" || got.Url != "" {
			t.Errorf("used pairing %+v, %v, want used with check %s and no secrets", got, err, s.Check)
		}
		wantCode(t, e.redeem(t, by(p)), problem.PairingUsed)
	}
}

func TestPairingExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		early, late := e.newPairing(t, api.RoleUser), e.newPairing(t, api.RoleUser)
		time.Sleep(2*time.Minute - time.Second)
		wantStatus(t, e.redeem(t, code(early.Code)), http.StatusCreated)
		time.Sleep(time.Second)
		wantCode(t, e.redeem(t, code(late.Code)), problem.PairingExpired)
		wantCode(t, e.redeem(t, secret(late.Secret)), problem.PairingExpired)
		time.Sleep(10 * time.Minute)
		wantCode(t, e.redeem(t, secret(late.Secret)), problem.PairingWrong)
	})
}

func TestThreeWrongTriesVoidAllCodes(t *testing.T) {
	e := newEnd(t)
	a, b := e.newPairing(t, api.RoleUser), e.newPairing(t, api.RoleUser)
	wantCode(t, e.redeem(t, secret(fmt.Sprintf("%032d", 1))), problem.PairingWrong) // no guess: not counted
	wantCode(t, e.redeem(t, code(wrong(a, b))), problem.PairingWrong)
	wantCode(t, e.redeem(t, code(wrong(a, b))), problem.PairingWrong)
	wantStatus(t, e.redeem(t, code(a.Code)), http.StatusCreated) // a right one gives no new tries
	wantCode(t, e.redeem(t, code(wrong(a, b))), problem.PairingTooMany)
	wantCode(t, e.redeem(t, code(b.Code)), problem.PairingTooMany)
	wantCode(t, e.redeem(t, secret(b.Secret)), problem.PairingTooMany)
	wantCode(t, e.redeem(t, code(a.Code)), problem.PairingUsed)
	if got, err := e.guard.Pairing(t.Context(), b.Id); err != nil || got.State != api.PairingStateVoid {
		t.Errorf("pairing %+v, %v, want void", got, err)
	}
	c := e.newPairing(t, api.RoleUser) // and the next code has three tries of its own
	wantCode(t, e.redeem(t, code(wrong(a, b, c))), problem.PairingWrong)
	wantStatus(t, e.redeem(t, code(c.Code)), http.StatusCreated)
}

// Codes are compared for at most three wrong tries, however many come at once.
func TestGuessingAtOnce(t *testing.T) {
	e := newEnd(t)
	p := e.newPairing(t, api.RoleUser)
	var mu sync.Mutex
	got := map[problem.Code]int{}
	var wg sync.WaitGroup
	h := e.on(access.RoadLAN)
	for range 64 {
		wg.Go(func() {
			w := accesstest.Do(h, accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/sessions", code(wrong(p))))
			mu.Lock()
			defer mu.Unlock()
			got[accesstest.Code(w)]++
		})
	}
	wg.Wait()
	// After the codes are void there is nothing to guess, and wrong is all that can be said.
	if got[problem.PairingTooMany] == 0 || got[problem.PairingTooMany]+got[problem.PairingWrong]+got[problem.Unavailable] != 64 {
		t.Errorf("answers %v, want wrong and too many", got)
	}
	wantCode(t, e.redeem(t, code(p.Code)), problem.PairingTooMany)
}

func TestTwoDevicesRace(t *testing.T) {
	for range 20 {
		e := newEnd(t)
		p := e.newPairing(t, api.RoleUser)
		h := e.on(access.RoadLAN)
		answers := make([]*httptest.ResponseRecorder, 8)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				body := code(p.Code)
				if i%2 == 0 {
					body = secret(p.Secret)
				}
				answers[i] = accesstest.Do(h, accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/sessions", body))
			})
		}
		wg.Wait()
		won := 0
		for _, w := range answers {
			switch c := accesstest.Code(w); {
			case w.Code == http.StatusCreated:
				won++
			case c == problem.PairingUsed, c == problem.PairingTooMany: // eight tries at once are more than three
			default:
				t.Errorf("the loser got status %d, %q", w.Code, c)
			}
		}
		if won > 1 {
			t.Fatalf("%d devices redeemed one code", won)
		}
	}
}

func TestTwoSecretsRace(t *testing.T) {
	for range 20 {
		e := newEnd(t)
		p := e.newPairing(t, api.RoleUser)
		h := e.on(access.RoadLAN)
		codes := make([]problem.Code, 8)
		var wg sync.WaitGroup
		for i := range codes {
			wg.Go(func() {
				codes[i] = accesstest.Code(accesstest.Do(h, accesstest.NewRequest(access.RoadLAN, "POST", "/api/v1/sessions", secret(p.Secret))))
			})
		}
		wg.Wait()
		count := map[problem.Code]int{}
		for _, c := range codes {
			count[c]++
		}
		if count[""] != 1 || count[problem.PairingUsed] != 7 {
			t.Fatalf("answers %v, want one session and seven times pairing-used", count)
		}
	}
}

func TestPairingRoutes(t *testing.T) {
	e := newEnd(t)
	operator, _ := e.client(t, api.RoleOperator)
	w := operator.do("POST", "/api/v1/pairings", `{"label":"Reception tablet"}`)
	wantStatus(t, w, http.StatusCreated)
	p := decode[api.Pairing](t, w)
	if p.Role != api.RoleUser || p.Label != "Reception tablet" || p.Url != "https://"+accesstest.LANHost+"/#pair="+p.Secret ||
		w.Header().Get("Location") != "/api/v1/pairings/"+p.Id {
		t.Errorf("pairing %+v, Location %q", p, w.Header().Get("Location"))
	}
	if got := decode[api.Pairing](t, operator.do("GET", "/api/v1/pairings/"+p.Id, "")); got.State != api.PairingStateOpen || got.Secret != "" {
		t.Errorf("pairing %+v, want open without its secret", got)
	}
	wantStatus(t, operator.do("POST", "/api/v1/pairings", `{"role":"kiosk"}`), http.StatusCreated)
	if list := decode[api.PairingList](t, operator.do("GET", "/api/v1/pairings?limit=1", "")); len(list.Items) != 1 || list.Next == "" || list.Items[0].Code != "" {
		t.Errorf("list %+v, want one without its code, and more", list)
	}
	wantStatus(t, operator.do("DELETE", "/api/v1/pairings/"+p.Id, ""), http.StatusNoContent)
	wantStatus(t, operator.do("DELETE", "/api/v1/pairings/"+p.Id, ""), http.StatusNoContent)
	wantCode(t, e.redeem(t, code(p.Code)), problem.PairingExpired)
	if list := decode[api.PairingList](t, operator.do("GET", "/api/v1/pairings", "")); len(list.Items) != 1 {
		t.Errorf("%d open pairings, want 1", len(list.Items))
	}
	const absent = "/api/v1/pairings/aaaaaaaaaaaaaaaaaaaa"
	wantCode(t, operator.do("GET", absent, ""), problem.NotFound)
	wantCode(t, operator.do("DELETE", absent, ""), problem.NotFound)
}

func TestPairingIsNeverAboveItsMaker(t *testing.T) {
	e := newEnd(t)
	operator, _ := e.client(t, api.RoleOperator)
	before := e.records.Dump()
	wantCode(t, operator.do("POST", "/api/v1/pairings", `{"role":"admin"}`), problem.PermissionDenied)
	wantCode(t, operator.do("POST", "/api/v1/pairings", `{"role":"root"}`), problem.InvalidJSON)
	wantCode(t, operator.do("POST", "/api/v1/pairings", `{"label":"a\nb"}`), problem.InvalidJSON)
	if e.records.Dump() != before {
		t.Error("a refused pairing was stored")
	}
	wantStatus(t, operator.do("POST", "/api/v1/pairings", `{"role":"operator"}`), http.StatusCreated)
}

func TestOpenPairingsAreBounded(t *testing.T) {
	e := newEnd(t)
	for range 16 {
		e.newPairing(t, api.RoleUser)
	}
	if _, err := e.guard.NewPairing(t.Context(), api.RoleUser, ""); problem.From(err).Code != problem.TooManyRequests {
		t.Errorf("seventeenth pairing: %v, want too-many-requests", err)
	}
}

func TestBadSessionRequests(t *testing.T) {
	e := newEnd(t)
	p := e.newPairing(t, api.RoleUser)
	before := e.records.Dump()
	for _, body := range []string{
		`{}`, `{"code":"2345678"}`, `{"code":"234567892"}`, `{"code":"ABCDEFGh"}`, `{"code":"ABCDEFG1"}`, `{"code":"ABCDEFGI"}`,
		`{"code":"ABCDEFGO"}`, `{"code":"ABCD-FGH"}`, `{"secret":"short"}`, `{"code":"` + p.Code + `","secret":"` + p.Secret + `"}`, `{"code":23456789}`, `{"secret":"` + p.Secret + `","device":"a\u0000b"}`,
	} {
		wantCode(t, e.redeem(t, body), problem.InvalidJSON)
	}
	if after := e.records.Dump(); after != before {
		t.Errorf("a malformed request changed something: %s", after)
	}
}

func TestSignInWithoutRecords(t *testing.T) {
	e := newEnd(t, func(c *access.Config) { c.Records = nil })
	wantCode(t, e.redeem(t, code("23456789")), problem.Unavailable)
}

func TestCheckString(t *testing.T) {
	a, b := access.CheckString([]byte("a")), access.CheckString([]byte("b"))
	if len(a) != 4 || a == b || a != access.CheckString([]byte("a")) {
		t.Errorf("CheckString = %q and %q, want four symbols that depend on the material", a, b)
	}
}

// The fourth try is refused even if it is right and the third has not voided the codes yet.
func TestRightCodeAfterThreeTries(t *testing.T) {
	e := newEnd(t)
	p := e.newPairing(t, api.RoleUser)
	if _, err := e.records.Create(t.Context(), "tries.pairing", []byte(`{"wrong":3}`), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, e.redeem(t, code(p.Code)), problem.PairingTooMany)
	wantCode(t, e.redeem(t, secret(p.Secret)), problem.PairingTooMany)
}

func TestRightCodesCostNoTries(t *testing.T) {
	e := newEnd(t)
	var open []api.Pairing
	for range 6 {
		open = append(open, e.newPairing(t, api.RoleUser))
	}
	for _, p := range open {
		wantStatus(t, e.redeem(t, code(p.Code)), http.StatusCreated)
	}
}
