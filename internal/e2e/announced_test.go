//go:build e2e

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/testenv"
)

// platenOn starts platen on a host of a lab.
func platenOn(t *testing.T, on *testenv.Host, env []string, args ...string) *testenv.Process {
	t.Helper()
	env = append([]string{"PLATEN_NODE_DRIVERS=virtual"}, env...)
	return testenv.Start(t, on.Name+" platen", testenv.Command(on, env, append([]string{"--data", t.TempDir()}, args...)...))
}

// avahiSees waits until avahi-browse lists something of a type by IPv4, and returns that.
func avahiSees(t *testing.T, on *testenv.Host, typ string) (list []testenv.Found) {
	t.Helper()
	testenv.Eventually(t, "avahi-browse lists "+typ, testenv.StartTimeout, func() bool {
		list = slices.DeleteFunc(on.AvahiBrowse(t, typ), func(f testenv.Found) bool { return f.V6 })
		return len(list) > 0
	})
	return list
}

// speaksMulticast reports whether somebody on the host listens to multicast DNS, as ss shows it.
func speaksMulticast(on *testenv.Host) bool {
	return regexp.MustCompile(`:5353\s`).MatchString(on.Run("ss", "-uanH"))
}

// Gateways and nodes that let others in, and shared scanners, are seen by programs that
// know nothing of Platen, and say goodbye.
func TestPlatenIsSeen(t *testing.T) {
	d := newDesks(t)
	gate := platenOn(t, d.third, nil, "gateway")
	gate.Await(testenv.BrowserLine, testenv.StartTimeout)
	found := avahiSees(t, d.desk, discovery.TypeGateway)
	if f := found[0]; len(found) != 1 || f.Port != 18603 || f.Addr != d.addr[2] && f.Addr != d.addr6[2] || !strings.HasPrefix(f.Host, "platen-") {
		t.Errorf("avahi-browse lists gateways %+v, want one at %s:18603", found, d.addr[2])
	}
	for _, want := range []string{`^txtvers=1$`, `^id=.{8,}$`, `^api=1$`, `^fp=[0-9a-f]{8}$`} {
		if !slices.ContainsFunc(found[0].Text, regexp.MustCompile(want).MatchString) {
			t.Errorf("the gateway's text %q has nothing like %s", found[0].Text, want)
		}
	}

	node := platenOn(t, d.node, []string{"PLATEN_NODE_EXTERNAL=TRUE", "PLATEN_ESCL_ENABLE=TRUE", "PLATEN_NODE_FINDGATEWAY=FALSE", "PLATEN_BONJOUR_NAME=Büro 3 (hinten)", "PLATEN_BONJOUR_TAG=floor-3"}, "node")
	node.Await(testenv.ReadyLine, testenv.StartTimeout)
	found = avahiSees(t, d.desk, discovery.TypeNode)
	if f := found[0]; len(found) != 1 || f.Name != "Büro 3 (hinten)" || f.Port != 18623 || !slices.Contains(f.Text, "joined=F") || !slices.Contains(f.Text, "tag=floor-3") {
		t.Errorf("avahi-browse lists nodes %+v, want one with the configured name and tag at port 18623", found)
	}
	for typ, port := range map[string]int{discovery.TypeScanner: testenv.ESCLPort, discovery.TypeSecureScanner: testenv.ESCLPort + 1} {
		found = avahiSees(t, d.desk, typ)
		if i := slices.IndexFunc(found, func(f testenv.Found) bool { return f.Port == port }); i < 0 {
			t.Errorf("avahi-browse %s lists %+v, want one at port %d", typ, found, port)
		} else if !slices.Contains(found[i].Text, "rs=eSCL") {
			t.Errorf("the scanner's text %q has no path", found[i].Text)
		}
	}
	packets := asks(t, d.third, "eth0", d.addr[0], discovery.TypeScanner+".local.")
	if len(packets) == 0 || !strings.Contains(types(packets[0]), "+A:1") || !strings.Contains(types(packets[0]), "+TXT:") {
		t.Errorf("scanners are not told complete in one answer: %v", packets)
	}
	node.Signal(syscall.SIGTERM)
	if err := node.Wait(15 * time.Second); err != nil {
		t.Errorf("the node ended with %v", err)
	}
	for _, typ := range []string{discovery.TypeNode, discovery.TypeScanner, discovery.TypeSecureScanner} {
		testenv.Eventually(t, "the end of "+typ, 5*time.Second, func() bool { return len(d.desk.AvahiBrowse(t, typ)) == 0 })
	}
}

// What nobody else may use announces nothing and has no port open for it.
func TestPlatenIsNotSeen(t *testing.T) {
	lab := testenv.NewLab(t)
	desk := lab.Host("desk")
	rows := []struct {
		host string
		env  []string
		args []string
		line string // when it is up
	}{
		{"local", nil, nil, testenv.ReadyLine},
		{"loopback", []string{"PLATEN_NODE_FINDGATEWAY=FALSE"}, []string{"node"}, testenv.ReadyLine},
		{"off", []string{"PLATEN_BONJOUR_ENABLE=FALSE", "PLATEN_NODE_EXTERNAL=TRUE", "PLATEN_ESCL_ENABLE=TRUE", "PLATEN_NODE_FINDGATEWAY=FALSE"}, []string{"node"}, testenv.ReadyLine},
		{"gateway", []string{"PLATEN_BONJOUR_ENABLE=FALSE"}, []string{"gateway"}, testenv.BrowserLine},
	}
	hosts := []*testenv.Host{desk}
	for _, row := range rows {
		hosts = append(hosts, lab.Host(row.host))
	}
	lab.Network(hosts...)
	desk.Avahi(t)
	for i, row := range rows {
		platenOn(t, hosts[i+1], row.env, row.args...).Await(row.line, testenv.StartTimeout)
	}
	witness := startPeer(t, desk, "platen-witness") // so that nothing seen means something
	witness.announce(ours()[0])
	if got := avahiSees(t, desk, discovery.TypeNode); len(got) != 1 || got[0].Name != ours()[0].Name {
		t.Errorf("avahi-browse lists nodes %+v, want none but the witness", got)
	}
	for _, typ := range everyType[1:] {
		if got := desk.AvahiBrowse(t, typ); len(got) > 0 {
			t.Errorf("avahi-browse %s lists %+v, want nothing", typ, got)
		}
	}
	if !speaksMulticast(desk) {
		t.Error("ss does not show the ports of the witness")
	}
	for i, row := range rows {
		if speaksMulticast(hosts[i+1]) {
			t.Errorf("%s has a port for multicast DNS open", row.host)
		}
	}
}
