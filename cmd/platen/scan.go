package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

type scanCmd struct {
	remote
	Scanner    string   `help:"Scanner, by ID, name or part of its name; not needed where there is one only." placeholder:"NAME"`
	Source     string   `help:"platen, adf or adf-duplex." enum:"platen,adf,adf-duplex," default:"" placeholder:"SOURCE"`
	Mode       string   `help:"color, gray or lineart." enum:"color,gray,lineart," default:"" placeholder:"MODE"`
	Depth      int      `help:"Bits per sample: 1, 8 or 16." placeholder:"BITS"`
	Resolution int      `help:"Dots per inch." placeholder:"DPI" short:"r"`
	Pages      int      `help:"Number of pages; 0: one from the glass, all from a feeder." placeholder:"N"`
	Region     string   `help:"Part of the source in millimetres." placeholder:"X,Y,W,H"`
	Quality    int      `help:"JPEG quality, 1 to 100." placeholder:"Q"`
	Option     []string `help:"An option of the device itself; may be repeated." placeholder:"NAME=VALUE" sep:"none"`
	Output     string   `help:"File to write: .pdf .jpg .png .tiff .pnm; page-%03d.png for a file a page." short:"o" required:"" placeholder:"FILE"`
	Name       string   `help:"Name of the document." placeholder:"TEXT"`
	Quiet      bool     `help:"No progress." short:"q"`
	JSON       bool     `help:"Print the job as JSON when it has ended."`
}

func (cmd *scanCmd) Run(s *session) error {
	out, err := parseOutput(cmd.Output)
	if err != nil {
		return err
	}
	settings, err := cmd.settings(out)
	if err != nil {
		return err
	}
	if err := out.writable(); err != nil { // before any paper moves
		return err
	}
	c, closer, err := s.connect(cmd.Gateway)
	if err != nil {
		return err
	}
	defer closer()
	scanner, err := s.find(c, cmd.Scanner)
	if err != nil {
		return err
	}
	if !out.manyPages() && settings.Source.Feeder() && settings.Pages != 1 {
		return fmt.Errorf("%w: %s holds one page; take -o page-%%03d%s, a PDF, or --pages 1", errUsage, cmd.Output, out.ext)
	}
	opener, err := newOpener(scanner)
	if err != nil {
		return err
	}
	job, err := api.Decode[scan.Job](c.CreateJob(s.ctx, scanner.ID,
		&api.CreateJobParams{IdempotencyKey: scan.RandomText(32)},
		scan.JobRequest{Settings: settings, Name: cmd.Name, Recipient: opener.recipient()}))
	if err != nil {
		return err
	}
	run := &scanRun{session: s, c: c, job: job, scanner: scanner, out: out, opener: opener, quiet: cmd.Quiet}
	job, err = run.follow()
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, job)
	}
	return nil
}

// settings are the flags as Settings; what is not said stays open.
func (cmd *scanCmd) settings(out output) (scan.Settings, error) {
	set := scan.Settings{
		Source: scan.Source(cmd.Source), Mode: scan.ColorMode(cmd.Mode), Depth: cmd.Depth,
		Resolution: cmd.Resolution, Pages: cmd.Pages, Quality: cmd.Quality, Format: out.master(),
	}
	if out.format == scan.FormatJPEG && cmd.Depth == 0 && cmd.Mode != string(scan.ModeLineart) {
		set.Depth = 8
	}
	if cmd.Region != "" {
		r, err := parseRegion(cmd.Region)
		if err != nil {
			return set, err
		}
		set.Region = &r
	}
	for _, o := range cmd.Option {
		name, value, ok := strings.Cut(o, "=")
		if !ok {
			return set, fmt.Errorf("%w: --option takes NAME=VALUE, not %q", errUsage, o)
		}
		if set.Options == nil {
			set.Options = map[string]string{}
		}
		set.Options[name] = value
	}
	return set, nil
}

func parseRegion(s string) (scan.Region, error) {
	parts := strings.Split(s, ",")
	var v [4]float64
	if len(parts) != len(v) {
		return scan.Region{}, fmt.Errorf("%w: --region takes X,Y,W,H in millimetres, not %q", errUsage, s)
	}
	for i, p := range parts {
		f, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil {
			return scan.Region{}, fmt.Errorf("%w: --region: %q is no number", errUsage, p)
		}
		v[i] = f
	}
	return scan.Region{X: v[0], Y: v[1], Width: v[2], Height: v[3]}, nil
}
