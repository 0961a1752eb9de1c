//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// symbolsLine is what a node prints that waits for approval.
const symbolsLine = `^\s+symbols\s+(.+)$`

// nearbyOffice is a gateway and a node on one network, neither of which was told of the other.
type nearbyOffice struct {
	lab                           *testenv.Lab
	gateHost, nodeHost, phoneHost *testenv.Host
	gateway                       *service
}

// service is a process of platen with its data folder.
type service struct {
	*testenv.Process
	host *testenv.Host
	data string
}

func startService(t testing.TB, host *testenv.Host, data string, env []string, args ...string) *service {
	t.Helper()
	cmd := testenv.Command(host, env, append([]string{"--data", data}, args...)...)
	return &service{testenv.Start(t, host.Name, cmd), host, data}
}

// cli runs a command of platen beside the service and decodes what it prints as JSON.
func cli[T any](t testing.TB, s *service, args ...string) T {
	t.Helper()
	var v T
	cmd := testenv.Command(s.host, nil, append([]string{"--data", s.data}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		stderr := ""
		if e, ok := err.(*exec.ExitError); ok {
			stderr = string(e.Stderr)
		}
		t.Fatalf("platen %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	if len(out) > 0 && args[len(args)-1] == "--json" {
		if err := json.Unmarshal(out, &v); err != nil {
			t.Fatalf("platen %s printed %s: %v", strings.Join(args, " "), out, err)
		}
	}
	return v
}

func newNearbyOffice(t testing.TB) *nearbyOffice {
	t.Helper()
	lab := testenv.NewLab(t)
	o := &nearbyOffice{lab: lab, gateHost: lab.Host("gateway"), nodeHost: lab.Host("node"), phoneHost: lab.Host("phone")}
	lab.Network(o.gateHost, o.nodeHost, o.phoneHost)
	o.gateway = startService(t, o.gateHost, t.TempDir(), nil, "gateway")
	o.gateway.Await(testenv.PhoneLine, testenv.StartTimeout)
	return o
}

// node starts a node that was told nothing but which scanners it has.
func (o *nearbyOffice) node(t testing.TB) *service {
	t.Helper()
	return startService(t, o.nodeHost, t.TempDir(), []string{"PLATEN_NODE_DRIVERS=virtual"}, "node")
}

// Node and gateway find each other, one tap on a phone lets the node in, and a scan works.
func TestNearby(t *testing.T) {
	o := newNearbyOffice(t)
	node := o.node(t)
	said := node.Await(symbolsLine, testenv.StartTimeout)[1]
	link := cli[api.Pairing](t, o.gateway, "pair", "--role", "admin", "--json").Url
	got := result[struct {
		batch
		Symbols string   `json:"symbols"`
		Faults  []string `json:"faults"`
	}](t, newPhone(t, o.phoneHost, "").start("nearby.mjs", "--url", link), 2*time.Minute)
	if spoken := strings.ReplaceAll(said, " ", ""); got.Symbols != spoken || len(spoken) != 4 {
		t.Errorf("the gateway shows %q, the node %q", got.Symbols, spoken)
	}
	if got.State != string(scan.JobCompleted) || len(got.Pages) == 0 || got.Pages[0].Digest == "" || len(got.Faults) > 0 {
		t.Errorf("the scan ended as %+v, faults %v", got.batch, got.Faults)
	}
	node.Await(testenv.LinkedLine, testenv.StartTimeout)
}

// Two gateways on a network: the node asks none of them, and says so.
func TestNearbyImpostor(t *testing.T) {
	o := newNearbyOffice(t)
	other := o.lab.Host("impostor")
	o.lab.Network(o.nodeHost, other)
	name, err := os.Hostname() // as the other's: the right name, by another key
	if err != nil {
		t.Fatal(err)
	}
	impostor := startService(t, other, t.TempDir(), []string{"PLATEN_GATEWAY_NAME=" + name}, "gateway")
	impostor.Await(testenv.PhoneLine, testenv.StartTimeout)
	node := o.node(t)
	node.Await(`there are several, so none is asked`, testenv.StartTimeout)
	for _, gateway := range []*service{o.gateway, impostor} {
		if list := cli[[]scan.Node](t, gateway, "gateway", "nodes", "--json"); len(list) != 0 {
			t.Errorf("a gateway was asked: %+v", list)
		}
	}
}

// A node of a branch shows a scanner of the head office to the computers around it, which
// reach neither the gateway nor the scanner's node.
func TestPresence(t *testing.T) {
	lab := testenv.NewLab(t)
	office, gate, branch, computer := lab.Host("office"), lab.Host("gateway"), lab.Host("branch"), lab.Host("computer")
	toGate := lab.Network(office, gate)[1]
	fromBranch := lab.Network(branch, gate)[1]
	at := lab.Network(branch, computer)[0]
	computer.Avahi(t)
	gateway := startService(t, gate, t.TempDir(), []string{"PLATEN_GATEWAY_NAMES=" + toGate + "," + fromBranch}, "gateway")
	gateway.Await(testenv.PhoneLine, testenv.StartTimeout)

	source := testenv.SANEConfig(t, 1)
	token := func() string { return cli[api.JoinToken](t, gateway, "gateway", "token", "--json").Token }
	head := startService(t, office, t.TempDir(), []string{source, "PLATEN_NODE_DRIVERS=sane", "PLATEN_NODE_NAME=Head office"}, "node", "--join", token())
	head.Await(testenv.LinkedLine, testenv.StartTimeout)
	var scanner scan.Scanner
	testenv.Eventually(t, "the scanner is listed", testenv.StartTimeout, func() bool {
		list := cli[api.ScannerList](t, gateway, "devices", "--json")
		if len(list.Items) == 1 {
			scanner = list.Items[0]
		}
		return len(list.Items) == 1
	})

	there := startService(t, branch, t.TempDir(), []string{"PLATEN_NODE_DRIVERS=", "PLATEN_NODE_NAME=Branch", "PLATEN_NODE_EXTERNAL=TRUE"}, "node", "--join", token(), "--present", scanner.ID)
	there.Await(`the gateway does not let this node present a scanner yet`, testenv.StartTimeout)
	asks := func() bool {
		for _, n := range cli[[]scan.Node](t, gateway, "gateway", "nodes", "--json") {
			if n.Name == "Branch" {
				return len(n.Wants) == 1 && n.Wants[0] == scanner.ID
			}
		}
		return false
	}
	testenv.Eventually(t, "the gateway shows what the node asks for", testenv.StartTimeout, asks)
	n := &testenv.Neighbours{NodeHost: branch, Computer: computer, Addr: at}
	if err := computer.Command(t.Context(), "curl", "-s", "-m", "3", "-o", "/dev/null", "http://"+at+":18630/eSCL/ScannerStatus").Run(); err == nil {
		t.Error("the scanner is shared before anybody has allowed it")
	}
	cli[any](t, gateway, "gateway", "present", "Branch", scanner.ID)

	root := n.ESCL(t, testenv.ESCLPort)
	var found []testenv.Found
	testenv.Eventually(t, "the computer finds the scanner", testenv.StartTimeout, func() bool {
		found = computer.AvahiBrowse(t, "_uscan._tcp")
		return len(found) > 0
	})
	if found[0].Name != scanner.Name || found[0].Port != testenv.ESCLPort {
		t.Errorf("avahi-browse finds %+v, want %q", found[0], scanner.Name)
	}
	own := func(text string) bool {
		return strings.HasPrefix(text, "adminurl=http://platen-") && strings.HasSuffix(text, ":18630/")
	}
	if !slices.ContainsFunc(found[0].Text, own) {
		t.Errorf("the text %q does not lead to the scanner's own page", found[0].Text)
	}
	conf := testenv.AirscanConfig(t, "Office", root)
	for _, mode := range []string{"Color", "Gray"} {
		settings := append(f("--mode "+mode+" --resolution 150"), square...)
		want := raster(t, scanimage(t, source, append(settings, "--depth", "8")))
		compare(t, raster(t, scanOver(t, n, conf, append([]string{"-d", "airscan:e0:Office"}, settings...)...)), want)
	}

	cli[any](t, gateway, "gateway", "present", "Branch", scanner.ID, "--withdraw")
	testenv.Eventually(t, "the scanner is shared no more", 45*time.Second, func() bool {
		return computer.Command(t.Context(), "curl", "-sf", "-m", "3", "-o", "/dev/null", root+"/ScannerCapabilities").Run() != nil
	})
}
