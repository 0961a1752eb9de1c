package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hookFile is the environment variable that makes this test program the hook: it
// keeps the records in that file.
const hookFile = "PLATEN_TEST_DNS_HOOK"

func TestMain(m *testing.M) {
	if file := os.Getenv(hookFile); file != "" && len(os.Args) == 4 && (os.Args[1] == "present" || os.Args[1] == "cleanup") {
		os.Exit(beHook(file, os.Args[1], os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func beHook(file, verb, name, value string) int {
	line := name + " " + value + "\n"
	text, _ := os.ReadFile(file)
	switch {
	case strings.Contains(name, "refused"):
		fmt.Fprintln(os.Stderr, "the zone is not ours")
		return 3
	case verb == "present":
		text = append(text, line...)
	default:
		text = []byte(strings.ReplaceAll(string(text), line, ""))
	}
	if os.WriteFile(file, text, 0o600) != nil {
		return 1
	}
	return 0
}

func TestACME(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, challenge := range []Challenge{ChallengeHTTP, ChallengeTLSALPN, ChallengeDNS} {
		t.Run(string(challenge), func(t *testing.T) {
			records := filepath.Join(t.TempDir(), "records")
			t.Setenv(hookFile, records)
			e := newEnd(t)
			// The ports of the challenges that are not asked for lead nowhere.
			server := startACME(t, port(e.http), port(e.https), 90*day)
			config := ACME{Directory: server.directory, Root: server.rootFile, Email: "admin@example.com", Names: []string{"Scan.Example.Test"},
				TermsAgreed: true, Challenge: challenge, DNSHook: self}
			if challenge == ChallengeDNS {
				config.Names = append(config.Names, "*.office.example.test")
			}
			stop := e.use(t, "", config)
			e.open(t)
			if challenge == ChallengeDNS {
				await(t, "a wildcard", func() bool { return ask(t, e.Store, "a.office.example.test").Subject.CommonName != "Platen server" })
			}
			await(t, "a browser sees the ACME server's certificate", func() bool { return e.seen(server.roots) != nil })
			first := e.seen(server.roots)
			item := e.listed("external", "acme")
			if item == nil || item.State != "good" || item.Problem != "" || item.Hosts[0] != acmeName || !item.NotAfter.Equal(first.NotAfter) {
				t.Errorf("it is listed as %+v", item)
			}
			if !e.Trusted(&tls.ConnectionState{ServerName: acmeName}) {
				t.Error("it is not trusted")
			}
			if text, _ := os.ReadFile(records); challenge == ChallengeDNS && (text == nil || len(text) != 0) {
				t.Errorf("after the challenge the records are %q, want one made and deleted", text)
			}
			stop()
			if got := ask(t, e.Store, acmeName).Subject.CommonName; got != "Platen server" {
				t.Errorf("after Serve's end %q serves", got)
			}
			// A restart finds it in the storage, without the server.
			restarted, _ := newStore(t, func(c *Config) {
				c.Dir, c.ACME = e.Dir, &config
				c.ACME.HTTPPort, c.ACME.HTTPSPort, c.ACME.Directory = port(e.http), port(e.https), server.directory
			})
			defer serve(t, restarted)()
			await(t, "the stored certificate serves again", func() bool { return ask(t, restarted, acmeName).Equal(first) })
		})
	}
}

// TestACMERenews gets certificates that live for seconds.
func TestACMERenews(t *testing.T) {
	e := newEnd(t)
	server := startACME(t, port(e.http), port(e.https), 6*time.Second)
	stop := e.use(t, "", ACME{Directory: server.directory, Root: server.rootFile, Names: []string{acmeName}, TermsAgreed: true, check: 500 * time.Millisecond})
	defer func() { stop() }()
	e.open(t)
	var first, now *x509.Certificate
	await(t, "a certificate", func() bool { first = e.seen(server.roots); return first != nil })
	await(t, "its successor, before its end", func() bool {
		now = e.seen(server.roots)
		return now != nil && !now.Equal(first)
	})
	if !now.NotBefore.Before(first.NotAfter) {
		t.Errorf("the successor begins on %v, after the first's end on %v", now.NotBefore, first.NotAfter)
	}
}

// TestACMEFails is a name whose challenge leads elsewhere, and what cannot work at all.
func TestACMEFails(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(hookFile, filepath.Join(t.TempDir(), "records"))
	e := newEnd(t)
	server := startACME(t, 1, 1, 90*day) // nobody listens on port 1
	good := ACME{Directory: server.directory, Root: server.rootFile, Names: []string{acmeName}, TermsAgreed: true}
	for name, tt := range map[string]struct {
		change func(*ACME)
		says   string
	}{
		"the challenge leads elsewhere": {func(*ACME) {}, "connection refused"},
		"the server's CA is not known":  {func(a *ACME) { a.Root = "" }, "certificate signed by unknown authority"},
		"no server":                     {func(a *ACME) { a.Directory = "https://127.0.0.1:1/dir" }, "connection refused"},
		"terms":                         {func(a *ACME) { a.TermsAgreed = false }, "not agreed"},
		"a root that is no certificate": {func(a *ACME) { a.Root = self }, "more than"},
		"no root":                       {func(a *ACME) { a.Root = "/nowhere" }, "reading the CA"},
		"no such challenge":             {func(a *ACME) { a.Challenge = "smoke" }, "smoke"},
		"a hook without its path":       {func(a *ACME) { a.Challenge, a.DNSHook = ChallengeDNS, "hook" }, "whole path"},
		"no hook":                       {func(a *ACME) { a.Challenge, a.DNSHook = ChallengeDNS, "/nowhere" }, "/nowhere"},
		"the hook fails": {func(a *ACME) {
			a.Challenge, a.DNSHook, a.Names = ChallengeDNS, self, []string{"refused.example.test"}
		}, "the zone is not ours"},
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			tt.change(&a)
			stop := e.use(t, "", a)
			defer func() { stop() }()
			await(t, "a reason in the list", func() bool {
				item := e.listed("external", "acme")
				return item.State == "failed" && strings.Contains(item.Problem, tt.says)
			})
			if e.Trusted(&tls.ConnectionState{ServerName: acmeName}) {
				t.Error("a name without a certificate is trusted")
			}
			ask(t, e.Store, "scanbox.local") // the CA serves all the while
		})
	}
}

// TestChallengesPassOn is what is no challenge of ours.
func TestChallengesPassOn(t *testing.T) {
	e := newEnd(t)
	server := startACME(t, port(e.http), port(e.https), 90*day)
	stop := e.use(t, "", ACME{Directory: server.directory, Root: server.rootFile, Names: []string{acmeName}, TermsAgreed: true})
	defer func() { stop() }()
	e.open(t)
	await(t, "a certificate", func() bool { return e.seen(server.roots) != nil })
	for _, tt := range []struct{ host, path string }{
		{acmeName, "/"}, {acmeName, "/.well-known/acme-challenge/made-up"}, {"evil.example", "/.well-known/acme-challenge/x"},
		{"../../ca", "/.well-known/acme-challenge/x"},
	} {
		r, err := http.NewRequest("GET", "http://"+e.http.Addr().String()+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(body) != "landing page" {
			t.Errorf("%s%s = %q, want the page below", tt.host, tt.path, body)
		}
	}
	for _, name := range []string{acmeName, "evil.example", ""} {
		if c, err := e.GetCertificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{ALPNChallenge}}); err == nil {
			t.Errorf("without a challenge %q gets %v", name, c)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestHookKeepsLittle(t *testing.T) {
	var h head
	if n, err := h.Write(make([]byte, 3*maxHookOutput)); n != 3*maxHookOutput || err != nil || h.Len() != maxHookOutput {
		t.Errorf("Write = %d, %v and keeps %d bytes, want %d", n, err, h.Len(), maxHookOutput)
	}
}
