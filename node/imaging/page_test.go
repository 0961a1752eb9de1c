package imaging

import (
	"math/rand/v2"

	"github.com/platen-scan/platen/proto/scan"
)

// testPage draws what scanners see: paper with noise, lines of text and a photograph.
func testPage(img Image) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	raw := make([]byte, img.Stride()*img.Height)
	w, h := img.Width, img.Height
	photoTop, photoBottom := h*6/10, h*9/10
	for y := range h {
		row := raw[y*img.Stride():][:img.Stride()]
		for x := range w {
			var v [3]int
			switch {
			case y >= photoTop && y < photoBottom && x > w/8 && x < w*7/8:
				for c := range v {
					v[c] = 60 + (x*(c+2)/7+y*(3-c)/5)%150 + (x*y/4096)%30
				}
			case glyph(x, y, w):
				v = [3]int{25, 25, 30}
			default:
				v = [3]int{243, 242, 238}
			}
			noise := rnd.IntN(7) - 3
			for c := range v {
				v[c] = min(max(v[c]+noise, 0), 255)
			}
			put(row, img, x, v, rnd.Uint32())
		}
	}
	return raw
}

// glyph says where there is ink: words of strokes in lines.
func glyph(x, y, w int) bool {
	line, inLine := y/50, y%50
	word, inWord := x/23, x%23
	if inLine > 28 || x < w/10 || x > w*9/10 || (word*7+line*3)%11 < 2 {
		return false
	}
	stroke := (word*265443 + line*40503) >> 4
	return inWord > 2 && inWord < 6 || stroke&1 == 0 && inLine > 12 && inLine < 16 && inWord < 18 ||
		stroke&2 == 0 && inWord > 12 && inWord < 16 || stroke&4 == 0 && inLine < 4 && inWord < 17
}

func put(row []byte, img Image, x int, v [3]int, low uint32) {
	switch {
	case img.Mode == scan.ModeLineart:
		if v[1] < 128 {
			row[x/8] |= 0x80 >> (x % 8)
		}
	case img.Mode == scan.ModeGray && img.Depth == 8:
		row[x] = byte(v[1])
	case img.Mode == scan.ModeGray:
		row[2*x], row[2*x+1] = byte(v[1]), byte(low)
	case img.Depth == 8:
		row[3*x], row[3*x+1], row[3*x+2] = byte(v[0]), byte(v[1]), byte(v[2])
	default:
		for c := range v {
			row[6*x+2*c], row[6*x+2*c+1] = byte(v[c]), byte(low>>(8*c))
		}
	}
}
