package main

import (
	"fmt"
	"time"

	"github.com/platen-scan/platen/proto/api"
)

// rotateKeyCmd changes the key of the service on the data folder.
type rotateKeyCmd struct {
	Cancel bool `help:"Drop a key that was announced."`
}

func (cmd *rotateKeyCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	if cmd.Cancel {
		return api.Done(c.CancelRotation(s.ctx))
	}
	r, err := api.Decode[api.Rotation](c.StartRotation(s.ctx))
	if err != nil {
		return err
	}
	if r.Next == "" {
		fmt.Fprintf(s.stdout, "The key is now %s.\n", r.Pin)
		return nil
	}
	fmt.Fprintf(s.stdout, "The key %s follows on %s. %d nodes have not heard of it yet.\n", r.Next, r.From.Local().Format(time.DateTime), r.Behind)
	return nil
}
