package rtcroad

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"github.com/platen-scan/platen/proto/problem"
)

const (
	maxOffer      = 16 << 10 // bytes
	maxCandidates = 32       // of the browser
	sctpPort      = "5000"   // that of every browser

	// What a section says of its transport. Who speaks WebRTC has to know the former way
	// too (RFC 8829, 5.1.2); aiortc offers nothing else.
	section       = "UDP/DTLS/SCTP webrtc-datachannel"
	formerSection = "DTLS/SCTP " + sctpPort
)

// offer is what is taken from a browser's offer. Everything else in it is passed over:
// no text of the browser's reaches what carries it out but what these fields allow.
type offer struct {
	ufrag, password string
	fingerprint     string // "sha-256 AB:CD:…"
	mid             string
	bundle          bool
	former          bool // written as before RFC 8841; the answer must be so too
	candidates      []candidate
}

type candidate struct {
	priority uint32
	at       netip.AddrPort
	kind     string
}

var (
	iceChars   = regexp.MustCompile(`^[A-Za-z0-9+/=_-]+$`)
	hashChars  = regexp.MustCompile(`^[0-9A-F]{2}(:[0-9A-F]{2}){31}$`)
	midChars   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,16}$`)
	candidates = map[string]bool{"host": true, "srflx": true, "prflx": true, "relay": true}
)

// parseOffer reads a browser's offer. Its addresses may be on this machine if loopback
// says so.
func parseOffer(text string, loopback bool) (*offer, error) {
	wrong := func(format string, a ...any) (*offer, error) {
		return nil, problem.New(problem.BadRequest, "the offer is not one of a data channel: "+format, a...).At("offer")
	}
	if len(text) > maxOffer {
		return wrong("it has %d bytes, %d are the most", len(text), maxOffer)
	}
	var parsed sdp.SessionDescription
	if err := parsed.UnmarshalString(text); err != nil {
		return wrong("it cannot be read")
	}
	if n := len(parsed.MediaDescriptions); n != 1 {
		return wrong("it has %d media sections, one is wanted", n)
	}
	media := parsed.MediaDescriptions[0]
	name := media.MediaName
	kind := strings.Join(name.Protos, "/") + " " + strings.Join(name.Formats, " ")
	if name.Media != "application" || kind != section && kind != formerSection || name.Port.Value == 0 {
		return wrong("its section is of another kind")
	}
	o, setup := &offer{former: kind == formerSection}, ""
	for _, a := range append(parsed.Attributes, media.Attributes...) {
		switch value := a.Value; a.Key {
		case "group":
			o.bundle = o.bundle || strings.HasPrefix(value, "BUNDLE")
		case "ice-ufrag":
			o.ufrag = value
		case "ice-pwd":
			o.password = value
		case "fingerprint":
			if kind, hash, _ := strings.Cut(value, " "); strings.EqualFold(kind, "sha-256") {
				o.fingerprint = strings.ToUpper(hash)
			}
		case "setup":
			setup = value
		case "mid":
			o.mid = value
		case "sctp-port":
			if value != sctpPort {
				return wrong("its SCTP port is not %s", sctpPort)
			}
		case "max-message-size":
			if n, err := strconv.ParseUint(value, 10, 64); err != nil || n != 0 && n < maxMessage {
				return wrong("it takes too small messages")
			}
		case "candidate":
			if c, ok := parseCandidate(value); ok && len(o.candidates) < maxCandidates && reachable(c.at, loopback) {
				o.candidates = append(o.candidates, c)
			}
		}
	}
	switch {
	case len(o.ufrag) < 4 || len(o.ufrag) > 256 || !iceChars.MatchString(o.ufrag):
		return wrong("its ICE user is missing or wrong")
	case len(o.password) < 22 || len(o.password) > 256 || !iceChars.MatchString(o.password):
		return wrong("its ICE password is missing or wrong")
	case !hashChars.MatchString(o.fingerprint):
		return wrong("its SHA-256 fingerprint is missing or wrong")
	case setup != "actpass":
		return wrong("it does not leave the setup role to the node")
	case !midChars.MatchString(o.mid):
		return wrong("its section has no name")
	}
	return o, nil
}

// parseCandidate reads "foundation component transport priority address port typ kind …".
// Names (.local) are no addresses, and only UDP is of use.
func parseCandidate(value string) (c candidate, ok bool) {
	f := strings.Fields(value)
	if len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") || f[6] != "typ" || !candidates[f[7]] {
		return c, false
	}
	priority, err := strconv.ParseUint(f[3], 10, 31)
	if err != nil {
		return c, false
	}
	ip, err := netip.ParseAddr(f[4])
	if err != nil || ip.Zone() != "" {
		return c, false
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil || port == 0 {
		return c, false
	}
	return candidate{uint32(priority), netip.AddrPortFrom(ip.Unmap(), uint16(port)), f[7]}, true
}

// reachable says whether packets may be sent to where a browser says it is.
func reachable(at netip.AddrPort, loopback bool) bool {
	ip := at.Addr()
	return ip.IsGlobalUnicast() || ip.IsLinkLocalUnicast() && ip.Is4() || ip.IsLoopback() && loopback
}
