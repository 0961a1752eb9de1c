package unicast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// zone is what a name server knows, in the form of a zone file.
type zone struct {
	mu     sync.Mutex
	rrs    []dns.RR
	broken map[string]bool // names that it cannot answer for
	asked  int
	tcp    int
}

func (z *zone) set(t *testing.T, lines ...string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	z.rrs = nil
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		z.rrs = append(z.rrs, rr)
	}
}

func (z *zone) answer(q *dns.Msg) *dns.Msg {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	r := new(dns.Msg)
	r.SetReply(q)
	name := dns.CanonicalName(q.Question[0].Name)
	if z.broken[name] {
		r.Rcode = dns.RcodeServerFailure
		return r
	}
	for range 2 { // one alias
		for _, rr := range z.rrs {
			h := rr.Header()
			if !strings.EqualFold(h.Name, name) {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok {
				name = c.Target
				r.Answer = append(r.Answer, rr)
				break
			}
			if h.Rrtype == q.Question[0].Qtype && !slices.Contains(r.Answer, rr) {
				r.Answer = append(r.Answer, rr)
			}
		}
	}
	if len(r.Answer) == 0 {
		r.Rcode = dns.RcodeNameError
	}
	return r
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	r := z.answer(q)
	if w.RemoteAddr().Network() == "udp" {
		r.Truncate(udpSize)
	} else {
		z.mu.Lock()
		z.tcp++
		z.mu.Unlock()
	}
	w.WriteMsg(r)
}

// serve makes the zone a name server of this machine.
func (z *zone) serve(t *testing.T) string {
	t.Helper()
	for range 10 { // the same port must be free for TCP
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err != nil {
			udp.Close()
			continue
		}
		for _, s := range []*dns.Server{{PacketConn: udp, Handler: z}, {Listener: tcp, Handler: z}} {
			started, done := make(chan struct{}), make(chan struct{})
			s.NotifyStartedFunc = func() { close(started) }
			go func() { defer close(done); s.ActivateAndServe() }()
			<-started
			t.Cleanup(func() { s.Shutdown(); <-done })
		}
		return udp.LocalAddr().String()
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}

const list = "_uscan._tcp.example.com."

// device are the lines of one scanner.
func device(n int, addrs ...string) []string {
	name := fmt.Sprintf(`B\195\188ro\ \(%d\.\ OG\).%s`, n, list)
	lines := []string{
		list + " 3600 IN PTR " + name,
		fmt.Sprintf("%s 3600 IN SRV 0 0 80 p%d.example.com.", name, n),
		name + ` 3600 IN TXT "txtvers=1" "ty=HP \"x\""`,
	}
	for _, a := range addrs {
		kind := "A"
		if strings.Contains(a, ":") {
			kind = "AAAA"
		}
		lines = append(lines, fmt.Sprintf("p%d.example.com. 3600 IN %s %s", n, kind, a))
	}
	return lines
}

func record(n int, addrs ...string) discovery.Record {
	r := discovery.Record{Type: discovery.TypeScanner, Name: fmt.Sprintf("Büro (%d. OG)", n), Host: fmt.Sprintf("p%d.example.com", n), Port: 80,
		Text: map[string]string{"txtvers": "1", "ty": `HP "x"`}}
	for _, a := range addrs {
		r.Addrs = append(r.Addrs, netip.MustParseAddr(a))
	}
	return r
}

// With a real name server: more instances than a datagram holds, incomplete and bad ones.
func TestServer(t *testing.T) {
	z := &zone{}
	server := z.serve(t)
	var lines []string
	for i := range 80 {
		lines = append(lines, device(i, "203.0.113.9")...)
	}
	z.set(t, lines...)
	got := first(t, New(Config{Domain: "example.com", Servers: []string{server}}))
	if len(got) != discovery.MaxSeen {
		t.Errorf("%d records, want %d", len(got), discovery.MaxSeen)
	}
	if z.tcp == 0 {
		t.Error("nothing was asked over TCP")
	}

	lines = device(1, "2001:db8::1", "203.0.113.1", "127.0.0.1", "169.254.169.254", "fe80::1", "224.0.0.1")
	lines = append(lines, device(2)...)                                                          // no address
	lines = append(lines, device(3, "127.0.0.1")...)                                             // no good address
	lines = append(lines, device(4, "203.0.113.4")[0], device(5, "203.0.113.5")[0])              // PTR only
	lines = append(lines, device(4, "203.0.113.4")[1], "p4.example.com. 3600 IN A 203.0.113.4")  // no TXT
	lines = append(lines, list+" 60 IN PTR x._other._tcp.example.com.", list+" 60 IN PTR "+list) // of another type
	lines = append(lines, device(6)...)                                                          // with an alias
	lines = append(lines, "p6.example.com. 60 IN CNAME q.example.com.", "q.example.com. 60 IN A 203.0.113.6")
	z.set(t, lines...)
	want := []discovery.Record{record(1, "203.0.113.1", "2001:db8::1"), record(6, "203.0.113.6")}
	if got := first(t, New(Config{Domain: "example.com.", Servers: []string{"127.0.0.1:1", server}})); !reflect.DeepEqual(got, want) {
		t.Errorf("seen %+v, want %+v", got, want)
	}
}

// first is the first list that is not empty.
func first(t *testing.T, b *Browser) []discovery.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []discovery.Record
	if err := b.Browse(ctx, []string{discovery.TypeScanner, discovery.TypeNode}, func(list []discovery.Record) {
		if len(list) > 0 {
			got = list
			cancel()
		}
	}); err != nil {
		t.Errorf("Browse = %v, want nil", err)
	}
	return got
}

// A server that does not answer does not hold up the end.
func TestEndsAtOnce(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		silent.ReadFrom(make([]byte, 100))
		cancel()
	}()
	start := time.Now()
	if err := New(Config{Domain: "example.com", Servers: []string{silent.LocalAddr().String()}}).Browse(ctx, []string{discovery.TypeScanner}, func([]discovery.Record) {}); err != nil {
		t.Errorf("Browse = %v, want nil", err)
	}
	if took := time.Since(start); took >= askFor {
		t.Errorf("ended after %v, want at once", took)
	}
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		b := New(Config{Domain: "example.com"})
		b.exchange = func(_ context.Context, m *dns.Msg) (*dns.Msg, error) {
			z.mu.Lock()
			down := z.broken["network"]
			z.mu.Unlock()
			if down {
				return nil, errors.New("no network")
			}
			return z.answer(m), nil
		}
		var lists [][]discovery.Record
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- b.Browse(ctx, []string{discovery.TypeScanner}, func(list []discovery.Record) {
				z.mu.Lock()
				defer z.mu.Unlock()
				lists = append(lists, list)
			})
		}()
		last := func(when string, n int, want ...discovery.Record) {
			t.Helper()
			synctest.Wait()
			z.mu.Lock()
			defer z.mu.Unlock()
			if len(lists) != n || len(lists[n-1]) != len(want) || len(want) > 0 && !reflect.DeepEqual(lists[n-1], want) {
				t.Errorf("%s: list %d is %+v, want list %d, %+v", when, len(lists), lists[len(lists)-1], n, want)
			}
		}
		last("nothing there", 1)
		z.set(t, append(device(1, "203.0.113.1"), device(2, "203.0.113.2")...)...)
		time.Sleep(time.Minute - 1)
		last("before a minute", 1)
		time.Sleep(time.Nanosecond)
		both := []discovery.Record{record(1, "203.0.113.1"), record(2, "203.0.113.2")}
		last("after a minute", 2, both...)

		breaks := func(what ...string) {
			z.mu.Lock()
			defer z.mu.Unlock()
			z.broken = map[string]bool{}
			for _, name := range what {
				z.broken[name] = true
			}
		}
		breaks("p1.example.com.")
		time.Sleep(time.Minute)
		last("one cannot be looked up", 2, both...)
		breaks("network")
		time.Sleep(9 * time.Minute)
		last("no network", 3, both[1])
		time.Sleep(time.Minute)
		last("no network for ten minutes", 4)
		breaks()
		time.Sleep(time.Minute)
		last("again", 5, both...)

		short := device(2, "203.0.113.2")
		short[1] = strings.Replace(short[1], "3600", "1", 1)
		z.set(t, short...)
		time.Sleep(time.Minute)
		last("one less", 6, both[1])
		z.set(t)
		time.Sleep(minEvery)
		last("gone, with a short life", 7)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Browse = %v, want nil", err)
		}
	})
}

// A name server that hangs is no reason to say nothing.
func TestFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{Domain: "example.com"})
		b.exchange = func(ctx context.Context, _ *dns.Msg) (*dns.Msg, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		seen, done := 0, make(chan error)
		go func() { done <- b.Browse(ctx, []string{discovery.TypeScanner}, func([]discovery.Record) { seen++ }) }()
		time.Sleep(firstLook)
		synctest.Wait()
		if seen != 1 {
			t.Errorf("shown %d times in the first second, want once", seen)
		}
		cancel()
		<-done
	})
}

func TestNoDomain(t *testing.T) {
	for _, domain := range []string{"", ".", strings.Repeat("x", 64)} {
		if err := New(Config{Domain: domain}).Browse(t.Context(), nil, nil); err == nil {
			t.Errorf("Browse in %q has no error", domain)
		}
	}
}

func TestServers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("search example.com\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ servers, want []string }{
		{nil, []string{"192.0.2.53:53", "[fe80::1%eth0]:53"}},
		{[]string{"192.0.2.1", "2001:db8::1", "[2001:db8::1]:5300", "ns.example.com"}, []string{"192.0.2.1:53", "[2001:db8::1]:53", "[2001:db8::1]:5300"}},
		{[]string{"ns.example.com", "ns.example.com:54"}, []string{"ns.example.com:53", "ns.example.com:54"}},
	}
	for _, tt := range tests {
		if got, err := servers(tt.servers).addrs(file); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("addrs of %q = %q, %v, want %q", tt.servers, got, err, tt.want)
		}
	}
	if _, err := servers(nil).addrs(file + "x"); err == nil {
		t.Error("no file, no error")
	}
}
