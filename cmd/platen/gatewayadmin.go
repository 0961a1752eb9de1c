package main

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/proto/api"
)

type gatewayTokenCmd struct {
	Label  string   `help:"For people, as 'Second floor'." placeholder:"TEXT"`
	Labels []string `help:"What the node that joins with it is labelled." placeholder:"LABEL,…"`
	JSON   bool     `help:"Print JSON."`
}

func (cmd *gatewayTokenCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	t, err := decode[api.JoinToken](c.CreateJoinToken(s.ctx, api.JoinTokenRequest{Label: cmd.Label, Labels: cmd.Labels}))
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
	fmt.Fprintln(tw, "NAME\tSTATE\tSINCE\tROAD\tSCANNERS\tVERSION\tLABELS\tCHECK\tID")
	for _, n := range nodes {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", n.Name, n.State, n.Since.Local().Format(time.DateTime),
			strings.ToUpper(n.Road), n.Scanners, n.Version, strings.Join(n.Labels, ","), n.Check, n.ID)
	}
	return tw.Flush()
}

type gatewayApproveCmd struct {
	Node  string `arg:"" help:"The node's ID, from platen gateway nodes."`
	Check string `arg:"" help:"The four symbols that the node's computer shows."`
}

func (cmd *gatewayApproveCmd) Run(s *session) error {
	return s.onNode(func(c *client) (*http.Response, error) {
		return c.ApproveNode(s.ctx, cmd.Node, api.NodeApproval{Check: strings.ToUpper(cmd.Check)})
	})
}

type gatewayDrainCmd struct {
	Node string `arg:"" help:"The node's ID."`
	Off  bool   `help:"Let it take new scans again."`
}

func (cmd *gatewayDrainCmd) Run(s *session) error {
	return s.onNode(func(c *client) (*http.Response, error) {
		return c.EditNode(s.ctx, cmd.Node, api.NodeEdit{Draining: new(!cmd.Off)})
	})
}

type gatewayLabelCmd struct {
	Node   string   `arg:"" help:"The node's ID."`
	Labels []string `arg:"" optional:"" help:"All labels that it shall have; none takes them away."`
}

func (cmd *gatewayLabelCmd) Run(s *session) error {
	labels := append([]string{}, cmd.Labels...)
	return s.onNode(func(c *client) (*http.Response, error) {
		return c.EditNode(s.ctx, cmd.Node, api.NodeEdit{Labels: &labels})
	})
}

type gatewayReinstateCmd struct {
	Node string `arg:"" help:"The node's ID."`
}

func (cmd *gatewayReinstateCmd) Run(s *session) error {
	return s.onNode(func(c *client) (*http.Response, error) { return c.ReinstateNode(s.ctx, cmd.Node) })
}

// onNode asks the running gateway to change a node.
func (s *session) onNode(ask func(*client) (*http.Response, error)) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	return done(ask(c))
}

type gatewayRevokeCmd struct {
	Node string `arg:"" help:"The node's ID."`
}

func (cmd *gatewayRevokeCmd) Run(s *session) error {
	return s.onNode(func(c *client) (*http.Response, error) { return c.RevokeNode(s.ctx, cmd.Node) })
}

func (s *session) printToken(t api.JoinToken) {
	fmt.Fprintf(s.stdout, "  %-15s platen node --join %s\n  %-15s (works once, until %s)\n", "nodes", t.Token, "",
		t.Expires.Local().Format(time.TimeOnly))
}
