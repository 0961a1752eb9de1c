package certs

import (
	"crypto/x509"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

const day = 24 * time.Hour

// When people are told that a certificate ends.
const (
	soonBefore   = 30 * day
	urgentBefore = 7 * day
	lastBefore   = day

	remindEvery = time.Hour // is how often that is looked at
)

// Routes is GET /certificates.
func (s *Store) Routes() []access.Route {
	return []access.Route{{
		Method: http.MethodGet, Path: "/api/v1/certificates", Policy: access.AtLeast(api.RoleOperator).Direct(),
		Handle: func(w http.ResponseWriter, _ *http.Request) error {
			return access.WriteJSON(w, http.StatusOK, api.CertificateList{Items: s.List()})
		},
	}}
}

// List is what serves, and what should and cannot: the CA, the own certificates that
// there are, and one entry for each name that ACME is configured for.
func (s *Store) List() []api.Certificate {
	list := []api.Certificate{s.describeCA()}
	s.mu.RLock()
	for _, name := range slotNames {
		slot := s.slots[name]
		if slot.pair == nil && slot.fault == "" {
			continue
		}
		item := failed(name, api.CertificateSourceOwn, nil)
		if slot.pair != nil {
			item = s.describe(name, api.CertificateSourceOwn, slot.pair.Leaf)
		}
		item.Problem = slot.fault
		list = append(list, item)
	}
	s.mu.RUnlock()
	if s.acme == nil {
		return list
	}
	for _, name := range s.acme.Names {
		item := failed(api.CertificateNameExternal, api.CertificateSourceAcme, []string{name})
		if c := s.acme.certificate(name); c != nil {
			item = s.describe(api.CertificateNameExternal, api.CertificateSourceAcme, c.Leaf)
		}
		if item.Problem = s.acme.fault(name); item.Problem == "" && item.State == api.CertificateStateFailed {
			item.Problem = "It has been asked for and is not there yet."
		}
		list = append(list, item)
	}
	return list
}

// describeCA tells the CA's own end, for its leaves are renewed without anybody.
func (s *Store) describeCA() api.Certificate {
	item := s.describe(api.CertificateNameCa, api.CertificateSourceInternal, s.CA.Certificate())
	leaf, err := s.caLeaf()
	if err != nil {
		item.State, item.Problem = api.CertificateStateFailed, reason(err)
		return item
	}
	item.Hosts = hostsOf(leaf.Leaf)
	s.mu.RLock()
	missing := slices.Clone(s.leftOut)
	s.mu.RUnlock()
	missing = slices.DeleteFunc(missing, func(host string) bool { return s.find(host) != nil })
	if len(missing) > 0 {
		item.Problem = "It may not vouch for " + strings.Join(missing, ", ") + ": use an own certificate or ACME for that."
	}
	return item
}

func failed(name api.CertificateName, source api.CertificateSource, hosts []string) api.Certificate {
	if hosts == nil {
		hosts = []string{}
	}
	return api.Certificate{Name: name, Source: source, Hosts: hosts, State: api.CertificateStateFailed}
}

func (s *Store) describe(name api.CertificateName, source api.CertificateSource, c *x509.Certificate) api.Certificate {
	return api.Certificate{
		Name: name, Source: source, Hosts: hostsOf(c), Issuer: issuerOf(c), Fingerprint: identity.Fingerprint(c),
		NotBefore: scan.At(c.NotBefore), NotAfter: scan.At(c.NotAfter), State: stateOf(c.NotAfter.Sub(s.Now())),
	}
}

func issuerOf(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return c.Issuer.CommonName
	}
	return c.Issuer.String()
}

func stateOf(left time.Duration) api.CertificateState {
	switch {
	case left <= 0:
		return api.CertificateStateExpired
	case left <= urgentBefore:
		return api.CertificateStateUrgent
	case left <= soonBefore:
		return api.CertificateStateSoon
	}
	return api.CertificateStateGood
}

// warn logs each certificate that ends, once for every step: at 30 days, at 7, at 1,
// and every day after its end. What renews itself is warned of, too: by then it should
// have. The steps that each certificate has reached go into the next call.
func (s *Store) warn(done map[string]int) map[string]int {
	next := map[string]int{}
	for _, c := range s.List() {
		if c.NotAfter.IsZero() {
			continue
		}
		left := c.NotAfter.Sub(s.Now())
		key := string(c.Name) + " " + c.NotAfter.String() + " " + strings.Join(c.Hosts, ",")
		next[key] = stepOf(left)
		if next[key] <= done[key] {
			continue
		}
		text := "a certificate ends soon"
		if left <= 0 {
			text = "a certificate has ended: browsers refuse it"
		}
		s.Log.Warn(text, slog.String("certificate", string(c.Name)), slog.String("source", string(c.Source)),
			slog.String("hosts", strings.Join(c.Hosts, " ")), slog.Time("ends", c.NotAfter.Time), slog.Int("daysLeft", int(left/day)))
	}
	return next
}

// stepOf numbers the warnings of one certificate.
func stepOf(left time.Duration) int {
	switch {
	case left > soonBefore:
		return 0
	case left > urgentBefore:
		return 1
	case left > lastBefore:
		return 2
	case left > 0:
		return 3
	}
	return 4 + int(-left/day)
}
