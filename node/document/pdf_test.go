package document

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

func savePDF(t *testing.T, meta Meta, pages []Page) string {
	t.Helper()
	return save(t, "doc.pdf", func(w io.Writer) error { return WritePDF(t.Context(), w, meta, pages) })
}

func TestPDFIsSound(t *testing.T) {
	all := samplePages(t)
	path := savePDF(t, sampleMeta, pagesOf(all))
	if out := tool(t, "qpdf", "--check", path); !strings.Contains(out, "No syntax or stream encoding errors found") {
		t.Errorf("qpdf --check:\n%s", out)
	}
	info := tool(t, "pdfinfo", "-isodates", "-f", "1", "-l", "99", path)
	for _, want := range []string{`Title: +Scan \(1\) \\ 22\n`, `Producer: +Platen\n`, `CreationDate: +2026-11-22T01:37:42Z\n`, `Pages: +7\n`, `PDF version: +1.7\n`} {
		if !regexp.MustCompile(want).MatchString(info) {
			t.Errorf("pdfinfo does not show %q:\n%s", want, info)
		}
	}
	for i, s := range all {
		size := fmt.Sprintf(`Page +%d size: +([0-9.]+) x ([0-9.]+) pts`, i+1)
		m := regexp.MustCompile(size).FindStringSubmatch(info)
		rot := fmt.Sprintf(`Page +%d rot: +%d\n`, i+1, s.page.Rotate)
		if m == nil || !regexp.MustCompile(rot).MatchString(info) {
			t.Errorf("pdfinfo does not show %q and %q:\n%s", size, rot, info)
			continue
		}
		for k, px := range []int{s.img.Width, s.img.Height} {
			var points float64
			fmt.Sscan(m[1+k], &points)
			if want := float64(px) * 72 / float64(s.img.Resolution); math.Abs(points-want) > 0.01 {
				t.Errorf("page %d: side %d = %v points, want %v", i+1, k, points, want)
			}
		}
	}
}

// TestPDFHoldsTheImages: poppler gets the very JPEG files and the very pixels out.
func TestPDFHoldsTheImages(t *testing.T) {
	all := samplePages(t)
	path := savePDF(t, sampleMeta, pagesOf(all))
	list := tool(t, "pdfimages", "-list", path)
	lines := strings.Split(strings.TrimSpace(list), "\n")[2:]
	if len(lines) != len(all) {
		t.Fatalf("pdfimages -list shows %d images, want %d:\n%s", len(lines), len(all), list)
	}
	dir := t.TempDir()
	tool(t, "pdfimages", "-all", path, filepath.Join(dir, "image"))
	for i, s := range all {
		// page num type width height color comp bpc enc interp object ID x-ppi y-ppi size ratio
		f := strings.Fields(lines[i])
		want := []string{fmt.Sprint(i + 1), fmt.Sprint(s.img.Width), fmt.Sprint(s.img.Height), fmt.Sprint(s.img.Channels()), fmt.Sprint(s.img.Depth)}
		if got := []string{f[0], f[3], f[4], f[6], f[7]}; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("pdfimages -list: page, width, height, components, bits = %v, want %v", got, want)
		}
		if s.page.Format == scan.FormatJPEG {
			got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("image-%03d.jpg", i)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, s.file) {
				t.Errorf("page %d: the embedded JPEG differs from the stored file", i+1)
			}
		}
	}
	// The streams, inflated and unfiltered by qpdf, are the rows; lineart with 0 as black.
	for i, s := range all {
		if s.page.Format != scan.FormatPNG {
			continue
		}
		got := qpdfStream(t, path, pdfFirstPage+pdfPerPage*i+2)
		want := bytes.Clone(s.raw)
		if s.img.Depth == 1 {
			for k := range want {
				want[k] = ^want[k]
				if k%s.img.Stride() == s.img.Stride()-1 {
					want[k] &= 0xff << (7 - (s.img.Width-1)%8)
				}
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("page %d (%v): qpdf decodes the image to other rows", i+1, s.img)
		}
	}
}

func qpdfStream(t *testing.T, path string, object int) []byte {
	t.Helper()
	return []byte(tool(t, "qpdf", "--warning-exit-0", fmt.Sprintf("--show-object=%d", object), "--filtered-stream-data", path))
}

// TestPDFPolarity: rendered by poppler, ink is dark and paper is light.
func TestPDFPolarity(t *testing.T) {
	s := makePage(t, scan.FormatPNG, scan.ModeLineart, 1, image.Pt(16, 16), 72, 0)
	for i := range s.raw {
		s.raw[i] = 0
		if i%2 == 0 {
			s.raw[i] = 0xff // the left half is black
		}
	}
	var b bytes.Buffer
	e, err := imaging.NewEncoder(&b, s.img, scan.FormatPNG, 0, imaging.Codecs{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.WriteRows(s.raw); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s.page.Open = opener(b.Bytes())
	path := savePDF(t, Meta{}, []Page{s.page})
	tool(t, "pdftoppm", "-gray", "-r", "72", "-aa", "no", "-aaVector", "no", path, path)
	got, err := os.ReadFile(path + "-1.pgm")
	if err != nil {
		t.Fatal(err)
	}
	pixels := got[len(got)-16*16:]
	for y := 1; y < 15; y++ { // apart from the edges, which are smoothed
		if black, white := pixels[16*y+4], pixels[16*y+12]; black != 0 || white != 255 {
			t.Fatalf("row %d: ink is rendered as %d, paper as %d, want 0 and 255", y, black, white)
		}
	}
}

func TestPDFTitles(t *testing.T) {
	page := makePage(t, scan.FormatJPEG, scan.ModeGray, 8, image.Pt(8, 8), 0, 0).page
	for _, title := range []string{"Rechnung", "Rückgabe – Ärzte 😀", "日本語", `((\`, "a\nb\x00c", ""} {
		path := savePDF(t, Meta{Title: title}, []Page{page})
		tool(t, "qpdf", "--check", path)
		want := strings.NewReplacer("\n", "", "\x00", "").Replace(title)
		if got := strings.NewReplacer("\n", "", "\x00", "").Replace(titleOf(tool(t, "pdfinfo", path))); got != want && title != "a\nb\x00c" {
			t.Errorf("title = %q, want %q", got, want)
		}
	}
}

func titleOf(info string) string {
	_, after, found := strings.Cut(info, "Title:")
	if !found {
		return ""
	}
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}

// TestPDFLongPage: pages longer than 200 inches keep their true size by a larger unit.
func TestPDFLongPage(t *testing.T) {
	s := makePage(t, scan.FormatPNG, scan.ModeLineart, 1, image.Pt(100, 30000), 100, 0)
	path := savePDF(t, Meta{}, []Page{s.page})
	tool(t, "qpdf", "--check", path)
	page := tool(t, "qpdf", fmt.Sprintf("--show-object=%d", pdfFirstPage), path)
	if !strings.Contains(page, "/UserUnit 1.5") || !strings.Contains(page, "[ 0 0 48 14400 ]") {
		t.Errorf("page = %s, want a unit of 1.5 and a height of 14400", page)
	}
}

// TestPDFManyPages: offsets with more digits and a longer page tree.
func TestPDFManyPages(t *testing.T) {
	page := makePage(t, scan.FormatJPEG, scan.ModeColor, 8, image.Pt(200, 280), 25, 0).page
	pages := make([]Page, 300)
	for i := range pages {
		pages[i] = page
	}
	path := savePDF(t, Meta{}, pages)
	tool(t, "qpdf", "--check", path)
	if info := tool(t, "pdfinfo", path); !regexp.MustCompile(`Pages: +300\n`).MatchString(info) {
		t.Errorf("pdfinfo:\n%s", info)
	}
}

// TestPDFStructure is the file of one page, with its images left out.
func TestPDFStructure(t *testing.T) {
	s := makePage(t, scan.FormatPNG, scan.ModeGray, 8, image.Pt(200, 100), 100, 90)
	var b bytes.Buffer
	if err := WritePDF(t.Context(), &b, sampleMeta, []Page{s.page}); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`(?s)(/Predictor[^\n]*\n>>?stream\n|/Length \d+ >>\nstream\nx).*?\nendstream`).ReplaceAllString(b.String(), "IMAGE")
	got = regexp.MustCompile(`<[0-9a-f]{32}>`).ReplaceAllString(got, "<ID>")
	got = regexp.MustCompile(`(?m)^\d{10} `).ReplaceAllString(got, "OFFSET ")
	got = regexp.MustCompile(`startxref\n\d+`).ReplaceAllString(got, "startxref\nOFFSET")
	const want = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" +
		"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n" +
		"2 0 obj\n<< /Type /Pages /Count 1 /Kids [4 0 R ] >>\nendobj\n" +
		"3 0 obj\n<< /Producer (Platen) /Title (Scan \\(1\\) \\\\ 22) /CreationDate (D:20261122013742Z) >>\nendobj\n" +
		"4 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 144 72] /Rotate 90 /Contents 5 0 R /Resources << /XObject << /Page 6 0 R >> >> >>\nendobj\n" +
		"5 0 obj\n<< /Length 30 >>\nstream\nq 144 0 0 72 0 0 cm /Page Do Q\nendstream\nendobj\n" +
		"6 0 obj\n<< /Type /XObject /Subtype /Image /Width 200 /Height 100 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode " +
		"/DecodeParms << /Predictor 15 /Colors 1 /BitsPerComponent 8 /Columns 200 >> IMAGE\nendobj\n" +
		"xref\n0 7\nOFFSET 65535 f \nOFFSET 00000 n \nOFFSET 00000 n \nOFFSET 00000 n \nOFFSET 00000 n \nOFFSET 00000 n \nOFFSET 00000 n \n" +
		"trailer\n<< /Size 7 /Root 1 0 R /Info 3 0 R /ID [<ID> <ID>] >>\nstartxref\nOFFSET\n%%EOF\n"
	if got != want {
		t.Errorf("PDF = %q\nwant  %q", got, want)
	}
}
