package imaging

import (
	"image"
	"image/color"
)

// appendPixels appends the picture as rows of gray or RGB bytes.
func appendPixels(dst []byte, m image.Image) []byte {
	b := m.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		switch m := m.(type) {
		case *image.Gray:
			o := m.PixOffset(b.Min.X, y)
			dst = append(dst, m.Pix[o:o+b.Dx()]...)
		case *image.YCbCr:
			dst = appendYCbCrRow(dst, m, y)
		default:
			for x := b.Min.X; x < b.Max.X; x++ {
				r, g, b, _ := m.At(x, y).RGBA()
				dst = append(dst, byte(r>>8), byte(g>>8), byte(b>>8))
			}
		}
	}
	return dst
}

func appendYCbCrRow(dst []byte, m *image.YCbCr, y int) []byte {
	b := m.Rect
	start := len(dst)
	dst = append(dst, make([]byte, 3*b.Dx())...)
	out := dst[start:]
	luma := m.Y[m.YOffset(b.Min.X, y):][:b.Dx()]
	if m.SubsampleRatio == image.YCbCrSubsampleRatio420 || m.SubsampleRatio == image.YCbCrSubsampleRatio422 {
		// The usual ratios, where neighbours share chroma; strips begin at an even x, 0.
		o, n := m.COffset(b.Min.X, y), (b.Dx()+1)/2
		cb, cr := m.Cb[o:][:n], m.Cr[o:][:n]
		for x, v := range luma {
			px := out[3*x : 3*x+3 : 3*x+3]
			px[0], px[1], px[2] = color.YCbCrToRGB(v, cb[x/2], cr[x/2])
		}
		return dst
	}
	for x, v := range luma {
		o := m.COffset(b.Min.X+x, y)
		out[3*x], out[3*x+1], out[3*x+2] = color.YCbCrToRGB(v, m.Cb[o], m.Cr[o])
	}
	return dst
}

// appendEightBit appends the rows of img as 8 bit samples: lineart as black and white,
// 16 bit samples without their lower half.
func appendEightBit(dst []byte, img Image, rows []byte) []byte {
	switch img.Depth {
	case 8:
		return append(dst, rows...)
	case 16:
		for i := 0; i+1 < len(rows); i += 2 {
			dst = append(dst, rows[i])
		}
		return dst
	}
	for stride := img.Stride(); len(rows) >= stride; rows = rows[stride:] {
		for x := range img.Width {
			white := rows[x/8]>>(7-x%8)&1 - 1 // 0xff for a clear bit
			dst = append(dst, white)
		}
	}
	return dst
}
