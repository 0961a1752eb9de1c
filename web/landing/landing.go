// Package landing is the one page that Platen serves over plain HTTP to other
// devices: it says how to trust this installation's certificate, for the visitor's
// system first, or to go on without. It signs nobody in, holds no secret and no
// script. Beside it stand the two files that devices install; the app serves those
// over HTTPS, too.
package landing

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
)

//go:embed landing.html landing.css english.html german.html
var files embed.FS

// Config is what the page tells.
type Config struct {
	Name      string     // of the node or gateway, for people
	HTTPSPort func() int // where the web app is at this moment
	CA        []byte     // PEM of the certificate to install
}

// The downloads. Their suffixes make devices offer to install them.
const (
	CertificatePath = "/platen-ca.crt"
	ProfilePath     = "/platen-ca.mobileconfig" // for iPhone, iPad and Mac
)

// page is the whole page in one language.
type page struct {
	*template.Template
	style template.CSS
}

var (
	english = parse("english.html")
	german  = parse("german.html")
)

func parse(language string) page {
	style, err := files.ReadFile("landing.css")
	if err != nil {
		panic(err)
	}
	return page{template.Must(template.ParseFS(files, "landing.html", language)), template.CSS(style)}
}

// policy allows nothing but the page's own style, which it knows by its digest.
func (p page) policy() string {
	sum := sha256.Sum256([]byte(p.style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// view is what the templates see.
type view struct {
	Config
	Style                     template.CSS
	App, Certificate, Profile string
	Fingerprint               string
	Systems                   []system
}

// system is one section of the page.
type system struct {
	Name string // of its template
	Open bool   // it is the visitor's
}

// Handler serves the page and the files.
func Handler(c Config) http.Handler {
	downloads := Files(c)
	fingerprint := ""
	if ca := c.certificate(); ca != nil {
		fingerprint = identity.Fingerprint(ca)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+CertificatePath, downloads)
	mux.Handle("GET "+ProfilePath, downloads)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p := pageFor(r.Header.Get("Accept-Language"))
		var body bytes.Buffer
		if err := p.ExecuteTemplate(&body, "landing.html", view{
			Config: c, Style: p.style, App: appURL(r, c.HTTPSPort()), Certificate: CertificatePath, Profile: ProfilePath,
			Fingerprint: fingerprint, Systems: systemsFor(r.UserAgent()),
		}); err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", p.policy())
		w.Write(body.Bytes())
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access.HTMLHeaders(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Vary", "Accept-Language, User-Agent")
		mux.ServeHTTP(w, r)
	})
}

// Files serves the two downloads, and nothing else.
func Files(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+CertificatePath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		w.Header().Set("Content-Disposition", `attachment; filename="platen-ca.crt"`)
		w.Write(c.CA)
	})
	mux.HandleFunc("GET "+ProfilePath, func(w http.ResponseWriter, r *http.Request) {
		ca := c.certificate()
		if ca == nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/x-apple-aspen-config")
		w.Write(profile(c.Name, ca))
	})
	return mux
}

// certificate is the CA, parsed; nil if it is none.
func (c Config) certificate() *x509.Certificate {
	block, _ := pem.Decode(c.CA)
	if block == nil {
		return nil
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return ca
}

// appURL is the address of the app at the address by which this request came: the
// Host header is a stranger's word and is not repeated.
func appURL(r *http.Request, port int) string {
	host := "localhost"
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if h, _, err := net.SplitHostPort(addr.String()); err == nil {
			host = h
		}
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(port)) + "/"
}

// pageFor is the page in the first language of an Accept-Language header that there is.
func pageFor(languages string) page {
	for tag := range strings.SplitSeq(languages, ",") {
		tag, _, _ = strings.Cut(tag, ";")
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), "-")
		switch strings.ToLower(tag) {
		case "de":
			return german
		case "en":
			return english
		}
	}
	return english
}

// marks tell systems by their browsers' names, the first that is found: Android's
// name Linux as well. An iPad may call itself a Mac.
var marks = []struct{ mark, system string }{
	{"iPhone", "apple"}, {"iPad", "apple"}, {"iPod", "apple"}, {"Android", "android"},
	{"Firefox/", "firefox"}, // it has its own store on every computer
	{"Windows", "windows"}, {"Macintosh", "mac"}, {"CrOS", "linux"}, {"Linux", "linux"},
}

// systemsFor are the sections, the visitor's first and open.
func systemsFor(agent string) []system {
	all := []system{{Name: "apple"}, {Name: "android"}, {Name: "windows"}, {Name: "mac"}, {Name: "linux"}, {Name: "firefox"}}
	for _, m := range marks {
		if strings.Contains(agent, m.mark) {
			i := slices.IndexFunc(all, func(s system) bool { return s.Name == m.system })
			return slices.Insert(slices.Delete(all, i, i+1), 0, system{m.system, true})
		}
	}
	return all
}

// profile is a configuration profile with the CA, unsigned: its own CA is what it is
// about. The names in it come from the CA's key, so that a second one takes the first
// one's place.
func profile(name string, ca *x509.Certificate) []byte {
	var title bytes.Buffer
	template.HTMLEscape(&title, []byte("Platen: "+name))
	outer, inner := uuid("profile", ca), uuid("certificate", ca)
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadType</key><string>Configuration</string>
	<key>PayloadVersion</key><integer>1</integer>
	<key>PayloadIdentifier</key><string>platen.ca.%[1]s</string>
	<key>PayloadUUID</key><string>%[1]s</string>
	<key>PayloadDisplayName</key><string>%[3]s</string>
	<key>PayloadDescription</key><string>Lets this device trust the scanners of this installation. SHA-256: %[5]s</string>
	<key>PayloadOrganization</key><string>Platen</string>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadType</key><string>com.apple.security.root</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>platen.ca.%[1]s.%[2]s</string>
			<key>PayloadUUID</key><string>%[2]s</string>
			<key>PayloadDisplayName</key><string>%[3]s</string>
			<key>PayloadCertificateFileName</key><string>platen-ca.crt</string>
			<key>PayloadContent</key><data>%[4]s</data>
		</dict>
	</array>
</dict>
</plist>
`, outer, inner, title.String(), base64.StdEncoding.EncodeToString(ca.Raw), identity.Fingerprint(ca))
}

// uuid is the UUID (RFC 9562, version 8) of a part of the profile.
func uuid(part string, ca *x509.Certificate) string {
	sum := sha256.Sum256(append([]byte("platen "+part+" "), ca.RawSubjectPublicKeyInfo...))
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]))
}
