package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func apiUpload(certificate, key string) api.CertificateUpload {
	return api.CertificateUpload{Certificate: certificate, Key: key}
}

func TestChoice(t *testing.T) {
	s, _ := newStore(t, nil)
	put := func(slot string, o order) {
		t.Helper()
		if _, err := s.Put(slot, upload(t, o)); err != nil {
			t.Fatal(err)
		}
	}
	put("external", order{name: "external", hosts: []string{"scan.example.com", "*.office.example", "192.168.1.20"}})
	put("local", order{name: "local", hosts: []string{"local.example.com", "scan.example.com"}})
	for _, tt := range []struct {
		host, want string
		protocols  []string
		trusted    bool
	}{
		{"scan.example.com", "external", nil, true},
		{"SCAN.example.com", "external", []string{"h2"}, true},
		{"a.office.example", "external", nil, true},
		{"local.example.com", "local", nil, true},
		{"scanbox.local", "Platen server", nil, false},
		{"other.example.com", "Platen server", nil, false},
		{"office.example", "Platen server", nil, false},
		{"", "Platen server", nil, false},
		{"scan.example.com", "Platen server", []string{identity.ALPNPinned, "http/1.1"}, true},
	} {
		if got := ask(t, s, tt.host, tt.protocols...).Subject.CommonName; got != tt.want {
			t.Errorf("for %q %q the certificate is %q, want %q", tt.host, tt.protocols, got, tt.want)
		}
		if got := s.Trusted(&tls.ConnectionState{ServerName: tt.host}); got != tt.trusted {
			t.Errorf("Trusted(%q) = %t, want %t", tt.host, got, tt.trusted)
		}
	}
	if s.Trusted(nil) {
		t.Error("plain HTTP is trusted")
	}
	byAddress, err := s.GetCertificate(&tls.ClientHelloInfo{Conn: at{ip: net.IPv4(192, 168, 1, 20)}})
	if err != nil || byAddress.Leaf.Subject.CommonName != "external" {
		t.Errorf("at an address of the external certificate: %v, %v", byAddress, err)
	}
}

// TestPinnedProgram is this machine's own command, or one that was paired with the CA's
// pin: an own certificate for the same name does not lock it out.
func TestPinnedProgram(t *testing.T) {
	s, _ := newStore(t, nil)
	if _, err := s.Put("local", upload(t, order{name: "own", hosts: []string{"127.0.0.1"}})); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	server.Listener = tls.NewListener(server.Listener, &tls.Config{GetCertificate: s.GetCertificate, NextProtos: []string{"h2", "http/1.1"}})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	url := "https://" + server.Listener.Addr().String()
	for _, tt := range []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"with the CA's pin", identity.TrustCA(s.CA.Pin()), true},
		{"a browser that trusts the CA only", &tls.Config{RootCAs: pool(s.CA.Certificate())}, false},
		{"a browser that trusts the own certificate", &tls.Config{RootCAs: pool(s.slots["local"].pair.Leaf)}, true},
	} {
		transport := &http.Transport{TLSClientConfig: tt.config}
		answer, err := (&http.Client{Transport: transport}).Get(url)
		if err == nil {
			answer.Body.Close()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want success %t", tt.name, err, tt.ok)
		}
		transport.CloseIdleConnections()
	}
}

func pool(c *x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c)
	return p
}

// at is a connection that arrived at an address.
type at struct {
	net.Conn
	ip net.IP
}

func (c at) LocalAddr() net.Addr { return &net.TCPAddr{IP: c.ip, Port: 18623} }

func TestEndedCertificateGivesWay(t *testing.T) {
	now := time.Now()
	s, _ := newStore(t, func(c *Config) { c.Now = func() time.Time { return now } })
	for slot, o := range map[string]order{
		"external": {name: "external", hosts: []string{"scan.example.com", "scanbox.local"}, after: now.Add(day)},
		"local":    {name: "local", hosts: []string{"scan.example.com"}, after: now.Add(3 * day)},
	} {
		if _, err := s.Put(slot, upload(t, o)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		after   time.Duration
		host    string
		want    string
		trusted bool
	}{
		{0, "scan.example.com", "external", true},
		{day, "scan.example.com", "local", true},         // the other slot serves still
		{day, "scanbox.local", "Platen server", false},   // the CA vouches for it
		{4 * day, "scan.example.com", "external", false}, // nobody does: it says at least who it was
	} {
		now = now.Add(tt.after)
		if got := ask(t, s, tt.host).Subject.CommonName; got != tt.want || s.Trusted(&tls.ConnectionState{ServerName: tt.host}) != tt.trusted {
			t.Errorf("%v later %s has the certificate %q, want %q, trusted %t", tt.after, tt.host, got, tt.want, tt.trusted)
		}
		now = now.Add(-tt.after)
	}
}

func TestCALeafFollowsTheMachine(t *testing.T) {
	now, hosts := time.Now(), []string{"scanbox.local", "8.8.8.8"}
	s, log := newStore(t, func(c *Config) {
		c.Now, c.Hosts = func() time.Time { return now }, func() []string { return hosts }
	})
	ask(t, s, "scanbox.local")
	if text := log.take(); strings.Count(text, "8.8.8.8") != 1 {
		t.Errorf("the log is %q, want one line about 8.8.8.8", text)
	}
	if ca := s.listed("ca", "internal"); ca == nil || !strings.Contains(ca.Problem, "8.8.8.8") || ca.State != "good" || !slices.Equal(ca.Hosts, []string{"scanbox.local"}) {
		t.Errorf("the CA is listed as %+v, want what it may not vouch for", ca)
	}
	hosts = append(hosts, "192.168.7.7")
	now = now.Add(leafKept)
	if err := ask(t, s, "scanbox.local").VerifyHostname("192.168.7.7"); err != nil {
		t.Error(err)
	}
	if text := log.take(); text != "" {
		t.Errorf("the log is %q, want nothing twice", text)
	}
}

// TestHotSwap shakes hands all the while: the next handshake after Put has the new
// certificate, and a connection from before goes on.
func TestHotSwap(t *testing.T) {
	s, _ := newStore(t, nil)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: s.GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	defer served.Wait()
	defer listener.Close()
	served.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() { defer c.Close(); io.Copy(c, c) })
		}
	})
	dial := func() *tls.Conn {
		c, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{ServerName: "scan.example.com", InsecureSkipVerify: true}) // whose it is, is the test's question
		if err != nil {
			t.Error(err)
			return nil
		}
		return c
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c := dial(); c != nil {
					c.Close()
				}
			}
		})
	}
	old := dial()
	defer old.Close()
	for _, name := range []string{"first", "second", "third"} {
		if _, err := s.Put("external", upload(t, order{name: name, hosts: []string{"scan.example.com"}})); err != nil {
			t.Fatal(err)
		}
		c := dial()
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("the handshake after Put has %q, want %q", got, name)
		}
		c.Close()
		if _, err := old.Write([]byte("x")); err != nil {
			t.Errorf("the connection from before: %v", err)
		}
		if _, err := io.ReadFull(old, make([]byte, 1)); err != nil {
			t.Errorf("the connection from before: %v", err)
		}
	}
	if err := s.Remove("external"); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "scan.example.com").Subject.CommonName; got != "Platen server" {
		t.Errorf("after Remove the certificate is %q", got)
	}
	close(stop)
	others.Wait()
}

func TestSlotsOfPlatenIni(t *testing.T) {
	f := files(t)
	f.write(t, upload(t, order{name: "of file", hosts: []string{"scan.example.com"}}))
	s, _ := newStore(t, func(c *Config) { c.External = f })
	u := upload(t, order{hosts: []string{"scan.example.com"}})
	for what, err := range map[string]error{"Put": second(s.Put("external", u)), "Remove": s.Remove("external")} {
		if !errors.Is(err, problem.SettingFixed.Error()) {
			t.Errorf("%s in a slot that platen.ini fills: %v", what, err)
		}
	}
	if _, err := s.Put("ca", u); !errors.Is(err, problem.NotFound.Error()) {
		t.Errorf("Put in no slot: %v", err)
	}
	if got := ask(t, s, "scan.example.com").Subject.CommonName; got != "of file" {
		t.Errorf("the certificate is %q", got)
	}
	if _, err := s.Put("local", u); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Join(s.Dir, "own-local.pem"))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the upload is stored as %v, %v, want mode 0600", info, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestReload changes files below a Store that serves. The clock is the bubble's.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := files(t)
		first := upload(t, order{name: "first", hosts: []string{"scan.example.com"}})
		f.write(t, first)
		s, log := newStore(t, func(c *Config) { c.External = f })
		defer serve(t, s)()
		wait := func() {
			time.Sleep(pollEvery)
			synctest.Wait()
		}
		wait()
		log.take()
		third := upload(t, order{name: "third", hosts: []string{"scan.example.com"}})
		for _, step := range []struct {
			name   string
			change func()
			serves string
			fault  string // in the list; "" for none
		}{
			{"another pair", func() { f.write(t, upload(t, order{name: "second", hosts: []string{"scan.example.com"}})) }, "second", ""},
			{"the new certificate, still with the old key", func() { writeFile(t, f.Certificate, third.Certificate) }, "second", "does not belong"},
			{"the new key", func() { writeFile(t, f.Key, third.Key) }, "third", ""},
			{"rubbish", func() { writeFile(t, f.Certificate, "rubbish") }, "third", "no certificate in PEM"},
			{"one that has ended", func() {
				f.write(t, upload(t, order{name: "ended", hosts: []string{"scan.example.com"}, before: time.Now().Add(-9 * day), after: time.Now().Add(-day)}))
			}, "third", "ended on"},
			{"no file", func() { os.Remove(f.Key) }, "third", "key"},
			{"the first again", func() { f.write(t, first) }, "first", ""},
			{"a key that all may read", func() { os.Chmod(f.Key, 0o644); os.Chtimes(f.Key, time.Time{}, time.Now()) }, "first", "chmod o-rwx"},
		} {
			step.change()
			wait()
			if got := ask(t, s, "scan.example.com").Subject.CommonName; got != step.serves {
				t.Errorf("%s: %q serves, want %q", step.name, got, step.serves)
			}
			item := s.listed("external", "own")
			if item == nil || !strings.Contains(item.Problem, step.fault) || (step.fault == "") != (item.Problem == "") {
				t.Errorf("%s: listed as %+v, want the problem %q", step.name, item, step.fault)
			}
			text := log.take()
			if step.fault != "" && strings.Count(text, "level=WARN") != 1 {
				t.Errorf("%s: the log is %q, want one warning", step.name, text)
			}
			wait()
			if text := log.take(); text != "" {
				t.Errorf("%s: without a change the log says %q", step.name, text)
			}
		}
	})
}

func TestBrokenFilesAtTheStart(t *testing.T) {
	f := files(t)
	s, log := newStore(t, func(c *Config) { c.External = f })
	if item := s.listed("external", "own"); item == nil || item.State != "failed" || item.Problem == "" {
		t.Errorf("a missing file is listed as %+v, want failed with a reason", item)
	}
	if text := log.take(); !strings.Contains(text, "level=WARN") {
		t.Errorf("the log is %q, want a warning", text)
	}
	ask(t, s, "scanbox.local") // the CA serves all the same

	f.write(t, upload(t, order{hosts: []string{"scan.example.com"}, before: time.Now().Add(-9 * day), after: time.Now().Add(-day)}))
	s, _ = newStore(t, func(c *Config) { c.External = f })
	if item := s.listed("external", "own"); item == nil || item.State != "expired" {
		t.Errorf("one that has ended is listed as %+v, want expired", item)
	}
}

// TestWarnings lets the days go by: what is said of a certificate is said at 30, 7 and
// 1 days once, and every day after its end.
func TestWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := newStore(t, nil)
		if _, err := s.Put("external", upload(t, order{hosts: []string{"scan.example.com"}, after: time.Now().Add(40*day + time.Hour)})); err != nil {
			t.Fatal(err)
		}
		defer serve(t, s)()
		synctest.Wait()
		log.take()
		var days []int
		for n := 1; n <= 43; n++ {
			time.Sleep(day)
			synctest.Wait()
			if lines := strings.Count(log.take(), "certificate=external"); lines == 1 {
				days = append(days, n)
			} else if lines > 1 {
				t.Errorf("%d warnings on day %d", lines, n)
			}
			want := api.CertificateStateGood
			switch {
			case n > 40:
				want = api.CertificateStateExpired
			case n > 33:
				want = api.CertificateStateUrgent
			case n > 10:
				want = api.CertificateStateSoon
			}
			if got := s.listed("external", "own").State; got != want {
				t.Errorf("on day %d the state is %q, want %q", n, got, want)
			}
		}
		if want := []int{11, 34, 40, 41, 42, 43}; !slices.Equal(days, want) {
			t.Errorf("warned on days %v, want %v", days, want)
		}
	})
}

func TestRoutes(t *testing.T) {
	s, _ := newStore(t, nil)
	routes := s.Routes()
	if len(routes) != 1 || routes[0].Policy.Role() != api.RoleOperator || routes[0].Policy.On(access.RoadLink) {
		t.Errorf("Routes() = %+v, want GET /certificates for operators, not over a link", routes)
	}
}
