package certs

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const (
	presentTimeout = 2 * time.Minute
	cleanupTimeout = 30 * time.Second // it may be what a service that ends waits for
	maxHookOutput  = 1 << 10          // bytes that are kept for the error
)

// hook lets a program of the administrator's make and delete a DNS record. It is
// called without a shell:
//
//	PROGRAM present NAME VALUE   makes a TXT record and ends when the name servers have it
//	PROGRAM cleanup NAME VALUE   deletes it
//
// NAME is the record's whole name, as _acme-challenge.scan.example.com. A status other
// than 0 means that it failed; what it wrote to stderr is then the reason.
type hook struct{ program string }

// Present implements acmez.Solver.
func (h hook) Present(ctx context.Context, c acme.Challenge) error {
	return h.run(ctx, presentTimeout, "present", c)
}

// CleanUp implements acmez.Solver.
func (h hook) CleanUp(ctx context.Context, c acme.Challenge) error {
	return h.run(ctx, cleanupTimeout, "cleanup", c)
}

func (h hook) run(ctx context.Context, limit time.Duration, verb string, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var said head
	cmd := exec.CommandContext(ctx, h.program, verb, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization())
	cmd.Stderr = &said
	cmd.WaitDelay = time.Second // its children may hold stderr open
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("%s %s: %w: %s", h.program, verb, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// head keeps the beginning of what is written.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), maxHookOutput-h.Len())])
	return len(p), nil
}
