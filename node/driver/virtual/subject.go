package virtual

import (
	"fmt"
	"strings"

	"github.com/platen-scan/platen/proto/scan"
)

// subject is what a page shows.
type subject struct {
	n     int    // chooses title, words and picture
	label string // "Page 3 of 10 · front"
	code  string // of the bar code
	blank bool
}

// blankPage is the page of a two-sided batch that is the empty back of its sheet.
const blankPage = 4

func feederSubject(n, total int, side scan.Side, source scan.Source) subject {
	return subject{
		n:     n,
		label: fmt.Sprintf("Page %d of %d · %s", n, total, side),
		code:  fmt.Sprintf("PLATEN-%04d-%s", n, strings.ToUpper(string(side[:1]))),
		blank: source == scan.SourceADFDuplex && n == blankPage,
	}
}

func glassSubject(n int) subject {
	return subject{n: n, label: fmt.Sprintf("Sheet %d · glass", n), code: fmt.Sprintf("PLATEN-%04d-G", n)}
}

// The frame of a page, in millimetres.
const (
	marginX   = 20.0
	textWidth = sheetWidth - 2*marginX
	leading   = 5.3 // from baseline to baseline of running text
)

// layout places everything on the sheet.
func (s subject) layout(c *canvas) []mark {
	l := &layout{c: c, faces: make(map[style]*typeface)}
	small, body, head := style{regular, 8}, style{regular, 10.5}, style{bold, 19}

	l.text(small, inkGray, marginX, 12, "Platen virtual scanner")
	l.text(small, inkBlack, sheetWidth-marginX-l.width(small, s.label), 12, s.label)
	l.text(head, inkBlue, marginX, 22, titles[s.n%len(titles)])
	l.add(c.newBox(marginX, 32, textWidth, 0.5, inkBlue))

	words := paragraphs(s.n)
	y := l.column(body, marginX, 38, textWidth, 9, words)
	l.add(c.newPhoto(marginX, y+3, 84, 60, s.n))
	l.column(body, marginX+90, y+3, textWidth-90, 11, words)
	l.text(small, inkGray, marginX, y+64.5, fmt.Sprintf("Fig. %d: the lake in the morning.", s.n))
	y = l.column(body, marginX, y+72, textWidth, 9, words)
	l.table(style{regular, 9}, marginX, y+4, s.n)

	l.add(c.newBars(marginX, 256, 13, s.code))
	l.text(small, inkBlack, marginX, 270, s.code)
	l.patches(sheetWidth-marginX-64, 256)
	number := fmt.Sprint(s.n)
	l.text(body, inkBlack, (sheetWidth-l.width(body, number))/2, 280, number)
	return l.marks
}

type style struct {
	weight weight
	points float64
}

// layout gathers the marks of a page.
type layout struct {
	c     *canvas
	faces map[style]*typeface
	marks []mark
}

func (l *layout) add(m mark) { l.marks = append(l.marks, m) }

func (l *layout) face(s style) *typeface {
	if l.faces[s] == nil {
		l.faces[s] = newTypeface(s.weight, s.points, float64(l.c.dpi))
	}
	return l.faces[s]
}

// width is that of words, in millimetres.
func (l *layout) width(s style, words string) float64 {
	return rulers[s.weight]().millimetres(words, s.points)
}

// text places one line, y being the top of its letters.
func (l *layout) text(s style, color rgb, x, y float64, words string) {
	l.add(&text{face: l.face(s), words: words, left: l.c.px(x), top: l.c.px(y), ink: l.c.samples(color)})
}

// column sets lines of running text and returns the y below them.
func (l *layout) column(s style, x, y, width float64, lines int, words *words) float64 {
	for range lines {
		line := words.next()
		for l.width(s, line+" "+words.peek()) <= width {
			line += " " + words.next()
		}
		l.text(s, inkBlack, x, y, line)
		y += leading
	}
	return y
}

// table rules and fills a small table.
func (l *layout) table(s style, x, y float64, n int) {
	const rowHeight = 6.0
	columns := []float64{0, 62, 104, 138, textWidth}
	rows := tableRows(n)
	for i := range len(rows) + 1 {
		l.add(l.c.newBox(x, y+float64(i)*rowHeight, textWidth, 0.2, inkGray))
	}
	for _, cx := range columns {
		l.add(l.c.newBox(x+cx, y, 0.2, float64(len(rows))*rowHeight, inkGray))
	}
	for i, row := range rows {
		for k, cell := range row {
			l.text(s, inkBlack, x+columns[k]+2, y+float64(i)*rowHeight+1.2, cell)
		}
	}
}

// patches are colours to judge a scan by.
func (l *layout) patches(x, y float64) {
	for i, color := range []rgb{{200, 30, 40}, {30, 150, 60}, {30, 70, 190}, {0, 160, 200}, {200, 30, 140}, {245, 210, 30}, {128, 128, 128}, {20, 20, 20}} {
		l.add(l.c.newBox(x+float64(i)*8, y, 8, 13, color))
	}
}
