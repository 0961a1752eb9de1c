package mdns

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// steady is a responder that has claimed its names.
func steady(t testing.TB, records ...discovery.Record) (r *responder, l *lan, now time.Time) {
	t.Helper()
	l = &lan{}
	p := l.port("10.0.0.1", "fe80::1/64")
	r = newResponder("platen-a", p, slog.New(slog.DiscardHandler))
	now = time.Now()
	r.want(records, now)
	r.use(p.nets, now)
	for range 20 {
		now = r.step(now)
	}
	if len(r.announced()) != len(records) {
		t.Fatal("the records are not announced")
	}
	l.sent = nil
	return r, l, now
}

// Whatever comes in, what goes out is little and can be read.
func FuzzHear(f *testing.F) {
	for _, m := range []*dns.Msg{
		question1(scannerList, dns.TypePTR), question1(metaName, dns.TypeANY), question1(scannerName, dns.TypeANY), conflict(1),
		{Question: question1(scannerName, dns.TypeANY).Question, Ns: conflict(2).Answer},
		{MsgHdr: dns.MsgHdr{Truncated: true}, Question: question1(scannerList, dns.TypePTR).Question},
		{MsgHdr: dns.MsgHdr{Response: true}, Answer: []dns.RR{&dns.PTR{Hdr: header(scannerList, dns.TypePTR, 0), Ptr: scannerName}}},
	} {
		data, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint16(5353))
		f.Add(data, uint16(40000))
	}
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x0c\x00\x01"), uint16(5353)) // a name that is itself
	f.Fuzz(func(t *testing.T, data []byte, from uint16) {
		r, l, now := steady(t, shared, sharedTLS)
		for _, addr := range []string{"10.0.0.9", "10.0.0.9", "fe80::9"} {
			at := link{index: 1, six: addr == "fe80::9"}
			r.hear(packet{at, netip.AddrPortFrom(netip.MustParseAddr(addr), from), data}, now)
			r.step(now)
		}
		for range 10 {
			now = r.step(now)
		}
		if len(l.sent) > 40 {
			t.Errorf("%d packets went out", len(l.sent))
		}
		for _, h := range l.sent {
			if h.size > maxMessage {
				t.Errorf("a packet of %d bytes went out", h.size)
			}
		}
		if len(r.services) != 2 || len(r.hosts) != 1 || len(r.held) > maxHeld {
			t.Error("the records have changed")
		}
	})
}

// No source takes the others' share, and no number of sources grows the memory.
func TestBudget(t *testing.T) {
	b, now := newBudget(), time.Now()
	took := 0
	for range 1000 {
		if b.take(netip.MustParseAddr("10.0.0.66"), now) {
			took++
		}
	}
	if took != 2*sourceRate {
		t.Errorf("%d packets of one source are looked into at once, want %d", took, 2*sourceRate)
	}
	if !b.take(netip.MustParseAddr("10.0.0.7"), now) {
		t.Error("another source's packet is not looked into")
	}
	addr := netip.MustParseAddr("10.1.0.0")
	for range 5000 {
		now = now.Add(time.Millisecond)
		b.take(addr, now)
		addr = addr.Next()
	}
	if got := len(b.sources); got > maxSources {
		t.Errorf("%d sources are remembered, want at most %d", got, maxSources)
	}
	if now = now.Add(time.Minute); !b.take(netip.MustParseAddr("10.0.0.7"), now) {
		t.Error("after the storm an honest source's packet is not looked into")
	}
}

func BenchmarkHear(b *testing.B) {
	full := &dns.Msg{}
	full.Response = true
	for range 150 {
		full.Answer = append(full.Answer, &dns.PTR{Hdr: header(scannerList, dns.TypePTR, 4500), Ptr: "Another._uscan._tcp.local."})
	}
	for _, bb := range []struct {
		name string
		msg  *dns.Msg
	}{{"question", question1(scannerList, dns.TypePTR)}, {"150 foreign records", full}} {
		b.Run(bb.name, func(b *testing.B) {
			r, _, now := steady(b, shared, sharedTLS)
			data, err := bb.msg.Pack()
			if err != nil {
				b.Fatal(err)
			}
			from := netip.MustParseAddrPort("10.0.0.9:5353")
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second / sourceRate)
				r.hear(packet{link{index: 1}, from, data}, now)
				r.step(now)
			}
		})
	}
}
