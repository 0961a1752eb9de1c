package license

import (
	"fmt"
	"strings"

	"github.com/platen-scan/platen/internal/access"
)

// Pattern is an origin of a key, or with Sub every sub-domain of its host, at any depth.
type Pattern struct {
	Origin access.Origin
	Sub    bool
}

const wildcard = "*."

// ParsePattern reads an origin as in a key: https://app.example.com, or
// https://*.example.com for every sub-domain of example.com and not for itself.
func ParsePattern(text string) (Pattern, error) {
	scheme, host, ok := strings.Cut(text, "://")
	sub := strings.HasPrefix(host, wildcard)
	o, err := access.ParseOrigin(scheme + "://" + strings.TrimPrefix(host, wildcard))
	if !ok || err != nil || sub && !strings.Contains(strings.TrimPrefix(host, wildcard), ".") {
		return Pattern{}, fmt.Errorf("%q is not an origin as https://app.example.com or https://*.example.com", text)
	}
	return Pattern{o, sub}, nil
}

// Matches reports whether the pattern holds the origin.
func (p Pattern) Matches(o access.Origin) bool {
	if !p.Sub {
		return p.Origin == o
	}
	host, ok := strings.CutSuffix(o.Host, "."+p.Origin.Host)
	return ok && host != "" && o.Scheme == p.Origin.Scheme && o.Port == p.Origin.Port
}

// OriginMatches is Pattern.Matches of texts; false if one of them is malformed.
func OriginMatches(pattern, origin string) bool {
	p, err := ParsePattern(pattern)
	if err != nil {
		return false
	}
	o, err := access.ParseOrigin(origin)
	return err == nil && o.String() == origin && p.Matches(o)
}
