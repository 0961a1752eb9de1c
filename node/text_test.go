package node

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/node/ocr"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// withTexts lets a rig read texts by the program; "": tesseract.
func withTexts(g *rig, command string) {
	before := g.config
	g.config = func(c *Config) {
		if before != nil {
			before(c)
		}
		c.Texts = ocr.New(ocr.Config{Command: command, Dir: filepath.Join(g.dir, "ocr")})
	}
}

// reader is a program in place of tesseract: it finds two words on every page, and notes
// each reading in a file.
func reader(t testing.TB, more string) (command, calls string) {
	t.Helper()
	dir := t.TempDir()
	command, calls = filepath.Join(dir, "tesseract"), filepath.Join(dir, "calls")
	need(t, os.WriteFile(command, []byte(fmt.Sprintf(`#!/bin/sh
case "$1" in
--version) echo "tesseract 9.9"; exit ;;
--list-langs) printf 'List:\neng\ndeu\nosd\n'; exit ;;
esac
echo "$@" >> %s
%s
printf 'level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n'
printf '5\t1\t1\t1\t1\t1\t20\t20\t40\t10\t90\tHello\n5\t1\t1\t1\t1\t2\t70\t20\t40\t10\t80\tpaper\n'
`, calls, more)), 0o700))
	return command, calls
}

func countLines(t testing.TB, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// pdfWords are the words that pdftotext finds in a PDF.
func pdfWords(t testing.TB, pdf []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pdf")
	need(t, os.WriteFile(path, pdf, 0o600))
	out, err := exec.Command("pdftotext", path, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v, %s", err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// TestTextOfVirtualPages reads the sheets of the virtual scanner with tesseract, and their
// codes, and finds the words in the PDF.
func TestTextOfVirtualPages(t *testing.T) {
	g, scanner := virtualNode(t)
	if len(g.node.texts.State(t.Context()).Languages) == 0 {
		t.Fatal("the tests need tesseract with eng and osd: make deps installs them")
	}
	j := g.submit(scanner, `{"name":"Two words","settings":{"source":"adf","mode":"gray","resolution":150,"options":{"pace":"off","sheets":"1"}}}`)
	j = g.reaches(j.ID, scan.JobCompleted)
	page := "/api/v1/jobs/" + j.ID + "/pages/1"
	text := get[api.PageText](g, page+"/text")
	all := strings.Join(strings.Fields(text.Text), " ")
	for _, want := range []string{"Platen virtual scanner", "We thank you for your order", "PLATEN-0001-F", "Folders, blue"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %q", want, all)
		}
	}
	if text.Orientation != 0 || text.Language != "eng" || len(text.Words) < 200 {
		t.Errorf("%d words in %s, %d°", len(text.Words), text.Language, text.Orientation)
	}
	codes := get[api.BarcodeList](g, page+"/barcodes")
	if len(codes.Items) != 1 || codes.Items[0].Text != "PLATEN-0001-F" || len(codes.Items[0].Points) != 4 {
		t.Errorf("codes = %+v", codes.Items)
	}

	url := "/api/v1/documents/" + j.Document
	for _, rotate := range []int{0, 90} {
		g.ask(http.MethodPatch, url, fmt.Sprintf(`{"pages":[{"job":%q,"n":1,"rotate":%d}]}`, j.ID, rotate))
		plain, pdf := g.ask(http.MethodGet, url+"/content", ""), g.ask(http.MethodGet, url+"/content?ocr=eng", "")
		checkPDF(t, pdf.Body.Bytes(), 1)
		// A page that lies on its side is read from there on by pdftotext, line by line all the same.
		if words := pdfWords(t, pdf.Body.Bytes()); !strings.Contains(words, "We thank you for your order") || !strings.Contains(words, "PLATEN-0001-F") {
			t.Errorf("turned by %d°: pdftotext finds %q", rotate, words)
		}
		if words := pdfWords(t, plain.Body.Bytes()); words != "" || plain.Header().Get("ETag") == pdf.Header().Get("ETag") {
			t.Errorf("without ocr: %q under %s", words, plain.Header().Get("ETag"))
		}
	}
	txt := g.ask(http.MethodGet, url+"/content?format=txt&ocr=eng&download=true", "")
	if txt.Body.String() != text.Text+"\n" || txt.Header().Get("Content-Disposition") != `attachment; filename="Two words.txt"` || !strings.HasPrefix(txt.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("as text: %v %q", txt.Header(), txt.Body)
	}
}

// TestKeptTexts reads a page once for all who ask, and again in another language.
func TestKeptTexts(t *testing.T) {
	d := newFakeDevice("one")
	d.scan = deal([][]byte{labeled(t, "", ""), labeled(t, "X", "")}, false)
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
	command, calls := reader(t, "sleep 0.2")
	withTexts(g, command)
	g.start().found()
	j := g.submit(d.id(g.node.id), request(scan.SourceADF, 0))
	g.reaches(j.ID, scan.JobCompleted)
	url := "/api/v1/jobs/" + j.ID + "/pages/"
	done := make(chan string)
	for range 4 {
		go func() { done <- g.ask(http.MethodGet, url+"1/text", "").Body.String() }()
	}
	for range 4 {
		if body := <-done; !strings.Contains(body, `"Hello paper"`) {
			t.Errorf("text: %s", body)
		}
	}
	if n := countLines(t, calls); n != 1 {
		t.Errorf("the page was read %d times, want once", n)
	}
	get[api.PageText](g, url+"1/text?language=deu%2Beng")
	content := "/api/v1/documents/" + j.Document + "/content"
	tags := map[string]bool{}
	for _, query := range []string{"?format=pdf", "?ocr=eng", "?ocr=deu", "?ocr=eng&format=txt"} {
		a := g.ask(http.MethodGet, content+query, "")
		tag := a.Header().Get("ETag")
		if a.Code != http.StatusOK || tags[tag] {
			t.Errorf("%s: status %d under %s", query, a.Code, tag)
		}
		tags[tag] = true
		if again := g.ask(http.MethodGet, content+query, ""); again.Header().Get("ETag") != tag || !bytes.Equal(again.Body.Bytes(), a.Body.Bytes()) {
			t.Errorf("%s: the same again is another", query)
		}
		if again := g.ask(http.MethodGet, content+query, "", "If-None-Match", tag); again.Code != http.StatusNotModified {
			t.Errorf("%s again: status %d", query, again.Code)
		}
	}
	if n := countLines(t, calls); n != 1+1+1+2 { // page 1: eng, deu+eng; page 2: eng; both: deu
		t.Errorf("tesseract ran %d times, want 5", n)
	}
	b, err := os.ReadFile(calls)
	need(t, err)
	if first, _, _ := strings.Cut(string(b), "\n"); first != "stdin stdout --psm 1 -l eng -c tessedit_create_tsv=1 --dpi 75" {
		t.Errorf("it ran with %q", first)
	}
	for query, want := range map[string][2]string{
		"?format=txt": {string(problem.BadRequest), "ocr"}, "?format=zip&ocr=eng": {string(problem.FormatUnsupported), "ocr"},
		"?ocr=e": {string(problem.BadRequest), "ocr"}, "?ocr=": {string(problem.BadRequest), "ocr"}, "?ocr=fra": {string(problem.ModuleMissing), ""},
		"?ocr=eng%2B..%2Fx": {string(problem.BadRequest), "ocr"}, "?format=doc": {string(problem.FormatUnsupported), "format"},
	} {
		g.ask(http.MethodGet, content+query, "").wants(t, problem.Code(want[0]), want[1])
	}
	g.ask(http.MethodGet, url+"1/text?language=-l", "").wants(t, problem.BadRequest, "language")
	g.ask(http.MethodGet, url+"1/text?language=fra", "").wants(t, problem.ModuleMissing, "")
	g.ask(http.MethodGet, url+"7/text", "").wants(t, problem.NotFound, "")
	if m := get[api.ModuleList](g, "/api/v1/modules").Items[2]; m.Module != api.ModuleOcr || !m.Installed || fmt.Sprint(m.Languages) != "[deu eng]" {
		t.Errorf("module = %+v", m)
	}
	if left, err := os.ReadDir(filepath.Join(g.dir, "ocr")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestTextMissing(t *testing.T) {
	d := newFakeDevice("one")
	d.scan = then(1, nil)
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
	withTexts(g, filepath.Join(t.TempDir(), "none"))
	g.start().found()
	j := g.submit(d.id(g.node.id), request(scan.SourcePlaten, 0))
	g.reaches(j.ID, scan.JobCompleted)
	g.ask(http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1/text", "").wants(t, problem.ModuleMissing, "")
	g.ask(http.MethodGet, "/api/v1/documents/"+j.Document+"/content?ocr=eng", "").wants(t, problem.ModuleMissing, "")
	if m := get[api.ModuleList](g, "/api/v1/modules").Items[2]; m.Installed || !strings.Contains(m.Hint, "tesseract-ocr") || len(m.Languages) > 0 {
		t.Errorf("module = %+v", m)
	}
}

// TestTextFails keeps no failure, and gives the document without the page's text.
func TestTextFails(t *testing.T) {
	d := newFakeDevice("one")
	d.scan = then(1, nil)
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
	command, calls := reader(t, "echo 'out of ink' >&2; exit 1")
	withTexts(g, command)
	g.start().found()
	j := g.submit(d.id(g.node.id), request(scan.SourcePlaten, 0))
	g.reaches(j.ID, scan.JobCompleted)
	for range 2 {
		g.ask(http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1/text", "").wants(t, problem.ModuleFailed, "")
	}
	if n := countLines(t, calls); n != 2 {
		t.Errorf("tesseract ran %d times, want twice", n)
	}
	pdf := g.ask(http.MethodGet, "/api/v1/documents/"+j.Document+"/content?ocr=eng", "")
	checkPDF(t, pdf.Body.Bytes(), 1)
}

// TestTextCanceled ends the program with the request, and with the node.
func TestTextCanceled(t *testing.T) {
	for _, end := range []string{"request", "node"} {
		t.Run(end, func(t *testing.T) {
			d := newFakeDevice("one")
			d.scan = then(1, nil)
			g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
			pids := filepath.Join(t.TempDir(), "pids")
			need(t, unix.Mkfifo(pids, 0o600))
			command, _ := reader(t, "echo $$ > "+pids+"; exec sleep 600")
			withTexts(g, command)
			g.start().found()
			j := g.submit(d.id(g.node.id), request(scan.SourcePlaten, 0))
			g.reaches(j.ID, scan.JobCompleted)
			r := accesstest.NewRequest(access.RoadLoopback, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1/text", "")
			r.Header.Set("Authorization", "Bearer "+adminToken)
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			ended := make(chan int)
			go func() { ended <- accesstest.Do(g.local, r.WithContext(ctx)).Code }()
			b, err := os.ReadFile(pids)
			need(t, err)
			if end == "node" {
				g.node.end() // and not the store, which is closed when no request is under way
			} else {
				cancel()
			}
			<-ended
			pid := strings.TrimSpace(string(b))
			if _, err := os.Stat("/proc/" + pid); err == nil {
				t.Errorf("process %s is still there", pid)
			}
		})
	}
}

// TestSealedModules tells a gateway nothing of what is written on sealed pages, and seals
// the document with its text.
func TestSealedModules(t *testing.T) {
	d := newFakeDevice("one")
	d.scan = deal([][]byte{labeled(t, "SECRET", "")}, false)
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
	policy := scan.EncryptionOff
	g.config = func(c *Config) { c.Encryption = func() scan.Encryption { return policy } }
	command, _ := reader(t, "")
	withTexts(g, command)
	g.start().found()
	gateway := viaGateway(t, g.node)
	alice := browserAt(g, gateway)
	for _, recipient := range []string{"", alice.recipient()} {
		j := g.submit(d.id(g.node.id), jobFor(scan.SourcePlaten, recipient))
		g.reaches(j.ID, scan.JobCompleted)
		for _, policy = range []scan.Encryption{scan.EncryptionOff, scan.EncryptionRequired} {
			refused := recipient != "" || policy == scan.EncryptionRequired
			for _, path := range []string{"/jobs/" + j.ID + "/pages/1/text", "/jobs/" + j.ID + "/pages/1/barcodes", "/documents/" + j.Document + "/split"} {
				method, body := http.MethodGet, ""
				if strings.HasSuffix(path, "split") {
					method, body = http.MethodPost, `{"separator":"keep","name":"barcode"}`
				}
				a := alice.ask(method, "/api/v1"+path, body)
				if refused {
					a.wants(t, problem.EncryptionRequired, "")
				} else if a.Code != http.StatusOK {
					t.Errorf("%s through the gateway: %s", path, a.Body)
				}
				if here := g.ask(method, "/api/v1"+path, body); here.Code != http.StatusOK {
					t.Errorf("%s at the node: %s", path, here.Body)
				}
			}
		}
		policy = scan.EncryptionOff
		if recipient == "" {
			continue
		}
		for format, want := range map[string]string{"pdf": "%PDF-1.7", "txt": "Hello paper\n"} {
			plain, kind := alice.open(alice.ask(http.MethodGet, "/api/v1/documents/"+j.Document+"/content?ocr=eng&format="+format, ""), g.node.id, j.Document, "", format)
			if !bytes.HasPrefix(plain, []byte(want)) || kind == "" {
				t.Errorf("sealed %s: %q of %s", format, plain[:min(len(plain), 40)], kind)
			}
		}
	}
}

// TestReadingSpec chooses what is read in place of large pages.
func TestReadingSpec(t *testing.T) {
	for _, c := range []struct {
		width, height, resolution, depth int
		want                             string
	}{
		{2480, 3508, 300, 8, "{ 0 0}"},
		{4960, 7016, 600, 8, "{jpeg 2480 0}"},
		{2480, 3508, 300, 16, "{jpeg 0 0}"},
		{60000, 60000, 0, 1, "{jpeg 5000 0}"},
	} {
		got := readingSpec(scan.Page{Width: c.width, Height: c.height, Resolution: c.resolution, Depth: c.depth})
		if s := fmt.Sprint(got); s != c.want && !(c.width == 60000 && got.Width > 4500 && got.Width < 5500) {
			t.Errorf("readingSpec(%+v) = %s, want %s", c, s, c.want)
		}
	}
	text := api.PageText{Words: []api.Word{{Left: 10, Top: 20, Width: 30, Height: 40}, {Left: 990, Top: 0, Width: 10, Height: 1}}}
	enlarge(&text, 2.0, scan.Page{Width: 1999, Height: 1000})
	if w := text.Words[0]; w.Left != 20 || w.Top != 40 || w.Width != 60 || w.Height != 80 || text.Words[1].Width != 19 {
		t.Errorf("enlarged: %+v", text.Words)
	}
}
