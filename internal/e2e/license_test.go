//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const shopOrigin = "https://shop.example"

// vendor signs licences by the command line.
type vendor struct {
	t   testing.TB
	key string // file
	pin string
}

func newVendor(t testing.TB) vendor {
	t.Helper()
	v := vendor{t: t, key: filepath.Join(t.TempDir(), "vendor.key")}
	v.pin = strings.TrimSpace(v.platen("license", "keygen", v.key))
	return v
}

func (v vendor) platen(args ...string) string {
	v.t.Helper()
	cmd := testenv.Command(nil, nil, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		v.t.Fatalf("platen %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// issue signs a licence for the shop, for a month if no other time is given.
func (v vendor) issue(kind string, args ...string) string {
	v.t.Helper()
	args = append([]string{"license", "issue", "--vendor", v.key, "--kind", kind, "--org", "ACME"}, args...)
	all := strings.Join(args, " ")
	if !strings.Contains(all, "--origin") {
		args = append(args, "--origin", shopOrigin)
	}
	if !strings.Contains(all, "--days") && !strings.Contains(all, "--until") {
		args = append(args, "--days", "30")
	}
	return strings.TrimSpace(v.platen(args...))
}

// newLicensed is a gateway and a node that trust the vendor and let the shop's pages ask.
func newLicensed(t testing.TB, v vendor, env ...string) *testenv.Office {
	t.Helper()
	env = append([]string{"PLATEN_LICENSE_VENDORS=" + v.pin}, env...)
	o := testenv.NewGateway(t, append(env, "PLATEN_GATEWAY_ACCESS_CONTROL_ALLOW_ORIGIN="+shopOrigin)...)
	o.StartNode(t, append(env, "PLATEN_NODE_HTTPPORT=0", "PLATEN_NODE_HTTPSPORT=0", "PLATEN_NODE_DRIVERS=virtual", "PLATEN_ROADS_WEBRTCPORT=0",
		"PLATEN_NODE_ACCESS_CONTROL_ALLOW_ORIGIN="+shopOrigin)...)
	return o
}

// pinOf is the key of an end to which vendors bind licences.
func pinOf(t testing.TB, s *testenv.Service) string {
	t.Helper()
	return ask[api.License](adminOf(t, s), http.MethodGet, "/license", nil).Pin
}

// shopper is a page of the shop in somebody's browser, as far as the gateway can tell.
type shopper struct {
	*caller
	scanner string
}

var clerks atomic.Int32

// shopAt signs a page of the shop in at a service; code is the refusal, "" if there is none.
func shopAt(t testing.TB, s *testenv.Service, want api.SessionRequest) (p *shopper, code problem.Code) {
	t.Helper()
	admin := adminOf(t, s)
	want.Secret = ask[api.Pairing](admin, http.MethodPost, "/pairings", api.PairingRequest{Role: api.RoleUser}).Secret
	page := *admin
	transport := admin.http.Transport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	// Each clerk has an address: ten sign-ins a minute are one address's.
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(clerks.Add(1)))}}
	transport.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp4", addr)
	}
	page.token, page.http = "", &http.Client{Transport: asPage{transport}}
	answer, body := page.send(http.MethodPost, "/sessions", want)
	if answer.StatusCode != http.StatusCreated {
		return nil, codeIn(t, body)
	}
	var session api.Session
	if err := json.Unmarshal(body, &session); err != nil {
		t.Fatal(err)
	}
	page.token = session.Token
	return &shopper{&page, ask[api.ScannerList](&page, http.MethodGet, "/scanners", nil).Items[0].ID}, ""
}

// asPage sends what a browser says of the page that asks.
type asPage struct{ http.RoundTripper }

func (p asPage) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Origin", shopOrigin)
	return p.RoundTripper.RoundTrip(r)
}

func codeIn(t testing.TB, body []byte) problem.Code {
	t.Helper()
	var e problem.Error
	if err := json.Unmarshal(body, &e); err != nil || e.Code == "" {
		t.Fatalf("no problem: %s", body)
	}
	if strings.HasPrefix(string(e.Code), "license-") && e.Code != problem.LicenseBoth && !regexp.MustCompile(`(gateway|node) "`).MatchString(e.Detail) {
		t.Errorf("%s does not say which end refused: %s", e.Code, e.Detail)
	}
	return e.Code
}

// scan makes a job of so many sheets and waits for its end.
func (p *shopper) scan(pages int) (job scan.Job, code problem.Code) {
	p.t.Helper()
	settings := map[string]any{"source": "adf", "resolution": 75, "mode": "gray", "options": map[string]string{"pace": "off", "sheets": strconv.Itoa(max(pages, 3))}}
	if pages > 0 {
		settings["pages"] = pages
	}
	answer, body := p.send(http.MethodPost, "/scanners/"+p.scanner+"/jobs", map[string]any{"settings": settings})
	if answer.StatusCode != http.StatusCreated {
		return job, codeIn(p.t, body)
	}
	if err := json.Unmarshal(body, &job); err != nil {
		p.t.Fatal(err)
	}
	testenv.Eventually(p.t, "the end of a job", time.Minute, func() bool {
		job = ask[scan.Job](p.caller, http.MethodGet, "/jobs/"+job.ID, nil)
		return job.State.Terminal()
	})
	return job, ""
}

// fetches has every page of the job.
func (p *shopper) fetches(job scan.Job) {
	p.t.Helper()
	for n := range job.Pages {
		answer, body := p.send(http.MethodGet, fmt.Sprintf("/jobs/%s/pages/%d", job.ID, n+1), nil)
		if answer.StatusCode != http.StatusOK || len(body) < 1000 {
			p.t.Errorf("page %d of job %s: status %d, %.300s", n+1, job.ID, answer.StatusCode, body)
		}
	}
}

const browserName = "browser-of-the-first-clerk"

// TestLicencesRefused is what keeps a page of the shop out, and how it gets in.
func TestLicencesRefused(t *testing.T) {
	v := newVendor(t)
	o := newLicensed(t, v)
	gateway := "--gateway=" + pinOf(t, o.Gateway)
	other := newVendor(t)
	key := func(text string) api.SessionRequest { return api.SessionRequest{ProductKey: text, Client: browserName} }

	refused := []struct {
		name string
		api.SessionRequest
		want problem.Code
	}{
		{"nothing", api.SessionRequest{}, problem.LicenseMissing},
		{"another vendor", key(other.issue("server")), problem.LicenseInvalid},
		{"half a key", key(v.issue("server")[:200]), problem.LicenseInvalid},
		{"another page", key(v.issue("server", "--origin", "https://other.example")), problem.LicenseOrigin},
		{"last year's", key(v.issue("server", "--from", "2025-01-01", "--until", "2025-12-31")), problem.LicenseExpired},
		{"next century's", key(v.issue("server", "--from", "2100-01-01", "--until", "2100-12-31")), problem.LicenseNotYetValid},
		{"another gateway's", key(v.issue("browser", "--quantity", "9", "--gateway", other.pin)), problem.LicenseElsewhere},
		{"both", api.SessionRequest{ProductKey: v.issue("server"), HandshakeCode: "ACME-front", Client: browserName}, problem.LicenseBoth},
		{"no such code", api.SessionRequest{HandshakeCode: "ACME-nobody", Client: browserName}, problem.HandshakeUnknown},
	}
	for _, tt := range refused {
		if _, code := shopAt(t, o.Gateway, tt.SessionRequest); code != tt.want {
			t.Errorf("%s: %q, want %s", tt.name, code, tt.want)
		}
	}

	t.Run("seats", func(t *testing.T) {
		text := v.issue("browser", "--quantity", "1", gateway)
		if _, code := shopAt(t, o.Gateway, key(text)); code != "" {
			t.Fatal(code)
		}
		second := api.SessionRequest{ProductKey: text, Client: "browser-of-the-second-clerk"}
		if _, code := shopAt(t, o.Gateway, second); code != problem.LicenseSeats {
			t.Errorf("the second browser: %q, want %s", code, problem.LicenseSeats)
		}
		admin := adminOf(t, o.Gateway)
		for _, item := range ask[api.ItemList](admin, http.MethodGet, "/license/items", nil).Items {
			if item.Key.Kind != "browser" || item.Key.Quantity != 1 {
				continue
			}
			if answer, body := admin.send(http.MethodDelete, "/license/items/"+item.Key.Id+"/seats/1", nil); answer.StatusCode != http.StatusNoContent {
				t.Errorf("releasing the seat: %s", body)
			}
		}
		if _, code := shopAt(t, o.Gateway, second); code != "" {
			t.Errorf("the second browser, with the seat released: %s", code)
		}
	})
	t.Run("handshake", func(t *testing.T) {
		admin := adminOf(t, o.Gateway)
		ask[api.Item](admin, http.MethodPost, "/license/items", api.ItemRequest{Key: v.issue("page", "--quantity", "50", gateway)})
		ask[api.Project](admin, http.MethodPost, "/license/projects", api.ProjectRequest{Organisation: "ACME", Code: "front"})
		page, code := shopAt(t, o.Gateway, api.SessionRequest{HandshakeCode: "ACME-front", Client: browserName})
		if code != "" {
			t.Fatal(code)
		}
		job, code := page.scan(1)
		if code != "" || job.Pages != 1 {
			t.Errorf("%+v, %s", job, code)
		}
	})
}

// TestLicences is every kind at a gateway and its node, as pages of the shop meet them.
func TestLicences(t *testing.T) {
	v := newVendor(t)
	o := newLicensed(t, v)
	gateway, node := "--gateway="+pinOf(t, o.Gateway), "--node="+ask[api.NodeList](adminOf(t, o.Gateway), http.MethodGet, "/nodes", nil).Items[0].ID
	key := func(text string) api.SessionRequest { return api.SessionRequest{ProductKey: text, Client: browserName} }
	scans := 0
	for kind, text := range map[string]string{
		"server":        v.issue("server"),
		"trial":         v.issue("trial"),
		"browser":       v.issue("browser", "--quantity", "2", gateway),
		"concurrent":    v.issue("concurrent", "--quantity", "2", gateway),
		"page":          v.issue("page", "--quantity", "100", gateway),
		"node":          v.issue("node", "--quantity", "1", gateway),
		"node, by name": v.issue("node", node),
	} {
		page, code := shopAt(t, o.Gateway, key(text))
		if code != "" {
			t.Errorf("%s: %s", kind, code)
			continue
		}
		job, code := page.scan(2)
		if code != "" || job.State != scan.JobCompleted || job.Pages != 2 || len(job.Reasons) > 0 {
			t.Errorf("%s: %+v, %s", kind, job, code)
			continue
		}
		page.fetches(job)
		scans += job.Pages
	}

	t.Run("pages run out", func(t *testing.T) {
		page, code := shopAt(t, o.Gateway, key(v.issue("page", "--quantity", "5", gateway)))
		if code != "" {
			t.Fatal(code)
		}
		for _, want := range []struct {
			pages   int
			reasons int
			code    problem.Code
		}{{3, 0, ""}, {2, 1, ""}, {0, 0, problem.LicensePages}} {
			job, code := page.scan(3)
			if code != want.code || job.Pages != want.pages || len(job.Reasons) != want.reasons {
				t.Errorf("%d pages, reasons %v, %q, want %+v", job.Pages, job.Reasons, code, want)
			}
			if code == "" {
				page.fetches(job)
				scans += job.Pages
			}
		}
	})

	// The statistics are the ledger's, and the ledger has what was scanned.
	out, err := o.Node.CLI("scan", "-q", "--source", "platen", "-r", "75", "-o", filepath.Join(t.TempDir(), "own.jpg"))
	if err != nil {
		t.Fatal(err, out)
	}
	admin := adminOf(t, o.Gateway)
	testenv.Eventually(t, "every page in the ledger", 20*time.Second, func() bool {
		licensed, free := 0, 0
		for _, row := range ask[api.Usage](admin, http.MethodGet, "/license/usage?by=year", nil).Items {
			if row.Item == "" {
				free += int(row.Pages)
			} else {
				licensed += int(row.Pages)
			}
		}
		_, body := admin.send(http.MethodGet, "/license/ledger", nil)
		return licensed == scans && free == 1 && bytes.Count(body, []byte("\n")) == scans+1
	})

	// Without its gateway the node scans on, and knows what is not counted yet.
	o.Gateway.Kill()
	if _, err := o.Node.CLI("scan", "-q", "--source", "platen", "-r", "75", "-o", filepath.Join(t.TempDir(), "alone.jpg")); err != nil {
		t.Fatal(err)
	}
	if l := ask[api.License](adminOf(t, o.Node), http.MethodGet, "/license", nil); l.Unreported != 1 {
		t.Errorf("%d pages are unreported, want 1", l.Unreported)
	}
}

// TestLicenceAtANode is a node without a gateway: it judges by itself, and counts what is
// bound to it.
func TestLicenceAtANode(t *testing.T) {
	v := newVendor(t)
	local := testenv.StartLocal(t, []string{"PLATEN_LICENSE_VENDORS=" + v.pin, "PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_ACCESS_CONTROL_ALLOW_ORIGIN=" + shopOrigin})
	id := ask[api.Service](adminOf(t, local), http.MethodGet, "/service", nil).Id
	if _, code := shopAt(t, local, api.SessionRequest{}); code != problem.LicenseMissing {
		t.Errorf("without a key: %q", code)
	}
	page, code := shopAt(t, local, api.SessionRequest{ProductKey: v.issue("page", "--quantity", "3", "--node", id), Client: browserName})
	if code != "" {
		t.Fatal(code)
	}
	for _, want := range []int{2, 1, 0} {
		job, code := page.scan(2)
		if job.Pages != want || (code != "") != (want == 0) {
			t.Errorf("%d pages, %q, want %d", job.Pages, code, want)
		}
		if code == "" {
			page.fetches(job)
		}
	}
	if _, err := local.CLI("scan", "-q", "--source", "platen", "-r", "75", "-o", filepath.Join(t.TempDir(), "own.jpg")); err != nil {
		t.Errorf("the command line, which needs none: %v", err)
	}
}

// TestTrackingServer is platen lts for a gateway: a licence by handshake code, and the alert
// that it is nearly used up by mail and webhook.
func TestTrackingServer(t *testing.T) {
	v := newVendor(t)
	mails, hooks := newMailbox(t), newHook(t)
	env := []string{"PLATEN_LICENSE_VENDORS=" + v.pin, "PLATEN_TRACKING_PORT=" + testenv.FreePort(t), "PLATEN_TRACKING_NAMES=localhost",
		"PLATEN_ALERTS_SMTP=" + mails.addr, "PLATEN_ALERTS_SECURITY=none"}
	lts := testenv.StartService(t, env, "lts")
	lts.URL = lts.Await(testenv.BrowserLine, testenv.StartTimeout)[1]
	pin := pinOf(t, lts)
	server := strings.TrimPrefix(lts.URL, "https://") + "#" + pin

	admin := adminOf(t, lts)
	ask[api.Item](admin, http.MethodPost, "/license/items", api.ItemRequest{Key: v.issue("page", "--quantity", "4", "--gateway", pin, "--customer", "Acme Ltd")})
	ask[api.Project](admin, http.MethodPost, "/license/projects", api.ProjectRequest{Organisation: "ACME", Code: "front"})
	ask[api.Alerts](admin, http.MethodPut, "/license/alerts", map[string]any{
		"thresholds": []int{50, 100}, "expiryDays": []int{7}, "mail": []string{"office@example.com"}, "webhooks": []string{hooks.url},
	})

	o := newLicensed(t, v, "PLATEN_LICENSE_SERVERS="+server)
	page, code := shopAt(t, o.Gateway, api.SessionRequest{HandshakeCode: "ACME-front", Client: browserName})
	if code != "" {
		t.Fatal(code)
	}
	job, code := page.scan(3)
	if code != "" || job.Pages != 3 {
		t.Fatalf("%+v, %s", job, code)
	}
	page.fetches(job)
	testenv.Eventually(t, "the alert", 30*time.Second, func() bool { return mails.has("Acme Ltd") && hooks.has(`"percent":50`) })
	if mails.has("100 %") {
		t.Error("an alert came that is not due")
	}
	if job, code := page.scan(3); code != "" || job.Pages != 1 {
		t.Errorf("the last page: %+v, %s", job, code)
	}
	if _, code := page.scan(1); code != problem.LicensePages {
		t.Errorf("beyond the last page: %q", code)
	}
	testenv.Eventually(t, "the second alert", 30*time.Second, func() bool { return hooks.has(`"percent":100`) })
	rows := ask[api.Usage](admin, http.MethodGet, "/license/usage", nil).Items
	if len(rows) != 1 || rows[0].Pages != 4 || rows[0].Project != "ACME-front" || rows[0].Clients != 1 {
		t.Errorf("usage %+v, want four pages of one browser", rows)
	}
}

// TestLicencesInTheBrowser is the SDK in a page of the shop, at a node on the same computer.
func TestLicencesInTheBrowser(t *testing.T) {
	v := newVendor(t)
	sites, ca := newShops(t, "shop.example")
	local := testenv.StartLocal(t, []string{"PLATEN_LICENSE_VENDORS=" + v.pin, "PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_ACCESS_CONTROL_ALLOW_ORIGIN=" + sites[0].origin()})
	id := ask[api.Service](adminOf(t, local), http.MethodGet, "/service", nil).Id
	here := []string{"--origin", sites[0].origin()}
	pages := v.issue("page", append(here, "--quantity", "3", "--node", id)...)
	table := []struct {
		ProductKey    string `json:"productKey,omitempty"`
		HandshakeCode string `json:"handshakeCode,omitempty"`

		state, code string
		pages       int
		reasons     int
	}{
		{state: "not-licensed", code: "license-missing"},
		{ProductKey: v.issue("server", "--origin", "https://other.example"), state: "not-licensed", code: "license-origin"},
		{ProductKey: v.issue("server", append(here, "--from", "2025-01-01", "--until", "2025-02-01")...), state: "not-licensed", code: "license-expired"},
		{ProductKey: v.issue("server", here...), HandshakeCode: "ACME-front", code: "license-both"},
		{ProductKey: v.issue("server", here...), state: "ready", pages: 2},
		{ProductKey: pages, state: "ready", pages: 2},
		{ProductKey: pages, state: "ready", pages: 1, reasons: 1},
		{ProductKey: pages, state: "ready", code: "license-pages-used"},
	}
	terms, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	got := result[struct {
		Found []struct {
			State, Code, Title, Detail, Next, Kind string
			Pages, Bytes                           int
			Reasons                                []string
		}
	}](t, newPhone(t, nil, ca).start("licensed.mjs", "--page", sites[0].origin()+"/", "--base", local.URL, "--terms", string(terms), "--pages", "2"), 2*time.Minute)
	for i, want := range table {
		f := got.Found[i]
		if f.State != want.state || f.Code != want.code || f.Pages != want.pages || len(f.Reasons) != want.reasons || (f.Pages > 0) != (f.Bytes > 1000) {
			t.Errorf("row %d: %+v, want %+v", i, f, want)
		}
		if f.Code != "" && (f.Title == "" || f.Next == "") {
			t.Errorf("row %d: %s without words", i, f.Code)
		}
	}
}

// TestTrackingPage is the page of a licence tracking server on a phone.
func TestTrackingPage(t *testing.T) {
	v := newVendor(t)
	o := newLicensed(t, v)
	pin := pinOf(t, o.Gateway)
	p := newPhone(t, nil, "")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	admin := p.startWith("tracking.mjs", r, "--url", pairingLink(t, o.Gateway, api.RoleAdmin), "--locale", "en-GB", "--shots", os.Getenv("PLATEN_SHOTS"),
		"--key", v.issue("browser", "--quantity", "2", "--gateway", pin, "--customer", "Acme Ltd"))
	admin.Await("^there is the code", time.Minute)
	page, code := shopAt(t, o.Gateway, api.SessionRequest{HandshakeCode: "ACME-front", Client: browserName})
	if code != "" {
		t.Fatal(code)
	}
	job, code := page.scan(3)
	if code != "" || job.Pages != 3 {
		t.Fatalf("%+v, %s", job, code)
	}
	usage := func() int64 {
		for _, row := range ask[api.Usage](adminOf(t, o.Gateway), http.MethodGet, "/license/usage", nil).Items {
			if row.Project == "ACME-front" {
				return row.Pages
			}
		}
		return 0
	}
	testenv.Eventually(t, "the pages to be counted", 20*time.Second, func() bool { return usage() == 3 })
	if _, err := io.WriteString(w, "scanned\n"); err != nil {
		t.Fatal(err)
	}
	got := result[struct {
		Refused, Code, Usage string
		Items, Seats         int
		Faults               []string
	}](t, admin, time.Minute)
	if got.Items != 1 || got.Seats != 1 || !strings.Contains(got.Code, "ACME-front") || got.Refused == "" || len(got.Faults) > 0 {
		t.Errorf("the page shows %+v", got)
	}
	if !regexp.MustCompile(`(?s)ACME-front.*\b3\b|\b3\b.*ACME-front`).MatchString(got.Usage) {
		t.Errorf("the usage has no three pages of ACME-front: %s", got.Usage)
	}
}
