package mdns

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

func TestReadEntries(t *testing.T) {
	name, typ := "Büro (2. OG)", discovery.TypeScanner
	entries, ok := readEntries(response(t, append(device(),
		"_services._dns-sd._udp.local. 10 IN PTR "+uscan,           // lists types
		"_sub._sub."+uscan+" 10 IN PTR x."+uscan,                   // a subtype
		uscan+" 10 IN PTR x._ipp._tcp.local.",                      // not of the type
		uscan+" 10 IN PTR x._uscan._tcp.example.com.",              // not of the network
		"x."+uscan+" 10 IN SRV 0 0 80 p.example.com.",              // not of the network
		`x.`+uscan+` 10 IN SRV 0 0 80 p\.q.local.`,                 // a dot within a label
		"p.example.com. 10 IN A 192.0.2.1",                         // not of the network
		"p.local. 10 CH A 192.0.2.1",                               // not of the Internet
		"_USCAN._tcp.Local. 0 IN PTR Y._uscan._TCP.local.",         // a goodbye, in capitals
		`p.local. 10 IN HINFO "x" "y"`, `p.local. 10 IN TXT "x=y"`, // not of interest
	)...))
	want := []discovery.Entry{
		{Kind: discovery.PTR, Type: typ, Name: name, TTL: 75 * time.Minute},
		{Kind: discovery.SRV, Type: typ, Name: name, Host: "p.local", Port: 80, TTL: 2 * time.Minute, Flush: true},
		{Kind: discovery.TXT, Type: typ, Name: name, Text: []string{"txtvers=1", `ty=HP "x" \ ü`}, TTL: 75 * time.Minute, Flush: true},
		{Kind: discovery.A, Host: "p.local", Addr: netip.MustParseAddr("192.0.2.7"), TTL: 2 * time.Minute, Flush: true},
		{Kind: discovery.AAAA, Host: "p.local", Addr: netip.MustParseAddr("fe80::7"), TTL: 2 * time.Minute, Flush: true},
		{Kind: discovery.PTR, Type: "_uscan._TCP", Name: "Y"},
	}
	if !ok || !reflect.DeepEqual(entries, want) {
		t.Errorf("readEntries() = %+v, %v, want %+v", entries, ok, want)
	}
}

// A name that points at itself, or around in circles, is malformed.
func TestCompressionLoop(t *testing.T) {
	head := []byte{0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0}
	for _, name := range [][]byte{{0xc0, 12}, {1, 'a', 0xc0, 12}, {0xc0, 14, 0xc0, 12}} {
		data := append(append(append([]byte{}, head...), name...), 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1)
		if entries, ok := readEntries(data); ok {
			t.Errorf("readEntries(%x) = %v, want malformed", data, entries)
		}
	}
}

func TestWriteQuestions(t *testing.T) {
	var questions []discovery.Question
	for i := range 100 {
		questions = append(questions, discovery.Question{Kind: discovery.SRV, Type: discovery.TypeScanner, Name: fmt.Sprintf("Scanner.of %d \\ ü\"", i)},
			discovery.Question{Kind: discovery.A, Host: fmt.Sprintf("it's ü %d.local", i)})
	}
	questions = append(questions, discovery.Question{Kind: discovery.A, Host: strings.Repeat("x", 100)}) // cannot be asked
	questions = append(questions, discovery.Question{Kind: discovery.PTR, Type: discovery.TypeScanner})
	var known []discovery.Entry
	for i := range 64 {
		known = append(known, discovery.Entry{Kind: discovery.PTR, Type: discovery.TypeScanner, Name: strings.Repeat("n", 55) + fmt.Sprint(i), TTL: time.Hour})
	}
	packets := writeQuestions(questions, func(q discovery.Question) []discovery.Entry {
		if q.Kind == discovery.PTR {
			return known
		}
		return nil
	})
	asked, answers := map[string]int{}, 0
	for i, data := range packets {
		m := new(dns.Msg)
		if err := m.Unpack(data); err != nil {
			t.Fatal(err)
		}
		answers += len(m.Answer)
		for _, q := range m.Question {
			asked[fmt.Sprint(q.Qtype, q.Name)]++
			if q.Qclass != dns.ClassINET {
				t.Errorf("class %x", q.Qclass)
			}
		}
		if more := answers > 0 && i < len(packets)-1; len(data) > maxMessage || m.Truncated != more || m.Response {
			t.Errorf("packet %d of %d: %d bytes, more follow: %v", i, len(packets), len(data), m.Truncated)
		}
	}
	if len(asked) != 201 || answers != 64 {
		t.Errorf("%d questions with %d answers in %d packets, want 201 with 64", len(asked), answers, len(packets))
	}
	if want, _ := instanceName("Scanner.of 7 \\ ü\"", discovery.TypeScanner); asked[fmt.Sprint(dns.TypeSRV, want)] != 1 {
		t.Errorf("%s was not asked for once: %v", want, asked)
	}
	if host, ok := readHost(`it's\ \195\188\ 7.local.`); !ok || host != "it's ü 7.local" || asked[fmt.Sprint(dns.TypeA, `it\'s\ \195\188\ 7.local.`)] != 1 {
		t.Errorf("a host's name was read as %q, asked for %v", host, asked)
	}
}

// FuzzPacket reads bytes as a packet and believes it: nothing breaks, and what is seen can
// be asked for.
func FuzzPacket(f *testing.F) {
	f.Add(response(f, device()...))
	f.Add(response(f, "_services._dns-sd._udp.local. 10 IN PTR "+uscan))
	f.Add([]byte{0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, ok := readEntries(data)
		if !ok && entries != nil || len(entries) > maxRecords {
			t.Fatalf("%d entries, %v", len(entries), ok)
		}
		now := time.Unix(1e9, 0)
		tab := discovery.NewTable([]string{discovery.TypeScanner}, func() time.Time { return now })
		tab.SetInterfaces(map[string][]netip.Prefix{"eth0": eth0.Prefixes})
		tab.Take(discovery.Answer{Interface: "eth0", From: netip.MustParseAddr("192.0.2.7"), Entries: entries})
		for _, r := range tab.List() {
			if _, err := instanceName(r.Name, r.Type); err != nil {
				t.Errorf("%q cannot be asked for: %v", r.Name, err)
			}
		}
		now = now.Add(time.Second)
		due := tab.Due()
		for _, p := range writeQuestions(due, tab.Known) {
			if len(p) > maxMessage {
				t.Errorf("question of %d bytes", len(p))
			}
		}
	})
}
