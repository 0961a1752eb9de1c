package relay

import "net/http"

// Bodiless goes around what http3 serves. It keeps http3 from adding
// "Content-Length: 0" to answers that cannot have a body: a 204 must not say it (RFC
// 9110 8.6), and for a 304 it would be a lie about the page.
func Bodiless(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(bodilessWriter{w}, r)
	})
}

type bodilessWriter struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (w bodilessWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w bodilessWriter) WriteHeader(status int) {
	if status == http.StatusNoContent || status == http.StatusNotModified {
		if _, said := w.Header()["Content-Length"]; !said {
			w.Header()["Content-Length"] = nil // there, so that none is added
		}
	}
	w.ResponseWriter.WriteHeader(status)
}
