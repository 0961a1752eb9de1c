package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

type licenseInspectCmd struct {
	Token string `arg:"" optional:"" help:"The text, several with semicolons; none: standard input."`
	Node  string `help:"ID of the node, for heads and marks of a meter." placeholder:"ID"`
	JSON  bool   `help:"Print JSON."`
}

// maxTokens is how much text is read from standard input, in bytes.
const maxTokens = 32 * (token.Max + 2)

// tokens are the parts of an argument, or of standard input.
func tokens(argument string) ([]string, error) {
	if argument == "" || argument == "-" {
		text, err := io.ReadAll(io.LimitReader(os.Stdin, maxTokens))
		if err != nil {
			return nil, err
		}
		argument = string(text)
	}
	var list []string
	for part := range strings.SplitSeq(argument, ";") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: there is no licence in it", errUsage)
	}
	return list, nil
}

func (cmd *licenseInspectCmd) Run(s *session) error {
	texts, err := tokens(cmd.Token)
	if err != nil {
		return err
	}
	var all []license.Inspection
	for _, text := range texts {
		i, err := license.Inspect(text, cmd.Node)
		if err != nil {
			return err
		}
		if all = append(all, i); !cmd.JSON {
			if err := describe(s.stdout, i); err != nil {
				return err
			}
		}
	}
	if cmd.JSON {
		return printJSON(s.stdout, all)
	}
	return nil
}

type licenseVerifyCmd struct {
	Token   string   `arg:"" optional:"" help:"The licence, several with semicolons; none: standard input."`
	Vendor  []string `help:"Pin of a vendor who is trusted; repeat it. None: those of platen.ini." placeholder:"PIN"`
	Origin  string   `help:"The web page that is to use it."`
	Module  string   `help:"The module that is to be used."`
	Gateway string   `help:"Pin of the gateway or licence tracking server where it is to be used." placeholder:"PIN"`
	Node    string   `help:"ID of the node that is to scan." placeholder:"ID"`
	At      string   `help:"When; none: now." placeholder:"DAY"`
}

func (cmd *licenseVerifyCmd) Run(s *session) error {
	texts, err := tokens(cmd.Token)
	if err != nil {
		return err
	}
	vendors := cmd.Vendor
	if len(vendors) == 0 {
		c, err := s.loadConfig()
		if err != nil {
			return err
		}
		vendors = c.License.Trusted()
	}
	if len(vendors) == 0 {
		return fmt.Errorf("%w: no vendor is trusted: name one with --vendor, or in platen.ini", errUsage)
	}
	now := time.Now()
	if cmd.At != "" {
		if now, err = moment(cmd.At, 0); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	for _, text := range texts {
		k, err := license.Parse(text, vendors)
		if err == nil {
			err = cmd.judge(k, now)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.stdout, "Licence %s is good until %s.\n", k.ID, k.Expires.Format(time.DateTime))
	}
	return nil
}

func (cmd *licenseVerifyCmd) judge(k license.Key, now time.Time) error {
	claim := license.Claim{Origin: cmd.Origin, Module: license.Module(cmd.Module)}
	from := license.Place{Pin: cmd.Gateway}
	if cmd.Gateway == "" && len(k.Gateways) > 0 { // any place where it is good
		from.Pin = k.Gateways[0]
	}
	if k.Kind.Tracked() && cmd.Gateway != "" && !k.Bound(cmd.Gateway, cmd.Node) {
		return problem.New(problem.LicenseElsewhere, "Licence %s. What it counts is handed out by %s.", k.ID, strings.Join(append(k.Gateways, k.Nodes...), ", "))
	}
	return k.Permits(claim, from, cmd.Node, now)
}

type licenseStatusCmd struct {
	JSON bool `help:"Print JSON."`
}

func (cmd *licenseStatusCmd) Run(s *session) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	l, err := api.Decode[api.License](c.GetLicense(s.ctx))
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, l)
	}
	return printLicense(s.stdout, l)
}
