package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pebbleca "github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// acmeName is the name whose certificates the tests ask for. Only the tests' own name
// server knows it.
const acmeName = "scan.example.test"

// acmeServer is Let's Encrypt's small server, in this process on loopback.
type acmeServer struct {
	directory string
	rootFile  string // CA of its own HTTPS
	roots     *x509.CertPool
}

// startACME runs a server that looks for its challenges at two ports of ours and
// hands out certificates that live for so long.
func startACME(t *testing.T, httpPort, httpsPort int, life time.Duration) acmeServer {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "20") // clients have to bear that
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	ca := pebbleca.New(quiet, store, "", "ecdsa", 0, 1, map[string]pebbleca.Profile{"default": {ValidityPeriod: uint64(life / time.Second)}})
	front := wfe.New(quiet, store, va.New(quiet, httpPort, httpsPort, true, startDNS(t), store), ca, []string{"pebble.test"}, true, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	a := acmeServer{directory: server.URL + wfe.DirectoryPath, rootFile: filepath.Join(t.TempDir(), "acme-root.pem"), roots: x509.NewCertPool()}
	writeFile(t, a.rootFile, certPEM(server.Certificate()))
	a.roots.AddCert(ca.GetRootCert(0).Cert)
	return a
}

// startDNS is a name server: every name is 127.0.0.1, and text records are the lines
// of the file that the hook of these tests writes.
func startDNS(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		q := r.Question[0]
		head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET}
		switch q.Qtype {
		case dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
		case dns.TypeTXT:
			text, _ := os.ReadFile(os.Getenv(hookFile))
			for line := range strings.Lines(string(text)) {
				if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name+"." == q.Name {
					m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: []string{value}})
				}
			}
		}
		w.WriteMsg(m)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

// end is a node or gateway as far as ACME is concerned: a Store with its two ports.
type end struct {
	*Store
	log         *logged
	http, https net.Listener
}

// newEnd opens the ports first: the server has to know them. The handshakes and
// requests reach the Store that use sets.
func newEnd(t *testing.T) *end {
	t.Helper()
	e := &end{}
	var err error
	if e.http, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if e.https, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.http.Close()
		e.https.Close()
	})
	return e
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// use makes the Store, or makes it anew as a restart would, and serves with it. The
// returned function ends that.
func (e *end) use(t *testing.T, dir string, a ACME) (stop func()) {
	t.Helper()
	a.HTTPPort, a.HTTPSPort = port(e.http), port(e.https)
	e.Store, e.log = newStore(t, func(c *Config) {
		c.ACME = &a
		if dir != "" {
			c.Dir = dir
		}
	})
	return serve(t, e.Store)
}

// open answers on both ports with whatever Store is in use.
func (e *end) open(t *testing.T) {
	t.Helper()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "landing page") })
	plain := &http.Server{Handler: e.Challenges(page)}
	secure := &http.Server{Handler: page, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{}, 2)
	go func() {
		plain.Serve(e.http)
		done <- struct{}{}
	}()
	go func() {
		secure.Serve(tls.NewListener(e.https, &tls.Config{GetCertificate: e.GetCertificate, NextProtos: []string{"h2", "http/1.1", ALPNChallenge}}))
		done <- struct{}{}
	}()
	t.Cleanup(func() {
		plain.Close()
		secure.Close()
		<-done
		<-done
	})
}

// seen is the certificate that a browser gets, if it is one that the ACME server's root
// vouches for.
func (e *end) seen(roots *x509.CertPool) *x509.Certificate {
	c, err := tls.Dial("tcp", e.https.Addr().String(), &tls.Config{ServerName: acmeName, RootCAs: roots})
	if err != nil {
		return nil
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// await asks again and again until it is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("after a minute still not: %s", what)
		case <-tick.C:
		}
	}
}
