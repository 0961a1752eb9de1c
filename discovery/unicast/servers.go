package unicast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

const (
	udpSize    = 1232 // what crosses any network in one piece
	askFor     = 2 * time.Second
	maxServers = 3
	resolvConf = "/etc/resolv.conf"
)

// servers are name servers as configured. At most maxServers are asked.
type servers []string

// exchange asks one after the other, each at most twice, until one answers.
func (s servers) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	addrs, err := s.addrs(resolvConf)
	if err != nil {
		return nil, err
	}
	var last *dns.Msg
	failed := errors.New("no name server")
	for range 2 {
		for _, addr := range addrs {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r, err := ask(ctx, m, addr)
			switch {
			case err != nil:
				failed = fmt.Errorf("asking a name server: %w", err)
			case r.Rcode == dns.RcodeSuccess || r.Rcode == dns.RcodeNameError:
				return r, nil
			default:
				last = r
			}
		}
		if last != nil {
			return last, nil // all that answer refuse
		}
	}
	return nil, failed
}

// ask asks one server: again over TCP if the answer was too long.
func ask(ctx context.Context, m *dns.Msg, addr string) (*dns.Msg, error) {
	r, err := askOver(ctx, "udp", m, addr)
	if err == nil && r.Truncated {
		r, err = askOver(ctx, "tcp", m, addr)
	}
	if err != nil {
		return nil, err
	}
	if len(r.Question) != 1 || r.Question[0].Qtype != m.Question[0].Qtype || dns.CanonicalName(r.Question[0].Name) != dns.CanonicalName(m.Question[0].Name) {
		return nil, errors.New("the answer is to another question")
	}
	return r, nil
}

func askOver(ctx context.Context, network string, m *dns.Msg, addr string) (*dns.Msg, error) {
	c := dns.Client{Net: network, Timeout: askFor, UDPSize: udpSize}
	conn, err := c.DialContext(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // an exchange does not end with its context
	defer stop()
	r, _, err := c.ExchangeWithConnContext(ctx, m, conn)
	return r, err
}

// addrs are the servers with their ports; those of a file if there are none.
func (s servers) addrs(file string) ([]string, error) {
	list, port := []string(s), "53"
	if len(list) == 0 {
		c, err := dns.ClientConfigFromFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the name servers of the system: %w", err)
		}
		list, port = c.Servers, c.Port
	}
	var addrs []string
	for _, server := range list[:min(len(list), maxServers)] {
		if addr, err := netip.ParseAddr(server); err == nil {
			server = net.JoinHostPort(addr.String(), port)
		} else if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(server, port)
		}
		addrs = append(addrs, server)
	}
	return addrs, nil
}
