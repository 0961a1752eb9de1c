package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// command runs a command line as people do.
func command(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if got := run(t.Context(), append([]string{"--data", t.TempDir()}, args...), &out, &err); got != code {
		t.Errorf("platen %s: exit code %d, want %d; %s%s", strings.Join(args, " "), got, code, out.String(), err.String())
	}
	return out.String(), err.String()
}

func newKey(t *testing.T) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestLicense makes a vendor and a licence, reads it and checks it.
func TestLicense(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vendor.key")
	out, said := command(t, 0, "license", "keygen", file)
	pin := strings.TrimSpace(out)
	if !license.IsPin(pin) || !strings.Contains(said, "Vendors="+pin) {
		t.Fatalf("keygen: %q, %q", out, said)
	}
	before, _ := os.ReadFile(file)
	_, said = command(t, 1, "license", "keygen", file)
	if after, _ := os.ReadFile(file); !strings.Contains(said, "is there already and stays") || !bytes.Equal(before, after) {
		t.Errorf("keygen over a key: %s", said)
	}

	gateway, node := newKey(t), newKey(t)
	out, _ = command(t, 0, "license", "issue", "--vendor", file, "--kind", "page", "--org", "ACME", "--customer", "Acme Scanning", "--quantity", "5000",
		"--period", "month", "--origin", "https://app.example.com", "--origin", "https://*.example.com", "--module", "ocr", "--module", "barcode",
		"--gateway", gateway.Pin(), "--node", node.NodeID(), "--from", "2026-01-01", "--until", "2126-12-31", "--grace", "7d", "--over-use", "10",
		"--id", "abcdefghijklmnopqrst", "--revision", "3")
	text := strings.TrimSpace(out)
	k, err := license.Parse(text, []string{pin})
	want := license.Key{
		Version: 1, ID: "abcdefghijklmnopqrst", Revision: 3, Kind: license.Page, Organisation: "ACME", Customer: "Acme Scanning", Quantity: 5000, Period: license.Month,
		Origins: []string{"https://app.example.com", "https://*.example.com"}, Modules: []license.Module{license.OCR, license.Barcode},
		Gateways: []string{gateway.Pin()}, Nodes: []string{node.NodeID()}, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Expires: time.Date(2127, 1, 1, 0, 0, 0, 0, time.UTC), Grace: 7 * 24 * 3600, OverUse: 10, Vendor: pin, Text: text,
	}
	if got, _ := json.Marshal(k); err != nil || string(got) != mustJSON(t, want) {
		t.Errorf("issued %s, %v\nwant %s", got, err, mustJSON(t, want))
	}

	out, _ = command(t, 0, "license", "inspect", text)
	for _, word := range []string{"Licence abcdefghijklmnopqrst, revision 3", "page: 5000 pages a month, and 10 % beyond", "ACME", "Acme Scanning",
		"https://app.example.com, https://*.example.com", "ocr, barcode", gateway.Pin(), node.NodeID(), "2026-01-01 00:00:00 UTC to 2127-01-01 00:00:00 UTC", "168h0m0s", pin} {
		if !strings.Contains(out, word) {
			t.Errorf("inspect does not say %q:\n%s", word, out)
		}
	}
	out, _ = command(t, 0, "license", "inspect", "--json", text+";"+text)
	var all []license.Inspection
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 || all[1].Type != "key" || all[1].Signer != pin || all[1].Key.Quantity != 5000 {
		t.Errorf("inspect --json: %s", out)
	}
	command(t, 1, "license", "inspect", text[:len(text)-4])

	for _, test := range []struct {
		name string
		code int
		want string
		args []string
	}{
		{"good", 0, "is good until 2127-01-01", nil},
		{"for a page", 0, "", []string{"--origin", "https://a.example.com", "--gateway", gateway.Pin(), "--node", node.NodeID(), "--module", "ocr"}},
		{"another page", 1, "[license-origin]", []string{"--origin", "https://example.com"}},
		{"another module", 1, "[license-module]", []string{"--module", "pdf-rasterizer"}},
		{"another gateway", 1, "[license-elsewhere]", []string{"--gateway", node.Pin()}},
		{"too early", 1, "[license-not-yet-valid]", []string{"--at", "2025-12-31"}},
		{"too late", 1, "[license-expired]", []string{"--at", "2127-01-01T00:00:00Z"}},
		{"another vendor", 1, "[license-invalid]", []string{"--vendor", node.Pin()}},
	} {
		args := append([]string{"license", "verify", text}, test.args...)
		if test.name != "another vendor" {
			args = append(args, "--vendor", pin)
		}
		out, said := command(t, test.code, args...)
		if !strings.Contains(out+said, test.want) {
			t.Errorf("verify %s: %s%s, want %q", test.name, out, said, test.want)
		}
	}
	command(t, 2, "license", "verify", text) // nobody is trusted
}

func TestLicenseIssueRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vendor.key")
	command(t, 0, "license", "keygen", file)
	issue := []string{"license", "issue", "--vendor", file}
	for want, args := range map[string][]string{
		"--until or --days is needed":           {"--kind", "trial", "--org", "ACME"},
		"a trial is for 92 days at most":        {"--kind", "trial", "--org", "ACME", "--days", "93"},
		"a server's key names its origins":      {"--kind", "server", "--org", "ACME", "--days", "9"},
		"it needs a quantity":                   {"--kind", "browser", "--org", "ACME", "--days", "9"},
		"must be bound to the gateway":          {"--kind", "browser", "--org", "ACME", "--days", "9", "--quantity", "1"},
		"organisation is not 1 to 32":           {"--kind", "trial", "--org", "ACME-1", "--days", "9"},
		"is no pin":                             {"--kind", "trial", "--org", "ACME", "--days", "9", "--gateway", "x"},
		"is not the ID of a node":               {"--kind", "trial", "--org", "ACME", "--days", "9", "--node", "x"},
		"is neither a day":                      {"--kind", "trial", "--org", "ACME", "--until", "soon"},
		"is no time as 12h or 7d":               {"--kind", "trial", "--org", "ACME", "--days", "9", "--grace", "long"},
		"its ID is not one":                     {"--kind", "trial", "--org", "ACME", "--days", "9", "--id", "x"},
		"it needs --id":                         {"--kind", "trial", "--org", "ACME", "--days", "9", "--revision", "2"},
		"is not an origin":                      {"--kind", "server", "--org", "ACME", "--days", "9", "--origin", "https://a.example/x"},
		"names a module that is not known":      {"--kind", "trial", "--org", "ACME", "--days", "9", "--module", "fax"},
		"only pages have a period":              {"--kind", "trial", "--org", "ACME", "--days", "9", "--period", "day"},
		"it is not within the years":            {"--kind", "server", "--org", "ACME", "--days", "99999999", "--origin", "https://a.example"},
		"its window is not from 0":              {"--kind", "trial", "--org", "ACME", "--days", "9", "--window", "65000d"},
		"characters that cannot be printed":     {"--kind", "trial", "--org", "ACME", "--days", "9", "--customer", "A\x1b[31m"},
		"--until and --days can't be used":      {"--kind", "trial", "--org", "ACME", "--days", "9", "--until", "2027-01-01"},
		`--kind must be one of "browser","page`: {"--kind", "site", "--org", "ACME", "--days", "9"},
	} {
		out, said := command(t, 2, append(issue, args...)...)
		if out != "" || !strings.Contains(said, want) {
			t.Errorf("issue %v: %q, %q, want %q", args, out, said, want)
		}
	}
	command(t, 1, "license", "issue", "--vendor", file+"x", "--kind", "trial", "--org", "ACME", "--days", "9")
}

// TestLicenseInspect reads what tracking servers and nodes sign.
func TestLicenseInspect(t *testing.T) {
	server, node := newKey(t), newKey(t)
	from := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	lease := license.Lease{ID: "l", Item: "abcdefghijklmnopqrst", Revision: 2, For: "gw", Holder: "h", Seat: 7, Origin: "https://a.example", From: from, Until: from.Add(time.Hour)}.Sign(server)
	block := license.Block{ID: "b-1", Item: "abcdefghijklmnopqrst", Revision: 2, For: "gw", Node: node.NodeID(), Pages: 50, Over: 5, From: from, Until: from.Add(time.Hour)}.Sign(server)
	receipt := license.SignReceipt(node, api.Receipt{Node: node.NodeID(), Seq: 9, Job: "j1", N: 3, Page: "p1", Digest: strings.Repeat("ab", 32), Bytes: 5, At: from.UnixMilli()})
	head := license.Head{Seq: 9, Chain: strings.Repeat("cd", 32)}
	for text, words := range map[string][]string{
		lease:                        {"Seat 7 of licence abcdefghijklmnopqrst, revision 2", "https://a.example", "2026-11-22 12:00:00 UTC to 2026-11-22 13:00:00 UTC", server.Pin()},
		block:                        {"50 pages of licence abcdefghijklmnopqrst", "b-1", "5 pages", node.NodeID(), server.Pin()},
		receipt:                      {"Receipt for page 3 of job j1", node.NodeID(), "2026-11-22 12:00:00 UTC", node.Pin()},
		license.SignHead(node, head): {"Head of a meter at page 9", head.Chain},
		license.SignMark(server, node.NodeID(), head): {"Mark of a meter at page 9", server.Pin()},
	} {
		out, _ := command(t, 0, "license", "inspect", "--node", node.NodeID(), text)
		for _, word := range words {
			if !strings.Contains(out, word) {
				t.Errorf("inspect does not say %q:\n%s", word, out)
			}
		}
	}
	command(t, 1, "license", "inspect", head.Chain)
	command(t, 1, "license", "inspect", license.SignHead(node, head))
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A pin that begins with a hyphen is a value all the same.
func TestJoinPins(t *testing.T) {
	pin := "-HVXSJo9vO4mUo2H1cSpbkttgExERm5CjIeJ2eW1x_I"
	for _, tt := range []struct{ args, want []string }{
		{[]string{"license", "issue", "--gateway", pin, "--kind", "page"}, []string{"license", "issue", "--gateway=" + pin, "--kind", "page"}},
		{[]string{"scan", "--quiet", "-o", "a.pdf"}, []string{"scan", "--quiet", "-o", "a.pdf"}},
		{[]string{"--gateway"}, []string{"--gateway"}},
	} {
		if got := joinPins(tt.args); !slices.Equal(got, tt.want) {
			t.Errorf("joinPins(%q) = %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestProjectRefuses(t *testing.T) {
	for _, code := range []string{"ACME", "ACME-", "ACME front", "-front"} {
		if _, said := command(t, 2, "lts", "project", "--", code); !strings.Contains(said, "is no handshake code") {
			t.Errorf("lts project %q: %q", code, said)
		}
	}
}
