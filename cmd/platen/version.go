package main

import (
	"fmt"

	"github.com/platen-scan/platen/internal/version"
)

type versionCmd struct{}

func (versionCmd) Run(s *session) error {
	_, err := fmt.Fprintln(s.stdout, "platen", version.String())
	return err
}
