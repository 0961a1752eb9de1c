package virtual

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// ruler measures text independently of the resolution, so that lines break in the same
// places at all of them.
type ruler struct {
	mu       sync.Mutex // guards buf
	font     *sfnt.Font
	buf      sfnt.Buffer
	advances map[rune]float64 // in ems
}

var rulers = [...]func() *ruler{
	regular: sync.OnceValue(func() *ruler { return &ruler{font: fonts[regular](), advances: make(map[rune]float64)} }),
	bold:    sync.OnceValue(func() *ruler { return &ruler{font: fonts[bold](), advances: make(map[rune]float64)} }),
}

// millimetres is the width of words set in points.
func (r *ruler) millimetres(words string, points float64) float64 {
	const perPoint = 25.4 / 72
	r.mu.Lock()
	defer r.mu.Unlock()
	ems := 0.0
	for _, c := range words {
		ems += r.advance(c)
	}
	return ems * points * perPoint
}

func (r *ruler) advance(c rune) float64 {
	if a, ok := r.advances[c]; ok {
		return a
	}
	const em = 1000
	var a float64
	if i, err := r.font.GlyphIndex(&r.buf, c); err == nil {
		if adv, err := r.font.GlyphAdvance(&r.buf, i, fixed.I(em), font.HintingNone); err == nil {
			a = float64(adv) / 64 / em
		}
	}
	r.advances[c] = a
	return a
}

var titles = []string{
	"Delivery note", "Minutes of the meeting", "Quarterly report", "Invoice", "Rental agreement",
	"Letter to the residents", "Field notes", "Order confirmation", "Travel report", "Service record",
}

const prose = `The scanner takes the sheet, the lamp passes over it, and a narrow line of
light becomes a row of numbers. Nobody sees the row; what people see is the page that
grows from it, line by line, while the paper is still moving. We thank you for your
order of the ninth and confirm that the goods have left our warehouse. The boxes are
marked with the number printed below, and the driver carries a copy of this letter.
Please count them before you sign, and write what is missing on both copies. In the
second quarter the number of visitors rose by a little more than four per cent, chiefly
on weekdays and in the early afternoon. The reading room stays open until seven. The
roof over the northern stairs was repaired in March; the account for it is attached.
Between the lake and the railway the path is narrow, and after rain it is better to go
by the upper road. We counted eleven herons, two grebes and, near the old bridge, one
kingfisher. The tenant keeps the key of the cellar and answers for the bicycle rack.
Any change to this agreement needs to be made in writing. A copy on paper outlives the
machine that printed it, which is why archives keep both: the sheet for the day when no
machine can read the file, and the file for the day when nobody can find the sheet.
The committee met at ten, with all but one of its members present. The minutes of the
previous meeting were read and approved. It was agreed to buy two lamps for the hall,
to have the clock looked at, and to ask the school for its old maps before they are
thrown away. Tea was served at eleven; the talk then turned to the weather.`

// words is running text without end.
type words struct {
	all []string
	at  int
}

// paragraphs is text that begins elsewhere for each page.
func paragraphs(n int) *words {
	all := strings.Fields(prose)
	return &words{all: all, at: n * 41 % len(all)}
}

func (w *words) peek() string { return w.all[w.at] }

func (w *words) next() string {
	word := w.peek()
	w.at = (w.at + 1) % len(w.all)
	return word
}

// tableRows are the cells of the table on page n.
func tableRows(n int) [][]string {
	rows := [][]string{{"Item", "Number", "Pieces", "Amount"}}
	for i, item := range []string{"Paper, white, 80 g", "Ink, black", "Folders, blue", "Labels", "Postage"} {
		k := n*7 + i*13
		rows = append(rows, []string{item, fmt.Sprintf("%04d-%02d", 1000+k*37%9000, k%100), fmt.Sprint(1 + k%24), fmt.Sprintf("%d.%02d", 3+k*11%240, k*29%100)})
	}
	return rows
}
