package discovery

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Clean makes a name from the network one that can be shown: valid UTF-8 in its composed
// form, without control characters and without those that turn the direction of the text
// around it, at most MaxName bytes long. It is "" if nothing is left.
func Clean(name string) string {
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == utf8.RuneError || c == '\u2028' || c == '\u2029' {
			return -1
		}
		return c
	}, name[:min(len(name), 4*MaxName)])
	return Cut(norm.NFC.String(name), MaxName)
}

// ValidHost reports whether a host's name can be used and shown as it came.
func ValidHost(host string) bool {
	return host != "" && len(host) <= 253 && utf8.ValidString(host) && !strings.ContainsFunc(host, func(c rune) bool {
		return unicode.IsControl(c) || c != ' ' && unicode.IsSpace(c) || unicode.Is(unicode.Bidi_Control, c) || strings.ContainsRune(`/\@:#?[]<>"`, c)
	})
}

// ParseText reads the strings of a TXT record (RFC 6763, section 6): of a key that comes
// twice the first counts, one without "=" is there and empty. What goes beyond MaxText is
// not read, keys are of printable ASCII, values lose what cannot be shown.
func ParseText(text []string) map[string]string {
	pairs := map[string]string{}
	size := 0
	for _, s := range text {
		if size += len(s) + 1; size > MaxText {
			break
		}
		key, value, _ := strings.Cut(s, "=")
		if key == "" || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
			continue
		}
		key = strings.ToLower(key)
		if _, twice := pairs[key]; twice {
			continue
		}
		pairs[key] = strings.Map(func(c rune) rune {
			if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) {
				return -1
			}
			return c
		}, strings.ToValidUTF8(value, ""))
	}
	return pairs
}

// Unescape undoes what is done in the text form of DNS to bytes of labels and strings that
// have a meaning there (RFC 1035, section 5.1).
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		case i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]):
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
		default:
			i++
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// metadata is where clouds keep the secrets of a machine.
var metadata = netip.MustParseAddr("169.254.169.254")

// Usable reports whether an address that somebody announced may be spoken to at all: not
// this machine's loopback, not a group, nor where clouds keep their secrets.
func Usable(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsValid() && !addr.IsLoopback() && !addr.IsMulticast() && !addr.IsUnspecified() &&
		addr.WithZone("") != metadata && !(addr.Is4() && (addr.As4()[0] == 0 || addr.As4()[0] >= 240))
}
