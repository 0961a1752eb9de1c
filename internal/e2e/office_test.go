//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// phone runs one of the browser scripts of web/e2e on a host, with the gateway's CA
// trusted or not, and decodes the JSON object that it prints last.
type phone struct {
	t    testing.TB
	host *testenv.Host
	home string
}

// newPhone makes a browser profile that trusts ca, a PEM file; "" for one that
// does not, where the script clicks the warning away.
func newPhone(t testing.TB, host *testenv.Host, ca string) *phone {
	t.Helper()
	p := &phone{t: t, host: host, home: t.TempDir()}
	if ca == "" {
		return p
	}
	p.trust(ca)
	return p
}

// trust makes the browser trust the CA in a PEM file.
func (p *phone) trust(ca string) {
	p.t.Helper()
	db := filepath.Join(p.home, ".pki", "nssdb")
	args := [][]string{{"-d", "sql:" + db, "-A", "-t", "C,,", "-n", ca, "-i", ca}}
	if err := os.Mkdir(filepath.Dir(db), 0o700); err == nil {
		args = append([][]string{{"-d", "sql:" + db, "-N", "--empty-password"}}, args...)
	}
	if err := os.MkdirAll(db, 0o700); err != nil {
		p.t.Fatal(err)
	}
	for _, a := range args {
		if out, err := exec.Command("certutil", a...).CombinedOutput(); err != nil {
			p.t.Fatalf("certutil %v: %v\n%s", a, err, out)
		}
	}
}

// start runs a script in the background.
func (p *phone) start(script string, args ...string) *testenv.Process {
	p.t.Helper()
	return p.startWith(script, nil, args...)
}

// startWith is start with something to read for the script.
func (p *phone) startWith(script string, stdin io.Reader, args ...string) *testenv.Process {
	p.t.Helper()
	argv := append([]string{"node", filepath.Join(testenv.Root(), "web", "e2e", script)}, args...)
	var cmd *exec.Cmd
	if p.host == nil {
		cmd = exec.Command(argv[0], argv[1:]...)
	} else {
		cmd = p.host.Command(p.t.Context(), argv...)
	}
	cmd.Env = append(os.Environ(), "HOME="+p.home)
	cmd.Stdin, cmd.WaitDelay = stdin, time.Second // a script may end without reading all
	return testenv.Start(p.t, script, cmd)
}

// result waits for a script's end and decodes what it found.
func result[T any](t testing.TB, p *testenv.Process, within time.Duration) T {
	t.Helper()
	var v T
	if err := p.Wait(within); err != nil {
		t.Fatalf("browser script: %v", err)
	}
	lines := p.Output()
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.HasPrefix(lines[i], "{") {
			if err := json.Unmarshal([]byte(lines[i]), &v); err != nil {
				t.Fatalf("browser script printed %q: %v", lines[i], err)
			}
			return v
		}
	}
	t.Fatal("browser script printed no result")
	return v
}

// batch is what web/e2e/batch.mjs prints: the pages that the phone received.
type batch struct {
	Job   string `json:"job"`
	State string `json:"state"`
	Pages []struct {
		N      int    `json:"n"`
		Digest string `json:"digest"` // of the bytes, made in the browser
		Bytes  int64  `json:"bytes"`
	} `json:"pages"`
	Secure bool     `json:"secure"`
	Words  []string `json:"words"` // what the app said on the way
}

// samePages compares what the phone received with what the node stored.
func samePages(t testing.TB, o *testenv.Office, got batch, want int) {
	t.Helper()
	out, err := o.Node.CLI("jobs", "pages", got.Job, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var stored []scan.Page
	if err := json.Unmarshal([]byte(out), &stored); err != nil {
		t.Fatal(err)
	}
	if len(stored) != want || len(got.Pages) != want {
		t.Fatalf("node has %d pages, phone %d, want %d", len(stored), len(got.Pages), want)
	}
	for i, p := range stored {
		if p.N != i+1 || got.Pages[i].N != p.N || got.Pages[i].Digest != p.Digest || p.Digest == "" {
			t.Errorf("page %d: node %s, phone %s", p.N, p.Digest, got.Pages[i].Digest)
		}
	}
}

// gatewayCA downloads the certificate that a user of the gateway installs.
func gatewayCA(t testing.TB, o *testenv.Office) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	o.GateHost.Run("curl", "-sSf", "-o", file, "http://127.0.0.1:18602/platen-ca.crt")
	return file
}

// slowFeeder makes the test back end deliver a 300 dpi page in about 1.2 s.
var slowFeeder = map[string]string{"read-delay": "yes", "read-delay-duration": "10000"}

func options(m map[string]string) string {
	b, _ := json.Marshal(m)
	return string(b)
}

func TestPhoneScansFeederThroughGateway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*testenv.Office) // before the node starts
		during func(*testenv.Office) // after the third page
		road   string
	}{
		{name: "QUIC", road: "quic"},
		{name: "UDP dropped from the start", before: func(o *testenv.Office) { o.GateHost.DropUDP() }, road: "tcp"},
		{name: "UDP dropped in mid-job", during: func(o *testenv.Office) { o.GateHost.DropUDP() }, road: "quic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := testenv.NewOffice(t)
			if tt.before != nil {
				tt.before(o)
			}
			o.StartNode(t, testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=sane")
			if got := road(t, o); got != tt.road {
				t.Errorf("the link runs over %s, want %s", got, tt.road)
			}
			p := newPhone(t, o.PhoneHost, gatewayCA(t, o))
			args := []string{"--url", o.PhoneLink, "--source", "adf", "--resolution", "300"}
			if tt.during != nil {
				args = append(args, "--options", options(slowFeeder))
			}
			script := p.start("batch.mjs", args...)
			if tt.during != nil {
				script.Await(`^page 3 committed`, 90*time.Second)
				tt.during(o)
			}
			got := result[batch](t, script, 4*time.Minute)
			if got.State != string(scan.JobCompleted) || !got.Secure {
				t.Errorf("job ended as %s, secure context %t", got.State, got.Secure)
			}
			samePages(t, o, got, 10)
			if tt.during != nil && road(t, o) != "tcp" {
				t.Errorf("after UDP was dropped the link runs over %s", road(t, o))
			}
		})
	}
}

// road is what the gateway says of the node's link.
func road(t testing.TB, o *testenv.Office) string {
	t.Helper()
	out, err := o.Gateway.CLI("gateway", "nodes", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []scan.Node
	if err := json.Unmarshal([]byte(out), &nodes); err != nil || len(nodes) != 1 {
		t.Fatalf("gateway nodes: %v\n%s", err, out)
	}
	return nodes[0].Road
}

func TestGatewayRestartsInMidJob(t *testing.T) {
	o := testenv.NewOffice(t)
	o.StartNode(t, testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=sane")
	p := newPhone(t, o.PhoneHost, gatewayCA(t, o))
	script := p.start("batch.mjs", "--url", o.PhoneLink, "--source", "adf", "--resolution", "300", "--options", options(slowFeeder))
	script.Await(`^page 2 committed`, 90*time.Second)
	o.Gateway.Kill()
	script.Await(`(?i)connection lost`, 30*time.Second)
	o.Gateway.Start()
	o.Gateway.Await(testenv.BrowserLine, testenv.StartTimeout)
	got := result[batch](t, script, 4*time.Minute)
	if got.State != string(scan.JobCompleted) {
		t.Errorf("job ended as %s", got.State)
	}
	samePages(t, o, got, 10) // the same session: the phone did not pair again
}

func TestNodeKilledInMidPage(t *testing.T) {
	o := testenv.NewOffice(t)
	o.StartNode(t, testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=sane")
	p := newPhone(t, o.PhoneHost, gatewayCA(t, o))
	script := p.start("batch.mjs", "--url", o.PhoneLink, "--source", "adf", "--resolution", "300",
		"--options", options(slowFeeder), "--when-stopped", "finish")
	script.Await(`^page 3 committed`, 90*time.Second)
	script.Await(`^page 4 growing`, 30*time.Second)
	o.Node.Kill()
	o.Node.Start()
	o.Node.Await(testenv.LinkedLine, testenv.StartTimeout)
	got := result[batch](t, script, 4*time.Minute)
	job := o.Node.Jobs()[0]
	if job.State != scan.JobCompleted || len(job.Reasons) == 0 {
		t.Errorf("job ended as %s %v, want completed with a partial reason", job.State, job.Reasons)
	}
	if job.Pages < 3 || job.Pages > 4 {
		t.Errorf("%d pages, want the 3 or 4 that were committed", job.Pages)
	}
	samePages(t, o, got, job.Pages)
}

// The browser is closed in mid-job; another one with the same profile sees the job go on.
func TestBrowserClosedAndReopenedInMidJob(t *testing.T) {
	o := testenv.NewOffice(t)
	o.StartNode(t, testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=sane")
	p := newPhone(t, o.PhoneHost, gatewayCA(t, o))
	profile := t.TempDir()
	first := p.start("batch.mjs", "--url", o.PhoneLink, "--source", "adf", "--resolution", "300",
		"--options", options(slowFeeder), "--profile", profile)
	first.Await(`^page 2 committed`, 90*time.Second)
	path := first.Await(`^at (/jobs/\S+)`, 30*time.Second)[1]
	first.Kill()
	second := p.start("batch.mjs", "--url", o.Gateway.URL+path, "--profile", profile, "--follow")
	got := result[batch](t, second, 4*time.Minute)
	if got.State != string(scan.JobCompleted) {
		t.Errorf("job ended as %s", got.State)
	}
	samePages(t, o, got, 10)
}

// A SANE back end resets signal handlers; it must not reset the node's.
func TestSIGTERMStopsNodeAfterSANEScan(t *testing.T) {
	local := testenv.StartLocal(t, []string{testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=sane"})
	if _, err := local.CLI("scan", "-q", "-r", "75", "-o", filepath.Join(t.TempDir(), "x.png")); err != nil {
		t.Fatal(err)
	}
	local.Signal(syscall.SIGTERM)
	if err := local.Wait(10 * time.Second); err != nil {
		t.Errorf("after SIGTERM: %v, want a clean end", err)
	}
	if left := workersOf(t, local.Data); left != "" {
		t.Errorf("workers outlived their node: %s", left)
	}
}

// workersOf lists the processes whose environment or arguments name the data folder.
func workersOf(t testing.TB, data string) string {
	t.Helper()
	var found []string
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		b, err := os.ReadFile(p)
		if err == nil && strings.Contains(string(b), "\x00worker") && strings.Contains(string(b), data) {
			found = append(found, fmt.Sprintf("%s: %q", p, b))
		}
	}
	return strings.Join(found, "; ")
}
