//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
)

// setupEnd is a node or gateway with platen.ini on a host, beside another host.
type setupEnd struct {
	*testenv.Process
	t           testing.TB
	host, other *testenv.Host
	addr        string // of host, on the network
	ini, data   string
	command     []string
}

func newSetupEnd(t testing.TB, ini string, command ...string) *setupEnd {
	t.Helper()
	lab := testenv.NewLab(t)
	e := &setupEnd{t: t, host: lab.Host("setup"), other: lab.Host("other"), ini: filepath.Join(t.TempDir(), "platen.ini"), data: t.TempDir(), command: command}
	e.addr = lab.Network(e.host, e.other)[0]
	if err := os.WriteFile(e.ini, []byte(ini), 0o600); err != nil {
		t.Fatal(err)
	}
	e.start()
	return e
}

// start starts the service, again if it was killed.
func (e *setupEnd) start() {
	e.t.Helper()
	e.Process = testenv.Start(e.t, "platen", e.platen(e.command...))
	e.Await(`^\s+(this computer|browsers)\s`, testenv.StartTimeout)
}

func (e *setupEnd) platen(args ...string) *exec.Cmd {
	return testenv.Command(e.host, nil, append([]string{"--config", e.ini, "--data", e.data}, args...)...)
}

// cli runs a command of the service's computer.
func (e *setupEnd) cli(args ...string) string {
	e.t.Helper()
	out, err := e.platen(args...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("platen %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// link signs an administrator in at the setup page.
func (e *setupEnd) link() string {
	e.t.Helper()
	for _, word := range strings.Fields(e.cli("setup")) {
		if strings.HasPrefix(word, "http://localhost:") {
			return word
		}
	}
	e.t.Fatal("platen setup printed no address")
	return ""
}

// setting is what platen.ini sets a key to; "" if it does not.
func (e *setupEnd) setting(key string) string {
	e.t.Helper()
	text, err := os.ReadFile(e.ini)
	if err != nil {
		e.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			return value
		}
	}
	return ""
}

// records are the audit log, which must be whole.
func (e *setupEnd) records() []string {
	e.t.Helper()
	e.cli("audit", "verify")
	var list []string
	for line := range strings.Lines(e.cli("audit", "export")) {
		var r struct{ Action, Result, Detail string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			e.t.Fatalf("audit export: %v\n%s", err, line)
		}
		if r.Action != "" {
			list = append(list, strings.TrimSpace(r.Action+" "+r.Result+" "+r.Detail))
		}
	}
	return list
}

// setupSaw is what the script prints at its end.
type setupSaw struct {
	Role   string
	Tabs   map[string]string // words, by section
	Faults []string
}

// check judges what both ends have in common.
func (saw setupSaw) check(t *testing.T, sections ...string) {
	t.Helper()
	for _, f := range saw.Faults {
		t.Errorf("fault of the page: %s", f)
	}
	for _, name := range sections {
		if len(saw.Tabs[name]) < 20 {
			t.Errorf("section %s shows %q", name, saw.Tabs[name])
		}
	}
	if len(saw.Tabs) != len(sections) {
		t.Errorf("%d sections, want %d", len(saw.Tabs), len(sections))
	}
	for _, word := range []string{"ufw allow 186", "firewall-cmd", "nft insert", "netsh"} {
		if !strings.Contains(saw.Tabs["external"], word) {
			t.Errorf("no firewall command %q in %q", word, saw.Tabs["external"])
		}
	}
}

// has reports records whose action and result are as in what, in any order.
func has(t *testing.T, records []string, what ...string) {
	t.Helper()
	for _, w := range what {
		if !slices.ContainsFunc(records, func(r string) bool { return strings.HasPrefix(r, w) }) {
			t.Errorf("no audit record %q in\n%s", w, strings.Join(records, "\n"))
		}
	}
}

// Every tab of the page on a phone, of a node, and on a desktop, of a gateway: complete,
// without a fault that axe finds, and no wider than the screen.
func TestSetupPageShowsEveryTab(t *testing.T) {
	for _, tt := range []struct {
		role, ini     string
		command, args []string
		sections      []string
	}{
		{"node", "[node]\nEnableWebSetup=TRUE\nDrivers=virtual\n", nil, nil, []string{"local", "external", "nearby", "gateway", "licence", "people", "audit", "changes", "other"}},
		{"gateway", "[gateway]\nEnableWebSetup=TRUE\n", []string{"gateway"}, []string{"--desktop"}, []string{"local", "external", "nearby", "licence", "people", "audit", "changes", "other"}},
	} {
		t.Run(tt.role, func(t *testing.T) {
			end := newSetupEnd(t, tt.ini, tt.command...)
			args := append([]string{"--url", end.link(), "--pictures", "--shots", t.TempDir()}, tt.args...)
			saw := result[setupSaw](t, newPhone(t, end.host, "").start("setup.mjs", args...), 2*time.Minute)
			saw.check(t, tt.sections...)
			if saw.Role != tt.role {
				t.Errorf("the page is a %s's, want a %s's", saw.Role, tt.role)
			}
		})
	}
}

// Whoever is no administrator changes and sees nothing there.
func TestSetupPageIsForAdministrators(t *testing.T) {
	node := newSetupEnd(t, "[node]\nEnableWebSetup=TRUE\nDrivers=virtual\n")
	base, jar := "http://localhost:18625", filepath.Join(t.TempDir(), "cookies")
	ask := func(method, path, body string) string {
		t.Helper()
		return node.host.Run("curl", "-s", "-b", jar, "-c", jar, "-o", "-", "-w", " %{http_code}", "-X", method, "-H", "Origin: "+base, "-H", "Sec-Fetch-Site: same-origin",
			"-H", "Content-Type: application/json", "-d", body, base+"/api/v1"+path)
	}
	change := `{"values":{"[node] External":"TRUE"},"confirmed":true}`
	for _, role := range []string{"", "kiosk", "user", "operator"} {
		want := " 401"
		if role != "" {
			var p api.Pairing
			if err := json.Unmarshal([]byte(node.cli("pair", "--json", "--role", role)), &p); err != nil {
				t.Fatal(err)
			}
			if got := ask("POST", "/sessions", `{"secret":"`+p.Secret+`"}`); !strings.HasSuffix(got, " 201") {
				t.Fatalf("signing in as %s: %s", role, got)
			}
			want = " 403"
		}
		for _, r := range [][3]string{{"GET", "/setup", ""}, {"GET", "/setup/changes", ""}, {"POST", "/setup/changes", change}, {"DELETE", "/setup/gateway", ""}, {"GET", "/audit", ""}} {
			if got := ask(r[0], r[1], r[2]); !strings.HasSuffix(got, want) {
				t.Errorf("%s %s as %q: %s, want%s", r[0], r[1], role, got, want)
			}
		}
	}
	if node.setting("External") != "" {
		t.Error("somebody let others in")
	}
	has(t, node.records(), "setup.change refused")
}

// Without EnableWebSetup there is no setup page.
func TestSetupPageIsOff(t *testing.T) {
	for _, tt := range []struct {
		ini     string
		command []string
		ports   []string
	}{
		{"[node]\nDrivers=virtual\nExternal=TRUE\n", nil, []string{"18625", "18626"}},
		{"", []string{"gateway"}, []string{"18605", "18606"}},
	} {
		end := newSetupEnd(t, tt.ini, tt.command...)
		for _, open := range listening(end.host) {
			if slices.ContainsFunc(tt.ports, func(p string) bool { return strings.HasSuffix(open, ":"+p) }) {
				t.Errorf("%q: %s is open", tt.ini, open)
			}
		}
		if out, err := end.platen("setup").CombinedOutput(); err == nil || !strings.Contains(string(out), "EnableWebSetup=TRUE") {
			t.Errorf("%q: platen setup says %s, %v", tt.ini, out, err)
		}
	}
}
