package landing

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
)

func newCA(t *testing.T) *identity.CA {
	t.Helper()
	ca, err := identity.LoadCA(t.TempDir(), "office")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func port() int { return 18623 }

// get asks a handler over a real connection, as the page tells its address.
func get(t *testing.T, h http.Handler, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	r, err := http.NewRequest("GET", srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestPage(t *testing.T) {
	ca := newCA(t)
	h := Handler(Config{Name: `Office <1>`, HTTPSPort: port, CA: ca.CertificatePEM()})
	res, body := get(t, h, "/")
	for _, want := range []string{"Office &lt;1&gt;", identity.Fingerprint(ca.Certificate()), `href="https://127.0.0.1:18623/"`,
		`href="/platen-ca.crt"`, `href="/platen-ca.mobileconfig"`, "Certificate Trust Settings"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"evil.example", "<script", "style=", "http://"} {
		if strings.Contains(body, never) {
			t.Errorf("the page has %q", never)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	sum := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if got := res.Header.Get("Content-Security-Policy"); got != want {
		t.Errorf("Content-Security-Policy is %q, want %q", got, want)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, path := range []string{"/api/v1/service", "/index.html", "/english.html"} {
		if res, _ := get(t, h, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
}

func TestLanguages(t *testing.T) {
	h := Handler(Config{Name: "Office", HTTPSPort: port, CA: newCA(t).CertificatePEM()})
	for _, tt := range []struct{ header, lang string }{
		{"", "en"}, {"de", "de"}, {"de-AT,de;q=0.9,en;q=0.8", "de"}, {"en-GB,en;q=0.9,de;q=0.8", "en"}, {"fr,de;q=0.7,en;q=0.3", "de"},
		{"DE-de", "de"}, {"fr", "en"}, {"dev", "en"}, {",;,-", "en"},
	} {
		if _, body := get(t, h, "/", "Accept-Language", tt.header); !strings.Contains(body, `<html lang="`+tt.lang+`">`) {
			t.Errorf("for %q the language is not %q", tt.header, tt.lang)
		}
	}
	// Both languages have the same links and sections.
	links := regexp.MustCompile(`href="[^"]*"|<details|<li>`)
	_, en := get(t, h, "/", "Accept-Language", "en")
	_, de := get(t, h, "/", "Accept-Language", "de")
	strip := func(body string) []string {
		return links.FindAllString(regexp.MustCompile(`https://127\.0\.0\.1:\d+/`).ReplaceAllString(body, ""), -1)
	}
	if a, b := strip(en), strip(de); !slices.Equal(a, b) || len(a) < 20 {
		t.Errorf("the pages differ:\n%q\n%q", a, b)
	}
}

func TestSystems(t *testing.T) {
	for _, tt := range []struct{ agent, want string }{
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", "apple"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/139.0 Mobile/15E148 Safari/605.1.15", "apple"},
		{"Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) AppleWebKit/605.1.15", "apple"},
		{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36", "android"},
		{"Mozilla/5.0 (Android 15; Mobile; rv:139.0) Gecko/139.0 Firefox/139.0", "android"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0", "windows"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "mac"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36", "linux"},
		{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36", "linux"},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0", "firefox"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0", "firefox"},
		{"curl/8.5.0", ""}, {"", ""},
	} {
		got := systemsFor(tt.agent)
		var names []string
		for i, s := range got {
			names = append(names, s.Name)
			if s.Open != (i == 0 && tt.want != "") {
				t.Errorf("for %q section %d is open: %t", tt.agent, i, s.Open)
			}
		}
		if tt.want != "" && names[0] != tt.want {
			t.Errorf("for %q the first section is %q, want %q", tt.agent, names[0], tt.want)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"android", "apple", "firefox", "linux", "mac", "windows"}) {
			t.Errorf("for %q the sections are %q", tt.agent, names)
		}
	}
}

func TestFiles(t *testing.T) {
	ca := newCA(t)
	config := Config{Name: `A & <B>`, HTTPSPort: port, CA: ca.CertificatePEM()}
	for name, h := range map[string]http.Handler{"the page": Handler(config), "the files": Files(config)} {
		res, body := get(t, h, CertificatePath)
		if body != string(config.CA) || res.Header.Get("Content-Type") != "application/x-x509-ca-cert" {
			t.Errorf("%s: the certificate is %q as %q", name, body, res.Header.Get("Content-Type"))
		}
		res, body = get(t, h, ProfilePath)
		if got := res.Header.Get("Content-Type"); got != "application/x-apple-aspen-config" {
			t.Errorf("%s: the profile is %q", name, got)
		}
		outer, root := readProfile(t, body)
		if outer["PayloadType"] != "Configuration" || outer["PayloadDisplayName"] != "Platen: A & <B>" || root["PayloadType"] != "com.apple.security.root" {
			t.Errorf("%s: the profile is %v with %v", name, outer, root)
		}
		der, err := base64.StdEncoding.DecodeString(root["PayloadContent"])
		if err != nil || !bytes.Equal(der, ca.Certificate().Raw) {
			t.Errorf("%s: the profile holds another certificate: %v", name, err)
		}
		if res, _ := get(t, h, "/other"); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: another path answers %d", name, res.StatusCode)
		}
	}
	if res, _ := get(t, Files(Config{CA: []byte("PEM")}), ProfilePath); res.StatusCode != http.StatusNotFound {
		t.Errorf("without a certificate the profile answers %d", res.StatusCode)
	}
}

// TestProfileReplaces is what devices go by: the same installation, the same names.
func TestProfileReplaces(t *testing.T) {
	ours, theirs := newCA(t).Certificate(), newCA(t).Certificate()
	names := func(name string, ca *x509.Certificate) []string {
		outer, root := readProfile(t, string(profile(name, ca)))
		return []string{outer["PayloadIdentifier"], outer["PayloadUUID"], root["PayloadIdentifier"], root["PayloadUUID"]}
	}
	first := names("before", ours)
	if again := names("renamed", ours); !slices.Equal(first, again) {
		t.Errorf("a second profile is %q, the first %q", again, first)
	}
	for i, name := range names("before", theirs) {
		if name == first[i] {
			t.Errorf("two installations share %q", name)
		}
	}
	if !regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`).MatchString(first[1]) || first[1] == first[3] {
		t.Errorf("the UUIDs are %q and %q", first[1], first[3])
	}
}

// readProfile reads the texts of a profile and of its one payload.
func readProfile(t *testing.T, text string) (outer, inner map[string]string) {
	t.Helper()
	outer, inner = map[string]string{}, map[string]string{}
	d := xml.NewDecoder(strings.NewReader(text))
	depth, key := 0, ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the profile is no XML: %v\n%s", err, text)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "dict" {
				depth++
			}
			if e.Name.Local != "key" && e.Name.Local != "string" && e.Name.Local != "integer" && e.Name.Local != "data" {
				continue
			}
			var value string
			if err := d.DecodeElement(&value, &e); err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Name.Local == "key":
				key = value
			case depth == 1:
				outer[key] = value
			default:
				inner[key] = value
			}
		case xml.EndElement:
			if e.Name.Local == "dict" {
				depth--
			}
		}
	}
	return outer, inner
}

func TestDownloadParses(t *testing.T) {
	_, body := get(t, Files(Config{CA: newCA(t).CertificatePEM()}), CertificatePath)
	block, rest := pem.Decode([]byte(body))
	if block == nil || len(rest) != 0 {
		t.Fatal("the download is not one PEM block")
	}
	if c, err := x509.ParseCertificate(block.Bytes); err != nil || !c.IsCA {
		t.Errorf("the download is no CA: %v", err)
	}
}
