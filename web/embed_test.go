package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

var files = fstest.MapFS{
	"index.html":            {Data: []byte("<title>Platen</title>")},
	"index.html.gz":         {Data: []byte("gz of index")},
	"assets/app-1a2b.js":    {Data: []byte("plain script")},
	"assets/app-1a2b.js.gz": {Data: []byte("gz of script")},
	"assets/app-1a2b.js.br": {Data: []byte("br of script")},
	"icon.svg":              {Data: []byte("<svg/>")},
	".keep":                 {Data: nil},
}

func get(t *testing.T, h http.Handler, method, path, accept string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestServe(t *testing.T) {
	const forever, never, hour = "public, max-age=31536000, immutable", "no-store", "public, max-age=3600"
	for _, tt := range []struct {
		path, accept                       string
		status                             int
		mediaType, encoding, caching, body string
	}{
		{path: "/", status: 200, mediaType: "text/html; charset=utf-8", caching: never, body: "<title>Platen</title>"},
		{path: "/", accept: "gzip, br", status: 200, mediaType: "text/html; charset=utf-8", encoding: "gzip", caching: never, body: "gz of index"},
		{path: "/jobs/abc-jdef", status: 200, mediaType: "text/html; charset=utf-8", caching: never, body: "<title>Platen</title>"},
		{path: "/documents", status: 200, mediaType: "text/html; charset=utf-8", caching: never, body: "<title>Platen</title>"},
		{path: "/assets/app-1a2b.js", status: 200, mediaType: "text/javascript; charset=utf-8", caching: forever, body: "plain script"},
		{path: "/assets/app-1a2b.js", accept: "gzip", status: 200, mediaType: "text/javascript; charset=utf-8", encoding: "gzip", caching: forever, body: "gz of script"},
		{path: "/assets/app-1a2b.js", accept: "gzip, deflate, br, zstd", status: 200, mediaType: "text/javascript; charset=utf-8", encoding: "br", caching: forever, body: "br of script"},
		{path: "/assets/app-1a2b.js", accept: "br;q=0, gzip;q=0.5", status: 200, mediaType: "text/javascript; charset=utf-8", encoding: "gzip", caching: forever, body: "gz of script"},
		{path: "/assets/app-1a2b.js", accept: "bright, gzipped", status: 200, mediaType: "text/javascript; charset=utf-8", caching: forever, body: "plain script"},
		{path: "/icon.svg", accept: "br", status: 200, mediaType: "image/svg+xml", caching: hour, body: "<svg/>"},
		{path: "/assets/old-9999.js", status: 404, mediaType: "text/plain; charset=utf-8", caching: never, body: "404 page not found\n"},
		{path: "/assets/", status: 404, mediaType: "text/plain; charset=utf-8", caching: never, body: "404 page not found\n"},
		{path: "/assets/app-1a2b.js.br", status: 404, mediaType: "text/plain; charset=utf-8", caching: never, body: "404 page not found\n"},
		{path: "/.keep", status: 404, mediaType: "text/plain; charset=utf-8", caching: never, body: "404 page not found\n"},
		{path: "/favicon.ico", status: 404, mediaType: "text/plain; charset=utf-8", caching: never, body: "404 page not found\n"},
	} {
		t.Run(tt.path+" "+tt.accept, func(t *testing.T) {
			res := get(t, serve(files), http.MethodGet, tt.path, tt.accept)
			body, _ := io.ReadAll(res.Body)
			for _, c := range [][3]string{
				{"Content-Type", res.Header.Get("Content-Type"), tt.mediaType},
				{"Content-Encoding", res.Header.Get("Content-Encoding"), tt.encoding},
				{"Cache-Control", res.Header.Get("Cache-Control"), tt.caching},
				{"body", string(body), tt.body},
			} {
				if c[1] != c[2] {
					t.Errorf("%s = %q, want %q", c[0], c[1], c[2])
				}
			}
			if res.StatusCode != tt.status {
				t.Errorf("status = %d, want %d", res.StatusCode, tt.status)
			}
			if res.StatusCode == 200 && res.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("Vary = %q, want Accept-Encoding", res.Header.Get("Vary"))
			}
		})
	}
}

func TestServeOtherMethods(t *testing.T) {
	res := get(t, serve(files), http.MethodPost, "/", "")
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST / = %d, Allow %q, want 405, GET, HEAD", res.StatusCode, res.Header.Get("Allow"))
	}
	res = get(t, serve(files), http.MethodHead, "/icon.svg", "")
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || len(body) != 0 {
		t.Errorf("HEAD /icon.svg = %d with %d bytes, want 200 with none", res.StatusCode, len(body))
	}
}

// A binary that was built without the app says so, on every route of the app.
func TestServeWithoutApp(t *testing.T) {
	empty := fstest.MapFS{".keep": {}}
	for _, path := range []string{"/", "/scanners"} {
		res := get(t, serve(empty), http.MethodGet, path, "gzip")
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "make build") {
			t.Errorf("GET %s = %d %q, want 503 with what to do", path, res.StatusCode, body)
		}
	}
}

func TestHandlerServesWhatIsEmbedded(t *testing.T) {
	want := http.StatusServiceUnavailable
	if isFile(built, "app/dist/"+index) {
		want = http.StatusOK
	}
	if res := get(t, Handler(), http.MethodGet, "/", ""); res.StatusCode != want {
		t.Errorf("GET / = %d, want %d", res.StatusCode, want)
	}
}
