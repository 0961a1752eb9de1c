package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// trackerOf is which licence tracking server a command is for.
type trackerOf struct {
	Gateway string `help:"The gateway or licence tracking server at this address; else the one that runs here." placeholder:"URL"`
}

func (t trackerOf) client(s *session) (*client, error) {
	if t.Gateway != "" {
		e, err := s.pairedEndpoint(t.Gateway)
		if err != nil {
			return nil, err
		}
		return newClient(e)
	}
	return s.runningTracker()
}

// runningTracker is what runs on the data folder, else this user's licence tracking server
// or gateway.
func (s *session) runningTracker() (*client, error) {
	c, err := s.running()
	if err == nil || !errors.Is(err, errNotRunning) {
		return c, err
	}
	for _, role := range []string{"lts", "gateway"} {
		dir, dirErr := config.DefaultDir(role)
		if dirErr != nil {
			continue
		}
		other := *s
		other.data = dir
		if c, otherErr := other.running(); otherErr == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: start platen lts or platen gateway first, or name one with --gateway", err)
}

type ltsAddCmd struct {
	trackerOf
	Keys []string `arg:"" name:"key" help:"Product keys; - reads them from standard input, which keeps them out of the shell's history."`
}

func (cmd *ltsAddCmd) Run(s *session) error {
	keys, err := keysOf(cmd.Keys, os.Stdin)
	if err != nil {
		return err
	}
	c, err := cmd.client(s)
	if err != nil {
		return err
	}
	for _, key := range keys {
		item, err := api.Decode[api.Item](c.AddItem(s.ctx, api.ItemRequest{Key: key}))
		if err != nil {
			return err
		}
		fmt.Fprintf(s.stdout, "%s  %s of %s, until %s\n", item.Key.Id, item.Key.Kind, item.Key.Organisation, item.Key.Expires.Local().Format(time.DateOnly))
	}
	return nil
}

// keysOf are the keys of arguments, each of which may hold several with semicolons, and of
// the lines of in where one is "-".
func keysOf(args []string, in io.Reader) ([]string, error) {
	var keys []string
	add := func(text string) {
		for key := range strings.SplitSeq(text, ";") {
			if key = strings.TrimSpace(key); key != "" {
				keys = append(keys, key)
			}
		}
	}
	for _, arg := range args {
		if arg != "-" {
			add(arg)
			continue
		}
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			add(lines.Text())
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("reading keys from standard input: %w", err)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: there is no key", errUsage)
	}
	return keys, nil
}

type ltsItemsCmd struct {
	trackerOf
	JSON bool `help:"Print JSON."`
}

func (cmd *ltsItemsCmd) Run(s *session) error {
	c, err := cmd.client(s)
	if err != nil {
		return err
	}
	items := []api.Item{}
	err = everyPage(func(limit *int, cursor *string) (string, error) {
		list, err := api.Decode[api.ItemList](c.ListItems(s.ctx, &api.ListItemsParams{Limit: limit, Cursor: cursor}))
		items = append(items, list.Items...)
		return list.Next, err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, items)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ITEM\tKIND\tORGANISATION\tUSED\tRESERVED\tOF\tUNTIL\tSTATE")
	for _, i := range items {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", i.Key.Id, i.Key.Kind, i.Key.Organisation, i.Used, i.Reserved,
			quantity(i.Key), i.Key.Expires.Local().Format(time.DateOnly), itemState(i))
	}
	return tw.Flush()
}

// quantity is how much a key sells, for people.
func quantity(k api.LicenseKey) string {
	switch {
	case k.Quantity == 0:
		return "-"
	case k.Period != "":
		return strconv.FormatInt(k.Quantity, 10) + " a " + string(k.Period)
	}
	return strconv.FormatInt(k.Quantity, 10)
}

func itemState(i api.Item) string {
	switch {
	case i.Suspended:
		return "suspended"
	case i.Key.Problem.Code != "":
		return string(i.Key.Problem.Code)
	}
	return "good"
}

type ltsProjectCmd struct {
	trackerOf
	Code    string   `arg:"" help:"The handshake code to make: organisation, hyphen, code." placeholder:"ORG-CODE"`
	Name    string   `help:"For people." placeholder:"TEXT"`
	Origins []string `name:"origin" help:"A web page that may use it, as https://app.example.com; none: all that the keys name. May be repeated." placeholder:"ORIGIN"`
	Items   []string `name:"item" help:"An item that it uses; none: all of the organisation. May be repeated." placeholder:"ITEM"`
}

func (cmd *ltsProjectCmd) Run(s *session) error {
	organisation, code, err := license.ParseHandshake(cmd.Code)
	if err != nil {
		return fmt.Errorf("%w: %q is no handshake code: the organisation, a hyphen, and letters, digits or _", errUsage, cmd.Code)
	}
	c, err := cmd.client(s)
	if err != nil {
		return err
	}
	p, err := api.Decode[api.Project](c.CreateProject(s.ctx, api.ProjectRequest{
		Organisation: organisation, Code: code, Name: cmd.Name, Origins: cmd.Origins, Items: cmd.Items,
	}))
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "HandshakeCode=%s\n", p.HandshakeCode)
	return nil
}

type ltsUsageCmd struct {
	trackerOf
	By   string `help:"Length of the periods: day, month or year." enum:"day,month,year" default:"month"`
	From string `help:"First day." placeholder:"YYYY-MM-DD"`
	To   string `help:"Last day." placeholder:"YYYY-MM-DD"`
	Item string `help:"Of this item only." placeholder:"ITEM"`
	CSV  bool   `name:"csv" help:"Print CSV." xor:"format"`
	JSON bool   `help:"Print JSON." xor:"format"`
}

func (cmd *ltsUsageCmd) Run(s *session) error {
	c, err := cmd.client(s)
	if err != nil {
		return err
	}
	ask, err := cmd.params()
	if err != nil {
		return err
	}
	if cmd.CSV {
		ask.Format = new(api.GetUsageParamsFormatCsv)
		res, err := c.GetUsage(s.ctx, ask)
		if err := api.Accept(res, err); err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.Copy(s.stdout, res.Body)
		return err
	}
	usage, err := api.Decode[api.Usage](c.GetUsage(s.ctx, ask))
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, usage.Items)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "PERIOD\tITEM\tORGANISATION\tPROJECT\tPAGES\tCLIENTS\tAT ONCE\tNODES")
	for _, u := range usage.Items {
		item := u.Item
		if item == "" {
			item = "without a licence"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\n", u.Period, item, u.Organisation, u.Project, u.Pages, u.Clients, u.Concurrent, u.Nodes)
	}
	return tw.Flush()
}

func (cmd *ltsUsageCmd) params() (*api.GetUsageParams, error) {
	p := &api.GetUsageParams{By: new(api.GetUsageParamsBy(cmd.By))}
	if cmd.Item != "" {
		p.Item = &cmd.Item
	}
	for _, d := range []struct {
		text string
		into **api.UsageFrom
	}{{cmd.From, &p.From}, {cmd.To, &p.To}} {
		if d.text == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, d.text)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no day as 2026-11-22", errUsage, d.text)
		}
		*d.into = &api.UsageFrom{Time: t}
	}
	return p, nil
}
