package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// sold says in words what each kind counts; %s is the quantity.
var sold = map[license.Kind]string{
	license.Browser: "%s browser clients", license.Page: "%s pages", license.Server: "all browsers of its web pages",
	license.Concurrent: "%s clients at the same time", license.PerNode: "%s nodes", license.Trial: "a trial",
}

// facts are lines of a name and a value; those without a value are left out.
type facts [][2]string

func (f *facts) add(name, value string) {
	if value != "" {
		*f = append(*f, [2]string{name, value})
	}
}

func (f *facts) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, line := range *f {
		fmt.Fprintf(tw, "  %s\t%s\n", line[0], line[1])
	}
	return tw.Flush()
}

// describe says what a token says.
func describe(w io.Writer, i license.Inspection) error {
	var f facts
	switch {
	case i.Key != nil:
		return printKey(w, i.Key.API(), i.Key.Window)
	case i.Lease != nil:
		l := i.Lease
		fmt.Fprintf(w, "Seat %d of licence %s, revision %d\n", l.Seat, l.Item, l.Revision)
		f.add("holder", l.Holder)
		f.add("web page", l.Origin)
		f.add("handshake code", l.Project)
		f.add("for", l.For)
		f.add("time", span(l.From, l.Until))
	case i.Block != nil:
		b := i.Block
		fmt.Fprintf(w, "%d pages of licence %s, revision %d\n", b.Pages, b.Item, b.Revision)
		f.add("block", b.ID)
		if b.Over > 0 {
			f.add("over-use", fmt.Sprintf("%d pages", b.Over))
		}
		f.add("node", b.Node)
		f.add("handshake code", b.Project)
		f.add("for", b.For)
		f.add("time", span(b.From, b.Until))
	case i.Receipt != nil:
		r := i.Receipt
		fmt.Fprintf(w, "Receipt for page %d of job %s\n", r.N, r.Job)
		f.add("node", r.Node)
		f.add("number there", fmt.Sprint(r.Seq))
		f.add("image", fmt.Sprintf("%s, %d bytes, SHA-256 %s", r.Page, r.Bytes, r.Digest))
		f.add("scanned", when(time.UnixMilli(r.At)))
		f.add("licence", r.Item)
		f.add("block", r.Block)
		f.add("handshake code", r.Project)
		f.add("web page", r.Origin)
		f.add("client", r.Client)
	case i.Head != nil:
		fmt.Fprintf(w, "%s of a meter at page %d\n", map[string]string{"head": "Head", "mark": "Mark"}[i.Type], i.Head.Seq)
		f.add("chain", i.Head.Chain)
	}
	f.add("signed by", i.Signer)
	return f.print(w)
}

func when(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }

func span(from, until time.Time) string { return when(from) + " to " + when(until) }

// printKey describes a licence; window is in seconds.
func printKey(w io.Writer, k api.LicenseKey, window int64) error {
	if k.Id == "" {
		_, err := fmt.Fprintf(w, "Not a licence that is taken here: %s\n", k.Problem.Detail)
		return err
	}
	fmt.Fprintf(w, "Licence %s, revision %d\n", k.Id, k.Revision)
	quantity := "any number of"
	if k.Quantity > 0 {
		quantity = fmt.Sprint(k.Quantity)
	}
	counts := strings.Replace(sold[license.Kind(k.Kind)], "%s", quantity, 1)
	if k.Period != "" {
		counts += " a " + string(k.Period)
	}
	if k.OverUsePercent > 0 {
		counts += fmt.Sprintf(", and %d %% beyond", k.OverUsePercent)
	}
	var modules []string
	for _, m := range k.Modules {
		modules = append(modules, string(m))
	}
	origins := strings.Join(k.Origins, ", ")
	if origins == "" {
		origins = "those that the end allows"
	}
	var f facts
	f.add("kind", k.Kind+": "+counts)
	f.add("organisation", k.Organisation)
	f.add("customer", k.Customer)
	f.add("web pages", origins)
	f.add("modules", strings.Join(modules, ", "))
	f.add("gateways", strings.Join(k.Gateways, ", "))
	f.add("nodes", strings.Join(k.Nodes, ", "))
	f.add("time", span(k.NotBefore.Time, k.Expires.Time))
	if k.GraceSeconds > 0 {
		f.add("without its server", (time.Duration(k.GraceSeconds) * time.Second).String())
	}
	if window > 0 {
		f.add("a seat is held", (time.Duration(window) * time.Second).String())
	}
	f.add("vendor", k.Vendor)
	if k.Problem.Code != "" {
		f.add("problem", k.Problem.Title+" "+k.Problem.Detail)
	}
	return f.print(w)
}

// modes say what each mode means.
var modes = map[api.LicenseMode]string{
	api.LicenseModeOpen:     "No vendor is trusted here: no licence is asked for.",
	api.LicenseModeFree:     "There is no licence here: Platen's own pages, the command line and eSCL scan.",
	api.LicenseModeLicensed: "A licence is set here.",
}

func printLicense(w io.Writer, l api.License) error {
	fmt.Fprintln(w, modes[l.Mode])
	var f facts
	f.add("vendors", strings.Join(l.Vendors, ", "))
	f.add("this end's key", l.Pin)
	f.add("handshake code", l.HandshakeCode)
	f.add("licence tracking server", l.Server)
	if !l.Reached.IsZero() {
		f.add("it answered", when(l.Reached.Time))
	}
	if l.Clock == api.LicenseClockSuspect {
		f.add("clock", "it went back, and nobody has told the right time since")
	}
	if l.Unreported > 0 {
		f.add("pages not counted yet", fmt.Sprint(l.Unreported))
	}
	if err := f.print(w); err != nil {
		return err
	}
	for _, k := range l.Keys {
		if err := printKey(w, k, 0); err != nil {
			return err
		}
	}
	return nil
}
