package virtual

// box is a filled rectangle, in pixels.
type box struct {
	left, top, right, bottom int
	ink                      []byte
}

// newBox makes a box from millimetres. It is never thinner than a pixel.
func (c *canvas) newBox(x, y, w, h float64, color rgb) box {
	left, top := c.px(x), c.px(y)
	return box{left, top, max(c.px(x+w), left+1), max(c.px(y+h), top+1), c.samples(color)}
}

func (b box) span() (int, int) { return b.top, b.bottom }

func (b box) draw(c *canvas, row []byte, _ int) { c.fill(row, b.left, b.right-b.left, b.ink) }

// bars is a bar code, in pixels.
type bars struct {
	left, top, bottom int
	module            int
	modules           []bool
	ink               []byte
}

func (c *canvas) newBars(x, y, h float64, text string) bars {
	const moduleWidth = 0.4 // mm
	return bars{
		left: c.px(x), top: c.px(y), bottom: c.px(y + h),
		module: max(c.px(moduleWidth), 1), modules: code128(text), ink: c.samples(inkBlack),
	}
}

func (b bars) span() (int, int) { return b.top, b.bottom }

func (b bars) draw(c *canvas, row []byte, _ int) {
	for i, dark := range b.modules {
		if dark {
			c.fill(row, b.left+i*b.module, b.module, b.ink)
		}
	}
}
