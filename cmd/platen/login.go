package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

type loginCmd struct {
	Gateway string `arg:"" help:"Address of the gateway, as https://gateway:18603."`
	CA      string `help:"Fingerprint of the gateway's CA, as its certificate page shows it; without it the system's certificates decide." placeholder:"FINGERPRINT"`
}

// Run signs this machine's commands in at a gateway: a person allows it in a browser.
func (cmd *loginCmd) Run(s *session) error {
	u, err := url.Parse(cmd.Gateway)
	if err != nil || u.Host == "" || u.Scheme != "https" {
		return fmt.Errorf("%w: the gateway's address is like https://gateway:18603", errUsage)
	}
	e := endpoint{URL: "https://" + u.Host, CA: cmd.CA}
	c, err := newClient(e)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	g, err := api.Decode[api.DeviceGrant](c.CreateDeviceGrant(s.ctx, api.DeviceGrantRequest{Device: "platen on " + host}))
	if err != nil {
		return explainTrust(err)
	}
	fmt.Fprintf(s.stderr, "Open %s in a browser where you are signed in, and type the code %s %s\n", g.VerificationUrl, g.UserCode[:4], g.UserCode[4:])
	got, err := s.awaitAllowed(c, g)
	if err != nil {
		return err
	}
	e.Token = got.Token
	if err := s.keepPaired(e); err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "Signed in at %s as %s. Use --gateway %s from now on.\n", e.URL, got.Role, e.URL)
	return nil
}

// awaitAllowed asks until a person has decided.
func (s *session) awaitAllowed(c *client, g api.DeviceGrant) (api.Session, error) {
	interval := time.Duration(max(g.Interval, 1)) * time.Second
	for {
		if err := sleep(s.ctx, interval); err != nil {
			return api.Session{}, err
		}
		got, err := api.Decode[api.Session](c.CreateSession(s.ctx, api.SessionRequest{DeviceCode: g.DeviceCode, Bearer: true}))
		var p *problem.Error
		switch {
		case err == nil:
			return got, nil
		case errors.As(err, &p) && p.Code == problem.GrantPending:
		case errors.As(err, &p) && p.Code == problem.GrantSlowDown:
			interval += 5 * time.Second
		default:
			return api.Session{}, err
		}
	}
}

// explainTrust tells people what to do where the certificate is of the gateway's own CA.
func explainTrust(err error) error {
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) || errors.Is(err, identity.ErrWrongCA) {
		return fmt.Errorf("this computer does not trust the gateway's certificate: %w\n  Compare the fingerprint on the gateway's certificate page with the one that it prints at its start, and give it as --ca", err)
	}
	return err
}
