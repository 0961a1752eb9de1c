package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/scan"
)

type licenseCmd struct {
	Status  licenseStatusCmd  `cmd:"" default:"withargs" help:"Show what the running service is licensed for (the default)."`
	Keygen  licenseKeygenCmd  `cmd:"" help:"Become a vendor: make the key that signs licences."`
	Issue   licenseIssueCmd   `cmd:"" help:"Sign a licence as a vendor, and print it."`
	Inspect licenseInspectCmd `cmd:"" help:"Say what a licence, lease, block or receipt says, whoever signed it."`
	Verify  licenseVerifyCmd  `cmd:"" help:"Check a licence: vendor, time, web page, module and place."`
}

type licenseKeygenCmd struct {
	File string `arg:"" optional:"" default:"vendor.key" help:"File for the private key; one that is there stays." type:"path"`
}

func (cmd *licenseKeygenCmd) Run(s *session) error {
	vendor, err := identity.MakeFile(cmd.File)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and stays: whoever trusts it would not trust another key", cmd.File)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, vendor.Pin())
	fmt.Fprintf(s.stderr, "The private key is in %s: keep it offline, with a copy. Ends that take its licences have in platen.ini:\n[license]\nVendors=%s\n", cmd.File, vendor.Pin())
	return nil
}

// licenseIssueCmd has a flag for each member of license.Key.
type licenseIssueCmd struct {
	Vendor   string   `help:"The vendor's private key, of platen license keygen." default:"vendor.key" placeholder:"FILE" type:"path"`
	Kind     string   `required:"" help:"What is sold: browser clients, pages, servers (origins), clients at the same time, nodes, or a trial." enum:"browser,page,server,concurrent,node,trial"`
	Org      string   `required:"" help:"Organisation, of letters and digits; handshake codes begin with it."`
	Customer string   `help:"Its name, for people."`
	Quantity int64    `help:"How many of what the kind counts."`
	Period   string   `help:"In which the pages may be used: day, month or year; none: the whole time." enum:",day,month,year" default:""`
	Origin   []string `help:"A web page that may use it, as https://app.example.com or https://*.example.com; repeat it. None: those that the end allows." sep:"none"`
	Module   []string `help:"A module that it includes: pdf-rasterizer, barcode or ocr; repeat it."`
	Gateway  []string `help:"Pin of a gateway or licence tracking server to which it is bound; repeat it." placeholder:"PIN"`
	Node     []string `help:"ID of a node to which it is bound; repeat it." placeholder:"ID"`
	From     string   `help:"First day, as 2027-01-01, or a time (RFC 3339); none: now." placeholder:"DAY"`
	Until    string   `help:"Last day, or the time at which it ends." placeholder:"DAY" xor:"end"`
	Days     int      `help:"In place of --until: for how many days." xor:"end"`
	Grace    string   `help:"How long what it leased is good beyond its time while its server cannot be reached, as 12h or 7d." placeholder:"TIME"`
	OverUse  int      `help:"Per cent by which the quantity may be passed." placeholder:"N"`
	Window   string   `help:"How long a browser client holds its seat after it was last used, as 30d; none: 365d." placeholder:"TIME"`
	ID       string   `help:"Of the licence that is renewed; none: a new one." placeholder:"ID"`
	Revision int      `help:"Of the renewal: above that of the one before." default:"1" placeholder:"N"`
}

func (cmd *licenseIssueCmd) Run(s *session) error {
	k, err := cmd.key(time.Now())
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	vendor, err := identity.ReadFile(cmd.Vendor)
	if err != nil {
		return err
	}
	text, err := license.Issue(vendor, k)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	fmt.Fprintln(s.stdout, text)
	fmt.Fprintf(s.stderr, "Licence %s, revision %d, until %s.\n", k.ID, k.Revision, k.Expires.Format(time.DateTime))
	return nil
}

func (cmd *licenseIssueCmd) key(now time.Time) (license.Key, error) {
	k := license.Key{
		ID: cmd.ID, Revision: cmd.Revision, Kind: license.Kind(cmd.Kind), Organisation: cmd.Org, Customer: cmd.Customer,
		Quantity: cmd.Quantity, Period: license.Period(cmd.Period), Origins: cmd.Origin, Gateways: cmd.Gateway, Nodes: cmd.Node,
		NotBefore: now.UTC(), OverUse: cmd.OverUse,
	}
	for _, m := range cmd.Module {
		k.Modules = append(k.Modules, license.Module(m))
	}
	var errs []error
	check := func(err error) { errs = append(errs, err) }
	if cmd.From != "" {
		from, err := moment(cmd.From, 0)
		check(err)
		k.NotBefore = from
	}
	switch {
	case cmd.Until != "":
		until, err := moment(cmd.Until, 1)
		check(err)
		k.Expires = until
	case cmd.Days > 0:
		k.Expires = k.NotBefore.AddDate(0, 0, cmd.Days)
	default:
		check(errors.New("--until or --days is needed"))
	}
	if k.ID == "" {
		if k.ID = license.NewID(); cmd.Revision != 1 {
			check(errors.New("--revision is for renewals: it needs --id"))
		}
	}
	var err error
	k.Grace, err = seconds("--grace", cmd.Grace)
	check(err)
	k.Window, err = seconds("--window", cmd.Window)
	check(err)
	check(badPins(cmd.Gateway))
	for _, id := range cmd.Node {
		if scan.ParseNodeID(id) != nil {
			check(fmt.Errorf("--node: %q is not the ID of a node", id))
		}
	}
	return k, errors.Join(errs...)
}

func badPins(pins []string) error {
	if i := slices.IndexFunc(pins, func(p string) bool { return !license.IsPin(p) }); i >= 0 {
		return fmt.Errorf("--gateway: %q is no pin: 43 letters, digits, hyphens and underscores", pins[i])
	}
	return nil
}

// moment reads a day, or a time. A last day ends with the day after it.
func moment(text string, days int) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.AddDate(0, 0, days), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is neither a day as 2027-01-31 nor a time as 2027-01-31T12:00:00Z", text)
	}
	return t.UTC(), nil
}

// seconds reads a time as 90m, 12h or 7d.
func seconds(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return int64(n) * 24 * 60 * 60, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s: %q is no time as 12h or 7d", flag, text)
	}
	return int64(d / time.Second), nil
}
