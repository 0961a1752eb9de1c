package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
)

type auditCmd struct {
	Export auditExportCmd `cmd:"" help:"Write the audit log of the running service as JSON lines."`
	Verify auditVerifyCmd `cmd:"" help:"Check an exported audit log: that no line was changed, taken out or added."`
}

type auditExportCmd struct {
	Output string `short:"o" help:"File; standard output if there is none." placeholder:"FILE" type:"path"`
}

func (cmd *auditExportCmd) Run(s *session) (err error) {
	body, err := s.auditLog()
	if err != nil {
		return err
	}
	defer body.Close()
	to := s.stdout
	if cmd.Output != "" {
		f, err := os.OpenFile(cmd.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			if closeErr := f.Close(); err == nil {
				err = closeErr
			}
		}()
		to = f
	}
	_, err = io.Copy(to, body)
	return err
}

// auditLog is the whole log of the running service.
func (s *session) auditLog() (io.ReadCloser, error) {
	c, err := s.running()
	if err != nil {
		return nil, err
	}
	res, err := c.ExportAudit(s.ctx)
	if err := api.Accept(res, err); err != nil {
		return nil, err
	}
	return res.Body, nil
}

type auditVerifyCmd struct {
	File string `arg:"" optional:"" help:"An exported log; the running service's if there is none." type:"path"`
	Key  string `help:"Pin of the key that signed it; this installation's if there is none." placeholder:"PIN"`
}

func (cmd *auditVerifyCmd) Run(s *session) error {
	pin := cmd.Key
	if pin == "" {
		if !exists(filepath.Join(s.keys(), "identity.key")) {
			return fmt.Errorf("%w: there is no key in %s to check the log by: give --key", errUsage, s.keys())
		}
		self, err := identity.Load(s.keys())
		if err != nil {
			return err
		}
		pin = self.Pin()
	}
	var from io.ReadCloser
	var err error
	if cmd.File == "" {
		from, err = s.auditLog()
	} else {
		from, err = os.Open(cmd.File)
	}
	if err != nil {
		return err
	}
	defer from.Close()
	n, err := audit.Verify(from, pin)
	if err != nil {
		return fmt.Errorf("the audit log is not whole: %w", err)
	}
	fmt.Fprintf(s.stdout, "%d records, none changed, taken out or added.\n", n)
	return nil
}
