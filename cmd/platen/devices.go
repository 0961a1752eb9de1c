package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// remote is the flag of the commands that can work through a gateway.
type remote struct {
	Gateway string `help:"Work through this gateway: its address, or a pairing link the first time." placeholder:"URL"`
}

type devicesCmd struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (cmd *devicesCmd) Run(s *session) error {
	c, closer, err := s.connect(cmd.Gateway)
	if err != nil {
		return err
	}
	defer closer()
	list, err := s.scanners(c)
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, list)
	}
	if len(list.Items) == 0 {
		fmt.Fprintln(s.stdout, "No scanner found. Check that it is switched on and connected.")
	} else {
		tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(tw, "NAME\tSTATE\tDRIVER\tNODE\tID")
		for _, sc := range list.Items {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", sc.Name, stateWords(sc.Status), sc.Driver, sc.NodeName, sc.ID)
		}
		tw.Flush()
	}
	for _, f := range list.Faults {
		fmt.Fprintf(s.stderr, "driver %s: %s\n", f.Driver, f.Reason)
	}
	for _, a := range list.Incomplete {
		fmt.Fprintf(s.stderr, "node %s is offline since %s\n", a.Name, a.Since.Local().Format(time.DateTime))
	}
	return nil
}

// lookTimeout bounds how long a command waits for a node that still looks for devices.
const lookTimeout = 30 * time.Second

// scanners lists all scanners, waiting while a node still looks for them.
func (s *session) scanners(c *client) (api.ScannerList, error) {
	return s.look(c, func(api.ScannerList) bool { return false })
}

// look lists scanners until no node looks for more or the list is enough.
func (s *session) look(c *client, enough func(api.ScannerList) bool) (api.ScannerList, error) {
	for deadline := time.Now().Add(lookTimeout); ; {
		var all api.ScannerList
		err := everyPage(func(limit *int, cursor *string) (string, error) {
			page, err := api.Decode[api.ScannerList](c.ListScanners(s.ctx, &api.ListScannersParams{Limit: limit, Cursor: cursor}))
			page.Items = append(all.Items, page.Items...)
			all = page
			return page.Next, err
		})
		if err != nil || !all.Looking || enough(all) || time.Now().After(deadline) {
			return all, err
		}
		if err := sleep(s.ctx, 50*time.Millisecond); err != nil {
			return all, err
		}
	}
}

// find picks the scanner that the user named by ID, by name, or by a part of its name.
// Without a word there must be one scanner only.
func (s *session) find(c *client, word string) (scan.Scanner, error) {
	is := func(sc scan.Scanner) bool { return sc.ID == word || strings.EqualFold(sc.Name, word) }
	list, err := s.look(c, func(l api.ScannerList) bool { return slices.ContainsFunc(l.Items, is) })
	if err != nil {
		return scan.Scanner{}, err
	}
	var exact, partial []scan.Scanner
	for _, sc := range list.Items {
		switch {
		case is(sc):
			exact = append(exact, sc)
		case strings.Contains(strings.ToLower(sc.Name), strings.ToLower(word)):
			partial = append(partial, sc)
		}
	}
	found := exact
	if len(found) == 0 {
		found = partial
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(list.Items) == 0 && len(list.Faults) > 0:
		return scan.Scanner{}, fmt.Errorf("no scanner found; driver %s: %s", list.Faults[0].Driver, list.Faults[0].Reason)
	case len(list.Items) == 0:
		return scan.Scanner{}, errors.New("no scanner found; check that it is switched on and connected")
	case len(found) == 0:
		return scan.Scanner{}, fmt.Errorf("no scanner is called %q; there are: %s", word, names(list.Items))
	}
	return scan.Scanner{}, fmt.Errorf("several scanners match; name one with --scanner: %s", names(found))
}

func names(list []scan.Scanner) string {
	words := make([]string, len(list))
	for i, sc := range list {
		words[i] = fmt.Sprintf("%q (%s)", sc.Name, sc.ID)
	}
	return strings.Join(words, ", ")
}

// stateWords says a scanner's state as the web app does.
func stateWords(st scan.Status) string {
	var w string
	switch st.State {
	case scan.ScannerIdle:
		w = "ready"
		if st.Feeder == scan.FeederLoaded {
			w = "ready, paper in feeder"
		}
	case scan.ScannerProcessing:
		w = "busy"
	case scan.ScannerStopped:
		w = "needs attention"
	case scan.ScannerOffline:
		w = "offline"
	}
	for _, r := range st.Reasons {
		w += ", " + string(r)
	}
	if st.Waiting > 0 {
		w += fmt.Sprintf(", %d waiting", st.Waiting)
	}
	return w
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
