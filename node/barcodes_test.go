package node

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	"rsc.io/qr"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// labeled is a page with a Code 128, if it is not "", and a QR code, if that is not "".
func labeled(t testing.TB, code128, square string) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 620, 877))
	for i := range m.Pix {
		m.Pix[i] = 245
	}
	if code128 != "" {
		bars, err := oned.NewCode128Writer().Encode(code128, gozxing.BarcodeFormat_CODE_128, 400, 60, nil)
		need(t, err)
		for y := range bars.GetHeight() {
			for x := range bars.GetWidth() {
				if bars.Get(x, y) {
					m.Pix[(100+y)*m.Stride+100+x] = 20
				}
			}
		}
	}
	if square != "" {
		code, err := qr.Encode(square, qr.M)
		need(t, err)
		const module = 4
		for y := range code.Size * module {
			for x := range code.Size * module {
				if code.Black(x/module, y/module) {
					m.Pix[(400+y)*m.Stride+200+x] = 20
				}
			}
		}
	}
	var b bytes.Buffer
	need(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 80}))
	return b.Bytes()
}

// deal makes a device scan these files, as fronts and backs if it scans both sides.
func deal(files [][]byte, duplex bool) func(*fakeBatch) error {
	return func(b *fakeBatch) error {
		for i, f := range files {
			info := driver.PageInfo{Mode: scan.ModeGray, Depth: 8, Width: 620, Height: 877, Resolution: 75, Format: scan.FormatJPEG, Side: scan.SideFront}
			if duplex && i%2 == 1 {
				info.Side = scan.SideBack
			}
			p, err := b.sink.PageStarted(info)
			if err != nil {
				return err
			}
			if _, err := p.Write(f); err != nil {
				p.Abort(err)
				return err
			}
			if err := p.Commit(info.Height); err != nil {
				return err
			}
		}
		return nil
	}
}

// scanned is a job with these pages, whole.
func scanned(t testing.TB, files [][]byte, duplex bool) (*rig, *fakeWorkers, scan.Job) {
	t.Helper()
	d := newFakeDevice("one")
	d.scan = deal(files, duplex)
	w := &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}
	g := newRig(t, w).start().found()
	j := g.submit(d.id(g.node.id), `{"name":"Post","settings":{"source":"adf","resolution":75}}`)
	return g, w, g.reaches(j.ID, scan.JobCompleted)
}

func TestBarcodesOfPage(t *testing.T) {
	whole := labeled(t, "PATCH-T", "https://platen.example/1")
	damaged := append(bytes.Clone(whole[:len(whole)/2]), 0xff, 0xd9)
	g, w, j := scanned(t, [][]byte{whole, labeled(t, "", ""), damaged}, false)
	url := "/api/v1/jobs/" + j.ID + "/pages/"
	for range 2 {
		list := get[api.BarcodeList](g, url+"1/barcodes")
		if len(list.Items) != 2 || list.Items[0].Text != "PATCH-T" || list.Items[0].Format != api.BarcodeFormatCode128 ||
			list.Items[1].Text != "https://platen.example/1" || list.Items[1].Format != api.BarcodeFormatQr {
			t.Errorf("codes = %+v", list.Items)
		}
	}
	if n := w.read.Load(); n != 1 {
		t.Errorf("the page was read %d times, want once", n)
	}
	if list := get[api.BarcodeList](g, url+"1/barcodes?format=qr"); len(list.Items) != 1 || list.Items[0].Format != api.BarcodeFormatQr {
		t.Errorf("only QR codes: %+v", list.Items)
	}
	if list := get[api.BarcodeList](g, url+"2/barcodes"); list.Items == nil || len(list.Items) != 0 {
		t.Errorf("codes of a white page = %+v", list.Items)
	}
	g.ask(http.MethodGet, url+"3/barcodes", "").wants(t, problem.ModuleFailed, "")
	g.ask(http.MethodGet, url+"9/barcodes", "").wants(t, problem.NotFound, "")
	g.ask(http.MethodGet, url+"1/barcodes?format=pdf417", "").wants(t, problem.BadRequest, "format")
	modules := get[api.ModuleList](g, "/api/v1/modules?node="+g.node.id)
	if len(modules.Items) != 3 || modules.Items[1].Module != api.ModuleBarcode || !modules.Items[1].Installed || !modules.Items[1].Licensed {
		t.Errorf("modules = %+v", modules.Items)
	}
	g.ask(http.MethodGet, "/api/v1/modules?node="+scan.RandomText(28), "").wants(t, problem.NotFound, "node")
}

// TestSplit cuts batches: a letter is a page, "|" a separator sheet with the code SEP-n,
// "<" the back of a separator sheet, "." the back of another.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		pages, body string
		want        string // documents, as name=pages
	}{
		{"abc", `{}`, "Post=123"},
		{"a|b|c", `{}`, "Post=1, Post (2)=3, Post (3)=5"},
		{"a|b|c", `{"separator":"keep"}`, "Post=1, Post (2)=23, Post (3)=45"},
		{"a|b|c", `{"name":"barcode"}`, "Post=1, SEP-2=3, SEP-4=5"},
		{"|a|b", `{"name":"barcode"}`, "SEP-1=2, SEP-3=4"},
		{"|a|b", `{"name":"barcode","separator":"keep"}`, "SEP-1=12, SEP-3=34"},
		{"||a||b||", `{}`, "Post=3, Post (2)=6"},
		{"||a|", `{"separator":"keep"}`, "Post=1, Post (2)=23, Post (3)=4"},
		{"a|b|c", `{"match":"SEP-4"}`, "Post=123, Post (2)=5"},
		{"a|b|c", `{"match":"SEP-[0-9]"}`, "Post=1, Post (2)=3, Post (3)=5"},
		{"a|b|c", `{"match":"SEP"}`, "Post=12345"},
		{"a|b|c", `{"match":"x|SEP-2"}`, "Post=1, Post (2)=345"},
		{"a|b|c", `{"format":"qr"}`, "Post=12345"},
		{"a|b|c", `{"format":"code128"}`, "Post=1, Post (2)=3, Post (3)=5"},
		{"a.|<b.c.", `{}`, "Post=12, Post (2)=5678"},
		{"a.|<b.c.", `{"separator":"keep"}`, "Post=12, Post (2)=345678"},
	} {
		t.Run(c.pages+c.body, func(t *testing.T) {
			var files [][]byte
			for i, p := range c.pages {
				code := ""
				if p == '|' {
					code = fmt.Sprintf("SEP-%d", i+1)
				}
				files = append(files, labeled(t, code, ""))
			}
			g, _, j := scanned(t, files, strings.ContainsAny(c.pages, "<."))
			url := "/api/v1/documents/" + j.Document
			was := get[scan.Document](g, url)
			list := decode[api.DocumentList](t, g.ask(http.MethodPost, url+"/split", c.body), http.StatusOK)
			if got := describe(list.Items); got != c.want {
				t.Errorf("documents: %s, want %s", got, c.want)
			}
			if list.Items[0].ID != j.Document {
				t.Errorf("the first is %s, want the original", list.Items[0].ID)
			}
			changed := list.Items[0].Revision != was.Revision
			if changed != (c.want != describe([]scan.Document{was})) {
				t.Errorf("revision %d after %d", list.Items[0].Revision, was.Revision)
			}
			for _, d := range list.Items { // what was answered is what is there
				if got := get[scan.Document](g, "/api/v1/documents/"+d.ID); describe([]scan.Document{got}) != describe([]scan.Document{d}) {
					t.Errorf("document %+v was answered, %+v is there", d, got)
				}
			}
			if pages := get[api.PageList](g, "/api/v1/jobs/"+j.ID+"/pages").Items; len(pages) != len(c.pages) {
				t.Errorf("%d pages are left of %d", len(pages), len(c.pages))
			}
			again := decode[api.DocumentList](t, g.ask(http.MethodPost, url+"/split", c.body), http.StatusOK)
			if len(again.Items) != 1 || again.Items[0].Revision != list.Items[0].Revision {
				if !strings.HasPrefix(c.pages, "||a|") || !strings.Contains(c.body, "keep") { // its first part begins with a separator
					t.Errorf("a second time: %s", describe(again.Items))
				}
			}
		})
	}
}

func describe(docs []scan.Document) string {
	var all []string
	for _, d := range docs {
		s := d.Name + "="
		for _, p := range d.Pages {
			s += fmt.Sprint(p.N)
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// TestSplitRefused changes nothing.
func TestSplitRefused(t *testing.T) {
	g, _, j := scanned(t, [][]byte{labeled(t, "A", ""), labeled(t, "B", "")}, false)
	url := "/api/v1/documents/" + j.Document
	was := get[scan.Document](g, url)
	for body, want := range map[string][2]string{
		`{}`:                   {string(problem.BadRequest), "separator"}, // nothing would be left
		`{"match":"("}`:        {string(problem.BadRequest), "match"},
		`{"match":"a)|(b"}`:    {string(problem.BadRequest), "match"},
		`{"format":"pdf417"}`:  {string(problem.BadRequest), "format"},
		`{"separator":"burn"}`: {string(problem.BadRequest), "separator"},
		`{"name":"me"}`:        {string(problem.BadRequest), "name"},
		`{"matches":"a"}`:      {string(problem.UnknownField), "matches"},
		`{"match":"` + strings.Repeat("a", 201) + `"}`:     {string(problem.BadRequest), "match"},
		`{"match":"(((((a{100}){100}){100}){100}){100})"}`: {string(problem.BadRequest), "match"},
	} {
		g.ask(http.MethodPost, url+"/split", body).wants(t, problem.Code(want[0]), want[1])
	}
	g.ask(http.MethodPost, "/api/v1/documents/"+scan.NewID(g.node.id, scan.KindDocument)+"/split", `{}`).wants(t, problem.NotFound, "")
	if now := get[scan.Document](g, url); now.Revision != was.Revision || len(now.Pages) != 2 {
		t.Errorf("the document has become %+v", now)
	}
}
