package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

const gatewayPage = "https://gateway.example"

// fakeRoad is an adapter in memory.
type fakeRoad struct {
	*memlink.Road
	answer func(ctx context.Context, offer string, stun []string) (string, error)
}

func (fakeRoad) Hashes() []string    { return []string{"hash"} }
func (fakeRoad) Fingerprint() string { return "fingerprint" }

func (f fakeRoad) Answer(ctx context.Context, offer string, stun []string) (string, error) {
	return f.answer(ctx, offer, stun)
}

// streets are an office with direct roads, greeted over a link.
type streets struct {
	*office
	webTransport, webRTC fakeRoad
	link                 relay.Link
}

func newStreets(t *testing.T, script func(*fakeBatch) error) *streets {
	t.Helper()
	s := &streets{webTransport: fakeRoad{Road: memlink.NewRoad(relay.KindWebTransport)}, webRTC: fakeRoad{
		Road: memlink.NewRoad(relay.KindWebRTC),
		answer: func(_ context.Context, offer string, stun []string) (string, error) {
			return fmt.Sprint("answer to ", offer, " with ", stun), nil
		},
	}}
	s.office = newOfficeWith(t, script, func(c *Config) {
		c.Access.Origins = access.NewOrigins()
		accesstest.AllowPages(c.Access.Origins)
		c.Roads = &Roads{
			WebTransport: s.webTransport, WebRTC: s.webRTC,
			Addresses: func() []string { return []string{"192.0.2.7:18623", "[2001:db8::7]:18623"} },
		}
	})
	s.link = <-s.links
	jsonOf[api.LinkWelcome](t, s.hello(s.link, nil), http.StatusOK)
	return s
}

// grant is that of the user for whom office.send speaks.
func (s *streets) grant(change ...func(*access.RoadGrant)) string {
	g := access.NewRoadGrant(access.Caller{Session: "test", Subject: "test", Role: api.RoleUser}, s.node.id,
		[]string{gatewayPage}, map[string][]scan.Action{s.scanner: scan.Actions}, time.Now())
	for _, f := range change {
		f(&g)
	}
	return g.Sign(s.gateway)
}

// begin sends a request on an exchange of its own and answers once the header is there.
func (s *streets) begin(b *memlink.RoadBrowser, method, path, body string, header ...string) (*http.Response, error) {
	s.t.Helper()
	conn, err := b.Open(context.Background())
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { conn.Close() })
	r, err := http.NewRequest(method, "http://"+relay.Host+path, strings.NewReader(body))
	need(s.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), r)
}

// on does an exchange.
func (s *streets) on(b *memlink.RoadBrowser, method, path, body string, header ...string) (int, http.Header, []byte) {
	s.t.Helper()
	answer, err := s.begin(b, method, path, body, header...)
	need(s.t, err)
	content, err := io.ReadAll(answer.Body)
	need(s.t, err)
	return answer.StatusCode, answer.Header, content
}

func (s *streets) open(b *memlink.RoadBrowser, grant string) problem.Code {
	s.t.Helper()
	body, err := json.Marshal(api.RoadOpening{Grant: grant})
	need(s.t, err)
	return s.code(b, http.MethodPost, "/api/v1/road", string(body))
}

// code is that of the problem that an exchange brings; "" if none.
func (s *streets) code(b *memlink.RoadBrowser, method, path, body string, header ...string) problem.Code {
	s.t.Helper()
	status, h, content := s.on(b, method, path, body, header...)
	if status/100 == 2 {
		return ""
	}
	var e problem.Error
	if h.Get("Content-Type") != problem.MediaType {
		s.t.Fatalf("%s %s: status %d without a problem: %s", method, path, status, content)
	}
	need(s.t, json.Unmarshal(content, &e))
	return e.Code
}

func (s *streets) wants(name string, got, want problem.Code) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// scanned is a job of a user of the gateway that has ended.
func (s *streets) scanned(role api.Role) scan.Job {
	s.t.Helper()
	j := jsonOf[scan.Job](s.t, s.send(context.Background(), s.link, role, http.MethodPost, "/api/v1/scanners/"+s.scanner+"/jobs",
		request(scan.SourceADF, 0), "Idempotency-Key", newKey()), http.StatusCreated)
	synctest.Wait()
	return j
}

func (s *streets) closeSession(session string, at time.Time) {
	s.t.Helper()
	body, err := json.Marshal(api.LinkRoadsClose{Session: session, At: scan.At(at)})
	need(s.t, err)
	answer := s.send(context.Background(), s.link, "", http.MethodPost, "/api/v1/link/roads/close", string(body))
	answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		s.t.Errorf("closing: status %d", answer.StatusCode)
	}
}

func gone(b *memlink.RoadBrowser) bool {
	select {
	case <-b.Session().Done():
		return true
	default:
		return false
	}
}

const scanners = "/api/v1/scanners"

func TestRoadReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, then(1, nil))
		defer s.stop()
		j := s.scanned(api.RoleUser)
		page := "/api/v1/jobs/" + j.ID + "/pages/1"
		for name, b := range map[string]*memlink.RoadBrowser{"webtransport": s.webTransport.Join(gatewayPage), "webrtc": s.webRTC.Join("")} {
			s.wants(name+": before it is opened", s.code(b, http.MethodGet, page, ""), problem.RoadNotOpen)
			s.wants(name+": opening", s.open(b, s.grant()), "")
			status, h, content := s.on(b, http.MethodGet, page, "")
			if status != http.StatusOK || !bytes.Equal(content, testJPEG(1)) || h.Get("Repr-Digest") == "" {
				t.Errorf("%s: status %d, %d bytes, want the page", name, status, len(content))
			}
			status, h, content = s.on(b, http.MethodGet, page, "", "Range", "bytes=100-", "If-Range", h.Get("ETag"))
			if status != http.StatusPartialContent || !bytes.Equal(content, testJPEG(1)[100:]) {
				t.Errorf("%s: status %d, %d bytes, want the rest of the page; %v", name, status, len(content), h)
			}
			if status, _, content = s.on(b, http.MethodHead, page, ""); status != http.StatusOK || len(content) != 0 {
				t.Errorf("%s: HEAD: status %d, %d bytes", name, status, len(content))
			}
			var list api.ScannerList
			_, _, content = s.on(b, http.MethodGet, scanners, "")
			need(t, json.Unmarshal(content, &list))
			if len(list.Items) != 1 || !slices.Equal(list.Items[0].May, []scan.Action{scan.See, scan.Use}) {
				t.Errorf("%s: scanners %+v", name, list)
			}
			s.wants(name+": creating a job", s.code(b, http.MethodPost, scanners+"/"+s.scanner+"/jobs", request(scan.SourceADF, 0)), problem.NotFound)
			s.wants(name+": deleting one", s.code(b, http.MethodDelete, "/api/v1/jobs/"+j.ID, ""), problem.MethodNotAllowed)
			s.wants(name+": a link's route", s.code(b, http.MethodPost, "/api/v1/link/drain", "{}"), problem.NotFound)
			s.wants(name+": signing in", s.code(b, http.MethodPost, "/api/v1/sessions", "{}"), problem.NotFound)
		}
	})
}

// What a script writes in its browser's place counts for nothing.
func TestRoadHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, then(1, nil))
		defer s.stop()
		theirs := s.submit(s.scanner, request(scan.SourceADF, 0))
		mine := s.scanned(api.RoleUser)
		b := s.webRTC.Join("")
		s.wants("opening", s.open(b, s.grant()), "")
		for _, smuggled := range [][]string{
			{"Authorization", "Bearer " + adminToken}, {"Cookie", "__Host-platen=x"}, {"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"},
			{"X-Forwarded-For", "127.0.0.1"}, {"Forwarded", "for=127.0.0.1"}, {"Via", "1.1 x"}, {access.HeaderGrant, s.grant()},
		} {
			s.wants(smuggled[0]+" for one's own", s.code(b, http.MethodGet, "/api/v1/jobs/"+mine.ID, "", smuggled...), "")
			s.wants(smuggled[0]+" for another's", s.code(b, http.MethodGet, "/api/v1/jobs/"+theirs.ID, "", smuggled...), problem.NotFound)
			s.wants(smuggled[0]+" for another's page", s.code(b, http.MethodGet, "/api/v1/jobs/"+theirs.ID+"/pages/1", "", smuggled...), problem.NotFound)
		}
		for _, host := range []string{"localhost:18622", "192.0.2.7:18623", "evil.example"} {
			s.wants("Host "+host, s.code(b, http.MethodGet, scanners, "", "Host", host), problem.HostNotAllowed)
		}
	})
}

// A road speaks for one user, and no more than the grant says.
func TestRoadIsOfItsUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, then(1, nil))
		defer s.stop()
		j := s.scanned(api.RoleUser)
		other := s.webRTC.Join("")
		s.wants("another user", s.open(other, s.grant(func(g *access.RoadGrant) { g.Subject, g.Session = "other", "other" })), "")
		s.wants("another user's page", s.code(other, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1", ""), problem.NotFound)
		s.wants("a road for another", s.open(other, s.grant()), problem.GrantInvalid)
		blind := s.webRTC.Join("")
		s.wants("without a scanner", s.open(blind, s.grant(func(g *access.RoadGrant) { g.Actions = nil })), "")
		s.wants("its status", s.code(blind, http.MethodGet, scanners+"/"+s.scanner+"/status", ""), problem.NotFound)
		s.wants("one's own page", s.code(blind, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1", ""), "")
		admin := s.webRTC.Join("")
		s.wants("an administrator", s.open(admin, s.grant(func(g *access.RoadGrant) { g.Role, g.Subject = api.RoleAdmin, "boss" })), "")
		s.wants("what operators see", s.code(admin, http.MethodGet, "/api/v1/jobs/"+j.ID, ""), "")
		s.wants("a sticker, which is more than reading", s.code(admin, http.MethodGet, scanners+"/"+s.scanner+"/sticker", ""), problem.NotFound)
	})
}

func TestRoadOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, nil)
		defer s.stop()
		foreign := func(g *access.RoadGrant) { g.Origin, g.Pages = accesstest.ShopOrigin, nil }
		for _, tt := range []struct {
			name, origin string
			grant        string
			want         problem.Code
		}{
			{"the gateway's page", gatewayPage, s.grant(), ""},
			{"a page that is not the gateway's", "https://evil.example", s.grant(), problem.OriginNotAllowed},
			{"no origin", "", s.grant(), problem.OriginNotAllowed},
			{"an allowed page", accesstest.ShopOrigin, s.grant(foreign), ""},
			{"another allowed page", accesstest.DeskOrigin, s.grant(foreign), problem.OriginNotAllowed},
			{"the gateway's page with an allowed page's grant", gatewayPage, s.grant(foreign), problem.OriginNotAllowed},
			{"a page that the node does not allow", "https://evil.example",
				s.grant(func(g *access.RoadGrant) { g.Origin = "https://evil.example" }), problem.OriginNotAllowed},
			{"for another node", gatewayPage, s.grant(func(g *access.RoadGrant) { g.Node = strings.Repeat("a", 26) + "k7" }), problem.GrantInvalid},
			{"nonsense", gatewayPage, "x", problem.GrantInvalid},
			{"run out", gatewayPage, s.grant(func(g *access.RoadGrant) { g.Expires = g.IssuedAt.Add(time.Nanosecond) }), problem.GrantExpired},
		} {
			time.Sleep(time.Microsecond)
			b := s.webTransport.Join(tt.origin)
			s.wants(tt.name, s.open(b, tt.grant), tt.want)
			after := problem.Code("")
			if tt.want != "" {
				after = problem.RoadNotOpen
			}
			s.wants(tt.name+", afterwards", s.code(b, http.MethodGet, scanners, ""), after)
			b.Close()
		}
		once := s.grant()
		s.wants("a grant", s.open(s.webRTC.Join(""), once), "")
		s.wants("the same again", s.open(s.webRTC.Join(""), once), problem.GrantInvalid)
		s.wants("an unknown member", s.code(s.webRTC.Join(""), http.MethodPost, "/api/v1/road", `{"grant":"x","more":1}`), problem.UnknownField)
	})
}

func TestRoadTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, nil)
		defer s.stop()
		idle, late, short, renewed := s.webRTC.Join(""), s.webRTC.Join(""), s.webRTC.Join(""), s.webRTC.Join("")
		for _, b := range []*memlink.RoadBrowser{idle, late} {
			for _, path := range []string{scanners, "/api/v1/service"} {
				s.wants("before it is opened", s.code(b, http.MethodGet, path, ""), problem.RoadNotOpen)
			}
		}
		s.wants("opening", s.open(short, s.grant()), "")
		s.wants("opening", s.open(renewed, s.grant()), "")
		events, err := s.begin(short, http.MethodGet, "/api/v1/events", "")
		need(t, err)
		time.Sleep(openTime - time.Millisecond)
		synctest.Wait()
		s.wants("opening just in time", s.open(late, s.grant()), "")
		if gone(idle) {
			t.Error("a session was closed too early")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !gone(idle) || gone(late) {
			t.Errorf("after 5 s: without a grant gone %v, with one gone %v; want the first only", gone(idle), gone(late))
		}
		time.Sleep(90*time.Second - openTime)
		s.wants("renewal", s.open(renewed, s.grant()), "")
		time.Sleep(30*time.Second - time.Millisecond)
		synctest.Wait()
		s.wants("at the end of the grant", s.code(short, http.MethodGet, scanners, ""), "")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !gone(short) || gone(renewed) {
			t.Errorf("after 2 minutes: gone %v, renewed one gone %v; want the first only", gone(short), gone(renewed))
		}
		io.Copy(io.Discard, events.Body) // they end with the road, in order or not
		s.wants("the renewed one", s.code(renewed, http.MethodGet, scanners, ""), "")
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if !gone(renewed) {
			t.Error("the renewed road outlives its grant")
		}
	})
}

// An older grant that comes late changes nothing.
func TestRoadRenewalsChangePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, nil)
		defer s.stop()
		b := s.webRTC.Join("")
		older := s.grant(func(g *access.RoadGrant) { g.Role = api.RoleOperator })
		time.Sleep(time.Minute)
		s.wants("opening", s.open(b, s.grant()), "")
		s.wants("the older one", s.open(b, older), "")
		time.Sleep(90 * time.Second)
		s.wants("by the newer one", s.code(b, http.MethodGet, scanners, ""), "")
	})
}

func TestRoadEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*streets)
		reopen bool // a grant from before opens another road
	}{
		"session ended": {func(s *streets) { s.closeSession("test", time.Now()) }, false},
		"left":          {func(s *streets) { need(s.t, s.node.Leave(s.t.Context())) }, false},
		"revoked":       {func(s *streets) { s.link.Close(string(problem.NodeRevoked)) }, false},
		"quarantined":   {func(s *streets) { s.link.Close(string(problem.NodeQuarantined)) }, false},
		"page withdrawn": {func(s *streets) {
			shop, err := access.ParseOrigin(accesstest.DeskOrigin)
			need(s.t, err)
			s.node.guard.Origins.Configure(false, []access.Origin{shop})
		}, false},
		"link lost": {func(s *streets) { s.link.Close("") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStreets(t, nil)
				defer s.stop()
				page := func(g *access.RoadGrant) { g.Origin, g.Pages = accesstest.ShopOrigin, nil }
				b, early := s.webRTC.Join(""), s.grant(page)
				s.wants("opening", s.open(b, s.grant(page)), "")
				events, err := s.begin(b, http.MethodGet, "/api/v1/events", "")
				need(t, err)
				time.Sleep(time.Second)
				c.end(s)
				synctest.Wait()
				if gone(b) == c.reopen {
					t.Errorf("the road is gone: %v", gone(b))
				}
				if !c.reopen {
					if _, err := io.ReadAll(events.Body); err == nil {
						t.Error("the body under way ended well")
					}
				}
				if code := s.open(s.webRTC.Join(""), early); (code == "") != c.reopen {
					t.Errorf("a grant from before: %q", code)
				}
			})
		})
	}
}

// A session that goes on with other rights opens roads at once with new grants.
func TestRoadAfterAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, nil)
		defer s.stop()
		other := s.webRTC.Join("")
		s.wants("another session", s.open(other, s.grant(func(g *access.RoadGrant) { g.Session = "other" })), "")
		old := s.grant()
		time.Sleep(time.Second)
		s.closeSession("test", time.Now())
		s.wants("a grant from before", s.open(s.webRTC.Join(""), old), problem.GrantInvalid)
		time.Sleep(time.Millisecond)
		b := s.webRTC.Join("")
		s.wants("a grant from after", s.open(b, s.grant()), "")
		s.closeSession("test", time.Now().Add(-time.Second)) // said again, late
		synctest.Wait()
		if gone(b) || gone(other) {
			t.Errorf("gone: the later road %v, another session's %v; want neither", gone(b), gone(other))
		}
	})
}

// TestRoadMakesRoom: a phone that walks about leaves roads of which the node hears no end.
func TestRoadMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, nil)
		defer s.stop()
		var open []*memlink.RoadBrowser
		for range maxRoadsOfSession {
			open = append(open, s.webRTC.Join(""))
			s.wants("opening", s.open(open[len(open)-1], s.grant()), "")
			time.Sleep(time.Second)
		}
		s.wants("the first, in use", s.open(open[0], s.grant()), "")
		s.wants("one more", s.open(s.webRTC.Join(""), s.grant()), "")
		synctest.Wait()
		for i, b := range open {
			if gone(b) != (i == 1) {
				t.Errorf("road %d is gone: %v; only the one that was least used of late makes room", i, gone(b))
			}
		}
	})
}

func TestRoadLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, nil)
		defer s.stop()
		var open []*memlink.RoadBrowser
		for range maxRoadsOfSession {
			open = append(open, s.webRTC.Join(""))
			s.wants("opening", s.open(open[len(open)-1], s.grant()), "")
		}
		more := s.webRTC.Join("")
		s.wants("one too many", s.open(more, s.grant()), problem.TooManyRequests)
		open[0].Close()
		synctest.Wait()
		s.wants("once there is room", s.open(more, s.grant()), "")
		s.wants("another session", s.open(s.webRTC.Join(""), s.grant(func(g *access.RoadGrant) { g.Session = "other" })), "")
		var silent []*memlink.RoadBrowser
		for range maxUnopened {
			b := s.webRTC.Join("")
			conn, err := b.Open(t.Context())
			need(t, err)
			defer conn.Close()
			silent = append(silent, b)
		}
		turnedAway := s.webRTC.Join("")
		if conn, err := turnedAway.Open(t.Context()); err == nil {
			defer conn.Close()
		}
		synctest.Wait()
		if !gone(turnedAway) || gone(silent[0]) {
			t.Error("any number of sessions may wait for a grant")
		}
		time.Sleep(openTime)
		synctest.Wait()
		if !gone(silent[0]) || !gone(silent[maxUnopened-1]) {
			t.Error("silent sessions stay")
		}
		s.wants("who was there before", s.code(more, http.MethodGet, scanners, ""), "")
	})
}
