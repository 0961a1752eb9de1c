package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/proto/api"
)

type gatewayTokenCmd struct {
	Label string `help:"For people, as 'Second floor'." placeholder:"TEXT"`
	JSON  bool   `help:"Print JSON."`
}

func (cmd *gatewayTokenCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	t, err := decode[api.JoinToken](c.CreateJoinToken(s.ctx, api.JoinTokenRequest{Label: cmd.Label}))
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, t)
	}
	s.printToken(t)
	return nil
}

type gatewayNodesCmd struct {
	JSON bool `help:"Print JSON."`
}

func (cmd *gatewayNodesCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	nodes := []api.Node{}
	err = everyPage(func(limit *int, cursor *string) (string, error) {
		list, err := decode[api.NodeList](c.ListNodes(s.ctx, &api.ListNodesParams{Limit: limit, Cursor: cursor}))
		nodes = append(nodes, list.Items...)
		return list.Next, err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, nodes)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tSTATE\tSINCE\tROAD\tSCANNERS\tVERSION\tID")
	for _, n := range nodes {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", n.Name, n.State, n.Since.Local().Format(time.DateTime),
			strings.ToUpper(n.Road), n.Scanners, n.Version, n.ID)
	}
	return tw.Flush()
}

type gatewayRevokeCmd struct {
	Node string `arg:"" help:"The node's ID."`
}

func (cmd *gatewayRevokeCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	return done(c.RevokeNode(s.ctx, cmd.Node))
}

func (s *session) printToken(t api.JoinToken) {
	fmt.Fprintf(s.stdout, "  %-15s platen node --join %s\n  %-15s (works once, until %s)\n", "nodes", t.Token, "",
		t.Expires.Local().Format(time.TimeOnly))
}
