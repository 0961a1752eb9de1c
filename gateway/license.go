package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	feederPages = 100  // that a node is to have for a scan whose number nobody knows
	mostPages   = 1000 // that are asked for at once; a job that needs more goes on as far as its licence does
)

// covering is the licence under which one request goes to a node. The zero covering is
// that of a request which needs none.
type covering struct {
	permit license.Permit
	// more finds a permit for as many pages beyond those that the node says it has used;
	// nil: they are not counted.
	more func() (license.Permit, error)
	made func(job string, under license.Permit) // hears of the job that the request made; may be nil
	// check judges the answer before any of it is passed on; nil: it may pass.
	check func(*http.Response) error
}

// judge judges the node's answer.
func (c covering) judge(answer *http.Response) error {
	if c.made != nil && answer.StatusCode == http.StatusCreated {
		if job, ok := strings.CutPrefix(answer.Header.Get("Location"), v1+"/jobs/"); ok {
			c.made(job, c.permit)
		}
	}
	if c.check == nil {
		return nil
	}
	return c.check(answer)
}

// licensed reports whether the caller's pages are given out under a licence only, and so
// against receipts.
func (g *Gateway) licensed(c access.Caller) bool {
	return c.Origin != "" && g.cfg.Desk != nil && g.cfg.Desk.Asks()
}

// cover finds the permit for what the caller wants of the node. ctx is that of the request.
func (g *Gateway) cover(ctx context.Context, n *node, module license.Module, pages int) (covering, error) {
	caller := access.CallerOf(ctx)
	if g.cfg.Desk == nil {
		return covering{}, nil
	}
	permit, err := g.cfg.Desk.Permit(ctx, caller, module, n.id, pages)
	if err != nil {
		return covering{}, err
	}
	c := covering{permit: permit}
	if len(permit.Blocks) > 0 && pages > 0 {
		c.more = func() (license.Permit, error) {
			return g.cfg.Desk.Permit(ctx, caller, module, n.id, given(permit, n.id)+pages)
		}
	}
	return c, nil
}

// given is how many pages the node was given by a permit, whatever is left of them.
func given(p license.Permit, node string) (pages int) {
	for _, text := range p.Blocks {
		if b, err := license.ParseBlock(text, node); err == nil {
			pages += int(b.Pages)
		}
	}
	return pages
}

// sign puts the permit beside the grant, which names its digest, and the browser's name.
// What a browser calls a permit never comes here: see towardsNode.
func (c covering) sign(grant *access.Grant, caller access.Caller, h http.Header) {
	if caller.Origin != "" && caller.Client != "" {
		grant.Client = license.ClientHash(caller.Origin, caller.Client)
	}
	if text := c.permit.String(); text != "" {
		grant.Permit = license.Digest(text)
		h.Set(license.HeaderPermit, text)
	}
}

// maxProblem bounds the refusal of a node that is looked at.
const maxProblem = 64 << 10 // bytes

// pagesUsed reports whether a node refused because the pages that it was given are used up.
// The answer can be read as before.
func pagesUsed(answer *http.Response) (bool, error) {
	if answer.StatusCode != problem.LicensePages.Status() || !strings.HasPrefix(answer.Header.Get("Content-Type"), problem.MediaType) {
		return false, nil
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil {
		answer.Body.Close()
		return false, fmt.Errorf("reading the node's answer: %w", err)
	}
	answer.Body = readAgain{io.MultiReader(strings.NewReader(string(text)), answer.Body), answer.Body}
	var p problem.Error
	return json.Unmarshal(text, &p) == nil && p.Code == problem.LicensePages, nil
}

// readAgain is a body of which the beginning was looked at.
type readAgain struct {
	io.Reader
	io.Closer
}

// createJob passes a job on to a node that takes new ones, under the licence of the page
// that asks for it.
func (g *Gateway) createJob(w http.ResponseWriter, r *http.Request) error {
	n, err := g.registry.owner(r.PathValue("scanner"))
	if err != nil {
		return err
	}
	record := g.registry.record(n)
	if record.Draining {
		return problem.NodeDraining.Error()
	}
	if !g.licensed(access.CallerOf(r.Context())) {
		return g.pass(w, r, n, briefly)
	}
	if err := accountable(record); err != nil {
		return err
	}
	pages, err := pagesWanted(r)
	if err != nil {
		return err
	}
	c, err := g.cover(r.Context(), n, "", pages)
	if err != nil {
		return err
	}
	c.made = g.notingJob(r.Context(), n)
	return g.passUnder(w, r, n, briefly, c)
}

// notingJob notes the licence of the job that a request makes.
func (g *Gateway) notingJob(ctx context.Context, n *node) func(string, license.Permit) {
	head, _ := g.ledger.Head(n.id) // before the node hears of the job
	return func(job string, under license.Permit) { g.scannedUnder.put(ctx, job, under, head.Seq) }
}

// pagesWanted is how many pages a job may make, as far as its request says. What is wrong
// with the request is the node's to say.
func pagesWanted(r *http.Request) (int, error) {
	if err := readAhead(r); err != nil {
		return 0, err
	}
	var body struct {
		Settings struct {
			Source scan.Source `json:"source"`
			Pages  int         `json:"pages"`
		} `json:"settings"`
	}
	if r.GetBody != nil {
		content, err := r.GetBody()
		if err != nil {
			return 0, err
		}
		_ = json.NewDecoder(content).Decode(&body)
	}
	switch {
	case body.Settings.Pages > 0:
		return min(body.Settings.Pages, mostPages), nil
	case body.Settings.Source == scan.SourcePlaten:
		return 1, nil
	}
	return feederPages, nil
}

// itemOf is the licence of a permit that this gateway's desk gave.
func itemOf(p license.Permit) string {
	signer, err := token.SignerUpTo(token.Max, p.Key)
	if err != nil {
		return ""
	}
	k, err := license.Parse(p.Key, []string{identity.PinOf(signer)})
	if err != nil {
		return ""
	}
	return k.ID
}
