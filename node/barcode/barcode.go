package barcode

import (
	"cmp"
	"image"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/makiuchi-d/gozxing"

	"github.com/platen-scan/platen/proto/api"
)

// MaxPixels is the size of an image in which every code is found that a scan at 300 dpi
// of an A3 sheet shows. Larger pages are to be scaled down to it.
const MaxPixels = 18_000_000

// Limits of what is read.
const (
	maxCodes = 200
	maxText  = 4 << 10 // bytes; a QR code holds less
)

// Code is a barcode on an image.
type Code struct {
	Format api.BarcodeFormat
	Text   string
	Box    image.Rectangle // around it, about
}

// names are the formats that can be read.
var names = map[gozxing.BarcodeFormat]api.BarcodeFormat{
	gozxing.BarcodeFormat_QR_CODE:     api.BarcodeFormatQr,
	gozxing.BarcodeFormat_DATA_MATRIX: api.BarcodeFormatDataMatrix,
	gozxing.BarcodeFormat_AZTEC:       api.BarcodeFormatAztec,
	gozxing.BarcodeFormat_CODE_128:    api.BarcodeFormatCode128,
	gozxing.BarcodeFormat_CODE_39:     api.BarcodeFormatCode39,
	gozxing.BarcodeFormat_CODE_93:     api.BarcodeFormatCode93,
	gozxing.BarcodeFormat_EAN_13:      api.BarcodeFormatEan13,
	gozxing.BarcodeFormat_EAN_8:       api.BarcodeFormatEan8,
	gozxing.BarcodeFormat_UPC_A:       api.BarcodeFormatUpca,
	gozxing.BarcodeFormat_UPC_E:       api.BarcodeFormatUpce,
	gozxing.BarcodeFormat_ITF:         api.BarcodeFormatItf,
	gozxing.BarcodeFormat_CODABAR:     api.BarcodeFormatCodabar,
}

// Read finds the codes of one format, or of all for "", from top to bottom.
func Read(m *image.Gray, only api.BarcodeFormat) []Code {
	if m.Rect.Dx() < minSide || m.Rect.Dy() < minSide {
		return nil
	}
	p := newPage(m)
	if p == nil {
		return nil
	}
	codes := append(p.linear(only), p.matrix(only)...)
	slices.SortFunc(codes, func(a, b Code) int {
		return cmp.Or(cmp.Compare(a.Box.Min.Y, b.Box.Min.Y), cmp.Compare(a.Box.Min.X, b.Box.Min.X), strings.Compare(a.Text, b.Text))
	})
	return codes[:min(len(codes), maxCodes)]
}

// minSide is that of an image that can hold a code, in pixels.
const minSide = 16

// page is an image as the decoders see it.
type page struct {
	gray          *image.Gray // its bounds begin at 0, 0
	width, height int
	black         *gozxing.BitMatrix
}

// newPage is nil for an image without ink.
func newPage(m *image.Gray) *page {
	if m.Rect.Min != (image.Point{}) || m.Stride != m.Rect.Dx() {
		whole := image.NewGray(image.Rect(0, 0, m.Rect.Dx(), m.Rect.Dy()))
		for y := range whole.Rect.Dy() {
			copy(whole.Pix[y*whole.Stride:], m.Pix[m.PixOffset(m.Rect.Min.X, m.Rect.Min.Y+y):][:whole.Stride])
		}
		m = whole
	}
	black := binarize(m)
	if black == nil {
		return nil
	}
	return &page{gray: m, width: m.Rect.Dx(), height: m.Rect.Dy(), black: black}
}

// guarded runs a decoder. One that panics has found nothing.
func guarded(decode func()) {
	defer func() { _ = recover() }()
	decode()
}

// newCode judges what a decoder answered.
func newCode(r *gozxing.Result, box image.Rectangle) (Code, bool) {
	if r == nil {
		return Code{}, false
	}
	format, known := names[r.GetBarcodeFormat()]
	text := r.GetText()
	if !utf8.ValidString(text) { // bytes without a character set are ISO 8859-1
		latin := make([]rune, len(text))
		for i := range len(text) {
			latin[i] = rune(text[i])
		}
		text = string(latin)
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return Code{Format: format, Text: text, Box: box}, known && text != ""
}
