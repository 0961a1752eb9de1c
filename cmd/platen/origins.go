package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
)

type originsCmd struct {
	List   originsListCmd   `cmd:"" default:"withargs" help:"List them (the default)."`
	Allow  originsAllowCmd  `cmd:"" help:"Allow the pages of one more origin."`
	Remove originsRemoveCmd `cmd:"" help:"Withdraw an origin that a person allowed."`
}

type originsListCmd struct {
	JSON bool `help:"Print JSON."`
}

func (cmd *originsListCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	list, err := api.Decode[api.OriginList](c.ListOrigins(s.ctx))
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, list.Items)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ORIGIN\tALLOWED BY\tID")
	for _, o := range list.Items {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", o.Origin, o.Source, o.Id)
	}
	return tw.Flush()
}

type originsAllowCmd struct {
	Origin string `arg:"" help:"As https://shop.example, nothing after it."`
}

func (cmd *originsAllowCmd) Run(s *session) error {
	if _, err := access.ParseOrigin(cmd.Origin); err != nil {
		return fmt.Errorf("%w: %q: %w", errUsage, cmd.Origin, err)
	}
	c, err := s.running()
	if err != nil {
		return err
	}
	o, err := api.Decode[api.AllowedOrigin](c.AllowOrigin(s.ctx, api.OriginRequest{Origin: cmd.Origin}))
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "Pages of %s may ask for scans now (%s).\n", o.Origin, o.Id)
	return nil
}

type originsRemoveCmd struct {
	ID string `arg:"" help:"The origin's ID, from the list."`
}

func (cmd *originsRemoveCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	return api.Done(c.WithdrawOrigin(s.ctx, cmd.ID))
}
