package testenv

import (
	"net"
	"os/exec"
	"strconv"
	"testing"
)

// Office is a gateway, a node and a phone.
type Office struct {
	NodeHost, GateHost, PhoneHost *Host

	NodeAddr       string // "" where the phone has no way to it
	GatewayAddr    string // as the phone knows it
	GatewayForNode string // as the node knows it
	PhoneLink      string // a pairing link that was not used yet
	JoinToken      string

	Gateway, Node *Service
}

// NewOffice makes two networks with a gateway between them, a node on one and a phone on the
// other, and starts the gateway with extra environment. The phone has no way to the node.
func NewOffice(t testing.TB, env ...string) *Office {
	t.Helper()
	lab, o := newOffice(t)
	o.GatewayForNode = lab.Network(o.NodeHost, o.GateHost)[1]
	o.GatewayAddr = lab.Network(o.PhoneHost, o.GateHost)[1]
	o.Open(t, env...)
	return o
}

// NewRoom is NewOffice with all three on one network.
func NewRoom(t testing.TB, env ...string) *Office {
	t.Helper()
	o := PlanRoom(t)
	o.Open(t, env...)
	return o
}

// PlanRoom is NewRoom before Open starts the gateway, so that its hosts can be changed.
func PlanRoom(t testing.TB) *Office {
	t.Helper()
	lab, o := newOffice(t)
	addrs := lab.Network(o.NodeHost, o.GateHost, o.PhoneHost)
	o.NodeAddr, o.GatewayForNode, o.GatewayAddr = addrs[0], addrs[1], addrs[1]
	return o
}

// Town is an Office whose node and phone are at home behind a router each, and whose gateway
// is outside. Mobile is another router, which the phone can move behind.
type Town struct {
	*Office
	NodeRouter, PhoneRouter, Mobile *Router
}

// NewTown starts the gateway of a Town. Each host outside knows the way to the homes, for
// those whose router lets it through (Router.Open).
func NewTown(t testing.TB, env ...string) *Town {
	t.Helper()
	lab, o := newOffice(t)
	town := &Town{Office: o, NodeRouter: lab.Router("nr", o.NodeHost), PhoneRouter: lab.Router("pr", o.PhoneHost), Mobile: lab.Router("mobile")}
	o.NodeAddr = town.NodeRouter.Hosts[0]
	outside := lab.Network(o.GateHost, town.NodeRouter.Host, town.PhoneRouter.Host, town.Mobile.Host)
	o.GatewayAddr, o.GatewayForNode = outside[0], outside[0]
	for i, home := range []*Router{town.NodeRouter, town.PhoneRouter} {
		for _, h := range []*Host{o.GateHost, town.NodeRouter.Host, town.PhoneRouter.Host, town.Mobile.Host} {
			if h != home.Host {
				h.Run("ip", "route", "add", home.Hosts[0]+"/32", "via", outside[1+i])
			}
		}
	}
	o.Open(t, env...)
	return town
}

func newOffice(t testing.TB) (*Lab, *Office) {
	t.Helper()
	lab := NewLab(t)
	return lab, &Office{NodeHost: lab.Host("node"), GateHost: lab.Host("gateway"), PhoneHost: lab.Host("phone")}
}

// Open starts the gateway of a planned room, with extra environment.
func (o *Office) Open(t testing.TB, env ...string) {
	t.Helper()
	o.Gateway = &Service{t: t, Host: o.GateHost, Data: t.TempDir()}
	o.Gateway.Run = func() *exec.Cmd {
		return Command(o.GateHost, append([]string{
			"PLATEN_GATEWAY_NAMES=" + o.GatewayAddr + "," + o.GatewayForNode,
			"PLATEN_GATEWAY_PUBLICADDRESS=" + o.GatewayAddr + ":18603",
		}, env...), "--data", o.Gateway.Data, "gateway")
	}
	o.StartGateway()
}

// StartGateway starts the gateway, again if it was killed, and reads its links.
func (o *Office) StartGateway() {
	o.Gateway.t.Helper()
	o.Gateway.Start()
	o.Gateway.URL = o.Gateway.Await(BrowserLine, StartTimeout)[1]
	o.PhoneLink = o.Gateway.Await(PhoneLine, StartTimeout)[1]
	o.JoinToken = o.Gateway.Await(JoinLine, StartTimeout)[1]
}

// StartNode enrols and starts the node, and waits for its link.
func (o *Office) StartNode(t testing.TB, env ...string) {
	t.Helper()
	o.StartNodeOn(t, t.TempDir(), env...)
}

// StartNodeOn is StartNode with a data folder that was made before.
func (o *Office) StartNodeOn(t testing.TB, data string, env ...string) {
	t.Helper()
	o.Node = &Service{t: t, Host: o.NodeHost, Data: data}
	join := []string{"--join", o.JoinToken}
	o.Node.Run = func() *exec.Cmd {
		args := append([]string{"--data", o.Node.Data, "node"}, join...)
		join = nil // once
		return Command(o.NodeHost, env, args...)
	}
	o.Node.Start()
	o.Node.Await(LinkedLine, StartTimeout)
}

// NewGateway is an office on this machine without a node: a gateway on a free loopback port.
func NewGateway(t testing.TB, env ...string) *Office {
	t.Helper()
	o := &Office{Gateway: &Service{t: t, Data: t.TempDir()}}
	env = append([]string{"PLATEN_GATEWAY_PORT=" + FreePort(t), "PLATEN_GATEWAY_HTTPPORT=0", "PLATEN_GATEWAY_NAMES=localhost"}, env...)
	o.Gateway.Run = func() *exec.Cmd { return Command(nil, env, "--data", o.Gateway.Data, "gateway") }
	o.StartGateway()
	return o
}

// NewPair is an office on this machine: gateway and node on free loopback ports.
func NewPair(t testing.TB, env ...string) *Office {
	t.Helper()
	o := NewGateway(t)
	o.StartNode(t, append([]string{"PLATEN_NODE_HTTPPORT=0", "PLATEN_NODE_HTTPSPORT=0"}, env...)...)
	return o
}

// FreePort is a port that was free a moment ago, for services whose port a test must
// know before the start, as a gateway's, which its join tokens name.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
