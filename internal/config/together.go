package config

// together judges values that must fit each other.
func (l *loader) together() {
	n, g := l.config.Node, l.config.Gateway
	l.distinct([]port{
		{"[node] HTTPPort", n.HTTPPort}, {"[node] HTTPSPort", n.HTTPSPort},
		{"[node] SetupHTTPPort", n.SetupHTTPPort}, {"[node] SetupHTTPSPort", n.SetupHTTPSPort}})
	l.distinct([]port{
		{"[gateway] HTTPPort", g.HTTPPort}, {"[gateway] Port", g.Port},
		{"[gateway] SetupHTTPPort", g.SetupHTTPPort}, {"[gateway] SetupHTTPSPort", g.SetupHTTPSPort}})
	l.distinct([]port{{"[node] HTTPSPort", n.HTTPSPort}, {"[roads] WebRTCPort", l.config.Roads.WebRTCPort}})
	k := l.config.Tracking
	l.distinct([]port{{"[tracking] Port", k.Port}, {"[tracking] SetupHTTPPort", k.SetupHTTPPort}, {"[tracking] SetupHTTPSPort", k.SetupHTTPSPort}})
	l.license()
	if o := l.config.OIDC; o.Issuer != "" && o.DefaultRole == "" && len(o.AdminGroups)+len(o.OperatorGroups)+len(o.UserGroups)+len(o.KioskGroups) == 0 {
		l.needed("[oidc] DefaultRole", "with Issuer it is needed, or groups that have a role: else nobody is let in", "[oidc] Issuer")
	}
	if o := l.config.OIDC; o.Issuer != "" && o.ClientID == "" {
		l.needed("[oidc] ClientID", "it is needed with Issuer", "[oidc] Issuer")
	}
	t := l.config.TLS
	l.pair("[tls] LocalCertificate", t.LocalCertificate, "[tls] LocalKey", t.LocalKey)
	l.pair("[tls] ExternalCertificate", t.ExternalCertificate, "[tls] ExternalKey", t.ExternalKey)
	l.acme(l.config.ACME)
}

func (l *loader) acme(a ACME) {
	switch {
	case len(a.Names) > 0 && !a.Agree:
		l.needed("[acme] Agree", "certificates for Names are had only by agreeing to the terms of the ACME server", "[acme] Names")
	case len(a.Names) == 0 && a.Agree:
		l.needed("[acme] Names", "there is no name to get a certificate for", "[acme] Agree")
	}
	if len(a.Names) > 0 && a.Directory == "" {
		l.needed("[acme] Directory", "it is needed with Names", "[acme] Names")
	}
	if a.Challenge == ChallengeDNS && a.DNSHook == "" {
		l.needed("[acme] DNSHook", "it is needed with Challenge=dns", "[acme] Challenge")
	}
}

// needed is a fault of a key that is missing or set to what cannot be, because of others.
func (l *loader) needed(key, reason string, because ...string) {
	l.fault(l.at(append([]string{key}, because...)...), key, "%s", reason)
}

type port struct {
	key    string
	number int
}

// distinct finds ports that are there twice. 0 is any free one.
func (l *loader) distinct(ports []port) {
	for i, p := range ports {
		for _, before := range ports[:i] {
			if p.number != 0 && p.number == before.number {
				l.fault(l.at(p.key, before.key), p.key, "%s has the same port, %d", before.key, p.number)
				break
			}
		}
	}
}

// pair judges a certificate and its key, which make sense only together.
func (l *loader) pair(certificate, file, key, keyFile string) {
	switch {
	case file != "" && keyFile == "":
		l.fault(l.at(certificate), key, "it is needed with %s", certificate)
	case file == "" && keyFile != "":
		l.fault(l.at(key), certificate, "it is needed with %s", key)
	}
}
