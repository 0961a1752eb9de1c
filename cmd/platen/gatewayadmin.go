package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

type gatewayTokenCmd struct {
	Label  string   `help:"For people, as 'Second floor'." placeholder:"TEXT"`
	Labels []string `help:"What the node that joins with it is labelled." placeholder:"LABEL,…"`
	JSON   bool     `help:"Print JSON."`
}

func (cmd *gatewayTokenCmd) Run(s *session) error {
	c, err := s.runningGateway()
	if err != nil {
		return err
	}
	t, err := api.Decode[api.JoinToken](c.CreateJoinToken(s.ctx, api.JoinTokenRequest{Label: cmd.Label, Labels: cmd.Labels}))
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
	c, err := s.runningGateway()
	if err != nil {
		return err
	}
	nodes, err := s.nodes(c)
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, nodes)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tSTATE\tSINCE\tROAD\tSCANNERS\tPRESENTS\tVERSION\tLABELS\tCHECK\tID")
	for _, n := range nodes {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", n.Name, n.State, n.Since.Local().Format(time.DateTime),
			strings.ToUpper(n.Road), n.Scanners, len(n.Presents), n.Version, strings.Join(n.Labels, ","), n.Check, n.ID)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Fault != "" {
			fmt.Fprintf(s.stdout, "%s did not account for pages [%s]: it gets no scans that need a licence. When it is put right: platen gateway reinstate %s\n", n.Name, n.Fault, n.ID)
		}
		for _, scanner := range n.Wants {
			fmt.Fprintf(s.stdout, "%s wants to present a scanner. To let it: platen gateway present %s %s\n", n.Name, n.ID, scanner)
		}
	}
	return nil
}

// nodes lists all nodes of the gateway.
func (s *session) nodes(c *client) ([]scan.Node, error) {
	nodes := []scan.Node{}
	err := everyPage(func(limit *int, cursor *string) (string, error) {
		list, err := api.Decode[api.NodeList](c.ListNodes(s.ctx, &api.ListNodesParams{Limit: limit, Cursor: cursor}))
		nodes = append(nodes, list.Items...)
		return list.Next, err
	})
	return nodes, err
}

type gatewayApproveCmd struct {
	Node  string `arg:"" help:"The node's ID or name, from platen gateway nodes."`
	Check string `arg:"" help:"The four symbols that the node's computer shows."`
}

func (cmd *gatewayApproveCmd) Run(s *session) error {
	return s.onNode(cmd.Node, func(c *client, id string) (*http.Response, error) {
		return c.ApproveNode(s.ctx, id, api.NodeApproval{Check: strings.ToUpper(cmd.Check)})
	})
}

type gatewayDrainCmd struct {
	Node string `arg:"" help:"The node's ID or name."`
	Off  bool   `help:"Let it take new scans again."`
}

func (cmd *gatewayDrainCmd) Run(s *session) error {
	return s.onNode(cmd.Node, func(c *client, id string) (*http.Response, error) {
		return c.EditNode(s.ctx, id, api.NodeEdit{Draining: new(!cmd.Off)})
	})
}

type gatewayLabelCmd struct {
	Node   string   `arg:"" help:"The node's ID or name."`
	Labels []string `arg:"" optional:"" help:"All labels that it shall have; none takes them away."`
}

func (cmd *gatewayLabelCmd) Run(s *session) error {
	labels := append([]string{}, cmd.Labels...)
	return s.onNode(cmd.Node, func(c *client, id string) (*http.Response, error) {
		return c.EditNode(s.ctx, id, api.NodeEdit{Labels: &labels})
	})
}

type gatewayPresentCmd struct {
	Node     string `arg:"" help:"The node that shall present it: its ID or name."`
	Scanner  string `arg:"" help:"A scanner of another node: its ID or name, from platen devices."`
	Withdraw bool   `help:"Take it back: what the node has under way there ends."`
}

func (cmd *gatewayPresentCmd) Run(s *session) error {
	c, err := s.runningGateway()
	if err != nil {
		return err
	}
	nodes, err := s.nodes(c)
	if err != nil {
		return err
	}
	n, err := nodeCalled(nodes, cmd.Node)
	if err != nil {
		return err
	}
	var known []scan.Scanner
	if !isScannerID(cmd.Scanner) { // an ID may be of a scanner that is not known yet
		list, err := s.scanners(c)
		if err != nil {
			return err
		}
		known = list.Items
	}
	scanner, err := scannerCalled(known, cmd.Scanner)
	if err != nil {
		return err
	}
	presents := slices.DeleteFunc(slices.Clone(n.Presents), func(id string) bool { return id == scanner })
	if !cmd.Withdraw {
		presents = append(presents, scanner)
	}
	presents = append([]string{}, presents...) // an empty list, not none
	return api.Done(c.EditNode(s.ctx, n.ID, api.NodeEdit{Presents: &presents}))
}

// nodeCalled is the one node with an ID or name. One that only waits to be let in may call
// itself as it likes, so that a name which is there twice names nobody.
func nodeCalled(nodes []scan.Node, word string) (scan.Node, error) {
	var found []string
	var one scan.Node
	for _, n := range nodes {
		if n.ID == word {
			return n, nil
		}
		if strings.EqualFold(n.Name, word) {
			one = n
			found = append(found, fmt.Sprintf("%s (%s)", n.ID, n.State))
		}
	}
	switch len(found) {
	case 0:
		return one, fmt.Errorf("no node is called %q; see: platen gateway nodes", word)
	case 1:
		return one, nil
	}
	return one, fmt.Errorf("several nodes are called %q; name one by its ID: %s", word, strings.Join(found, ", "))
}

func isScannerID(word string) bool {
	_, kind, err := scan.ParseID(word)
	return err == nil && kind == scan.KindScanner
}

// scannerCalled is the ID of the one scanner with an ID or name. A part of a name is not
// enough to let somebody use it.
func scannerCalled(known []scan.Scanner, word string) (string, error) {
	if isScannerID(word) {
		return word, nil
	}
	var found []scan.Scanner
	for _, sc := range known {
		if strings.EqualFold(sc.Name, word) {
			found = append(found, sc)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no scanner is called %q; there are: %s", word, names(known))
	case 1:
		return found[0].ID, nil
	}
	return "", fmt.Errorf("several scanners are called %q; name one by its ID: %s", word, names(found))
}

type gatewayReinstateCmd struct {
	Node string `arg:"" help:"The node's ID or name."`
}

func (cmd *gatewayReinstateCmd) Run(s *session) error {
	return s.onNode(cmd.Node, func(c *client, id string) (*http.Response, error) { return c.ReinstateNode(s.ctx, id) })
}

// onNode asks the running gateway to change the node with an ID or name.
func (s *session) onNode(word string, ask func(c *client, id string) (*http.Response, error)) error {
	c, err := s.runningGateway()
	if err != nil {
		return err
	}
	nodes, err := s.nodes(c)
	if err != nil {
		return err
	}
	n, err := nodeCalled(nodes, word)
	if err != nil {
		return err
	}
	return api.Done(ask(c, n.ID))
}

type gatewayRevokeCmd struct {
	Node string `arg:"" help:"The node's ID or name."`
}

func (cmd *gatewayRevokeCmd) Run(s *session) error {
	return s.onNode(cmd.Node, func(c *client, id string) (*http.Response, error) { return c.RevokeNode(s.ctx, id) })
}

func (s *session) printToken(t api.JoinToken) {
	fmt.Fprintf(s.stdout, "  %-15s platen node --join %s\n  %-15s (works once, until %s)\n", "nodes", t.Token, "",
		t.Expires.Local().Format(time.TimeOnly))
}
