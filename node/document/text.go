package document

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/platen-scan/platen/proto/api"
)

// WriteText writes the texts of the pages, each page but the last followed by a form
// feed. A page whose Text is nil has none.
func WriteText(ctx context.Context, w io.Writer, _ Meta, pages []Page) error {
	if len(pages) == 0 {
		return ErrNoPages
	}
	for i, p := range pages {
		var text api.PageText
		var err error
		if p.Text != nil {
			text, err = p.Text(ctx)
		}
		if err == nil && i > 0 {
			_, err = io.WriteString(w, "\f")
		}
		if err == nil && text.Text != "" {
			_, err = io.WriteString(w, text.Text+"\n")
		}
		if err != nil {
			return fmt.Errorf("writing the text of page %d: %w", i+1, err)
		}
	}
	return nil
}

// The invisible text of a searchable PDF: each word lies over its image, in a font
// without shapes whose signs are all half as wide as they are high, stretched to the
// word's width. The codes of the signs are UTF-16.
const (
	pdfGlyphWidth = 500 // thousandths
	maxTextWords  = 50_000
)

// textLayer is what shows a page's words, invisibly. perPixel is points a pixel; the page
// is so many points high.
func textLayer(text api.PageText, perPixel, height float64) string {
	words := text.Words[:min(len(text.Words), maxTextWords)]
	if len(words) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("BT 3 Tr\n")
	for _, w := range words {
		codes := utf16.Encode([]rune(w.Text))
		left, right := float64(w.Left)*perPixel, float64(w.Left+w.Width)*perPixel
		top, bottom := height-float64(w.Top)*perPixel, height-float64(w.Top+w.Height)*perPixel
		long, size := right-left, top-bottom
		x, y, cos, sin := left, bottom, 1, 0
		switch text.Orientation {
		case api.PageTextOrientationN90: // it runs up
			long, size = size, long
			x, y, cos, sin = right, bottom, 0, 1
		case api.PageTextOrientationN180:
			x, y, cos, sin = right, top, -1, 0
		case api.PageTextOrientationN270: // down
			long, size = size, long
			x, y, cos, sin = left, top, 0, -1
		case api.PageTextOrientationN0:
		}
		if len(codes) == 0 || long <= 0 || size <= 0 {
			continue
		}
		stretch := long * 100 / (float64(len(codes)) * size * pdfGlyphWidth / 1000)
		fmt.Fprintf(&b, "/T %s Tf %s Tz %d %d %d %d %s %s Tm <", pdfNumber(size), pdfNumber(stretch), cos, sin, -sin, cos, pdfNumber(x), pdfNumber(y))
		for _, c := range codes {
			if c >= 0xd800 && c < 0xe000 {
				c = 0xfffd // half a sign would say nothing
			}
			fmt.Fprintf(&b, "%04X", c)
		}
		b.WriteString("> Tj\n")
	}
	b.WriteString("ET\n")
	return b.String()
}
