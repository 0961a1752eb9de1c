package airscan

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/node"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
)

// real is a node with the virtual scanner, which is shared on a port of this machine.
type real struct {
	t    *testing.T
	node *node.Node
	url  string
}

func startReal(t *testing.T) *real {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	program, err := os.Executable()
	need(t, err)
	self, err := identity.New()
	need(t, err)
	store, _, err := pagestore.Open(t.Context(), pagestore.Config{Dir: dir, NodeID: self.NodeID(), Log: log})
	need(t, err)
	hosts, err := access.NewHosts()
	need(t, err)
	n, err := node.New(node.Config{
		Identity: self, Name: "Reception", Version: "1", Store: store, Workers: &driver.Workers{Path: program},
		Drivers: []string{"virtual"}, Access: access.Config{Hosts: hosts}, Log: log,
	})
	need(t, err)
	var parts sync.WaitGroup
	serve := func(f func(context.Context) error) (end func()) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		parts.Go(func() {
			defer close(ended)
			if err := f(ctx); err != nil {
				t.Errorf("Serve = %v, want nil", err)
			}
		})
		return func() { cancel(); <-ended }
	}
	endNode := serve(n.Serve)
	<-n.Ready()
	s, err := New(Config{Scanner: scannerOf(t, n), API: n.API, Spool: dir, Log: log})
	need(t, err)
	endServer := serve(s.Serve)
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		web.Close()
		endServer()
		if jobs := jobsAt(t, n); len(jobs) > 0 {
			t.Errorf("%d jobs stay at the node", len(jobs))
		}
		endNode()
		need(t, store.Close())
		http.DefaultClient.CloseIdleConnections()
	})
	g := &real{t, n, web.URL}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, ok := s.Describe(); ok {
			return g
		}
		if time.Now().After(deadline) {
			t.Fatal("the scanner was not learned")
		}
	}
}

// local is who the tests are for the node.
var local = netip.MustParseAddr("127.0.0.1")

func scannerOf(t *testing.T, n *node.Node) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		list, err := api.Decode[api.ScannerList](n.API(local).ListScanners(t.Context(), &api.ListScannersParams{}))
		need(t, err)
		if len(list.Items) > 0 {
			return list.Items[0].ID
		}
		if time.Now().After(deadline) {
			t.Fatal("the virtual scanner was not found")
		}
	}
}

func jobsAt(t *testing.T, n *node.Node) []api.Job {
	t.Helper()
	list, err := api.Decode[api.JobList](n.API(local).ListJobs(context.Background(), &api.ListJobsParams{}))
	need(t, err)
	return list.Items
}

// scan posts a job and fetches all its pages.
func (g *real) scan(s escl.Settings) [][]byte {
	g.t.Helper()
	return g.scanAs(http.Header{"Content-Type": {"text/xml"}}, s)
}

// scanAs is scan by a client that posts with these headers.
func (g *real) scanAs(client http.Header, s escl.Settings) [][]byte {
	g.t.Helper()
	post, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.url+"/eSCL/ScanJobs", bytes.NewReader(s.XML()))
	need(g.t, err)
	post.Header = client
	res, err := http.DefaultClient.Do(post)
	need(g.t, err)
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		g.t.Fatalf("POST = %s %s", res.Status, body)
	}
	job := res.Header.Get("Location")
	var pages [][]byte
	for {
		res, err := http.Get(job + "/NextDocument")
		need(g.t, err)
		b, err := io.ReadAll(res.Body)
		need(g.t, err)
		res.Body.Close()
		switch res.StatusCode {
		case http.StatusOK:
			pages = append(pages, b)
			continue
		case http.StatusServiceUnavailable:
			continue
		case http.StatusNotFound:
		default:
			g.t.Errorf("NextDocument = %s %s", res.Status, b)
		}
		return pages
	}
}

// TestRealNode scans the virtual scanner from all sources, in all forms.
func TestRealNode(t *testing.T) {
	if testing.Short() {
		t.Skip("the virtual scanner is as slow as a real one")
	}
	t.Parallel()
	g := startReal(t)
	width, height := 1240, 1754 // half of A4 either way
	for _, tt := range []struct {
		s      escl.Settings
		pages  int
		format string // as the image package or TIFF and PDF files call it
		w, h   int
	}{
		{escl.Settings{Source: escl.FromPlaten, Mode: escl.RGB24, Format: escl.JPEG, Resolution: 75}, 1, "jpeg", 620, 877},
		{escl.Settings{Source: escl.FromPlaten, Mode: escl.Grayscale8, Format: escl.PNG, Resolution: 100}, 1, "png", 827, 1169},
		{escl.Settings{Source: escl.FromPlaten, Mode: escl.RGB48, Format: escl.PNG, Resolution: 75}, 1, "png", 620, 877},
		{escl.Settings{Source: escl.FromPlaten, Mode: escl.BlackAndWhite1, Format: escl.TIFF, Resolution: 150}, 1, "MM\x00*", 0, 0},
		{escl.Settings{Source: escl.FromPlaten, Mode: escl.RGB24, Format: escl.JPEG, Resolution: 75, Region: &escl.Region{Width: &width, Height: &height}}, 1, "jpeg", 310, 439},
		{escl.Settings{Source: escl.FromFeeder, Mode: escl.Grayscale8, Format: escl.JPEG, Resolution: 75}, 5, "jpeg", 620, 877},
		{escl.Settings{Source: escl.FromFeeder, Duplex: true, Mode: escl.BlackAndWhite1, Format: escl.PNG, Resolution: 75}, 10, "png", 620, 877},
		{escl.Settings{Source: escl.FromFeeder, Mode: escl.RGB24, Format: escl.PDF, Resolution: 75}, 5, "%PDF-1.7", 1, 0},
		{escl.Settings{Source: escl.FromFeeder, Mode: escl.BlackAndWhite1, Format: escl.PDF, Resolution: 75, Concat: true}, 1, "%PDF-1.7", 5, 0},
	} {
		t.Run(fmt.Sprint(tt.s.Source, tt.s.Mode, tt.s.Format), func(t *testing.T) {
			tt.s.Version = escl.Version
			g.t = t
			pages := g.scan(tt.s)
			if len(pages) != tt.pages {
				t.Fatalf("%d pages, want %d", len(pages), tt.pages)
			}
			for n, page := range pages {
				if n > 0 && bytes.Equal(page, pages[n-1]) {
					t.Errorf("page %d came twice", n+1)
				}
				switch {
				case strings.HasPrefix(tt.format, "%PDF"):
					checkPDF(t, page, tt.w)
				case tt.w == 0:
					if !strings.HasPrefix(string(page), tt.format) {
						t.Errorf("page begins %.8q, want %q", page, tt.format)
					}
				default:
					c, format, err := image.DecodeConfig(bytes.NewReader(page))
					if err != nil || format != tt.format || c.Width != tt.w || c.Height != tt.h {
						t.Errorf("page %d = %s of %d × %d, %v; want %s of %d × %d", n+1, format, c.Width, c.Height, err, tt.format, tt.w, tt.h)
					}
				}
			}
		})
	}
	g.t = t
	t.Run("line art as JPEG", g.lineartAsJPEG)
	status(g)
}

// lineartAsJPEG is gray, and has nothing but black and white but for what JPEG adds.
func (g *real) lineartAsJPEG(t *testing.T) {
	sane := http.Header{"User-Agent": {""}, "Accept": {"*/*"}} // "" sends none
	pages := g.scanAs(sane, escl.Settings{Version: escl.Version, Source: escl.FromFeeder, Mode: escl.BlackAndWhite1, Format: escl.JPEG, Resolution: 75})
	if len(pages) != 5 {
		t.Fatalf("%d pages, want 5", len(pages))
	}
	for n, page := range pages {
		img, format, err := image.Decode(bytes.NewReader(page))
		need(t, err)
		gray, ok := img.(*image.Gray)
		if size := img.Bounds().Size(); !ok || format != "jpeg" || size != image.Pt(620, 877) {
			t.Fatalf("page %d = %s, %T of %v; want gray JPEG of 620 × 877", n+1, format, img, size)
		}
		var ends [2]int // dark, light
		for _, v := range gray.Pix {
			if v < 64 || v > 191 {
				ends[v>>7]++
			}
		}
		if ends[0] == 0 || ends[1] == 0 || ends[0]+ends[1] < len(gray.Pix)*9/10 {
			t.Errorf("page %d has %d dark and %d light of %d pixels", n+1, ends[0], ends[1], len(gray.Pix))
		}
	}
}

// checkPDF has another program judge the file.
func checkPDF(t *testing.T, b []byte, pages int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scan.pdf")
	need(t, os.WriteFile(file, b, 0o600))
	if _, err := exec.LookPath("qpdf"); err != nil {
		t.Fatal("qpdf is not there: run make deps")
	}
	if out, err := exec.Command("qpdf", "--check", file).CombinedOutput(); err != nil {
		t.Errorf("qpdf --check: %v\n%s", err, out)
	}
	out, err := exec.Command("qpdf", "--show-npages", file).Output()
	if err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(pages) {
		t.Errorf("PDF has %s pages, %v; want %d", out, err, pages)
	}
}

// status: all jobs of the test are completed, and what is said of them is XML.
func status(g *real) {
	g.t.Helper()
	res, err := http.Get(g.url + "/eSCL/ScannerStatus")
	need(g.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	need(g.t, err)
	need(g.t, xml.Unmarshal(body, new(struct{})))
	st, err := escl.ParseStatus(body)
	need(g.t, err)
	for _, j := range st.Jobs {
		if j.State != escl.JobCompleted || j.ToTransfer != 0 {
			g.t.Errorf("job = %+v, want it completed", j)
		}
	}
	if len(st.Jobs) != 10 {
		g.t.Errorf("%d jobs are listed, want 10", len(st.Jobs))
	}
}

// TestRealQueue: two clients of the same scanner wait for each other.
func TestRealQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("the virtual scanner is as slow as a real one")
	}
	t.Parallel()
	g := startReal(t)
	var clients sync.WaitGroup
	got := make([]int, 3)
	for n := range got {
		clients.Go(func() {
			got[n] = len(g.scan(escl.Settings{Version: escl.Version, Source: escl.FromFeeder, Mode: escl.Grayscale8, Format: escl.JPEG, Resolution: []int{75, 100}[n%2]}))
		})
		if n == 1 {
			clients.Wait() // the third comes when they are done
		}
	}
	clients.Wait()
	if fmt.Sprint(got) != "[5 5 5]" {
		t.Errorf("clients got %v pages, want 5 each", got)
	}
}
