package barcode

import (
	"image"
	"testing"
	"unicode/utf8"
)

// FuzzRead gives it images of all kinds: bytes laid out as rows, and codes with bytes of
// them changed. Nothing panics, and what is found is within the limits.
func FuzzRead(f *testing.F) {
	for _, c := range fixtures {
		m := stamp(f, c.file, 1, 0)
		f.Add(uint16(m.Rect.Dx()), uint8(2), m.Pix)
	}
	f.Add(uint16(1), uint8(1), []byte{0})
	f.Add(uint16(200), uint8(3), make([]byte, 4000))
	f.Fuzz(func(t *testing.T, width uint16, module uint8, pix []byte) {
		w, k := int(width%400)+1, int(module%4)+1
		h := min(len(pix)/w, 400)
		if h == 0 {
			return
		}
		const margin = 12
		m := sheet(w*k+2*margin, h*k+2*margin)
		for y := range h * k {
			for x := range w * k {
				m.Pix[(y+margin)*m.Stride+x+margin] = pix[y/k*w+x/k]
			}
		}
		codes := Read(m, "")
		if len(codes) > maxCodes {
			t.Errorf("%d codes", len(codes))
		}
		for _, c := range codes {
			if c.Text == "" || len(c.Text) > 2*maxText || !utf8.ValidString(c.Text) || c.Format == "" {
				t.Errorf("found %+v", c)
			}
			if !c.Box.In(m.Rect) || c.Box.Empty() {
				t.Errorf("found at %v in %v", c.Box, m.Rect)
			}
		}
		Read(m.SubImage(image.Rect(3, 5, w, h)).(*image.Gray), "") // which shares rows with others
	})
}
