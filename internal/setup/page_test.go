package setup

import (
	"cmp"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestPage(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web+"External=TRUE\nAccess-Control-Allow-Origin=*\nAllowPlainHTTP=TRUE\n[oidc]\nClientSecret=hush\n", "PLATEN_NODE_HTTPPORT=7000").validated()
	var page api.Setup
	if code, p := w.do(http.MethodGet, "/setup", "", &page); p != nil || code != http.StatusOK {
		t.Fatalf("%d, %v", code, p)
	}
	settings := map[string]api.SetupSetting{}
	for _, s := range page.Settings {
		settings[s.Key] = s
		if strings.Contains(s.Value, "hush") {
			t.Errorf("the page shows a secret: %+v", s)
		}
		if strings.HasPrefix(s.Key, "[gateway]") {
			t.Errorf("a node shows %s", s.Key)
		}
	}
	for _, k := range config.Keys() {
		if _, ok := settings[k.Name()]; ok != !slices.Contains([]string{"gateway", "tracking", "alerts"}, k.Section) {
			t.Errorf("%s on the page: %v", k.Name(), ok)
		}
	}
	if s := settings["[node] HTTPPort"]; s.Value != "7000" || s.Source != api.SetupSettingSourceEnvironment || s.Default != "18622" || s.Restart {
		t.Errorf("%+v", s)
	}
	if s := settings["[oidc] ClientSecret"]; s.Source != api.SetupSettingSourceFile || s.Value != "" {
		t.Errorf("%+v", s)
	}
	var codes []string
	for _, one := range page.Warnings {
		codes = append(codes, string(one.Code))
	}
	if got := strings.Join(codes, " "); got != "any-origin plain-http certificate" {
		t.Errorf("warnings %s", got)
	}
	w.audit.Close()
	if w.do(http.MethodGet, "/setup", "", &page); page.Warnings[len(page.Warnings)-1].Code != api.SetupWarningCodeAudit {
		t.Errorf("no warning of an audit log that cannot be written: %+v", page.Warnings)
	}
	if _, p := w.change(map[string]string{"[node] Name": "x"}, ""); p == nil || p.Code != problem.AuditFailed {
		t.Errorf("a change without a trace: %v", p)
	}
	if err := os.WriteFile(w.config.Path, []byte("[node]\nX=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.do(http.MethodGet, "/setup", "", &page); !strings.Contains(page.Fault, "[node] X") || len(page.Settings) == 0 {
		t.Errorf("of a faulty file the page says %q", page.Fault)
	}
}

// Every key can be changed on the page and put back.
func TestEveryKey(t *testing.T) {
	pin := strings.Repeat("A", 43)
	values := map[string]string{
		"port": "", "TRUE or FALSE": "TRUE", "IP address": "192.168.1.5", "host names": "a.example", "names": "x, y",
		"admin, operator, user or kiosk": "user", "admin, operator, user, kiosk or empty": "kiosk", "* or origins": "https://a.example",
		"host:port": "a.example:443", "debug, info, warn or error": "debug", "bytes, with K, M or G": "3G", "https URL": "https://id.example/x",
		"file": "/a b", "http, tls-alpn or dns": "tls-alpn", "a name": "Büro", "DNS domain": "office.example", "off, preferred or required": "required", "ports from-to": "50000-50100", "networks": "10.0.0.0/8",
		"scanner IDs": "aaaaaaaaaaaaaaaa-saaaaaaaaaaaaaaaaaaaa", "": "text",
		"pins": pin, "a pin": pin, "host:port#pin": "a.example:443#" + pin, "keys with ;": "v4.public." + strings.Repeat("A", 120) + "." + pin, "ORG-CODE": "ORG-CODE",
		"starttls, tls or none": "tls", "an address": "platen@a.example",
	}
	with := map[string][]string{ // what a key makes sense with
		"[oidc] Issuer":          {"[oidc] ClientID", "[oidc] DefaultRole"},
		"[tls] LocalCertificate": {"[tls] LocalKey"}, "[tls] LocalKey": {"[tls] LocalCertificate"},
		"[tls] ExternalCertificate": {"[tls] ExternalKey"}, "[tls] ExternalKey": {"[tls] ExternalCertificate"},
		"[acme] Names": {"[acme] Agree"}, "[acme] Agree": {"[acme] Names"},
		"[alerts] Password": {"[alerts] User"},
	}
	units := map[string]string{}
	for _, k := range config.Keys() {
		units[k.Name()] = k.Unit
	}
	node := newWorld(t, api.SetupRoleNode, web)
	gateway := newWorld(t, api.SetupRoleGateway, "[gateway]\nEnableWebSetup=TRUE\nSetupHTTPPort=18625\n")
	tracking := newWorld(t, api.SetupRoleTracking, "[tracking]\nEnableWebSetup=TRUE\nSetupHTTPPort=18625\n")
	worlds := map[string]*world{"gateway": gateway, "tracking": tracking, "alerts": tracking}
	for i, k := range config.Keys() {
		if k.Key == "EnableWebSetup" {
			continue // TestSwitchingThePageOff
		}
		w := cmp.Or(worlds[k.Section], node)
		keep := func() {
			plain, _, _ := w.ports(w.running)
			w.local = fmt.Sprintf("127.0.0.1:%d", plain)
			if w.trial == nil {
				return
			}
			if _, p := w.do(http.MethodPost, "/setup/changes/"+w.trial.ID+"/keep", "", nil); p != nil {
				t.Errorf("keeping %s: %v", k.Name(), p)
			}
		}
		start := w.load()
		value := func(key string) string {
			switch units[key] {
			case "port":
				return fmt.Sprint(20000 + i)
			case "TRUE or FALSE":
				if k.Default == "TRUE" && key == k.Name() {
					return "FALSE"
				}
			}
			return values[units[key]]
		}
		ask := map[string]string{k.Name(): value(k.Name())}
		for _, other := range with[k.Name()] {
			ask[other] = value(other)
		}
		c := w.must(ask)
		if len(c.Effects) == 0 || len(c.Changes) != len(ask) {
			t.Errorf("%s: %+v", k.Name(), c)
		}
		if !k.Secret && !strings.Contains(w.file(), k.Key+"="+value(k.Name())) {
			t.Errorf("%s is not in the file:\n%s", k.Name(), w.file())
		}
		keep()
		if k.Secret {
			continue
		}
		if _, p := w.do(http.MethodPost, "/setup/changes/"+c.Id+"/undo", "", nil); p != nil {
			t.Errorf("undoing %s: %v", k.Name(), p)
		}
		keep()
		if left := config.Changes(start, w.load()); len(left) != 0 {
			t.Errorf("%s does not go back: %+v", k.Name(), left)
		}
	}
}

func TestFirewall(t *testing.T) {
	var got strings.Builder
	for _, tt := range []struct {
		role api.SetupRole
		text string
	}{
		{api.SetupRoleNode, ""},
		{api.SetupRoleNode, web + "HTTPPort=8000\nHTTPSPort=8443\nSetupHTTPSPort=8444\n[bonjour]\nEnable=FALSE\n"},
		{api.SetupRoleNode, "[escl]\nEnable=TRUE\n"},
		{api.SetupRoleGateway, ""},
		{api.SetupRoleGateway, "[gateway]\nEnableWebSetup=TRUE\nPort=443\nHTTPPort=80\n"},
		{api.SetupRoleTracking, "[tracking]\nEnableWebSetup=TRUE\n"},
	} {
		w := newWorld(t, tt.role, tt.text)
		var shared []api.SetupShared
		if strings.Contains(tt.text, "[escl]") {
			shared = []api.SetupShared{{Port: 18630, TlsPort: 18631}, {Port: 18634, TlsPort: 18635}}
		}
		fmt.Fprintf(&got, "# %s %q\n", tt.role, tt.text)
		for _, f := range w.firewall(w.running, shared) {
			fmt.Fprintf(&got, "%s (here: %v)\n  %s\n", f.System, f.Present, strings.Join(f.Commands, "\n  "))
		}
	}
	const golden = "testdata/firewall.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("%v; got\n%s\nwant\n%s", err, got.String(), want)
	}
}

func TestCertificatesAndGateway(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web).validated()
	for _, step := range []struct {
		method, path, body string
		status             int
		code               problem.Code
	}{
		{"PUT", "/setup/certificates/external", `{"certificate":"c","key":"k"}`, 200, ""},
		{"PUT", "/setup/certificates/local", `{"certificate":"c","key":"bad"}`, 422, problem.CertificateInvalid},
		{"DELETE", "/setup/certificates/local", "", 204, ""},
		{"PUT", "/setup/certificates/ca", `{"certificate":"c","key":"k"}`, 400, problem.BadID},
		{"POST", "/setup/gateway", `{"token":"t"}`, 204, ""},
		{"POST", "/setup/gateway", `{"address":"a.example"}`, 204, ""},
		{"POST", "/setup/gateway", `{}`, 400, problem.BadRequest},
		{"POST", "/setup/gateway", `{"token":"t","address":"a"}`, 400, problem.BadRequest},
		{"DELETE", "/setup/gateway", "", 204, ""},
	} {
		status, p := w.do(step.method, step.path, step.body, nil)
		if status != step.status || p != nil && p.Code != step.code {
			t.Errorf("%s %s %s = %d, %v", step.method, step.path, step.body, status, p)
		}
	}
	if got := strings.Join(w.certs.calls, ", "); got != "put external, remove local" {
		t.Errorf("certificates: %s", got)
	}
	if got := strings.Join(w.joined, ", "); got != "token t, ask a.example, leave" {
		t.Errorf("gateway: %s", got)
	}
	if got := w.actions(); !strings.HasPrefix(got, "leave ok, join refused, join refused, join ok, join ok, ") || strings.Count(got, "certificate ok") != 2 {
		t.Errorf("audit: %s", got)
	}
}

func TestContract(t *testing.T) {
	node, gateway := newWorld(t, api.SetupRoleNode, ""), newWorld(t, api.SetupRoleGateway, "")
	end := accesstest.End{Tags: []string{"setup", "audit"}, Without: []string{"listCertificates", "getMetrics"}}
	accesstest.ContractCheck(t, accesstest.Spec(t), append(node.Routes(), AuditRoutes(node.audit)...), end)
	end.Without = append(end.Without, "joinSetupGateway", "leaveSetupGateway")
	accesstest.ContractCheck(t, accesstest.Spec(t), append(gateway.Routes(), AuditRoutes(gateway.audit)...), end)
	tracking := newWorld(t, api.SetupRoleTracking, "")
	accesstest.ContractCheck(t, accesstest.Spec(t), append(tracking.Routes(), AuditRoutes(tracking.audit)...), end)
}

func TestAuditRoutes(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web).validated()
	for i := range 60 {
		w.must(map[string]string{"[node] Location": fmt.Sprint(i)})
	}
	seen := 0
	for cursor := ""; ; {
		var list api.AuditList
		if _, p := w.do(http.MethodGet, "/audit?limit=25&action=setup."+cursor, "", &list); p != nil {
			t.Fatal(p)
		}
		for _, r := range list.Items {
			if !strings.HasPrefix(r.Action, "setup.") || r.Target == "" {
				t.Errorf("record %+v", r)
			}
			seen++
		}
		if list.Next == "" {
			break
		}
		cursor = "&cursor=" + list.Next
	}
	if seen != 60 {
		t.Errorf("%d records, want 60", seen)
	}
	for _, bad := range []string{"?cursor=x", "?action=a&action=b", "?action=" + strings.Repeat("a", 41), "?limit=0"} {
		if _, p := w.do(http.MethodGet, "/audit"+bad, "", nil); p == nil || p.Code != problem.BadRequest {
			t.Errorf("GET /audit%s: %v", bad, p)
		}
	}
	var text strings.Builder
	if err := w.audit.Export(&text); err != nil {
		t.Fatal(err)
	}
	if n, err := audit.Verify(strings.NewReader(text.String()), ""); err != nil || n < 60 {
		t.Errorf("Verify = %d, %v", n, err)
	}
}

func TestLANAddresses(t *testing.T) {
	var addrs []net.Addr
	for _, text := range []string{"fe80::1/64", "fd00::5/64", "127.0.0.1/8", "192.168.1.5/24", "169.254.1.1/16"} {
		ip, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	if got := strings.Join(lanAddresses(addrs), " "); got != "192.168.1.5 fd00::5" {
		t.Errorf("lanAddresses = %s", got)
	}
	for _, i := range interfaces() {
		if i.Name == "" || len(i.Addresses) == 0 {
			t.Errorf("interface %+v", i)
		}
	}
}
