package main

import (
	"net/http"

	"github.com/platen-scan/platen/web"
	"github.com/platen-scan/platen/web/landing"
)

// web is the app, and the certificate of the CA for those who are inside already.
func (b *base) web() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	files := landing.Files(landing.Config{Name: b.name, CA: b.ca.CertificatePEM()})
	mux.Handle(landing.CertificatePath, files)
	mux.Handle(landing.ProfilePath, files)
	return mux
}
