package node

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestDocumentEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(3, nil))
		defer g.stop()
		j := g.submit(scanner, `{"name":"Invoice","settings":{"source":"adf","resolution":75}}`)
		synctest.Wait()
		url := "/api/v1/documents/" + j.Document
		doc := get[scan.Document](g, url)
		if doc.Name != "Invoice" || len(doc.Pages) != 3 {
			t.Fatalf("document = %+v, want Invoice with 3 pages", doc)
		}
		edit := fmt.Sprintf(`{"revision":%d,"pages":[{"job":%q,"n":3,"rotate":90},{"job":%q,"n":1}]}`, doc.Revision, j.ID, j.ID)
		got := decode[scan.Document](t, g.ask(http.MethodPatch, url, edit), http.StatusOK)
		if len(got.Pages) != 2 || got.Pages[0].N != 3 || got.Pages[0].Rotate != 90 || got.Revision == doc.Revision {
			t.Errorf("edited document = %+v", got)
		}
		g.ask(http.MethodPatch, url, edit).wants(t, problem.RevisionConflict, "revision")
		decode[scan.Document](t, g.ask(http.MethodPatch, url, fmt.Sprintf(`{"pages":[{"job":%q,"n":1},{"job":%q,"n":2}]}`, j.ID, j.ID)), http.StatusOK)

		for body, want := range map[string][2]string{
			`{"name":""}`: {string(problem.BadRequest), "name"},
			`{"name":"` + strings.Repeat("x", 201) + `"}`:           {string(problem.BadRequest), "name"},
			`{"pages":[{"job":"x","n":1}]}`:                         {string(problem.BadID), "pages.0.job"},
			`{"pages":[{"job":"` + j.ID + `","n":0}]}`:              {string(problem.BadRequest), "pages.0.n"},
			`{"pages":[{"job":"` + j.ID + `","n":1,"rotate":45}]}`:  {string(problem.BadRequest), "pages.0.rotate"},
			`{"pages":[{"job":"` + j.ID + `","n":1,"rotate":-90}]}`: {string(problem.BadRequest), "pages.0.rotate"},
			`{"pages":[{"job":"` + j.ID + `","n":1,"rotat":90}]}`:   {string(problem.UnknownField), "pages.0.rotat"},
			`{"colour":"blue"}`:                                     {string(problem.UnknownField), "colour"},
		} {
			g.ask(http.MethodPatch, url, body).wants(t, problem.Code(want[0]), want[1])
		}

		time.Sleep(time.Second) // or both would have changed at the same moment
		made := g.ask(http.MethodPost, "/api/v1/documents", fmt.Sprintf(`{"name":"Copy","pages":[{"job":%q,"n":2}]}`, j.ID))
		copied := decode[scan.Document](t, made, http.StatusCreated)
		if made.Header().Get("Location") != "/api/v1/documents/"+copied.ID || len(copied.Pages) != 1 {
			t.Errorf("made %+v at %s", copied, made.Header().Get("Location"))
		}
		other := scan.RandomText(28)
		g.ask(http.MethodPost, "/api/v1/documents", `{"node":"`+other+`"}`).wants(t, problem.PagesElsewhere, "node")
		if list := get[api.DocumentList](g, "/api/v1/documents"); len(list.Items) != 2 || list.Items[0].ID != copied.ID {
			t.Errorf("documents = %+v, want the copy first", list.Items)
		}

		events, _, err := g.node.hub.after(0)
		need(t, err)
		told := 0
		for _, n := range events {
			if n.event.Type == scan.EventDocument {
				told++
			}
		}
		if told != 3 {
			t.Errorf("%d document events, want 3: two edits and a new one", told)
		}
		if a := g.ask(http.MethodDelete, "/api/v1/documents/"+copied.ID, ""); a.Code != http.StatusNoContent {
			t.Errorf("deleting: status %d, %s", a.Code, a.Body)
		}
		g.ask(http.MethodGet, "/api/v1/documents/"+copied.ID, "").wants(t, problem.NotFound, "")
	})
}

func TestDocumentContent(t *testing.T) {
	g, _, scanner := oneDevice(t, then(3, nil))
	j := g.submit(scanner, `{"name":"Invoice 7","settings":{"source":"adf","resolution":75}}`)
	g.reaches(j.ID, scan.JobCompleted)
	url := "/api/v1/documents/" + j.Document + "/content"
	for format, kind := range map[string]string{"pdf": "application/pdf", "tiff": "image/tiff", "zip": "application/zip"} {
		a := g.ask(http.MethodGet, url+"?format="+format+"&download=true", "")
		extension := map[string]string{"pdf": "pdf", "tiff": "tif", "zip": "zip"}[format]
		if a.Code != http.StatusOK || a.Header().Get("Content-Type") != kind || a.Header().Get("Content-Disposition") != `attachment; filename="Invoice 7.`+extension+`"` {
			t.Errorf("%s: status %d, headers %v", format, a.Code, a.Header())
		}
		if again := g.ask(http.MethodGet, url+"?format="+format, "", "If-None-Match", a.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s again: status %d, want 304", format, again.Code)
		}
		if again := g.ask(http.MethodGet, url+"?format="+format, ""); !bytes.Equal(again.Body.Bytes(), a.Body.Bytes()) {
			t.Errorf("%s: the same ETag with other bytes", format)
		}
	}
	pdf := g.ask(http.MethodGet, url, "")
	if pdf.Header().Get("Content-Disposition") != "" || !bytes.HasPrefix(pdf.Body.Bytes(), []byte("%PDF-")) || !bytes.Contains(pdf.Body.Bytes(), testJPEG(2)) {
		t.Errorf("the default is no PDF with the stored JPEG data: %v", pdf.Header())
	}
	checkPDF(t, pdf.Body.Bytes(), 3)
	archive := g.ask(http.MethodGet, url+"?format=zip", "").Body.Bytes()
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	need(t, err)
	if len(files.File) != 3 {
		t.Fatalf("archive has %d files, want 3", len(files.File))
	}
	f, err := files.File[1].Open()
	need(t, err)
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, testJPEG(2)) {
		t.Errorf("second file is not the second page: %v", err)
	}
	etag := pdf.Header().Get("ETag")
	g.ask(http.MethodPatch, "/api/v1/documents/"+j.Document, fmt.Sprintf(`{"pages":[{"job":%q,"n":2}]}`, j.ID))
	edited := g.ask(http.MethodGet, url, "", "If-None-Match", etag)
	if edited.Code != http.StatusOK || edited.Header().Get("ETag") == etag {
		t.Errorf("after an edit: status %d, ETag %s", edited.Code, edited.Header().Get("ETag"))
	}
	checkPDF(t, edited.Body.Bytes(), 1)
	if a := g.ask(http.MethodHead, url, ""); a.Code != http.StatusOK || a.Body.Len() != 0 {
		t.Errorf("HEAD: status %d, %d bytes", a.Code, a.Body.Len())
	}
	g.ask(http.MethodGet, url+"?format=docx", "").wants(t, problem.FormatUnsupported, "format")
	g.ask(http.MethodGet, url+"?download=1", "").wants(t, problem.BadRequest, "download")
	g.ask(http.MethodPatch, "/api/v1/documents/"+j.Document, `{"pages":[]}`)
	g.ask(http.MethodGet, url, "").wants(t, problem.PageNotReady, "")
}

// checkPDF lets qpdf judge where it is installed.
func checkPDF(t *testing.T, file []byte, pages int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.pdf")
	need(t, os.WriteFile(path, file, 0o600))
	if got := bytes.Count(file, []byte("/Type /Page\n")) + bytes.Count(file, []byte("/Type /Page ")) + bytes.Count(file, []byte("/Type/Page/")) + bytes.Count(file, []byte("/Type /Page/")); got != pages {
		t.Errorf("PDF has %d page objects, want %d", got, pages)
	}
	if qpdf, err := exec.LookPath("qpdf"); err == nil {
		if out, err := exec.Command(qpdf, "--check", path).CombinedOutput(); err != nil {
			t.Errorf("qpdf --check: %v\n%s", err, out)
		}
	}
}

// TestContentOfLostPage names the page that is gone.
func TestContentOfLostPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(2, nil))
		defer func() { g.stop() }()
		j := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		g.stop()
		files, err := filepath.Glob(filepath.Join(g.dir, "spool", j.ID, "*.jpeg"))
		need(t, err)
		if len(files) != 2 {
			t.Fatalf("%d page files, want 2", len(files))
		}
		page := files[0]
		need(t, os.Remove(page))
		g.start()
		lost := 0
		for n := 1; n <= 2; n++ {
			a := g.ask(http.MethodGet, fmt.Sprintf("/api/v1/jobs/%s/pages/%d", j.ID, n), "")
			if a.Code != http.StatusOK {
				a.wants(t, problem.PageLost, "")
				lost++
			}
		}
		if lost != 1 {
			t.Errorf("%d pages are lost, want 1", lost)
		}
		g.ask(http.MethodGet, "/api/v1/documents/"+j.Document+"/content", "").wants(t, problem.PageLost, "")
	})
}
