package barcode

import (
	"image"
	"slices"
)

const (
	block = 8 // pixels of a side of the squares that the page is looked at by
	quiet = 2 // blocks of white around an area

	minArea  = 20 // pixels of a side of the smallest matrix code
	maxAreas = 300
	// A matrix code is half black; one that lies on its corner fills half of its box.
	minBlack, maxBlack = 12, 80 // per cent
	longest            = 5      // sides of a box, one to the other
)

// area is a part of the page that may hold a matrix code.
type area struct {
	box   image.Rectangle
	black int // per cent, without the white around
}

// areas are the boxes of what lies apart from all else on the page and may be a matrix
// code: at a small distance and at a larger one, because what belongs together depends on
// the size of its modules.
func (p *page) areas() []area {
	w, h := (p.width+block-1)/block, (p.height+block-1)/block
	black := p.blackOf(w, h)
	var all []area
	for _, reach := range []int{1, 3} {
		for _, b := range boxes(black, w, h, reach) {
			r := image.Rect((b.Min.X-quiet)*block, (b.Min.Y-quiet)*block, (b.Max.X+quiet)*block, (b.Max.Y+quiet)*block).Intersect(p.gray.Rect)
			if a := (area{r, percentBlack(b, black, w)}); a.mayBeMatrix(b) && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all[:min(len(all), maxAreas)]
}

// blackOf counts the black pixels of each block.
func (p *page) blackOf(w, h int) []uint8 {
	count := make([]uint8, w*h)
	for y := range p.height {
		row := count[y/block*w:]
		for x := range p.width {
			if p.black.Get(x, y) {
				row[x/block]++
			}
		}
	}
	return count
}

func percentBlack(b image.Rectangle, black []uint8, w int) int {
	sum := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for _, n := range black[y*w:][b.Min.X:b.Max.X] {
			sum += int(n)
		}
	}
	return sum * 100 / (b.Dx() * b.Dy() * block * block)
}

// mayBeMatrix judges an area of these blocks by shape and blackness.
func (a area) mayBeMatrix(b image.Rectangle) bool {
	short, long := min(b.Dx(), b.Dy()), max(b.Dx(), b.Dy())
	return (short+1)*block >= minArea && long <= longest*short && a.black >= minBlack && a.black <= maxBlack
}

// boxes are those of blocks with black in them that lie no more than reach apart.
func boxes(black []uint8, w, h, reach int) []image.Rectangle {
	seen := make([]bool, len(black))
	var all []image.Rectangle
	var queue []image.Point
	for start := range black {
		if black[start] == 0 || seen[start] {
			continue
		}
		seen[start] = true
		box := image.Rectangle{}
		queue = append(queue[:0], image.Pt(start%w, start/w))
		for len(queue) > 0 {
			at := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			box = box.Union(image.Rect(at.X, at.Y, at.X+1, at.Y+1))
			for y := max(at.Y-reach, 0); y <= min(at.Y+reach, h-1); y++ {
				for x := max(at.X-reach, 0); x <= min(at.X+reach, w-1); x++ {
					if i := y*w + x; black[i] != 0 && !seen[i] {
						seen[i] = true
						queue = append(queue, image.Pt(x, y))
					}
				}
			}
		}
		all = append(all, box)
	}
	return all
}
