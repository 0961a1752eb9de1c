package access_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const grantsPath = "/api/v1/device-grants"

// newDevice asks as `platen login` does.
func (e *end) newDevice(t testing.TB) api.DeviceGrant {
	t.Helper()
	w := e.askDevice(t, "")
	wantStatus(t, w, http.StatusCreated)
	return decode[api.DeviceGrant](t, w)
}

func (e *end) askDevice(t testing.TB, peer string) *httptest.ResponseRecorder {
	t.Helper()
	r := accesstest.NewRequest(access.RoadLAN, "POST", grantsPath, `{"device":"platen on reception-pc"}`)
	if peer != "" {
		r.RemoteAddr = peer
	}
	return accesstest.Do(e.validated(t, access.RoadLAN), r)
}

func (e *end) poll(t testing.TB, d api.DeviceGrant) *httptest.ResponseRecorder {
	t.Helper()
	return e.redeem(t, fmt.Sprintf(`{"deviceCode":%q,"device":"cli","bearer":true}`, d.DeviceCode))
}

func TestDeviceGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		d := e.newDevice(t)
		if !isCode.MatchString(d.UserCode) || d.Interval != 5 || d.VerificationUrl != "https://"+accesstest.LANHost+"/device" || len(d.DeviceCode) != 53 {
			t.Errorf("device grant %+v", d)
		}
		for _, secret := range []string{d.UserCode, d.DeviceCode[21:]} {
			if strings.Contains(e.records.Dump(), secret) {
				t.Error("the records hold a code")
			}
		}
		wantCode(t, e.poll(t, d), problem.GrantPending)
		user, _ := e.client(t, api.RoleUser)
		got := decode[api.DeviceGrant](t, user.do("GET", grantsPath+"/"+d.UserCode, ""))
		if got.Device != "platen on reception-pc" || got.Address == "" || got.DeviceCode != "" || got.UserCode != d.UserCode {
			t.Errorf("a person sees %+v", got)
		}
		wantStatus(t, user.do("POST", grantsPath+"/"+d.UserCode+"/allow", ""), http.StatusNoContent)
		wantCode(t, user.do("POST", grantsPath+"/"+d.UserCode+"/allow", ""), problem.GrantCodeWrong)
		wantCode(t, e.poll(t, d), problem.GrantSlowDown) // at once after the first: the interval is ten seconds now
		time.Sleep(10*time.Second - time.Millisecond)
		wantCode(t, e.poll(t, d), problem.GrantSlowDown)
		time.Sleep(15 * time.Second)
		s := decode[api.Session](t, e.poll(t, d))
		if s.Kind != api.SessionKindDevice || s.Role != api.RoleUser || s.Token == "" || s.Device != d.Device {
			t.Errorf("session %+v", s)
		}
		time.Sleep(time.Minute)
		wantCode(t, e.poll(t, d), problem.GrantDenied)
	})
}

func TestDeviceGrantEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		user, _ := e.client(t, api.RoleUser)
		denied, early, late := e.newDevice(t), e.newDevice(t), e.newDevice(t)
		wantStatus(t, user.do("DELETE", grantsPath+"/"+denied.UserCode, ""), http.StatusNoContent)
		wantCode(t, e.poll(t, denied), problem.GrantDenied)
		time.Sleep(10*time.Minute - time.Second)
		wantStatus(t, user.do("POST", grantsPath+"/"+early.UserCode+"/allow", ""), http.StatusNoContent)
		guess := early
		guess.DeviceCode = early.DeviceCode[:21] + strings.Repeat("a", 32)
		wantCode(t, e.poll(t, guess), problem.GrantDenied)
		wantStatus(t, e.poll(t, early), http.StatusCreated) // the guess has not even cost it its turn
		time.Sleep(time.Second)
		wantCode(t, user.do("POST", grantsPath+"/"+late.UserCode+"/allow", ""), problem.GrantCodeWrong)
		wantCode(t, e.poll(t, late), problem.GrantDenied)
	})
}

// meeting holds readers of device grants until all have read the same.
type meeting struct {
	access.Records
	open    atomic.Bool
	readers sync.WaitGroup
}

func (m *meeting) List(ctx context.Context, prefix string, yield func(string, []byte) error) error {
	err := m.Records.List(ctx, prefix, yield)
	if m.open.Load() && prefix == "device." {
		m.readers.Done()
		m.readers.Wait()
	}
	return err
}

// Of polls and decisions at once, one of each counts.
func TestDeviceGrantRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &meeting{}
		e := newEnd(t, func(c *access.Config) { records.Records, c.Records = c.Records, records })
		user, _ := e.client(t, api.RoleUser)
		d := e.newDevice(t)
		many := func(do func() *httptest.ResponseRecorder, success int) (won int, lost map[problem.Code]int) {
			var mu sync.Mutex
			var wg sync.WaitGroup
			lost = map[problem.Code]int{}
			for range 8 {
				wg.Go(func() {
					w := do()
					mu.Lock()
					defer mu.Unlock()
					if w.Code == success {
						won++
					} else {
						lost[accesstest.Code(w)]++
					}
				})
			}
			wg.Wait()
			return won, lost
		}
		records.readers.Add(8)
		records.open.Store(true)
		won, lost := many(func() *httptest.ResponseRecorder {
			return user.do("POST", grantsPath+"/"+d.UserCode+"/allow", "")
		}, http.StatusNoContent)
		if won != 1 || lost[problem.GrantCodeWrong] != 7 {
			t.Errorf("%d allowed it, the others got %v, want one and device-grant-wrong", won, lost)
		}
		won, lost = many(func() *httptest.ResponseRecorder { return e.poll(t, d) }, http.StatusCreated)
		if won != 1 || lost[problem.GrantSlowDown] != 7 {
			t.Errorf("%d polls won, the others got %v, want one and slow-down", won, lost)
		}
	})
}

func TestDeviceGrantsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		for range 5 {
			wantStatus(t, e.askDevice(t, "203.0.113.5:1"), http.StatusCreated)
		}
		wantCode(t, e.askDevice(t, "203.0.113.5:1"), problem.TooManyRequests)
		for range 27 {
			e.newDevice(t)
		}
		wantCode(t, e.askDevice(t, ""), problem.TooManyRequests)

		user, _ := e.client(t, api.RoleUser)
		for range 10 {
			wantCode(t, user.do("GET", grantsPath+"/AAAAAAAA", ""), problem.GrantCodeWrong)
		}
		for method, path := range map[string]string{"GET": "/AAAAAAAA", "DELETE": "/AAAAAAAA", "POST": "/AAAAAAAA/allow"} {
			wantCode(t, user.do(method, grantsPath+path, ""), problem.TooManyRequests)
		}
		time.Sleep(6 * time.Second)
		wantCode(t, user.do("GET", grantsPath+"/AAAAAAAA", ""), problem.GrantCodeWrong)
	})
}

// The program gets what the person is when it polls, and nothing if they are nobody any more.
func TestDeviceGrantIsThePersons(t *testing.T) {
	e := newEnd(t, withProviders)
	admin, _ := e.client(t, api.RoleAdmin)
	ada := e.signIn(t, api.SessionKindOidc)
	me := decode[api.Session](t, ada.do("GET", "/api/v1/sessions/current", ""))
	good, bad := e.newDevice(t), e.newDevice(t)
	for _, d := range []api.DeviceGrant{good, bad} {
		wantStatus(t, ada.do("POST", grantsPath+"/"+d.UserCode+"/allow", ""), http.StatusNoContent)
	}
	if s := decode[api.Session](t, e.poll(t, good)); s.User != me.User || s.Role != api.RoleUser || s.Name != "Ada" {
		t.Errorf("session %+v, want one of Ada", s)
	}
	wantStatus(t, admin.do("PATCH", "/api/v1/users/"+me.User, `{"locked":true}`), http.StatusOK)
	wantCode(t, e.poll(t, bad), problem.UserLocked)
}

func TestBadDeviceRequests(t *testing.T) {
	e := newEnd(t)
	user, _ := e.client(t, api.RoleUser)
	for _, body := range []string{`{}`, `{"device":""}`, `{"device":"a\nb"}`, `{"device":"` + strings.Repeat("x", 81) + `"}`} {
		wantCode(t, user.do("POST", grantsPath, body), problem.InvalidJSON)
	}
	for _, code := range []string{"abcdefgh", "ABCD-EFG", "AAAAAAA", "AAAAAAA1"} {
		wantCode(t, user.do("GET", grantsPath+"/"+code, ""), problem.BadID)
	}
	kiosk, _ := e.client(t, api.RoleKiosk)
	wantCode(t, kiosk.do("POST", grantsPath+"/"+e.newDevice(t).UserCode+"/allow", ""), problem.PermissionDenied)
}

// The guard's clock counts, however late the records are to forget.
func TestDeviceGrantEndsByTheGuardsClock(t *testing.T) {
	var ahead time.Duration
	e := newEnd(t, func(c *access.Config) { c.Now = func() time.Time { return time.Now().Add(ahead) } })
	user, _ := e.client(t, api.RoleUser)
	d := e.newDevice(t)
	wantStatus(t, user.do("POST", grantsPath+"/"+d.UserCode+"/allow", ""), http.StatusNoContent)
	ahead = 10 * time.Minute
	wantCode(t, e.poll(t, d), problem.GrantDenied)
}
