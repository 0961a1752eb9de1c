//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// service is a node or gateway under test.
type service struct {
	*testenv.Process
	t    testing.TB
	host *testenv.Host // nil: this machine
	data string
	url  string // as a browser opens it
	run  func() *exec.Cmd
}

// browserLine and so on are the lines that services print at start.
const (
	startTimeout = 20 * time.Second
	readyLine    = `^\s+this computer\s+(\S+)`
	browserLine  = `^\s+browsers\s+(\S+)`
	phoneLine    = `^\s+phone\s+(https://\S+)`
	joinLine     = `(platen-join\.\S+)`
	linkedLine   = `linked to gateway`
)

// command prepares platen on a host with extra environment.
func command(host *testenv.Host, env []string, args ...string) *exec.Cmd {
	bin := filepath.Join(testenv.Root(), "bin", "platen")
	var cmd *exec.Cmd
	if host == nil {
		cmd = exec.Command(bin, args...)
	} else {
		cmd = host.Command(context.Background(), append([]string{bin}, args...)...)
	}
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// startLocal runs local mode on a free port.
func startLocal(t testing.TB, env []string, args ...string) *service {
	t.Helper()
	s := &service{t: t, data: t.TempDir()}
	env = append([]string{"PLATEN_NODE_HTTPPORT=0"}, env...)
	s.run = func() *exec.Cmd { return command(nil, env, append([]string{"--data", s.data}, args...)...) }
	s.start()
	s.url = s.Await(readyLine, startTimeout)[1]
	return s
}

// start starts the service, again if it was killed.
func (s *service) start() {
	s.t.Helper()
	s.Process = testenv.Start(s.t, "platen", s.run())
}

// office is a gateway between two networks, a node on one and a phone on the other.
// The phone has no route to the node.
type office struct {
	lab                  *testenv.Lab
	nodeHost, gateHost   *testenv.Host
	phoneHost            *testenv.Host
	gatewayAddr          string // as the phone knows it
	gatewayForNode       string // as the node knows it
	gateway, node        *service
	phoneLink, joinToken string
}

// newOffice makes the networks and starts a gateway.
func newOffice(t testing.TB) *office {
	t.Helper()
	lab := testenv.NewLab(t)
	o := &office{lab: lab, nodeHost: lab.Host("node"), gateHost: lab.Host("gateway"), phoneHost: lab.Host("phone")}
	o.gatewayForNode = lab.Network(o.nodeHost, o.gateHost)[1]
	o.gatewayAddr = lab.Network(o.phoneHost, o.gateHost)[1]
	o.gateway = &service{t: t, host: o.gateHost, data: t.TempDir()}
	o.gateway.run = func() *exec.Cmd {
		return command(o.gateHost, []string{
			"PLATEN_GATEWAY_NAMES=" + o.gatewayAddr + "," + o.gatewayForNode,
			"PLATEN_GATEWAY_PUBLICADDRESS=" + o.gatewayAddr,
		}, "--data", o.gateway.data, "gateway")
	}
	o.startGateway()
	return o
}

func (o *office) startGateway() {
	o.gateway.t.Helper()
	o.gateway.start()
	o.gateway.url = o.gateway.Await(browserLine, startTimeout)[1]
	o.phoneLink = o.gateway.Await(phoneLine, startTimeout)[1]
	o.joinToken = o.gateway.Await(joinLine, startTimeout)[1]
}

// startNode enrols and starts the node, and waits for its link.
func (o *office) startNode(t testing.TB, env ...string) {
	t.Helper()
	o.node = &service{t: t, host: o.nodeHost, data: t.TempDir()}
	join := []string{"--join", o.joinToken}
	o.node.run = func() *exec.Cmd {
		args := append([]string{"--data", o.node.data, "node"}, join...)
		join = nil // once
		return command(o.nodeHost, env, args...)
	}
	o.node.start()
	o.node.Await(linkedLine, startTimeout)
}

// cli runs platen to its end on the service's host and data folder.
func (s *service) cli(args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := command(s.host, nil, append([]string{"--data", s.data}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("platen %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), err
}

// jobs asks the service for its jobs, as the CLI does.
func (s *service) jobs() []scan.Job {
	s.t.Helper()
	out, err := s.cli("jobs", "--json")
	if err != nil {
		s.t.Fatal(err)
	}
	var jobs []scan.Job
	if err := json.Unmarshal([]byte(out), &jobs); err != nil {
		s.t.Fatalf("jobs --json: %v\n%s", err, out)
	}
	return jobs
}

// awaitJob waits until the newest job fits.
func (s *service) awaitJob(what string, fits func(scan.Job) bool) scan.Job {
	s.t.Helper()
	var last scan.Job
	eventually(s.t, what, 60*time.Second, func() bool {
		jobs := s.jobs()
		if len(jobs) == 0 {
			return false
		}
		last = jobs[0]
		return fits(last)
	})
	return last
}

// eventually polls a condition of another process.
func eventually(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// ownClient is an API client with the credentials that a service leaves in its data
// folder; only for services on this machine.
func (s *service) get(path string) (*http.Response, error) {
	var e struct{ URL, Token string }
	b, err := os.ReadFile(filepath.Join(s.data, "keys", "local.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	req, err := http.NewRequest("GET", e.URL+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+e.Token)
	return http.DefaultClient.Do(req)
}
