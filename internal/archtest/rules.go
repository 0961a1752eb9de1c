package archtest

import (
	"path"
	"slices"
	"strings"
)

// maxLines is where a file is to be split.
const maxLines = 500

// emptyNames are package names under which anything could be found.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "base", "shared", "lib"}

// libraries says which folders may import a third-party module, so that another one
// could take its place there.
var libraries = []struct {
	module string
	who    []string
}{
	{"github.com/quic-go/webtransport-go", []string{"relay/wtroad"}},
	{"github.com/quic-go/quic-go", []string{"relay/h3link", "relay/wtroad", "relay/front"}},
	{"github.com/pion", []string{"relay/rtcroad", "relay/turnserver"}},
	{"golang.org/x/net/http2", []string{"relay/h2link"}},
	{"github.com/miekg/dns", []string{"discovery/mdns", "discovery/unicast"}},
	{"github.com/nats-io", []string{"gateway/state"}},
	{"github.com/ebitengine/purego", []string{"node/driver/sane", "node/imaging/turbo"}},
	{"modernc.org/sqlite", []string{"node/pagestore"}},
	{"aidanwoods.dev/go-paseto", []string{"internal/token"}},
	{"github.com/klippa-app/go-pdfium", []string{"node/driver/pdfium"}},
	{"github.com/tetratelabs/wazero", []string{"node/driver/pdfium"}},
	{"gopkg.in/ini.v1", []string{"internal/config"}},
	{"github.com/rs/cors", []string{"internal/access"}}, // the oracle of its tests
	{"github.com/coreos/go-oidc", []string{"internal/access/openid"}},
	{"golang.org/x/oauth2", []string{"internal/access/openid"}},
	{"github.com/zitadel/oidc", []string{"internal/access/openid/openidtest"}},
	{"github.com/go-webauthn/webauthn", []string{"internal/access/passkey"}},
	{"github.com/caddyserver/certmagic", []string{"internal/certs"}},
	{"github.com/mholt/acmez", []string{"internal/certs"}},
	{"go.uber.org/zap", []string{"internal/certs"}},
	{"github.com/prometheus", []string{"internal/metrics"}},
	{"github.com/getkin/kin-openapi", []string{"internal/access/accesstest"}},
	{"github.com/oapi-codegen", []string{"proto/api"}},
	{"github.com/alecthomas/kong", []string{"cmd"}},
	{"rsc.io/qr", []string{"cmd"}},
	{"github.com/makiuchi-d/gozxing", []string{"node/barcode"}},
}

// importers are the folders that may import what belongs to a listed library.
func importers(imported string) (who []string, restricted bool) {
	for _, l := range libraries {
		if under(imported, l.module) {
			return l.who, true
		}
	}
	return nil, false
}

// top says what the packages of a top-level folder may import of ours, beside their
// own parent folders.
var top = map[string][]string{
	"proto":     {"proto"},
	"discovery": {"proto", "internal"},
	"relay":     {"proto", "internal"},
	"internal":  {"proto", "internal"},
	"web":       {"proto", "internal"},
	"node":      {"proto", "internal", "relay", "discovery", "node"},
	"gateway":   {"proto", "internal", "relay", "discovery", "gateway"},
}

// adapters are folders whose packages are chosen by a command. They import what they
// adapt and never each other; nobody else imports them.
var adapters = []string{"relay", "discovery", "node/driver"}

// conformance are the packages beside adapters that test them.
var conformance = []string{"relay/relaytest", "node/driver/drivertest"}

// harness reports whether a folder holds nothing but tests and what they need.
func harness(dir string) bool {
	return within(dir, []string{"internal/e2e", "internal/bench", "internal/testenv"}) || slices.Contains(conformance, dir) ||
		strings.HasSuffix(dir, "test") && dir != "internal/archtest"
}

// forbidden says why a package in the folder from may not import one in the folder
// to; "" if it may.
func forbidden(from, to string) string {
	root, _, _ := strings.Cut(from, "/")
	if under(to, "cmd") {
		return "commands are imported by nobody"
	}
	if root == "cmd" {
		return ""
	}
	if harness(to) {
		return "it is for tests"
	}
	allowed, known := top[root]
	if !known {
		return "the folder " + root + " is not of the house"
	}
	if isAdapter(from) && isAdapter(to) {
		return "adapters never import each other"
	}
	if isAdapter(to) {
		return "only commands and tests choose adapters"
	}
	if isAdapter(from) && to == path.Dir(from) {
		return ""
	}
	if !within(to, allowed) {
		return root + " may import " + strings.Join(allowed, ", ") + " only"
	}
	return ""
}

func isAdapter(dir string) bool {
	return slices.Contains(adapters, path.Dir(dir)) && !slices.Contains(conformance, dir)
}

// under reports whether name is prefix or below it.
func under(name, prefix string) bool { return name == prefix || strings.HasPrefix(name, prefix+"/") }

func within(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return under(name, p) })
}
