package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// set reads the text of a value into a field. Its errors go on after "Key: ".
func set(field reflect.Value, text, unit string) error {
	var err error
	switch p := field.Addr().Interface().(type) {
	case *string:
		*p, err = parseText(text, unit)
	case *bool:
		*p, err = parseBool(text)
	case *int:
		*p, err = parsePort(text)
	case *int64:
		*p, err = parseSize(text)
	case *[]string:
		*p, err = parseList(text, unit)
	case *[]netip.Prefix:
		*p, err = parseNetworks(text)
	case *api.Role:
		*p, err = parseRole(text, unit)
	case *scan.Encryption:
		*p, err = parseEncryption(text)
	case *slog.Level:
		*p, err = ParseLevel(text)
	case *Origins:
		*p, err = parseOrigins(text)
	default:
		panic(fmt.Sprintf("config: no parser for %T", p))
	}
	return err
}

// text writes the value of a field as set reads it.
func text(field reflect.Value) string {
	switch p := field.Addr().Interface().(type) {
	case *string:
		return *p
	case *bool:
		return strings.ToUpper(strconv.FormatBool(*p))
	case *int:
		return strconv.Itoa(*p)
	case *int64:
		return sizeText(*p)
	case *[]string:
		return strings.Join(*p, ", ")
	case *[]netip.Prefix:
		return joined(*p)
	case *api.Role:
		return string(*p)
	case *scan.Encryption:
		return cmp.Or(string(*p), encryptionOff)
	case *slog.Level:
		return strings.ToLower(p.String())
	case *Origins:
		return p.String()
	default:
		panic(fmt.Sprintf("config: no text for %T", p))
	}
}

func sizeText(n int64) string {
	for _, u := range []struct {
		suffix string
		shift  uint
	}{{"G", 30}, {"M", 20}, {"K", 10}} {
		if n > 0 && n&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// The ways in which names are proven to an ACME server.
const (
	ChallengeHTTP    = "http"
	ChallengeTLSALPN = "tls-alpn"
	ChallengeDNS     = "dns"

	challenges = "http, tls-alpn or dns" // the unit
)

// maxInstance is how long a name in DNS-SD is at most, with room for a number that makes
// it unique (RFC 6763, section 4.1.1).
const maxInstance = 58 // bytes

func parseText(text, unit string) (string, error) {
	switch {
	case text == "":
		return "", nil
	case unit == "host:port":
		a, err := access.ParseAuthority(text, 0)
		if err != nil || a.Port == 0 {
			return "", fmt.Errorf("%q is not host:port", text)
		}
	case unit == "IP address":
		if a, err := access.ParseAuthority(bracket(text), 0); err != nil || a.Port != 0 || !isAddress(a.Host) {
			return "", fmt.Errorf("%q is not an IP address", text)
		}
	case unit == "https URL":
		if !isSecureURL(text) {
			return "", fmt.Errorf("%q is not an https:// address", text)
		}
	case unit == "a name":
		if len(text) > maxInstance || strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
			return "", fmt.Errorf("%q cannot be announced: %d bytes in one line are the most", text, maxInstance)
		}
	case unit == "ports from-to":
		if _, _, err := parsePorts(text); err != nil {
			return "", err
		}
	case unit == challenges:
		if !slices.Contains([]string{ChallengeHTTP, ChallengeTLSALPN, ChallengeDNS}, text) {
			return "", fmt.Errorf("%q is none of %s", text, challenges)
		}
	default:
		if err := parseLicense(text, unit); err != nil {
			return "", err
		}
	}
	return text, nil
}

// isSecureURL reports whether a service at the address can be trusted with secrets: over
// https, or on this machine.
func isSecureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// bracket makes a bare IPv6 address one as in a URL.
func bracket(s string) string {
	if strings.Count(s, ":") > 1 {
		return "[" + s + "]"
	}
	return s
}

func isAddress(host string) bool {
	return strings.Contains(host, ":") || strings.Trim(host, "0123456789.") == ""
}

func parseBool(text string) (bool, error) {
	switch strings.ToUpper(text) {
	case "TRUE":
		return true, nil
	case "FALSE":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither TRUE nor FALSE", text)
}

func parsePort(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port (0 to 65535; 0 takes any free one)", text)
	}
	return int(n), nil
}

func parseSize(text string) (int64, error) {
	digits, factor := text, int64(1)
	for suffix, f := range map[string]int64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if d, ok := strings.CutSuffix(strings.ToUpper(text), suffix); ok {
			digits, factor = d, f
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is not a size as 512M", text)
	}
	return n * factor, nil
}

// parseList splits at commas.
func parseList(text, unit string) ([]string, error) {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	switch unit {
	case "host names":
		if _, err := access.NewHosts(list...); err != nil {
			return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	case "host:port", unitPins, unitServer:
		for _, part := range list {
			if _, err := parseText(part, unit); err != nil {
				return nil, err
			}
		}
	case "scanner IDs":
		for _, part := range list {
			if _, kind, err := scan.ParseID(part); err != nil || kind != scan.KindScanner {
				return nil, fmt.Errorf("%q is not the ID of a scanner; `platen devices --json` and the gateway's API tell it", part)
			}
		}
	}
	return list, nil
}

// parseNetworks reads addresses and networks; one address is a network of its own.
func parseNetworks(text string) ([]netip.Prefix, error) {
	parts, _ := parseList(text, "")
	var list []netip.Prefix
	for _, part := range parts {
		p, err := netip.ParsePrefix(part)
		if a, notOne := netip.ParseAddr(part); notOne == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is no network as 192.168.1.0/24", part)
		}
		if p != p.Masked() {
			return nil, fmt.Errorf("%q has bits beyond its length; the network is %s", part, p.Masked())
		}
		list = append(list, p)
	}
	return list, nil
}

func joined(networks []netip.Prefix) string {
	words := make([]string, len(networks))
	for i, n := range networks {
		words[i] = n.String()
	}
	return strings.Join(words, ", ")
}

// parsePorts reads a range of ports that are all a user's.
func parsePorts(text string) (first, last uint16, err error) {
	from, to, _ := strings.Cut(text, "-")
	a, errA := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
	if errA != nil || errB != nil || a < 1024 || b < a {
		return 0, 0, fmt.Errorf("%q is no range of ports as 49160-49200", text)
	}
	return uint16(a), uint16(b), nil
}

const encryptionOff = "off"

func parseEncryption(text string) (scan.Encryption, error) {
	switch e := scan.Encryption(strings.ToLower(text)); e {
	case encryptionOff:
		return scan.EncryptionOff, nil
	case scan.EncryptionPreferred, scan.EncryptionRequired:
		return e, nil
	}
	return "", fmt.Errorf("%q is none of off, preferred and required", text)
}

func parseRole(text, unit string) (api.Role, error) {
	if r := api.Role(text); r.Valid() || r == "" && strings.HasSuffix(unit, "or empty") {
		return r, nil
	}
	return "", fmt.Errorf("%q is none of admin, operator, user and kiosk", text)
}

// ParseLevel reads a value of LogLevel.
func ParseLevel(text string) (slog.Level, error) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	if l, ok := levels[strings.ToLower(text)]; ok {
		return l, nil
	}
	return 0, fmt.Errorf("%q is none of debug, info, warn and error", text)
}

func parseOrigins(text string) (Origins, error) {
	var o Origins
	var faults []string
	parts, _ := parseList(text, "")
	for _, part := range parts {
		if part == "*" {
			o.Any = true
			continue
		}
		origin, err := access.ParseOrigin(part)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%q: %v", part, err))
			continue
		}
		o.List = append(o.List, origin)
	}
	if o.Any && len(parts) > 1 {
		faults = append(faults, "* allows all origins, so that it stands alone")
	}
	if len(faults) > 0 {
		return Origins{}, errors.New(strings.Join(faults, "; "))
	}
	return o, nil
}
