package relay

import "net/http"

// Bodiless goes around what http3 serves. It keeps http3 from adding
// "Content-Length: 0" to answers that have no body to be measured: a 204 must not say it
// (RFC 9110 8.6), and for a 304, or a HEAD whose length nobody has said, it would be a
// lie about the page.
func Bodiless(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := &bodilessWriter{ResponseWriter: w}
		h.ServeHTTP(b, r)
		if r.Method == http.MethodHead && !b.wrote {
			b.unmeasured()
		}
	})
}

type bodilessWriter struct {
	http.ResponseWriter
	wrote bool
}

// Unwrap is for http.ResponseController.
func (w *bodilessWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *bodilessWriter) WriteHeader(status int) {
	if status == http.StatusNoContent || status == http.StatusNotModified {
		w.unmeasured()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *bodilessWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// unmeasured keeps a length that was said.
func (w *bodilessWriter) unmeasured() {
	if _, said := w.Header()["Content-Length"]; !said {
		w.Header()["Content-Length"] = nil // there, so that none is added
	}
}
