package ocr

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/platen-scan/platen/proto/api"
)

// Limits of what is taken from the program.
const (
	maxTable = 8 << 20 // bytes
	maxWords = 50_000
	maxWord  = 200 // characters
)

var errTable = errors.New("what it said is no table of words")

// The columns of the table, and the level of words in it.
const (
	columns   = 12
	wordLevel = "5"
)

// parse makes a text of tesseract's table: a line of names, then level, page, block,
// paragraph, line, word, left, top, width, height, confidence and text of each part.
func parse(table []byte, width, height int, languages string) (api.PageText, error) {
	text := api.PageText{Language: languages, Words: []api.Word{}}
	var all strings.Builder
	var last [4]string // page, block, paragraph and line of the word before
	votes := turns{backwards: rightToLeft(languages)}
	first := true
	for line := range bytes.Lines(table) {
		f := strings.Split(strings.TrimRight(string(line), "\r\n"), "\t")
		if first {
			if first = false; len(f) != columns || f[0] != "level" {
				return api.PageText{}, errTable
			}
			continue
		}
		if f[0] != wordLevel {
			continue
		}
		if len(f) < columns || len(text.Words) == maxWords {
			return api.PageText{}, errTable
		}
		word, ok := parseWord(f, width, height)
		if !ok {
			return api.PageText{}, errTable
		}
		if word.Text == "" || word.Width == 0 || word.Height == 0 {
			continue
		}
		at := [4]string(f[1:5])
		switch {
		case len(text.Words) == 0:
		case at == last:
			all.WriteByte(' ')
			votes.add(text.Words[len(text.Words)-1], word)
		case at[0] == last[0] && at[1] == last[1] && at[2] == last[2]:
			all.WriteByte('\n')
		default:
			all.WriteString("\n\n")
		}
		all.WriteString(word.Text)
		text.Words, last = append(text.Words, word), at
	}
	if first {
		return api.PageText{}, errTable
	}
	text.Text, text.Orientation = all.String(), votes.result()
	return text, nil
}

// parseWord reads a word, cut to the page.
func parseWord(f []string, width, height int) (api.Word, bool) {
	var n [4]int
	for i := range n {
		v, err := strconv.Atoi(f[6+i])
		if err != nil {
			return api.Word{}, false
		}
		n[i] = v
	}
	confidence, err := strconv.ParseFloat(f[10], 64)
	if err != nil {
		return api.Word{}, false
	}
	left, top := min(max(n[0], 0), width), min(max(n[1], 0), height)
	return api.Word{
		Text: clean(strings.Join(f[11:], " ")), Left: left, Top: top,
		Width: min(max(n[2], 0), width-left), Height: min(max(n[3], 0), height-top),
		Confidence: int(min(max(confidence, 0), 100)),
	}, true
}

// clean drops what is no sign, and all beyond the length of words.
func clean(word string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxWord || r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, word)
}

// turns counts in which directions the words of lines follow each other.
type turns struct {
	backwards             bool // as in Arabic
	right, left, up, down int
}

func (t *turns) add(before, after api.Word) {
	dx := 2*(after.Left-before.Left) + after.Width - before.Width
	dy := 2*(after.Top-before.Top) + after.Height - before.Height
	if t.backwards {
		dx, dy = -dx, -dy
	}
	switch {
	case abs(dx) > abs(dy) && dx > 0:
		t.right++
	case abs(dx) > abs(dy):
		t.left++
	case dy < 0:
		t.up++
	case dy > 0:
		t.down++
	}
}

// result is by how much the page is to be turned clockwise: text that runs up stands
// upright after a quarter.
func (t *turns) result() api.PageTextOrientation {
	switch most := max(t.right, t.left, t.up, t.down); most {
	case t.right:
		return api.PageTextOrientationN0
	case t.left:
		return api.PageTextOrientationN180
	case t.up:
		return api.PageTextOrientationN90
	}
	return api.PageTextOrientationN270
}

func abs(n int) int { return max(n, -n) }

// rightToLeft reports whether all the languages are written so.
func rightToLeft(languages string) bool {
	for l := range strings.SplitSeq(languages, "+") {
		switch l {
		case "ara", "fas", "heb", "urd", "yid", "syr", "pus", "snd", "uig", "div":
		default:
			return false
		}
	}
	return true
}
