package testenv

import (
	"net"
	"os/exec"
	"strconv"
	"testing"
)

// Office is a gateway between two networks, a node on one and a phone on the other.
// The phone has no route to the node.
type Office struct {
	NodeHost, GateHost, PhoneHost *Host

	GatewayAddr    string // as the phone knows it
	GatewayForNode string // as the node knows it
	PhoneLink      string // a pairing link that was not used yet
	JoinToken      string

	Gateway, Node *Service
}

// NewOffice makes the networks and starts a gateway with extra environment.
func NewOffice(t testing.TB, env ...string) *Office {
	t.Helper()
	lab := NewLab(t)
	o := &Office{NodeHost: lab.Host("node"), GateHost: lab.Host("gateway"), PhoneHost: lab.Host("phone")}
	o.GatewayForNode = lab.Network(o.NodeHost, o.GateHost)[1]
	o.GatewayAddr = lab.Network(o.PhoneHost, o.GateHost)[1]
	o.Gateway = &Service{t: t, Host: o.GateHost, Data: t.TempDir()}
	o.Gateway.Run = func() *exec.Cmd {
		return Command(o.GateHost, append([]string{
			"PLATEN_GATEWAY_NAMES=" + o.GatewayAddr + "," + o.GatewayForNode,
			"PLATEN_GATEWAY_PUBLICADDRESS=" + o.GatewayAddr + ":18603",
		}, env...), "--data", o.Gateway.Data, "gateway")
	}
	o.StartGateway()
	return o
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
