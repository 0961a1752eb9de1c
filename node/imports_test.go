package node

import (
	"bytes"
	"fmt"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/pdfium"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// pdfCache is shared by all tests of this process: compiling PDFium takes seconds.
var pdfCache = filepath.Join(os.TempDir(), fmt.Sprintf("platen-pdfium-%d", os.Getpid()))

// importing is a node that makes pages of files, by real worker processes.
func importing(t *testing.T) *rig {
	t.Helper()
	self, err := os.Executable()
	need(t, err)
	t.Cleanup(func() { os.RemoveAll(pdfCache) })
	g := newRig(t, processes{&driver.Workers{Path: self}})
	g.config = func(c *Config) {
		c.Imports = &Imports{Dir: filepath.Join(g.dir, "imports"), Workers: &driver.Workers{Path: self, Env: []string{pdfium.EnvCache + "=" + pdfCache}}}
	}
	return g
}

// pdf is a file with so many pages of 100 by 50 points, black on the left.
func pdf(pages int) string {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n")
	kids := ""
	for i := range pages {
		kids += fmt.Sprintf("%d 0 R ", 4+i)
	}
	fmt.Fprintf(&b, "2 0 obj << /Type /Pages /Kids [%s] /Count %d >> endobj\n", kids, pages)
	content := "0 g 0 0 50 50 re f"
	fmt.Fprintf(&b, "3 0 obj << /Length %d >> stream\n%s\nendstream endobj\n", len(content), content)
	for i := range pages {
		fmt.Fprintf(&b, "%d 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 100 50] /Contents 3 0 R >> endobj\n", 4+i)
	}
	b.WriteString("trailer << /Root 1 0 R >>\n%%EOF\n")
	return b.String()
}

func (g *rig) send(key, query, content string) answer {
	return g.ask(http.MethodPost, "/api/v1/imports"+query, content, "Content-Type", "application/pdf", "Idempotency-Key", key)
}

// left are the files that wait.
func (g *rig) left() int {
	g.t.Helper()
	entries, err := os.ReadDir(filepath.Join(g.dir, "imports"))
	need(g.t, err)
	return len(entries)
}

func TestImport(t *testing.T) {
	g := importing(t).start()
	const key = "import-import-import"
	job := decode[scan.Job](t, g.send(key, "?resolution=144&mode=gray&name=Letter", pdf(3)), http.StatusCreated)
	job = g.reaches(job.ID, scan.JobCompleted)
	if job.Pages != 3 || job.Settings.Pages != 3 || job.Name != "Letter" {
		t.Errorf("job %+v, want three pages", job)
	}
	pages := get[api.PageList](g, "/api/v1/jobs/"+job.ID+"/pages").Items
	if len(pages) != 3 || pages[2].Width != 200 || pages[2].Height != 100 || pages[2].Mode != scan.ModeGray {
		t.Errorf("pages %+v, want three of 200 x 100", pages)
	}
	picture, _, err := image.Decode(g.ask(http.MethodGet, "/api/v1/jobs/"+job.ID+"/pages/3", "").Body)
	need(t, err)
	for x, want := range map[int]bool{20: true, 180: false} {
		if r, _, _, _ := picture.At(x, 50).RGBA(); (r < 0x2000) != want {
			t.Errorf("column %d has %#x, want it black: %v", x, r, want)
		}
	}
	if list := get[api.ScannerList](g, "/api/v1/scanners").Items; len(list) != 0 {
		t.Errorf("the importer is on the list of scanners: %+v", list)
	}
	again := decode[scan.Job](t, g.send(key, "?resolution=144&mode=gray&name=Letter", pdf(3)), http.StatusCreated)
	if again.ID != job.ID {
		t.Errorf("the same request made job %s, want %s", again.ID, job.ID)
	}
	g.send(key, "?resolution=144&mode=gray&name=Letter", pdf(4)).wants(t, problem.IdempotencyKeyReused, "")
	if n := g.left(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestImportRefuses(t *testing.T) {
	g := importing(t).start()
	for i, tt := range []struct {
		query, content string
		want           problem.Code
		field          string
	}{
		{"", "no PDF", problem.FileDamaged, ""},
		{"", pdf(0), problem.FileDamaged, ""},
		{"?resolution=1200", pdf(1), problem.SettingsUnsupported, "resolution"},
		{"?resolution=fine", pdf(1), problem.BadRequest, "resolution"},
		{"?mode=sepia", pdf(1), problem.BadRequest, "mode"},
		{"?document=x", pdf(1), problem.BadID, "document"},
		{"?node=aaaaaaaaaaaaaaaaaaaaaaaaaaaa", pdf(1), problem.BadRequest, "node"},
	} {
		g.send(fmt.Sprintf("refused-refused-%d", i), tt.query, tt.content).wants(t, tt.want, tt.field)
	}
	g.ask(http.MethodPost, "/api/v1/imports", pdf(1), "Content-Type", "text/plain", "Idempotency-Key", newKey()).wants(t, problem.MediaTypeWrong, "")
	if n := g.left(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// A restart leaves no file behind that no job waits for, and keeps that of one that does.
func TestImportAfterACrash(t *testing.T) {
	g := importing(t)
	need(t, os.MkdirAll(filepath.Join(g.dir, "imports"), 0o700))
	need(t, os.WriteFile(filepath.Join(g.dir, "imports", "orphan.pdf"), []byte("x"), 0o600))
	g.start()
	if n := g.left(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// What was interrupted goes on with the pages that are missing.
func TestImportGoesOn(t *testing.T) {
	const pages = 200
	g := importing(t).start()
	job := decode[scan.Job](t, g.send(newKey(), "?resolution=72", pdf(pages)), http.StatusCreated)
	g.until("some pages", func() bool { return g.job(job.ID).Pages > 5 })
	g.stop()
	g.start()
	if j := g.job(job.ID); j.State.Terminal() {
		t.Fatalf("job is %s before it could be interrupted", j.State)
	}
	if n := g.left(); n != 1 {
		t.Fatalf("%d files are left, want the one of the job", n)
	}
	g.reaches(job.ID, scan.JobStopped, scan.ReasonInterrupted)
	decode[scan.Job](t, g.command(job.ID, "resume"), http.StatusOK)
	job = g.reaches(job.ID, scan.JobCompleted)
	if job.Pages != pages || g.left() != 0 {
		t.Errorf("%d pages and %d files, want %d and none", job.Pages, g.left(), pages)
	}
}
