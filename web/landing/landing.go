// Package landing is the one page that Platen serves over plain HTTP to other
// devices: it says how to trust this installation's certificate, or to go on
// without. It signs nobody in, holds no secret and has no other path.
package landing

import (
	_ "embed"
	"html/template"
	"net"
	"net/http"
	"strconv"
)

//go:embed landing.html
var page string

var pageTemplate = template.Must(template.New("landing").Parse(page))

// Config is what the page tells.
type Config struct {
	Name      string // of the node or gateway, for people
	HTTPSPort int    // where the web app is
	CA        []byte // PEM of the certificate to install
	CAPin     string // to compare by eye
}

// certificatePath is the download; the suffix makes phones offer to install it.
const certificatePath = "/platen-ca.crt"

// Handler serves the page and the certificate.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+certificatePath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		w.Header().Set("Content-Disposition", `attachment; filename="platen-ca.crt"`)
		w.Write(c.CA)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		pageTemplate.Execute(w, struct {
			Config
			App, Certificate string
		}{c, appURL(r, c.HTTPSPort), certificatePath})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
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
