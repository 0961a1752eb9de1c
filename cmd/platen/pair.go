package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

type pairCmd struct {
	Role  string `help:"What the other device may do: admin, operator, user or kiosk." enum:"admin,operator,user,kiosk" default:"user"`
	Label string `help:"For people, as 'Reception tablet'." placeholder:"TEXT"`
	JSON  bool   `help:"Print JSON."`
}

func (cmd *pairCmd) Run(s *session) error {
	c, _, err := s.anyRunning()
	if err != nil {
		return fmt.Errorf("making a pairing code: %w", err)
	}
	p, err := api.Decode[api.Pairing](c.CreatePairing(s.ctx, api.PairingRequest{Role: api.Role(cmd.Role), Label: cmd.Label}))
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, p)
	}
	s.printPairing(p)
	return nil
}

// anyRunning finds the service that a command is for: the one on the data folder, or
// this user's gateway.
func (s *session) anyRunning() (*client, endpoint, error) {
	c, err := s.running()
	if errors.Is(err, errNotRunning) {
		dir, dirErr := config.DefaultDir("gateway")
		gateway := *s
		gateway.data = dir
		if g, gatewayErr := gateway.running(); dirErr == nil && gatewayErr == nil {
			c, err, s = g, nil, &gateway
		}
	}
	if err != nil {
		return nil, endpoint{}, err
	}
	e, err := readEndpoint(s.data)
	return c, e, err
}

// firstPairing shows the code of a service that starts.
func (s *session) firstPairing(c *client, role api.Role) error {
	p, err := api.Decode[api.Pairing](c.CreatePairing(s.ctx, api.PairingRequest{Role: role}))
	if err != nil {
		return s.without("code", "pair", err)
	}
	s.printPairing(p)
	return nil
}

// without says in what's place why there is none, and which command makes one. A service
// that runs, but has no room for it just then, goes on: any other error comes back.
func (s *session) without(what, command string, err error) error {
	if refused := (*problem.Error)(nil); !errors.As(err, &refused) {
		return err
	}
	fmt.Fprintf(s.stdout, "  %-15s none (%v)\n  %-15s platen --data %s %s makes one\n", what, err, "", shellWord(s.data), command)
	return nil
}

// printPairing shows a pairing as QR code, link and digits.
func (s *session) printPairing(p api.Pairing) {
	if p.Url != "" {
		if isTerminal(os.Stdout) {
			fmt.Fprint(s.stdout, qrText(p.Url))
		}
		fmt.Fprintf(s.stdout, "  %-15s %s\n", "phone", p.Url)
	}
	fmt.Fprintf(s.stdout, "  %-15s %s %s (works once, until %s)\n", "code", p.Code[:4], p.Code[4:], p.Expires.Local().Format(time.TimeOnly))
}

// qrText draws a QR code with half blocks, dark on light whatever the terminal's colours.
func qrText(text string) string {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "" // too long for a QR code: the link is printed anyway
	}
	const quiet = 2
	var b strings.Builder
	dark := func(x, y int) bool { return code.Black(x, y) } // false outside
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("  \x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			switch top, bottom := dark(x, y), dark(x, y+1); {
			case top && bottom:
				b.WriteString("█")
			case top:
				b.WriteString("▀")
			case bottom:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}
