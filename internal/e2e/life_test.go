//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// nodes are the nodes as the gateway's command lists them.
func nodes(t testing.TB, o *testenv.Office) []scan.Node {
	t.Helper()
	out, err := o.Gateway.CLI("gateway", "nodes", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var list []scan.Node
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("gateway nodes: %v\n%s", err, out)
	}
	return list
}

func awaitState(t testing.TB, o *testenv.Office, want scan.NodeState, within time.Duration) scan.Node {
	t.Helper()
	var n scan.Node
	testenv.Eventually(t, "the node is "+string(want), within, func() bool {
		list := nodes(t, o)
		if len(list) > 0 {
			n = list[0]
		}
		return n.State == want
	})
	return n
}

// A node that is revoked while a page comes from it is cut off within five seconds:
// the reader gets no whole page, and the node keeps its own.
func TestRevokedInMidPage(t *testing.T) {
	o := testenv.NewPair(t, testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=sane")
	node := awaitState(t, o, scan.NodeOnline, 20*time.Second)
	user, file := t.TempDir(), filepath.Join(t.TempDir(), "page-%d.jpg")
	args := append([]string{"--data", user, "scan", "--gateway", o.PhoneLink, "-o", file}, slowScan...)
	scanning := testenv.Start(t, "platen scan", testenv.Command(nil, nil, args...))
	scanning.Await(`^page 1:`, time.Minute)
	o.Node.AwaitJob("second page growing", func(j scan.Job) bool { return j.Growing == 2 })
	if _, err := o.Gateway.CLI("gateway", "revoke", node.ID); err != nil {
		t.Fatal(err)
	}
	if err := scanning.Wait(5 * time.Second); err == nil {
		t.Error("the scan went on through a gateway that had revoked the node")
	}
	if n := awaitState(t, o, scan.NodeRevoked, time.Second); n.Scanners != 0 {
		t.Errorf("the revoked node still has %d scanners at the gateway", n.Scanners)
	}
	if _, err := os.Stat(strings.Replace(file, "%d", "2", 1)); err == nil {
		t.Error("half a page was kept as a whole one")
	}
	o.Node.AwaitJob("the node went on", func(j scan.Job) bool { return j.Pages >= 2 })
}

// A gateway that is started again while as many codes are on show as may be starts.
func TestStartWithoutCode(t *testing.T) {
	o := testenv.NewGateway(t)
	for made := 0; ; made++ {
		if _, err := o.Gateway.CLI("pair"); err != nil {
			break
		}
		if made == 100 {
			t.Fatal("there is no end of codes")
		}
	}
	o.Gateway.Kill()
	o.Gateway.Start()
	o.Gateway.Await(`^\s+code\s+none \(too-many-requests`, testenv.StartTimeout)
	o.Gateway.Await(testenv.JoinLine, testenv.StartTimeout)
	if got := nodes(t, o); len(got) != 0 {
		t.Errorf("%d nodes", len(got))
	}
}

// A data folder that was copied to a second machine is found out: both are cut off
// until a person says which is the right one.
func TestClonedNode(t *testing.T) {
	o := testenv.NewOffice(t)
	o.StartNode(t, "PLATEN_NODE_DRIVERS=virtual")
	awaitState(t, o, scan.NodeOnline, 20*time.Second)
	o.Node.Kill()
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", o.Node.Data, copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	for range 2 { // an honest node may be killed and started as often as it likes
		o.Node.Start()
		o.Node.Await(testenv.LinkedLine, testenv.StartTimeout)
		awaitState(t, o, scan.NodeOnline, 20*time.Second)
		o.Node.Kill()
	}
	clone := testenv.Start(t, "clone", testenv.Command(o.NodeHost, []string{"PLATEN_NODE_DRIVERS=virtual"}, "--data", copied, "node"))
	n := awaitState(t, o, scan.NodeQuarantined, 20*time.Second)
	clone.Kill()
	o.Node.Start()
	o.Node.Await(`node-quarantined`, testenv.StartTimeout)
	if got := nodes(t, o)[0].State; got != scan.NodeQuarantined {
		t.Errorf("the node is %s before anybody reinstated it", got)
	}
	if _, err := o.Gateway.CLI("gateway", "reinstate", n.ID); err != nil {
		t.Fatal(err)
	}
	o.Node.Kill() // it would try again by itself, in a minute
	o.Node.Start()
	o.Node.Await(testenv.LinkedLine, testenv.StartTimeout)
	awaitState(t, o, scan.NodeOnline, 20*time.Second)
}

// A node without a token asks; both ends show the same four symbols; a person at the
// gateway approves; a wrong check string enrols nobody.
func TestApproval(t *testing.T) {
	o := testenv.NewOffice(t)
	node := testenv.Start(t, "platen node", testenv.Command(o.NodeHost, []string{"PLATEN_NODE_DRIVERS=virtual"},
		"--data", t.TempDir(), "node", "--gateway", o.GatewayForNode+":18603"))
	check := node.Await(`symbols\s+([2-9A-Z]{4})\b`, testenv.StartTimeout)[1]
	n := awaitState(t, o, scan.NodeWaiting, 20*time.Second)
	if n.Check != check {
		t.Fatalf("the gateway shows %s, the node %s", n.Check, check)
	}
	wrong := "2222"
	if wrong == check {
		wrong = "3333"
	}
	if _, err := o.Gateway.CLI("gateway", "approve", n.ID, wrong); err == nil || !strings.Contains(err.Error(), "check-wrong") {
		t.Errorf("approving with wrong symbols: %v", err)
	}
	if _, err := o.Gateway.CLI("gateway", "approve", n.ID, check); err != nil {
		t.Fatal(err)
	}
	node.Await(testenv.LinkedLine, testenv.StartTimeout)
	awaitState(t, o, scan.NodeOnline, 20*time.Second)
}

// Both ends change their keys, the node at once, and go on with the same ID.
func TestNodeKeyRotation(t *testing.T) {
	o := testenv.NewOffice(t)
	o.StartNode(t, "PLATEN_NODE_DRIVERS=virtual")
	before := awaitState(t, o, scan.NodeOnline, 20*time.Second)
	if _, err := o.Node.CLI("node", "rotate-key"); err != nil {
		t.Fatal(err)
	}
	after := awaitState(t, o, scan.NodeOnline, 20*time.Second)
	if after.ID != before.ID {
		t.Errorf("the node's ID changed from %s to %s", before.ID, after.ID)
	}
	o.Node.Kill()
	o.Node.Start()
	o.Node.Await(testenv.LinkedLine, testenv.StartTimeout)
	if n := awaitState(t, o, scan.NodeOnline, 20*time.Second); n.ID != before.ID {
		t.Errorf("after a restart the node is %s, want %s", n.ID, before.ID)
	}
}
