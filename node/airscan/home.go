package airscan

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"

	"github.com/platen-scan/platen/proto/escl"
)

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem;color:#1d2733;background:#fff}
img{width:64px;height:64px}h1{font-size:1.5rem;margin:.5rem 0}dt{color:#5b6875}dd{margin:0 0 .75rem}a{color:#0b57a4}
@media(prefers-color-scheme:dark){body{color:#e6eaee;background:#14191f}dt{color:#9aa7b4}a{color:#8ec1ff}}`

// home is the page for people who open the scanner's address.
var home = template.Must(template.New("home").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Name}}</title><style>` + style + `</style></head><body>
<img src="` + IconPath + `" alt="">
<h1>{{.Name}}</h1>
<dl><dt>Now</dt><dd>{{.State}}</dd>
{{with .Location}}<dt>Place</dt><dd>{{.}}</dd>
{{end}}{{with .Model}}<dt>Device</dt><dd>{{.}}</dd>
{{end}}{{range .Codes}}<dt>Your scan waits for you at the scanner</dt><dd>Type {{.}} there.</dd>
{{end}}</dl>
<p>Any computer or phone on this network can scan with it. Add this scanner in your system's
settings for printers and scanners; there is nothing to install.</p>
{{with .Admin}}<p><a href="{{.}}">More about this scanner</a></p>
{{end}}</body></html>
`))

var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return fmt.Sprintf("default-src 'none'; img-src 'self'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
}()

var stateWords = map[escl.State]string{
	escl.Idle: "Ready", escl.Processing: "Busy", escl.Stopped: "Needs attention", escl.Down: "Not reachable",
}

func (s *Server) getHome(w http.ResponseWriter, r *http.Request, _ target) error {
	page := struct {
		Name, State, Location, Model, Admin string
		Codes                               []string
	}{Name: "Scanner", State: "Starting", Admin: s.admin()}
	if k := s.learned(); k != nil {
		page.Name, page.Location, page.Model = k.scanner.Name, k.scanner.Location, k.offers.MakeAndModel
		page.State = stateWords[stateOf(s.scannerStatus(r.Context()))]
	}
	for _, j := range s.jobsOf(clientOf(r)) {
		if code := j.releaseCode(); code != "" {
			page.Codes = append(page.Codes, code)
		}
	}
	var b bytes.Buffer
	if err := home.Execute(&b, page); err != nil {
		return fmt.Errorf("writing the page for people: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(b.Bytes()) // who does not read it has gone
	return nil
}

// releaseCode is what its owner types at a scanner that holds jobs, "" while it need not.
func (j *job) releaseCode() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ending != nil {
		return ""
	}
	return j.told.ReleaseCode
}
