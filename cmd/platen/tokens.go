package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/proto/api"
)

type tokensCmd struct {
	List   tokensListCmd   `cmd:"" default:"withargs" help:"List them (the default)."`
	Make   tokensMakeCmd   `cmd:"" help:"Make a token; it is shown once."`
	Revoke tokensRevokeCmd `cmd:"" help:"Revoke a token."`
}

type tokensListCmd struct {
	JSON bool `help:"Print JSON."`
}

func (cmd *tokensListCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	tokens := []api.Token{}
	err = everyPage(func(limit *int, cursor *string) (string, error) {
		list, err := api.Decode[api.TokenList](c.ListTokens(s.ctx, &api.ListTokensParams{Limit: limit, Cursor: cursor}))
		tokens = append(tokens, list.Items...)
		return list.Next, err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, tokens)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "LABEL\tROLE\tEXPIRES\tID")
	for _, t := range tokens {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", t.Label, t.Role, t.Expires.Local().Format(time.DateOnly), t.Id)
	}
	return tw.Flush()
}

type tokensMakeCmd struct {
	Label string `arg:"" help:"For people, as 'Invoice robot'."`
	Role  string `help:"What it may do: admin, operator, user or kiosk." enum:"admin,operator,user,kiosk" default:"user"`
	Days  int    `help:"Days until it ends." default:"365"`
	JSON  bool   `help:"Print JSON."`
}

func (cmd *tokensMakeCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	t, err := api.Decode[api.Token](c.CreateToken(s.ctx, api.TokenRequest{Label: cmd.Label, Role: api.Role(cmd.Role), Days: cmd.Days}))
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, t)
	}
	fmt.Fprintln(s.stdout, t.Token)
	fmt.Fprintf(s.stderr, "It is not shown again. It ends on %s.\n", t.Expires.Local().Format(time.DateOnly))
	return nil
}

type tokensRevokeCmd struct {
	ID string `arg:"" help:"The token's ID, from the list."`
}

func (cmd *tokensRevokeCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	return api.Done(c.DeleteToken(s.ctx, cmd.ID))
}
