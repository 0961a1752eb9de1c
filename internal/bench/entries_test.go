//go:build bench

package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/internal/testenv"
)

// over3 is a client of HTTP/3 on a host, with the windows of a browser.
func over3(host *testenv.Host) (client *http.Client, end func()) {
	transport := &quic.Transport{Conn: host.ListenPacket("0.0.0.0:0")}
	h3 := &http3.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true,
		QUICConfig: &quic.Config{
			InitialStreamReceiveWindow: 6 << 20, MaxStreamReceiveWindow: 6 << 20,
			InitialConnectionReceiveWindow: 15 << 20, MaxConnectionReceiveWindow: 15 << 20,
		},
		Dial: func(ctx context.Context, addr string, t *tls.Config, c *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp", addr)
			if err != nil {
				return nil, err
			}
			return transport.DialEarly(ctx, to, t, c)
		},
	}
	return &http.Client{Transport: h3}, func() { h3.Close(); transport.Close(); transport.Conn.Close() }
}

// version fetches the page from the gateway over a new connection of a version of HTTP.
func (l link) version(name string) func() error {
	return func() error {
		var c *http.Client
		switch name {
		case "HTTP/3":
			var end func()
			c, end = over3(l.PhoneHost)
			defer end()
		default:
			c = clientOn(l.PhoneHost, name == "HTTP/2")
			defer c.CloseIdleConnections()
		}
		return fetch(c, l.httpsEntry()+l.path(1), l.token, pageBytes)
	}
}

// entering compares the versions of HTTP by which a browser reaches the gateway.
func entering(t *testing.T, r *report) {
	versions := []string{"HTTP/1.1", "HTTP/2", "HTTP/3"}
	rows := []string{}
	for _, congestion := range []string{"bbr", "reno"} {
		l := newLink(t, both, congestion)
		sides := []side{}
		for _, v := range versions {
			sides = append(sides, side{v, l.version(v)})
		}
		if congestion == "bbr" {
			for i, s := range interleave(t, 9, sides...) {
				g, _ := l.cpuPerGB(sides[i].run)
				rows = append(rows, fmt.Sprintf("good | %s | %s | %s | %s | %.1f", roundTrip(t, l.PhoneHost, l.GatewayAddr+":18602"), s.name, s, megabytes(s), g))
			}
		}
		wire := l.PhoneHost.Wire("eth0", testenv.Weather{})
		for _, loss := range []float64{0, 0.001, 0.01} {
			wire.Set(bad(loss))
			rtt := roundTrip(t, l.PhoneHost, l.GatewayAddr+":18602")
			for _, s := range interleave(t, 5, sides...) {
				rows = append(rows, fmt.Sprintf("10 ms, %.1f %% loss, hosts with %s | %s | %s | %s | %.1f | ", loss*100, congestion, rtt, s.name, s, pageBytes/1e6/s.median().Seconds()))
			}
		}
	}
	r.section("Versions of HTTP at the gateway", "The same page through the gateway (link over both), fetched over HTTPS by a Go client on the phone with the windows of a browser, a new connection for each. "+
		"It is the phone's cable that is bad here. CPU is the gateway's. The gateway asks the kernel for BBR on browsers' connections too.")
	r.table("network | round trip | version | time | MB/s | CPU s/GB of the gateway", rows...)
}
