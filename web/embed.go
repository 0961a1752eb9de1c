// Package web holds the built web app and serves it: the same files at a node and
// at a gateway. Whoever serves HTTP to browsers passes Handler to the guard as what
// answers outside /api/. It sets content types and caching only; every security
// header is the guard's (internal/access).
package web

import (
	"embed"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed all:app/dist
var built embed.FS

// Handler serves the embedded app.
func Handler() http.Handler {
	files, err := fs.Sub(built, "app/dist")
	if err != nil {
		panic(err) // the pattern above and this path are both constants
	}
	return serve(files)
}

const (
	index    = "index.html"
	assets   = "assets/" // names hold a hash of their content
	notBuilt = "The web app is not built in this binary.\nRun: make build\n\nThe HTTP API under /api/v1 works all the same.\n"
)

// serve answers GET and HEAD from files. A path without a file and without an
// extension is a route of the app, so it answers the index.
func serve(files fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		if !isFile(files, name) {
			if path.Ext(name) != "" || strings.HasPrefix(name+"/", assets) {
				w.Header().Set("Cache-Control", "no-store")
				http.Error(w, "404 page not found", http.StatusNotFound)
				return
			}
			name = index
		}
		if !isFile(files, name) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, notBuilt)
			return
		}
		send(w, r, files, name)
	})
}

// isFile keeps the compressed twins and hidden files out of reach by name.
func isFile(files fs.FS, name string) bool {
	if ext := path.Ext(name); ext == ".br" || ext == ".gz" || strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}

func send(w http.ResponseWriter, r *http.Request, files fs.FS, name string) {
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", caching(name))
	file := name
	for _, c := range [...]struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if accepts(r, c.encoding) {
			if _, err := fs.Stat(files, name+c.suffix); err == nil {
				h.Set("Content-Encoding", c.encoding)
				file = name + c.suffix
				break
			}
		}
	}
	http.ServeFileFS(w, r, files, file)
}

func caching(name string) string {
	switch {
	case strings.HasPrefix(name, assets):
		return "public, max-age=31536000, immutable"
	case name == index:
		return "no-store" // the next release must not meet yesterday's index
	}
	return "public, max-age=3600"
}

func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js": // the system's MIME table can say text/plain, which browsers refuse for modules
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

// accepts reports whether the client takes the content coding (RFC 9110, 12.5.3).
func accepts(r *http.Request, coding string) bool {
	for _, header := range r.Header.Values("Accept-Encoding") {
		for item := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(strings.TrimSpace(item), ";")
			if strings.EqualFold(strings.TrimSpace(name), coding) {
				q := strings.ReplaceAll(parameters, " ", "")
				return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
			}
		}
	}
	return false
}
