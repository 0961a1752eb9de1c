package mdns

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// lab is a bubble with a network, a machine that announces, and one that asks.
func lab(t *testing.T, f func(t *testing.T, l *lan, node, asker *port)) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		f(t, l, l.port("10.0.0.1", "fd00::1/64", "fe80::1/64"), l.port("10.0.0.9"))
	})
}

func TestClaimAndAnnounce(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, _ *port) {
		begin := time.Now()
		a, stop := start(t, node, "platen-a", shared, sharedTLS)
		defer stop()
		settled()
		var asked, told []heard
		for _, h := range l.by(node, begin) {
			if h.msg.Response {
				told = append(told, h)
			} else {
				asked = append(asked, h)
			}
		}
		if len(asked) != 2*probes || len(told) != 2*announces {
			t.Fatalf("%d probes and %d announcements, want %d and %d: on two links", len(asked), len(told), 2*probes, 2*announces)
		}
		for _, h := range asked {
			if len(h.msg.Question) != 3 || find(h.msg.Ns, dns.TypeSRV, scannerName) == nil || find(h.msg.Ns, dns.TypeAAAA, "platen-a.local.") == nil {
				t.Errorf("probe without a question for all names or without their data: %v", h.msg)
			}
			if h.msg.Question[0].Qclass != dns.ClassINET {
				t.Error("a probe asks for an answer to one program, which may be another")
			}
		}
		if first := told[0].at.Sub(asked[0].at); first != probes*probeGap {
			t.Errorf("announced %v after the first probe, want %v", first, probes*probeGap)
		}
		if again := told[2].at.Sub(told[0].at); again != announceGap {
			t.Errorf("announced again after %v, want %v", again, announceGap)
		}
		want := []discovery.Record{shared, sharedTLS}
		for i := range want {
			want[i].Host = "platen-a.local"
			want[i].Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}
		}
		if got := a.Announced(); !reflect.DeepEqual(got, want) {
			t.Errorf("Announced() = %+v, want %+v", got, want)
		}
	})
}

// One packet answers all that who looks for scanners wants to know.
func TestOneAnswerIsComplete(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		_, stop := start(t, node, "platen-a", shared, sharedTLS)
		defer stop()
		settled()
		begin := time.Now()
		asker.say(t, question1(scannerList, dns.TypePTR))
		settled()
		got := l.by(node, begin)
		if len(got) != 1 {
			t.Fatalf("%d packets answer, want 1", len(got))
		}
		m := got[0].msg
		if wait := got[0].at.Sub(begin); wait < listGap || wait > listGap+listSpan {
			t.Errorf("answered after %v, want %v to %v", wait, listGap, listGap+listSpan)
		}
		if m.Id != 0 || !m.Authoritative || len(m.Question) != 0 || len(m.Answer) != 1 {
			t.Errorf("answer is not one of multicast DNS: %v", m)
		}
		for _, tt := range []struct {
			rrtype uint16
			name   string
			ttl    uint32
			unique bool
		}{
			{dns.TypePTR, scannerList, 4500, false},
			{dns.TypeSRV, scannerName, 120, true},
			{dns.TypeTXT, scannerName, 4500, true},
			{dns.TypeNSEC, scannerName, 120, true},
			{dns.TypeA, "platen-a.local.", 120, true},
			{dns.TypeAAAA, "platen-a.local.", 120, true},
			{dns.TypeNSEC, "platen-a.local.", 120, true},
		} {
			rr := find(everywhere(m), tt.rrtype, tt.name)
			if rr == nil {
				t.Errorf("no %s of %s", dns.TypeToString[tt.rrtype], tt.name)
			} else if h := rr.Header(); h.Ttl != tt.ttl || (h.Class&flush != 0) != tt.unique {
				t.Errorf("%v: TTL %d, unique %v, want %d, %v", rr, h.Ttl, h.Class&flush != 0, tt.ttl, tt.unique)
			}
		}
		txt := find(m.Extra, dns.TypeTXT, scannerName).(*dns.TXT).Txt
		if want := []string{"txtvers=1", "rs=eSCL", `ty=B\195\164r \"x\" \\ 1`}; !slices.Equal(txt, want) {
			t.Errorf("TXT %q, want %q", txt, want)
		}
		if aaaa := find(m.Extra, dns.TypeAAAA, "platen-a.local.").(*dns.AAAA); aaaa.AAAA.String() != "fd00::1" {
			t.Errorf("AAAA %v: a link-local address is told though there is another", aaaa.AAAA)
		}
	})
}

func TestQuestions(t *testing.T) {
	for _, tt := range []struct {
		name     string
		question *dns.Msg
		want     uint16 // of the answer; 0: nothing is answered
	}{
		{"types", question1(metaName, dns.TypePTR), dns.TypePTR},
		{"instance", question1("sCANNER._USCAN._tcp.LOCAL.", dns.TypeSRV), dns.TypeSRV},
		{"text", question1(scannerName, dns.TypeTXT), dns.TypeSRV},
		{"all of an instance", question1(scannerName, dns.TypeANY), dns.TypeSRV},
		{"host", question1("platen-a.local.", dns.TypeA), dns.TypeA},
		{"a type that a host lacks", question1("platen-a.local.", dns.TypeHINFO), dns.TypeNSEC},
		{"another's type", question1("_ipp._tcp.local.", dns.TypePTR), 0},
		{"another's host", question1("platen-b.local.", dns.TypeA), 0},
		{"another class", &dns.Msg{Question: []dns.Question{{Name: scannerList, Qtype: dns.TypePTR, Qclass: dns.ClassCHAOS}}}, 0},
		{"known answer", &dns.Msg{Question: question1(scannerList, dns.TypePTR).Question, Answer: []dns.RR{
			&dns.PTR{Hdr: header(scannerList, dns.TypePTR, 3000), Ptr: scannerName}}}, 0},
		{"known answer that is old", &dns.Msg{Question: question1(scannerList, dns.TypePTR).Question, Answer: []dns.RR{
			&dns.PTR{Hdr: header(scannerList, dns.TypePTR, 2000), Ptr: scannerName}}}, dns.TypePTR},
		{"probe for our name", &dns.Msg{Question: question1(scannerName, dns.TypeANY).Question, Ns: []dns.RR{
			&dns.SRV{Hdr: header(scannerName, dns.TypeSRV, 120), Port: 1, Target: "other.local."}}}, dns.TypeSRV},
		{"probe for a type list", &dns.Msg{Question: question1(metaName, dns.TypeANY).Question, Ns: []dns.RR{
			&dns.PTR{Hdr: header(metaName, dns.TypePTR, 120), Ptr: scannerList}}}, dns.TypePTR},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(t *testing.T, l *lan, node, asker *port) {
				_, stop := start(t, node, "platen-a", shared)
				defer stop()
				settled()
				begin := time.Now()
				asker.say(t, tt.question)
				settled()
				got := l.by(node, begin)
				if tt.want == 0 {
					if len(got) > 0 {
						t.Errorf("answered %v", got[0].msg)
					}
					return
				}
				if len(got) != 1 || len(got[0].msg.Answer) == 0 || got[0].msg.Answer[0].Header().Rrtype != tt.want {
					t.Errorf("answered %v, want one packet with %s", got, dns.TypeToString[tt.want])
				}
			})
		})
	}
}

// Known answers that did not go into one packet are waited for.
func TestKnownAnswersInSeveralPackets(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		_, stop := start(t, node, "platen-a", shared)
		defer stop()
		settled()
		begin := time.Now()
		ask := question1(scannerList, dns.TypePTR)
		ask.Truncated = true
		asker.say(t, ask)
		time.Sleep(100 * time.Millisecond)
		asker.say(t, &dns.Msg{Answer: []dns.RR{&dns.PTR{Hdr: header(scannerList, dns.TypePTR, 4000), Ptr: scannerName}}})
		settled()
		if got := l.by(node, begin); len(got) > 0 {
			t.Errorf("answered what was known: %v", got[0].msg)
		}
		begin = time.Now()
		asker.say(t, ask)
		settled()
		if got := l.by(node, begin); len(got) != 1 || got[0].at.Sub(begin) < moreKnown {
			t.Errorf("answered %v, want one answer after %v", got, moreKnown)
		}
	})
}

// A program that knows nothing of multicast DNS gets an answer that it understands, and
// whoever gives an address of another network gets none: it may be another's.
func TestPrivateQuestions(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		_, stop := start(t, node, "platen-a", shared)
		defer stop()
		time.Sleep(time.Minute) // so that it is long since this was told to all
		begin := time.Now()
		ask := question1(scannerList, dns.TypePTR)
		ask.Id = 4711
		asker.sayFrom(t, 33333, ask)
		settled()
		got := l.by(node, begin)
		if len(got) != 1 || got[0].to != netip.MustParseAddrPort("10.0.0.9:33333") {
			t.Fatalf("answered %v, want one answer to who asked", got)
		}
		m := got[0].msg
		if m.Id != 4711 || !slices.Equal(m.Question, ask.Question) || find(m.Extra, dns.TypeSRV, scannerName) == nil {
			t.Errorf("answer %v lacks the question or the service", m)
		}
		for _, rr := range everywhere(m) {
			if rr.Header().Ttl > legacyTTL || rr.Header().Class != dns.ClassINET {
				t.Errorf("record %v, want at most %d seconds and an ordinary class", rr, legacyTTL)
			}
		}

		begin = time.Now()
		ask.Question[0].Qclass |= flush // wants an answer alone
		asker.say(t, ask)
		settled()
		if got := l.by(node, begin); len(got) != 2 || got[0].to.Addr() != asker.addr || got[1].to.IsValid() {
			t.Errorf("answered %v, want one answer to who asked and, since it is long ago, one to all", got)
		}

		begin = time.Now()
		l.port("203.0.113.5").sayFrom(t, 33333, ask)
		settled()
		if got := l.by(node, begin); len(got) > 0 {
			t.Errorf("sent %v to an address of another network", got)
		}
	})
}

func TestAnswersAreRare(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		_, stop := start(t, node, "platen-a", shared)
		defer stop()
		settled()
		begin := time.Now()
		for time.Since(begin) < 10*time.Second {
			asker.say(t, question1(scannerList, dns.TypePTR))
			time.Sleep(20 * time.Millisecond)
		}
		settled()
		if got := len(l.by(node, begin)); got < 9 || got > 11 {
			t.Errorf("%d answers to questions of 10 seconds, want one a second", got)
		}
	})
}

// Each shared's records stay together in packets that cross every network.
func TestManyScanners(t *testing.T) {
	lab(t, func(t *testing.T, l *lan, node, asker *port) {
		var records []discovery.Record
		for i := range 40 {
			rec := shared
			rec.Name, rec.Port = fmt.Sprintf("Scanner %d", i), uint16(18630+2*i)
			rec.Text = map[string]string{"rs": "eSCL", "note": strings.Repeat("x", 200)}
			records = append(records, rec)
		}
		a, stop := start(t, node, "platen-a", records...)
		defer stop()
		settled()
		if got := len(a.Announced()); got != 40 {
			t.Errorf("%d records are announced, want 40", got)
		}
		begin := time.Now()
		asker.say(t, question1(scannerList, dns.TypePTR))
		settled()
		for _, h := range l.by(node, time.Time{}) {
			if h.size > maxMessage {
				t.Errorf("a packet of %d bytes, want at most %d", h.size, maxMessage)
			}
		}
		seen := 0
		for _, h := range l.by(node, begin) {
			for _, rr := range h.msg.Answer {
				name := rr.(*dns.PTR).Ptr
				if find(h.msg.Extra, dns.TypeSRV, name) == nil || find(h.msg.Extra, dns.TypeTXT, name) == nil || find(h.msg.Extra, dns.TypeA, "platen-a.local.") == nil {
					t.Errorf("%s is in a packet without its records", name)
				}
				seen++
			}
		}
		if seen != 40 {
			t.Errorf("%d scanners are listed, want 40", seen)
		}
	})
}
