package document

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// textOf lays out two lines on an upright page and turns them with it, so that it stands
// upright again when it is turned clockwise by turn.
func textOf(width, height, turn int) (api.PageText, []image.Rectangle) {
	text := api.PageText{Text: "Grüße from Platen,\n47110 Жук 日本語 (yes)\\", Orientation: api.PageTextOrientation(turn)}
	var boxes []image.Rectangle // of the words on the upright page
	for y, line := range strings.Split(text.Text, "\n") {
		x := 40
		for _, w := range strings.Fields(line) {
			n := len([]rune(w))
			boxes = append(boxes, image.Rect(x, 60+y*50, x+n*12, 84+y*50))
			x += n*12 + 14
			text.Words = append(text.Words, api.Word{Text: w, Confidence: 90})
		}
	}
	for i, b := range boxes {
		for w, h, n := width, height, turn; n > 0; n -= 90 { // against the clock
			b, w, h = image.Rect(b.Min.Y, w-b.Max.X, b.Max.Y, w-b.Min.X), h, w
		}
		text.Words[i].Left, text.Words[i].Top, text.Words[i].Width, text.Words[i].Height = b.Min.X, b.Min.Y, b.Dx(), b.Dy()
	}
	return text, boxes
}

// TestSearchablePDF finds the words where they are, however the page lies in its file.
func TestSearchablePDF(t *testing.T) {
	const width, height, dpi = 500, 300, 150
	var pages []Page
	var boxes []image.Rectangle
	for turn := 0; turn < 360; turn += 90 {
		size := image.Pt(width, height)
		if turn%180 != 0 {
			size = image.Pt(height, width)
		}
		page := makePage(t, scan.FormatJPEG, scan.ModeGray, 8, size, dpi, turn).page
		text, at := textOf(width, height, turn)
		page.Text = func(context.Context) (api.PageText, error) { return text, nil }
		pages, boxes = append(pages, page), at
	}
	pages = append(pages, makePage(t, scan.FormatPNG, scan.ModeLineart, 1, image.Pt(100, 100), dpi, 0).page) // nobody knows its text
	path := savePDF(t, sampleMeta, pages)
	if out := tool(t, "qpdf", "--check", path); !strings.Contains(out, "No syntax or stream encoding errors found") {
		t.Errorf("qpdf --check:\n%s", out)
	}
	if out := tool(t, "pdffonts", path); strings.Count(out, "PlatenInvisible") != 1 || !strings.Contains(out, "yes no  yes") {
		t.Errorf("pdffonts: want one font, embedded, whole, with Unicode:\n%s", out)
	}
	text, _ := textOf(width, height, 0)
	if got := strings.Split(tool(t, "pdftotext", path, "-"), "\f"); len(got) != 6 || strings.TrimSpace(got[4]) != "" {
		t.Errorf("pdftotext gives %q", got)
	} else {
		for i, page := range got[:4] {
			if strings.Join(strings.Fields(page), " ") != strings.Join(strings.Fields(text.Text), " ") {
				t.Errorf("page %d: pdftotext gives %q, want %q", i+1, page, text.Text)
			}
		}
	}
	word := regexp.MustCompile(`<word xMin="([0-9.]+)" yMin="([0-9.]+)" xMax="([0-9.]+)" yMax="([0-9.]+)">([^<]*)</word>`)
	found := word.FindAllStringSubmatch(tool(t, "pdftotext", "-bbox", path, "-"), -1)
	if len(found) != 4*len(boxes) {
		t.Fatalf("pdftotext -bbox finds %d words, want %d", len(found), 4*len(boxes))
	}
	for i, f := range found {
		b := boxes[i%len(boxes)]
		for k, px := range []int{b.Min.X, b.Min.Y, b.Max.X, b.Max.Y} {
			var got float64
			fmt.Sscan(f[1+k], &got)
			if want := float64(px) * 72 / dpi; math.Abs(got-want) > 0.5 {
				t.Errorf("page %d: %q lies at %v points, want %v: %v", 1+i/len(boxes), f[5], got, want, f[1:5])
			}
		}
	}
	// It cannot be seen: the page looks as without it.
	for i := range pages {
		pages[i].Text = nil
	}
	plain := savePDF(t, sampleMeta, pages)
	if a, b := tool(t, "pdftoppm", "-r", "50", path), tool(t, "pdftoppm", "-r", "50", plain); a != b {
		t.Error("the text can be seen")
	}
}

// TestTextFails ends a file whose text cannot be had.
func TestTextFails(t *testing.T) {
	page := makePage(t, scan.FormatJPEG, scan.ModeGray, 8, image.Pt(64, 64), 300, 0).page
	gone := errors.New("gone")
	page.Text = func(context.Context) (api.PageText, error) { return api.PageText{}, gone }
	if err := WritePDF(t.Context(), io.Discard, Meta{}, []Page{page}); !errors.Is(err, gone) {
		t.Errorf("WritePDF() = %v", err)
	}
	if err := WriteText(t.Context(), io.Discard, Meta{}, []Page{page}); !errors.Is(err, gone) {
		t.Errorf("WriteText() = %v", err)
	}
	if err := WriteText(t.Context(), io.Discard, Meta{}, nil); !errors.Is(err, ErrNoPages) {
		t.Errorf("WriteText() of nothing = %v", err)
	}
}

func TestWriteText(t *testing.T) {
	with := func(s string) Page {
		return Page{Text: func(context.Context) (api.PageText, error) { return api.PageText{Text: s}, nil }}
	}
	var b bytes.Buffer
	if err := WriteText(t.Context(), &b, Meta{}, []Page{with("one\ntwo"), with(""), {}, with("drei: Grüße")}); err != nil {
		t.Fatal(err)
	}
	if want := "one\ntwo\n\f\f\fdrei: Grüße\n"; b.String() != want {
		t.Errorf("WriteText() = %q, want %q", b.String(), want)
	}
}

// FuzzTextLayer takes any word at any place: what comes out is well formed.
func FuzzTextLayer(f *testing.F) {
	f.Add("Grüße", 10, 20, 30, 40, 90)
	f.Add("\U0001F600) Tj ET", -1, 1<<40, 0, 1, 0)
	sound := regexp.MustCompile(`^(BT 3 Tr\n(/T [0-9.]+ Tf [0-9.]+ Tz -?[01] -?[01] -?[01] -?[01] -?[0-9.]+ -?[0-9.]+ Tm <([0-9A-F]{4})+> Tj\n)*ET\n)?$`)
	f.Fuzz(func(t *testing.T, word string, left, top, width, height, turn int) {
		text := api.PageText{Orientation: api.PageTextOrientation(turn), Words: []api.Word{{Text: word, Left: left, Top: top, Width: width, Height: height}}}
		if got := textLayer(text, 0.24, 842); !sound.MatchString(got) {
			t.Errorf("textLayer(%+v) = %q", text, got)
		}
	})
}
