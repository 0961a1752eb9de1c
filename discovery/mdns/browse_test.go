package mdns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// bench is a network in memory: tests see what a Browser sends and send it packets.
type bench struct {
	mu     sync.Mutex // the Browser's side holds it; a test's side takes turns
	turns  int
	in     chan packet
	refuse map[link]bool // cannot be opened
	places map[link]bool
	sent   []sent
	start  time.Time
}

type sent struct {
	at   link
	when time.Duration
	msg  *dns.Msg
	size int
}

func (w *bench) open(at *place) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse[at.link] {
		return errors.New("refused")
	}
	w.places[at.link] = true
	return nil
}

func (w *bench) close(at link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.places, at)
}

func (w *bench) send(at *place, to netip.AddrPort, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := new(dns.Msg)
	if err := m.Unpack(data); err != nil || to.IsValid() || !w.places[at.link] {
		return fmt.Errorf("sent to %v at %v, open: %v: %v", to, at.link, w.places[at.link], err)
	}
	w.sent = append(w.sent, sent{at.link, time.Since(w.start), m, len(data)})
	return nil
}

func (w *bench) packets() <-chan packet { return w.in }

// browsing is a Browser at work on a bench.
type browsing struct {
	*bench
	browser  *Browser
	networks []network
	listErr  error
	changed  chan struct{}
	lists    [][]discovery.Record
	stop     func()
}

var (
	eth0 = network{Index: 2, Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("fe80::1/64")}}
	eth1 = network{Index: 3, Name: "eth1", Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}}
)

const uscan = discovery.TypeScanner + "." + domain

func browse(t *testing.T, networks ...network) *browsing {
	b := &browsing{
		bench:    &bench{in: make(chan packet), refuse: map[link]bool{}, places: map[link]bool{}, start: time.Now()},
		browser:  NewBrowser(Config{}),
		networks: networks, changed: make(chan struct{}, 1),
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		list := func() ([]network, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.networks, b.listErr
		}
		b.browser.run(ctx, b, list, b.changed, []string{discovery.TypeScanner, discovery.TypeNode},
			func(list []discovery.Record) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.lists = append(b.lists, list)
			})
	}()
	b.stop = func() {
		cancel()
		<-done
		if len(b.places) > 0 {
			t.Errorf("still open: %v", b.places)
		}
	}
	synctest.Wait()
	return b
}

// after lets time pass.
func (b *browsing) after(d time.Duration) {
	b.mu.Lock() // what the test did comes before what the Browser does
	b.turns++
	b.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
}

func (b *browsing) use(networks ...network) {
	b.networks = networks
	b.after(pollEvery)
}

// hear sends the Browser a response of these records, in the form of a zone file. "!"
// before a record sets the bit that replaces others.
func (b *browsing) hear(t *testing.T, at link, from string, rrs ...string) {
	t.Helper()
	b.in <- packet{at, netip.MustParseAddrPort(from), response(t, rrs...)}
	b.after(showGap)
}

func response(t testing.TB, rrs ...string) []byte {
	t.Helper()
	m := &dns.Msg{Compress: true}
	m.Response, m.Authoritative = true, true
	for _, s := range rrs {
		text, unique := strings.CutPrefix(s, "!")
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		if unique {
			rr.Header().Class |= flush
		}
		m.Answer = append(m.Answer, rr)
	}
	data, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// device is all that a scanner at 192.0.2.7 says of itself.
func device() []string {
	return []string{
		uscan + ` 4500 IN PTR B\195\188ro\ \(2\.\ OG\).` + uscan,
		`!B\195\188ro\ \(2\.\ OG\).` + uscan + ` 120 IN SRV 0 0 80 p.local.`,
		`!B\195\188ro\ \(2\.\ OG\).` + uscan + ` 4500 IN TXT "txtvers=1" "ty=HP \"x\" \\ \195\188"`,
		`!p.local. 120 IN A 192.0.2.7`,
		`!p.local. 120 IN AAAA fe80::7`,
	}
}

func (b *browsing) last() string {
	if len(b.lists) == 0 {
		return "nothing"
	}
	var all []string
	for _, r := range b.lists[len(b.lists)-1] {
		all = append(all, fmt.Sprintf("%s@%s %s:%d %s %v", r.Name, r.Interface, r.Host, r.Port, r.Text["ty"], r.Addrs))
	}
	return strings.Join(all, "; ")
}

const (
	seen = `Büro (2. OG)@eth0 p.local:80 HP "x" \ ü [192.0.2.7 fe80::7%eth0]`
	from = "192.0.2.7:5353"
)

var v4, v6 = link{2, false}, link{2, true}

func TestBrowserQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := browse(t, eth0)
		defer b.stop()
		b.after(3 * time.Hour)
		var times []time.Duration
		for _, s := range b.sent {
			if s.msg.Response || s.msg.Id != 0 || s.msg.RecursionDesired || len(s.msg.Answer) != 0 || len(s.msg.Question) != 2 {
				t.Fatalf("sent %v", s.msg)
			}
			for i, typ := range []string{discovery.TypeScanner, discovery.TypeNode} {
				if q := s.msg.Question[i]; q.Name != typ+"."+domain || q.Qtype != dns.TypePTR || q.Qclass != dns.ClassINET {
					t.Errorf("asked %v", q)
				}
			}
			if s.at == v4 {
				times = append(times, s.when)
			}
		}
		if len(b.sent) != 2*len(times) {
			t.Errorf("%d questions over IPv4 of %d, want half", len(times), len(b.sent))
		}
		// 1+3+9+27+81+243+729+2187 seconds, then every hour.
		gaps := []time.Duration{1, 3, 9, 27, 81, 243, 729, 2187, 3600, 3600}
		if len(times) < 10 || times[0] < firstQuestion || times[0] > firstQuestion+questionSpan {
			t.Fatalf("asked at %v, want ten times, the first after 20 to 120 ms", times)
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i] - times[i-1]; gap < gaps[i-1]*time.Second || gap > gaps[i-1]*time.Second*21/20 {
				t.Errorf("gap %d is %v, want %v s", i, gap, int(gaps[i-1]))
			}
		}
		if len(b.lists) != 1 || len(b.lists[0]) != 0 {
			t.Errorf("seen %v, want one empty list", b.lists)
		}
	})
}

func TestBrowserSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := browse(t, eth0)
		defer b.stop()
		b.hear(t, v4, from, device()...)
		if got := b.last(); got != seen {
			t.Fatalf("seen %s, want %s", got, seen)
		}
		b.hear(t, v6, "[fe80::7]:5353", device()...)
		if len(b.lists) != 1 {
			t.Errorf("the same over IPv6 was shown again: %v", b.lists)
		}
		b.after(5 * time.Second)
		if a := b.sent[len(b.sent)-1].msg.Answer; len(a) != 1 || a[0].(*dns.PTR).Ptr != `Büro\ \(2\.\ OG\).`+uscan && a[0].(*dns.PTR).Ptr != `B\195\188ro\ \(2\.\ OG\).`+uscan || a[0].Header().Class != dns.ClassINET || a[0].Header().Ttl < 4000 {
			t.Errorf("known answers: %v, want the device", a)
		}
		b.hear(t, v4, from, `!B\195\188ro\ \(2\.\ OG\).`+uscan+` 4500 IN TXT "ty=new"`)
		if got, want := b.last(), strings.Replace(seen, `HP "x" \ ü`, "new", 1); got != want {
			t.Errorf("after an update: %s, want %s", got, want)
		}
		b.hear(t, v4, from, uscan+` 0 IN PTR B\195\188ro\ \(2\.\ OG\).`+uscan)
		b.after(time.Second)
		if got := b.last(); got != "" {
			t.Errorf("a second after a goodbye: %s, want none", got)
		}
	})
}

// Everything that a record needs is asked for: what the first packet lacked, and what is
// near its end; what is not answered ends.
func TestBrowserAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := browse(t, eth0)
		defer b.stop()
		asked := func() string {
			var all []string
			for _, s := range b.sent {
				for _, q := range s.msg.Question {
					if s.at == v4 && q.Qtype != dns.TypePTR {
						all = append(all, dns.TypeToString[q.Qtype]+" "+q.Name)
					}
				}
			}
			b.sent = nil
			return strings.Join(all, ", ")
		}
		name := `B\195\188ro\ \(2\.\ OG\).` + uscan
		b.hear(t, v4, from, device()[0])
		b.after(200 * time.Millisecond)
		if got, want := asked(), "SRV "+name+", TXT "+name; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		b.hear(t, v4, from, device()[1:3]...)
		b.after(200 * time.Millisecond)
		if got, want := asked(), "A p.local., AAAA p.local."; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		b.hear(t, v4, from, device()[3:]...)
		if got := b.last(); got != seen {
			t.Fatalf("seen %s, want %s", got, seen)
		}
		b.after(95 * time.Second)
		if got := asked(); got != "" {
			t.Errorf("asked %s, want nothing", got)
		}
		b.after(5 * time.Second)
		if got := asked(); strings.Count(got, "SRV") != 1 || strings.Count(got, "AAAA p") != 1 || strings.Contains(got, "TXT") {
			t.Errorf("at 80 %% of 120 s: asked %s, want for SRV and addresses", got)
		}
		b.after(30 * time.Second)
		if got := b.last(); got != "" {
			t.Errorf("without an answer: %s, want none", got)
		}
	})
}

func TestBrowserIgnores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := browse(t, eth0)
		defer b.stop()
		good := response(t, device()...)
		long := append(slices.Clone(good), make([]byte, maxPacket)...)
		many := slices.Clone(good)
		many[10] = 1 // 256 more records
		question := slices.Clone(good)
		question[2] &^= 0x80
		refused := slices.Clone(good)
		refused[3] |= 5
		var ignored uint64
		for _, tt := range []struct {
			name    string
			at      link
			from    string
			data    []byte
			counted bool
		}{
			{"question", v4, from, question, false},
			{"interface that is not used", link{9, false}, from, good, false},
			{"other port", v4, "192.0.2.7:5354", good, true},
			{"not of this link", v4, "203.0.113.7:5353", good, true},
			{"not of this link, IPv6", v6, "[2001:db8::7]:5353", good, true},
			{"too long", v4, from, long, true},
			{"too many records", v4, from, many, true},
			{"cut off", v4, from, good[:len(good)-3], true},
			{"header only", v4, from, good[:7], true},
			{"empty", v4, from, nil, true},
			{"error", v4, from, refused, true},
		} {
			b.in <- packet{tt.at, netip.MustParseAddrPort(tt.from), tt.data}
			synctest.Wait()
			if tt.counted {
				ignored++
			}
			if got := b.browser.Ignored(); got != ignored || len(b.lists) != 0 {
				t.Errorf("%s: %d ignored, seen %s, want %d and nothing", tt.name, got, b.last(), ignored)
			}
			b.after(50 * time.Millisecond)
		}
		b.after(time.Second)
		for range 30 {
			b.in <- packet{v4, netip.MustParseAddrPort(from), good}
		}
		synctest.Wait()
		if got := b.browser.Ignored() - ignored; got != 10 {
			t.Errorf("%d of 30 packets in a second ignored, want 10", got)
		}
	})
}

func TestBrowserInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := browse(t)
		defer b.stop()
		b.after(time.Second)
		if len(b.lists) != 1 || len(b.sent) != 0 {
			t.Fatalf("without a network: seen %v, sent %v, want one empty list", b.lists, b.sent)
		}
		b.refuse[v4] = true
		b.use(eth0)
		b.after(time.Second)
		if !b.places[v6] || b.places[v4] || len(b.sent) == 0 {
			t.Fatalf("open: %v, sent %d, want IPv6 only", b.places, len(b.sent))
		}
		b.refuse[v4] = false
		b.use(eth0, eth1)
		b.after(time.Second)
		if !b.places[v4] || !b.places[link{3, false}] || b.places[link{3, true}] {
			t.Fatalf("open: %v, want both of eth0, IPv4 of eth1", b.places)
		}
		b.hear(t, v4, from, device()...)
		b.hear(t, link{3, false}, "198.51.100.7:5353", append(device()[:3], "p.local. 120 IN A 198.51.100.7")...)
		both := seen + `; Büro (2. OG)@eth1 p.local:80 HP "x" \ ü [198.51.100.7]`
		if got := b.last(); got != both {
			t.Fatalf("seen %s, want %s", got, both)
		}
		b.use(eth1)
		if got := b.last(); got != strings.TrimPrefix(both, seen+"; ") {
			t.Errorf("after eth0 went: %s", got)
		}

		// Unplugged and plugged in again between two looks.
		b.sent = nil
		again := eth1
		again.Index = 7
		b.networks = []network{again}
		b.changed <- struct{}{}
		b.after(settleTime)
		if got := b.last(); got != "" || b.places[link{3, false}] || !b.places[link{7, false}] {
			t.Errorf("another interface of the same name: %s, open %v", got, b.places)
		}
		b.after(time.Second)
		if len(b.sent) == 0 || b.sent[0].at != (link{7, false}) {
			t.Errorf("sent %v, want questions on the new one", b.sent)
		}

		b.hear(t, link{7, false}, "198.51.100.7:5353", append(device()[:3], "p.local. 120 IN A 198.51.100.7")...)
		b.after(time.Minute) // until the next questions are minutes away
		b.sent = nil
		moved := again
		moved.Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.5/8")}
		b.use(moved)
		if got := b.last(); got != "" {
			t.Errorf("with another subnet: %s, want none", got)
		}
		b.after(time.Second)
		if !slices.ContainsFunc(b.sent, func(m sent) bool { return len(m.msg.Question) >= 2 && m.msg.Question[1].Qtype == dns.TypePTR }) {
			t.Errorf("asked on the new subnet: %v, want all types", b.sent)
		}
		b.listErr = errors.New("broken")
		b.use()
		if !b.places[link{7, false}] {
			t.Error("an error of the list closed an interface")
		}
	})
}

// However much happens, lists come one after the other, and the last one is shown.
func TestBrowserShowsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := browse(t, eth0)
		defer b.stop()
		for i := range 10 {
			b.in <- packet{v4, netip.MustParseAddrPort(from), response(t, append(device()[:4], fmt.Sprintf("p.local. 120 IN A 192.0.2.%d", 100+i))...)}
		}
		synctest.Wait()
		if len(b.lists) != 1 {
			t.Errorf("%d lists at once, want one", len(b.lists))
		}
		b.after(showGap)
		if len(b.lists) != 2 || len(b.lists[1][0].Addrs) != 11 {
			t.Errorf("%d lists, want two, the last one with 11 addresses: %s", len(b.lists), b.last())
		}
	})
}

func TestBrowserSlept(t *testing.T) {
	if slept(2*time.Second, 2*time.Second) || slept(-time.Hour, time.Second) || !slept(time.Hour, 2*time.Second) {
		t.Error("a sleep is one if only the clock on the wall went on")
	}
	synctest.Test(t, func(t *testing.T) {
		w := &bench{places: map[link]bool{}, start: time.Now()}
		types := []string{discovery.TypeScanner, discovery.TypeNode}
		s := &search{browser: NewBrowser(Config{}), wire: w, types: types, table: discovery.NewTable(types, nil), plans: map[string]*plan{}, failed: map[link]bool{}}
		s.use([]network{eth0}, time.Now())
		s.hear(packet{v4, netip.MustParseAddrPort(from), response(t, device()...)})
		s.plans["eth0"].next = time.Now().Add(time.Hour)
		s.wake(time.Now())
		time.Sleep(250 * time.Millisecond) // all is due: what is looked for, and what has to be confirmed
		s.step(time.Now())
		asked := map[dns.Question]int{}
		for _, m := range w.sent {
			for _, q := range m.msg.Question {
				if m.at == v4 {
					asked[q]++
				}
			}
		}
		list := dns.Question{Name: uscan, Qtype: dns.TypePTR, Qclass: dns.ClassINET}
		if len(asked) != 6 || asked[list] != 1 {
			t.Errorf("after a sleep asked %v, want both types and what was known, each once", asked)
		}
	})
}
