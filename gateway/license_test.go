package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// A job of a page of others goes to the node with its permit, which the grant names, and
// the browser's name as licences have it. Nothing that the browser calls a permit passes.
func TestPermitGoesWithTheJob(t *testing.T) {
	s := newShop(t, plenty, nil)
	r := s.asPage(http.MethodPost, "/api/v1/scanners/"+s.node.scannerID()+"/jobs", scan.JobRequest{})
	r.Header.Set(headerIdempotency, scan.RandomText(20))
	r.Header.Set(license.HeaderPermit, "forged")
	if status, code, _ := s.sendAndRead(r); status != http.StatusCreated {
		t.Fatalf("status %d, problem %q", status, code)
	}
	caller, header := s.node.lastCaller(), s.node.lastHeader()
	permit := header.Get(license.HeaderPermit)
	if p, err := license.ParsePermit(permit); err != nil || p.Key != s.text || len(header.Values(license.HeaderPermit)) != 1 {
		t.Errorf("permit %q, want that of the key", permit)
	}
	if caller.Permit != license.Digest(permit) || caller.Client != license.ClientHash(accesstest.ShopOrigin, clientName) || caller.Origin != accesstest.ShopOrigin {
		t.Errorf("the grant says permit %q, client %q, origin %q", caller.Permit, caller.Client, caller.Origin)
	}
	judge := license.Judge{
		Vendors: func() []string { return []string{s.vendor.Pin()} }, Node: s.node.nodeID(), Clock: s.clock.Now, End: "n",
	}
	claim := license.Claim{Origin: caller.Origin, Client: caller.Client}
	if _, err := judge.Judge(t.Context(), claim, license.Place{Pin: s.id.Pin()}, permit, time.Time{}); err != nil {
		t.Errorf("the node's judge: %v", err)
	}

	own := s.newRequest(s.signIn(api.RoleUser), http.MethodPost, "/api/v1/scanners/"+s.node.scannerID()+"/jobs", scan.JobRequest{})
	own.Header.Set(headerIdempotency, scan.RandomText(20))
	own.Header.Set(license.HeaderPermit, permit)
	if status, code, _ := s.sendAndRead(own); status != http.StatusCreated {
		t.Fatalf("own page: status %d, problem %q", status, code)
	}
	if c, h := s.node.lastCaller(), s.node.lastHeader(); c.Permit != "" || c.Client != "" || h.Get(license.HeaderPermit) != "" {
		t.Errorf("own page: permit %q, client %q, header %q, want none", c.Permit, c.Client, h.Get(license.HeaderPermit))
	}
}

// The pages of a node can be used up although the licence has more: it gets them, and the
// request once more.
func TestMorePages(t *testing.T) {
	s := newShop(t, plenty, func(k *license.Key) { k.Kind, k.Quantity = license.Page, 1000 })
	var keys []string
	refuse := 1
	s.node.on(http.MethodPost, "/scanners/{scanner}/jobs", func(w http.ResponseWriter, r *http.Request) error {
		keys = append(keys, r.Header.Get(headerIdempotency))
		var body scan.JobRequest
		if err := access.ReadJSON(r, &body); err != nil {
			return err
		}
		if refuse > 0 {
			refuse--
			return problem.LicensePages.Error()
		}
		id := s.node.addJobs(time.Now(), 1)[0]
		w.Header().Set("Location", "/api/v1/jobs/"+id)
		return access.WriteJSON(w, http.StatusCreated, s.node.jobs[0])
	})
	s.scan()
	if len(keys) != 2 || keys[0] != keys[1] || keys[0] == "" {
		t.Errorf("the node was asked with the keys %q, want one twice", keys)
	}
	s.server.mu.Lock()
	wishes := s.server.wishes
	s.server.mu.Unlock()
	if len(wishes) < 2 || wishes[len(wishes)-2] != 2 || wishes[len(wishes)-1] != 4 {
		t.Errorf("pages wished for: %d, want 2 and then 2 more", wishes)
	}
	refuse = 3
	keys = nil
	s.scanRefused(problem.LicensePages)
	if len(keys) != 2 {
		t.Errorf("a node that goes on refusing was asked %d times, want 2", len(keys))
	}
}

// A licence that is used up: the server's word counts.
func TestPagesUsedUp(t *testing.T) {
	s := newShop(t, plenty, func(k *license.Key) { k.Kind, k.Quantity = license.Page, 2 })
	s.scan()
	s.node.on(http.MethodPost, "/scanners/{scanner}/jobs", func(http.ResponseWriter, *http.Request) error { return problem.LicensePages.Error() })
	s.scanRefused(problem.LicensePages)
}

// What was scanned before the licence's end comes out afterwards; the next job is refused,
// and there are no new sessions.
func TestExpiryBetweenJobs(t *testing.T) {
	s := newShop(t, plenty, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.node.sends(s.node.stored(receipt, image(1), nil))
	if err := s.report(receipt); err != nil {
		t.Fatal(err)
	}
	s.key.Expires, s.key.Revision = time.Now().Add(-time.Minute), 2
	var err error
	if s.text, err = license.Issue(s.vendor, s.key); err != nil {
		t.Fatal(err)
	}
	s.scanRefused(problem.LicenseExpired)
	if status, code, text := s.ask(http.MethodGet, pagePath(job, 1), nil); status != http.StatusOK || !bytes.Equal(text, image(1)) {
		t.Errorf("a page from before: status %d, problem %q", status, code)
	}
	admin := s.signIn(api.RoleAdmin)
	own := s.newRequest(admin, http.MethodPost, "/api/v1/scanners/"+s.node.scannerID()+"/jobs", scan.JobRequest{})
	own.Header.Set(headerIdempotency, scan.RandomText(20))
	if status, code, _ := s.sendAndRead(own); status != http.StatusCreated {
		t.Errorf("own page: status %d, problem %q", status, code)
	}
}

// The modules that a node has, and which of them the key has.
func TestModules(t *testing.T) {
	s := newShop(t, plenty, func(k *license.Key) { k.Modules = []license.Module{license.Barcode} })
	s.node.on(http.MethodGet, "/modules", func(w http.ResponseWriter, r *http.Request) error {
		return access.WriteJSON(w, http.StatusOK, api.ModuleList{Items: []api.ModuleState{{Module: "barcode", Installed: true}, {Module: "ocr", Installed: true, Licensed: true}}})
	})
	status, code, text := s.ask(http.MethodGet, "/api/v1/modules?node="+s.node.nodeID(), nil)
	var list api.ModuleList
	if err := json.Unmarshal(text, &list); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, problem %q", status, code)
	}
	if len(list.Items) != 2 || !list.Items[0].Licensed || list.Items[1].Licensed {
		t.Errorf("modules %+v, want the barcodes licensed only", list.Items)
	}
	job := s.scan()
	if _, code, _ := s.ask(http.MethodGet, pagePath(job, 1)+"/text", nil); code != problem.LicenseModule {
		t.Errorf("a module that the key has not: problem %q, want %q", code, problem.LicenseModule)
	}
	if _, code, _ := s.ask(http.MethodGet, "/api/v1/modules", nil); code != problem.NodeNeeded {
		t.Errorf("without a node: problem %q, want %q", code, problem.NodeNeeded)
	}
}

// A file passes as it comes: the node has its beginning before its end is there.
func TestImportStreams(t *testing.T) {
	s := newShop(t, plenty, nil)
	began, got := make(chan []byte, 1), make(chan int, 1)
	s.node.on(http.MethodPost, "/imports", func(w http.ResponseWriter, r *http.Request) error {
		first := make([]byte, 4)
		if _, err := io.ReadFull(r.Body, first); err != nil {
			return err
		}
		began <- first
		rest, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		got <- len(first) + len(rest)
		id := s.node.addJobs(time.Now(), 1)[0]
		w.Header().Set("Location", "/api/v1/jobs/"+id)
		return access.WriteJSON(w, http.StatusCreated, s.node.jobs[0])
	})
	body, file := io.Pipe()
	go func() {
		file.Write([]byte("%PDF"))
		<-began
		file.Write(make([]byte, 3<<20))
		file.Close()
	}()
	r := accesstest.NewRequest(access.RoadPublic, http.MethodPost, "/api/v1/imports?node="+s.node.nodeID(), "")
	r.Body, r.ContentLength = body, -1
	r.Header.Set("Content-Type", "application/pdf")
	r.Header.Set(headerIdempotency, scan.RandomText(20))
	r.Header.Set("Authorization", "Bearer "+s.session.Token)
	r.Header.Set("Origin", accesstest.ShopOrigin)
	w := accesstest.Do(s.g.Handler(), r)
	if w.Code != http.StatusCreated {
		t.Fatalf("status %d, %s", w.Code, w.Body)
	}
	if n := <-got; n != 4+3<<20 {
		t.Errorf("the node got %d bytes, want %d", n, 4+3<<20)
	}
	made, err := s.g.scannedUnder.get(t.Context(), s.node.jobs[0].ID)
	if err != nil || made.Item != s.key.ID {
		t.Errorf("the job is known as %+v (%v), want its licence", made, err)
	}
}

// A file that is too large without saying so, or ends early, is the client's fault.
func TestImportThatBreaks(t *testing.T) {
	s := newShop(t, plenty, nil)
	s.node.on(http.MethodPost, "/imports", func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		return problem.FileDamaged.Error()
	})
	for _, test := range []struct {
		name string
		size int64
		err  error
		want problem.Code
	}{
		{"too large", maxImportBody + 1, io.EOF, problem.BodyTooLarge},
		{"ends early", 1 << 20, io.ErrUnexpectedEOF, problem.BadRequest},
		{"whole", 1 << 20, io.EOF, problem.FileDamaged},
	} {
		r := accesstest.NewRequest(access.RoadPublic, http.MethodPost, "/api/v1/imports?node="+s.node.nodeID(), "")
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(io.LimitReader(zeros{}, test.size), failing{test.err})), -1
		r.Header.Set("Content-Type", "application/pdf")
		r.Header.Set(headerIdempotency, scan.RandomText(20))
		r.Header.Set("Authorization", "Bearer "+s.session.Token)
		r.Header.Set("Origin", accesstest.ShopOrigin)
		if w := accesstest.Do(s.g.Handler(), r); accesstest.Code(w) != test.want {
			t.Errorf("%s: status %d, %s, want %q", test.name, w.Code, w.Body, test.want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
