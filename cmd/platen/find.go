package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/discovery/mdns"
	"github.com/platen-scan/platen/discovery/unicast"
)

type findCmd struct {
	For    time.Duration `help:"How long to look." default:"3s" placeholder:"TIME"`
	Watch  bool          `help:"Go on looking, and print every change."`
	Domain string        `help:"Ask the name server of this domain too, where multicast is filtered." placeholder:"DOMAIN"`
	JSON   bool          `help:"Print JSON; with --watch a list a line."`
}

// nearby are the services that Platen looks for.
var nearby = []string{discovery.TypeGateway, discovery.TypeNode, discovery.TypeScanner, discovery.TypeSecureScanner}

func (cmd *findCmd) Run(s *session) error {
	ctx := s.ctx
	if !cmd.Watch {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, cmd.For)
		defer stop()
	}
	browsers := []discovery.Browser{mdns.NewBrowser(mdns.Config{})}
	if cmd.Domain != "" {
		browsers = append(browsers, unicast.New(unicast.Config{Domain: cmd.Domain}))
	}
	var mu sync.Mutex
	var last []discovery.Record
	err := discovery.Merge(browsers...).Browse(ctx, nearby, func(list []discovery.Record) {
		mu.Lock()
		defer mu.Unlock()
		last = list
		if cmd.Watch {
			cmd.print(s, list)
		}
	})
	if err != nil || cmd.Watch {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	return cmd.print(s, last)
}

// found is a record for programs.
type found struct {
	Kind      string            `json:"kind"`
	Name      string            `json:"name"`
	Host      string            `json:"host"`
	Port      uint16            `json:"port"`
	Addresses []netip.Addr      `json:"addresses"`
	Interface string            `json:"interface,omitempty"`
	Text      map[string]string `json:"text"`
}

// kinds are the words for types of services.
var kinds = map[string]string{
	discovery.TypeGateway: "gateway", discovery.TypeNode: "node", discovery.TypeScanner: "scanner", discovery.TypeSecureScanner: "scanner-https",
}

func (cmd *findCmd) print(s *session, list []discovery.Record) error {
	all := make([]found, len(list))
	for i, r := range list {
		all[i] = found{Kind: kinds[r.Type], Name: r.Name, Host: r.Host, Port: r.Port, Addresses: r.Addrs, Interface: r.Interface, Text: r.Text}
	}
	if cmd.JSON && cmd.Watch {
		return json.NewEncoder(s.stdout).Encode(all)
	}
	if cmd.JSON {
		return printJSON(s.stdout, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(s.stdout, "Nothing found. Services are seen only within one network, and only where it lets multicast through.")
		return nil
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "KIND\tNAME\tADDRESS\tKEY\tDETAILS")
	for _, f := range all {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", f.Kind, f.Name, f.address(), f.Text[discovery.TextFingerprint], f.details())
	}
	return tw.Flush()
}

func (f found) address() string {
	host := strings.TrimSuffix(f.Host, ".")
	if len(f.Addresses) > 0 {
		host = f.Addresses[0].String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(f.Port)))
}

// details are what people look for in the text of a record.
func (f found) details() string {
	var words []string
	for _, key := range []string{"ty", "note", "is", discovery.TextTag} {
		if v := f.Text[key]; v != "" && !slices.Contains(words, v) {
			words = append(words, v)
		}
	}
	switch f.Text[discovery.TextJoined] {
	case "T":
		words = append(words, "has a gateway")
	case "F":
		words = append(words, "has no gateway")
	}
	return strings.Join(words, ", ")
}
