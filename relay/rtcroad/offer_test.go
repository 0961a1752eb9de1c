package rtcroad

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"github.com/platen-scan/platen/proto/problem"
)

// chromium is an offer as Chromium 156 makes it.
const chromium = `v=0
o=- 5436391398384397042 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 54609 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.168.1.20
a=candidate:3350409123 1 udp 2113937151 f3a1c2d0-7c1f-4a6b-9f3e-0f1d2c3b4a59.local 54609 typ host generation 0 network-cost 999
a=candidate:842163049 1 udp 1677729535 192.168.1.20 54609 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999
a=candidate:842163050 1 tcp 1518280447 192.168.1.20 9 typ host tcptype active
a=ice-ufrag:Tk0x
a=ice-pwd:3r9cRGUlmQ0mvGJc3b4dZPlM
a=ice-options:trickle
a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
`

// aiortc is one as aiortc 1.4 makes it, by which Python programs speak WebRTC.
const aiortc = `v=0
o=- 4004396490 4004396490 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic:WMS *
m=application 42478 DTLS/SCTP 5000
c=IN IP4 10.77.0.3
a=mid:0
a=sctpmap:5000 webrtc-datachannel 65535
a=max-message-size:65536
a=candidate:021dc94e9270c2d0fd9be09874c6aa06 1 udp 2130706431 10.77.0.3 42478 typ host
a=end-of-candidates
a=ice-ufrag:CgIq
a=ice-pwd:EsxYVRpW9ghcCOIK6vZCCs
a=fingerprint:sha-256 AA:58:3D:7B:AA:90:31:93:F8:A9:E1:AE:E9:23:6F:D4:AA:93:BC:53:39:88:F5:D0:C4:5A:5C:2F:02:3B:C3:54
a=setup:actpass
`

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestParseOffer(t *testing.T) {
	o, err := parseOffer(crlf(chromium), false)
	if err != nil {
		t.Fatal(err)
	}
	want := &offer{
		ufrag: "Tk0x", password: "3r9cRGUlmQ0mvGJc3b4dZPlM", mid: "0", bundle: true,
		fingerprint: "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF",
		candidates:  []candidate{{1677729535, netip.MustParseAddrPort("192.168.1.20:54609"), "srflx"}},
	}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("parseOffer = %+v, want %+v", o, want)
	}

	line := func(of string) string {
		_, rest, _ := strings.Cut(chromium, of)
		rest, _, _ = strings.Cut(rest, "\n")
		return of + rest + "\n"
	}
	media := line("m=application")
	for name, row := range map[string][2]string{
		"nothing":               {chromium, ""},
		"no SDP":                {chromium, "hello"},
		"too long":              {"a=extmap-allow-mixed\n", strings.Repeat("a=x:y\n", maxOffer/6)},
		"two sections":          {media, media + media},
		"video":                 {media, "m=video 9 UDP/TLS/RTP/SAVPF 96\n"},
		"no section":            {chromium[strings.Index(chromium, "m="):], ""},
		"another protocol":      {"UDP/DTLS/SCTP", "TCP/DTLS/SCTP"},
		"another format":        {"webrtc-datachannel", "webrtc-datachannel x"},
		"both ways at once":     {"UDP/DTLS/SCTP", "DTLS/SCTP"},
		"a refused section":     {"m=application 54609", "m=application 0"},
		"no user":               {line("a=ice-ufrag"), ""},
		"a short password":      {line("a=ice-pwd"), "a=ice-pwd:short\n"},
		"an odd user":           {line("a=ice-ufrag"), "a=ice-ufrag:a b c d\n"},
		"an endless user":       {line("a=ice-ufrag"), "a=ice-ufrag:" + strings.Repeat("a", 257) + "\n"},
		"no fingerprint":        {line("a=fingerprint"), ""},
		"a weak fingerprint":    {"sha-256 4A:AD", "sha-1 4A:AD"},
		"a damaged fingerprint": {"4A:AD:B9", "4A:AD:BX"},
		"no role":               {line("a=setup"), ""},
		"another role":          {"actpass", "active"},
		"no name":               {line("a=mid"), ""},
		"another port":          {"sctp-port:5000", "sctp-port:5001"},
		"tiny messages":         {"size:262144", "size:1200"},
	} {
		_, err := parseOffer(crlf(strings.Replace(chromium, row[0], row[1], 1)), false)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != problem.BadRequest || p.Field != "offer" {
			t.Errorf("%s: parseOffer = %v, want %s of offer", name, err, problem.BadRequest)
		}
	}
	for _, fine := range [][2]string{{"size:262144", "size:0"}, {"a=max-message-size:262144\n", ""}, {"a=group:BUNDLE 0\n", ""}, {"sha-256 4A:AD", "SHA-256 4a:ad"}} {
		if _, err := parseOffer(crlf(strings.Replace(chromium, fine[0], fine[1], 1)), false); err != nil {
			t.Errorf("%q: parseOffer = %v", fine[1], err)
		}
	}
}

// An answer names the transport in the words of the offer (RFC 8829, section 5.3.1).
func TestAnswerSpeaksAsTheOffer(t *testing.T) {
	r, err := New(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		chromium: {"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", "a=sctp-port:5000\r\n"},
		aiortc:   {"m=application 9 DTLS/SCTP 5000\r\n", "a=sctpmap:5000 webrtc-datachannel 65535\r\n"},
	} {
		o, err := parseOffer(crlf(text), false)
		if err != nil {
			t.Errorf("parseOffer = %v of\n%s", err, text)
			continue
		}
		answer := (&session{road: r, peer: &peer{offer: o}}).description("ufrag", "password", nil)
		for _, line := range want {
			if !strings.Contains(answer, line) {
				t.Errorf("the answer lacks %q:\n%s", line, answer)
			}
		}
	}
}

func TestCandidates(t *testing.T) {
	for address, want := range map[string]bool{
		"192.168.1.20": true, "203.0.113.5": true, "fd00::5": true, "2001:db8::5": true, "169.254.3.3": true,
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "224.0.0.251": false, "ff02::fb": false,
		"255.255.255.255": false, "fe80::1": false, "fe80::1%eth0": false, "x.local": false, "example.org": false, "1.2.3": false,
	} {
		o, err := parseOffer(crlf(strings.Replace(chromium, "192.168.1.20 54609 typ", address+" 54609 typ", 1)), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(o.candidates) == 1; got != want {
			t.Errorf("a candidate at %s is taken: %v, want %v", address, got, want)
		}
	}
	many := "a=candidate:1 1 udp 1 192.168.1.20 5000 typ host\n"
	o, err := parseOffer(crlf(strings.Replace(chromium, "a=mid:0\n", "a=mid:0\n"+strings.Repeat(many, 3*maxCandidates), 1)), true)
	if err != nil || len(o.candidates) != maxCandidates {
		t.Errorf("%d candidates are taken, %v, want %d", len(o.candidates), err, maxCandidates)
	}
	for _, bad := range []string{"", "1", "1 1 udp x 192.168.1.2 5 typ host", "1 1 udp 1 192.168.1.2 0 typ host", "1 2 udp 1 192.168.1.2 5 typ host",
		"1 1 udp 1 192.168.1.2 5 typ guess", "1 1 udp 1 192.168.1.2 65536 typ host", "1 1 tcp 1 192.168.1.2 5 typ host", "1 1 udp 9999999999 192.168.1.2 5 typ host"} {
		if c, ok := parseCandidate(bad); ok {
			t.Errorf("parseCandidate(%q) = %v", bad, c)
		}
	}
}

// FuzzOffer: what is taken from an offer fits into the answer's lines and suits pion.
func FuzzOffer(f *testing.F) {
	f.Add(crlf(chromium))
	f.Add(crlf(aiortc))
	f.Add(crlf(strings.Replace(chromium, "\na=mid:0", "\na=candidate:1 1 udp 2130706431 10.0.0.1 5 typ host\na=mid:data", 1)))
	f.Add("v=0\r\no=- 0 0 IN IP4 0\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")
	r, err := New(Config{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOffer(text, true)
		if err != nil {
			return
		}
		for _, c := range o.candidates {
			if _, err := c.remote(); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
		s := &session{road: r, peer: &peer{offer: o}}
		answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: s.description("ufrag", "password", nil)}
		parsed, err := answer.Unmarshal()
		if err != nil || len(parsed.MediaDescriptions) != 1 || strings.Count(answer.SDP, "\n") > 16 {
			t.Errorf("the answer cannot be read: %v\n%s", err, answer.SDP)
		}
	})
}

func TestAnswerRefuses(t *testing.T) {
	r := start(t, Config{}, nil)
	for _, offer := range []string{"", "v=0", crlf(strings.Replace(chromium, "a=mid:0\n", "", 1))} {
		_, err := r.Answer(context.Background(), offer, nil)
		if p := problem.From(err); p.Code != problem.BadRequest || p.Field != "offer" {
			t.Errorf("Answer = %v, want %s of offer", err, problem.BadRequest)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if answer, err := r.Answer(ctx, crlf(chromium), nil); err == nil {
		t.Errorf("Answer to nobody = %q", answer)
	}
	r.Close()
	if answer, err := r.Answer(context.Background(), crlf(chromium), nil); err == nil {
		t.Errorf("Answer of a closed road = %q", answer)
	}
}
