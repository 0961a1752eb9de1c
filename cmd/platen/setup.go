package main

import (
	"errors"
	"fmt"

	"github.com/platen-scan/platen/proto/api"
)

type setupCmd struct{}

// Run prints the address of the running service's setup page with a code that signs an
// administrator in there, once.
func (setupCmd) Run(s *session) error {
	c, e, err := s.anyRunning()
	if err != nil {
		return fmt.Errorf("opening the setup page: %w", err)
	}
	if e.Setup == "" {
		return errors.New("the setup page is off: set EnableWebSetup=TRUE in platen.ini")
	}
	p, err := api.Decode[api.Pairing](c.CreatePairing(s.ctx, api.PairingRequest{Role: api.RoleAdmin, Label: "setup page"}))
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "  %-15s %s\n  %-15s %s %s (works once, until %s)\n", "setup", e.Setup+"#pair="+p.Secret,
		"code", p.Code[:4], p.Code[4:], p.Expires.Local().Format("15:04:05"))
	return nil
}
