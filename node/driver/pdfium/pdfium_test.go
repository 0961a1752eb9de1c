package pdfium_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/pdfium"
	"github.com/platen-scan/platen/proto/scan"
)

// file is a PDF with one page for each content stream, of 100 by 50 points.
func file(contents ...string) []byte {
	var b bytes.Buffer
	var at []int
	object := func(text string) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", len(at), text)
	}
	b.WriteString("%PDF-1.4\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	kids := ""
	for i := range contents {
		kids += fmt.Sprintf("%d 0 R ", 3+2*i)
	}
	object(fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", kids, len(contents)))
	for i, c := range contents {
		object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 50] /Contents %d 0 R /Resources << >> >>", 4+2*i))
		object(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(c), c))
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, offset := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, xref)
	return b.Bytes()
}

// Page contents: the left half of one colour.
const (
	red   = "1 0 0 rg 0 0 50 50 re f"
	blue  = "0 0 1 rg 0 0 50 50 re f"
	black = "0 g 0 0 50 50 re f"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pdfium")
	if err != nil {
		panic(err)
	}
	os.Setenv(pdfium.EnvCache, dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func open(t testing.TB, content []byte) (driver.Device, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pdf")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := pdfium.New().Open(t.Context(), path)
	if err == nil {
		t.Cleanup(func() { d.Close() })
	}
	return d, err
}

// pages are all pages of a batch, with their pixels.
func pages(t testing.TB, d driver.Device, s scan.Settings) (infos []driver.PageInfo, pixels [][]byte) {
	t.Helper()
	caps, err := d.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s, err = caps.Resolve(s); err != nil {
		t.Fatal(err)
	}
	if err := d.Begin(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for {
		info, err := d.NextPage(t.Context())
		if err == io.EOF {
			return infos, pixels
		}
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		part := make([]byte, 1000)
		for {
			n, err := d.Read(part)
			b.Write(part[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if b.Len() != info.Image().Stride()*info.Height {
			t.Fatalf("page %d has %d bytes, want %d rows of %d", len(infos)+1, b.Len(), info.Height, info.Image().Stride())
		}
		infos, pixels = append(infos, info), append(pixels, b.Bytes())
	}
}

func TestPages(t *testing.T) {
	d, err := open(t, file(red, blue, black))
	if err != nil {
		t.Fatal(err)
	}
	infos, pixels := pages(t, d, scan.Settings{Resolution: 144})
	if len(infos) != 3 || infos[0].Width != 200 || infos[0].Height != 100 || infos[0].Resolution != 144 {
		t.Fatalf("pages %+v, want three of 200 x 100", infos)
	}
	at := func(page, x, y int) [3]byte { return [3]byte(pixels[page][3*(200*y+x):]) }
	for page, want := range [][3]byte{{255, 0, 0}, {0, 0, 255}, {0, 0, 0}} {
		for _, y := range []int{0, 50, 99} {
			if got := at(page, 20, y); got != want {
				t.Errorf("page %d, left, row %d: %v, want %v", page+1, y, got, want)
			}
			if got := at(page, 180, y); got != [3]byte{255, 255, 255} {
				t.Errorf("page %d, right, row %d: %v, want white", page+1, y, got)
			}
		}
	}
}

func TestModes(t *testing.T) {
	d, err := open(t, file(black))
	if err != nil {
		t.Fatal(err)
	}
	_, gray := pages(t, d, scan.Settings{Mode: scan.ModeGray, Resolution: 72})
	if gray[0][10] != 0 || gray[0][90] != 255 {
		t.Errorf("gray: %d and %d, want 0 and 255", gray[0][10], gray[0][90])
	}
	_, bits := pages(t, d, scan.Settings{Mode: scan.ModeLineart, Resolution: 72})
	if bits[0][1] != 0xFF || bits[0][11] != 0 || len(bits[0]) != 13*50 {
		t.Errorf("line art: %x and %x in %d bytes, want ff and 0 in 650", bits[0][1], bits[0][11], len(bits[0]))
	}
}

// A page that is drawn in many strips is the page that is drawn in one.
func TestStrips(t *testing.T) {
	diagonal := "0 g 0 0 m 100 50 l 100 40 l f 0 50 m 100 0 l 90 0 l f"
	large := bytes.Replace(file(diagonal), []byte("[0 0 100 50]"), []byte("[0 0 999 99]"), 1) // of the same length
	d, err := open(t, large)
	if err != nil {
		t.Fatal(err)
	}
	infos, pixels := pages(t, d, scan.Settings{Resolution: 600, Mode: scan.ModeGray})
	if infos[0].Width != 8325 || infos[0].Height != 825 {
		t.Fatalf("page %+v, want 8325 x 825", infos[0])
	}
	for x := 10; x < 700; x += 50 { // the first line rises by one point in two: rows go down, so must the edge
		black := 0
		for y := range 825 {
			if pixels[0][y*8325+x] < 128 {
				black++
			}
		}
		if black == 0 {
			t.Errorf("column %d is empty", x)
		}
	}
}

// What was typed into a form is part of the page.
func TestForm(t *testing.T) {
	plain := file("")
	field := "<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /F 4 /Rect [0 0 50 50] /AP << /N 99 0 R >> >>"
	look := "99 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 50 50] /Resources << >> /Length 17 >> stream\n1 0 0 rg 0 0 50 50 re f\nendstream endobj\n"
	content := strings.Replace(string(plain), "/MediaBox", "/Annots ["+field+"] /MediaBox", 1)
	content = strings.Replace(content, "/Pages 2 0 R", "/AcroForm << /Fields [] >> /Pages 2 0 R", 1)
	content = content[:strings.Index(content, "xref")] + strings.Replace(look, "/Length 17", "/Length 23", 1) + "trailer << /Root 1 0 R >>\n%%EOF\n"
	d, err := open(t, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	_, pixels := pages(t, d, scan.Settings{Resolution: 72})
	if got := [3]byte(pixels[0][3*(100*25+25):]); got != [3]byte{255, 0, 0} {
		t.Errorf("the field is %v, want red", got)
	}
}

// What was interrupted goes on with the pages that are missing.
func TestRest(t *testing.T) {
	d, err := open(t, file(red, red, blue))
	if err != nil {
		t.Fatal(err)
	}
	infos, pixels := pages(t, d, scan.Settings{Resolution: 72, Pages: 1})
	if len(infos) != 1 || [3]byte(pixels[0][:3]) != [3]byte{0, 0, 255} {
		t.Errorf("%d pages, the first %v, want the last one of the file, which is blue", len(infos), pixels[0][:3])
	}
}

func TestCancel(t *testing.T) {
	d, err := open(t, file(red, blue))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Begin(t.Context(), scan.Settings{Mode: scan.ModeColor, Resolution: 72, Depth: 8}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.NextPage(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Cancel()
	if _, err := d.Read(make([]byte, 100)); !errors.Is(err, context.Canceled) {
		t.Errorf("Read after Cancel: %v", err)
	}
	if _, err := d.NextPage(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("NextPage after Cancel: %v", err)
	}
}

func TestUnreadable(t *testing.T) {
	huge := bytes.Replace(file(red), []byte("[0 0 100 50]"), []byte("[0 0 9999 9]"), 1)
	for name, content := range map[string][]byte{
		"empty": {}, "text": []byte("no PDF at all"), "half": file(red)[:40], "no pages": file(),
	} {
		_, err := open(t, content)
		var stop *driver.Stop
		if !errors.As(err, &stop) || stop.Reason != scan.ReasonUnsupported || !strings.HasSuffix(stop.Detail, ".") {
			t.Errorf("%s: %v, want a Stop with words", name, err)
		}
	}
	d, err := open(t, huge)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Begin(t.Context(), scan.Settings{Mode: scan.ModeColor, Resolution: 200, Depth: 8}); err != nil {
		t.Fatal(err)
	}
	var stop *driver.Stop
	if _, err := d.NextPage(t.Context()); !errors.As(err, &stop) {
		t.Errorf("a page of kilometres: %v, want a Stop", err)
	}
}

// Files with random damage fail or give pages of the size that they say; nothing else happens.
func TestDamaged(t *testing.T) {
	const seed = 22
	random := rand.New(rand.NewPCG(seed, seed))
	whole := file(red, "q 50 0 0 50 0 0 cm BI /W 2 /H 2 /CS /RGB /BPC 8 /F /AHx ID ff0000 00ff00 0000ff ffffff > EI Q", black)
	for range 40 {
		content := bytes.Clone(whole)
		for range 1 + random.IntN(20) {
			content[random.IntN(len(content))] = byte(random.IntN(256))
		}
		content = content[:len(content)-random.IntN(len(content)/2)]
		d, err := open(t, content)
		if err != nil {
			continue
		}
		if err := d.Begin(t.Context(), scan.Settings{Mode: scan.ModeColor, Resolution: 100, Depth: 8}); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			info, err := d.NextPage(t.Context())
			if err != nil {
				break
			}
			if n, _ := io.Copy(io.Discard, rows{d}); n > int64(info.Image().Stride()*info.Height) {
				t.Fatalf("a page of %d bytes gave %d", info.Image().Stride()*info.Height, n)
			}
		}
	}
}

type rows struct{ driver.Device }

func (r rows) Read(p []byte) (int, error) { return r.Device.Read(p) }

func BenchmarkOpen(b *testing.B) {
	content := file(red)
	for b.Loop() {
		d, err := open(b, content)
		if err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
