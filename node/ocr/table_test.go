package ocr

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/platen-scan/platen/proto/api"
)

func word(line, n, left, top, width, height int, text string) string {
	return fmt.Sprintf("5\t1\t1\t1\t%d\t%d\t%d\t%d\t%d\t%d\t96.5\t%s\n", line, n, left, top, width, height, text)
}

func TestParse(t *testing.T) {
	in := table + "1\t1\t0\t0\t0\t0\t0\t0\t1000\t800\t-1\t\n" + "4\t1\t1\t1\t1\t0\t10\t10\t100\t20\t-1\t\n" +
		word(1, 1, 10, 10, 50, 20, "Grüße,") + word(1, 2, 70, 10, 40, 20, "Welt\u0001") + word(2, 1, 10, 40, 60, 20, " ") +
		word(2, 2, 10, 40, 60, 20, "zwei") + "5\t1\t2\t1\t1\t1\t990\t790\t500\t500\t-1\tEnde\n"
	got, err := parse([]byte(in), 1000, 800, "deu")
	need(t, err)
	if want := "Grüße, Welt\nzwei\n\nEnde"; got.Text != want || got.Language != "deu" || got.Orientation != 0 {
		t.Errorf("parse() = %q, %d°, want %q", got.Text, got.Orientation, want)
	}
	want := []api.Word{{Text: "Grüße,", Left: 10, Top: 10, Width: 50, Height: 20, Confidence: 96}, {Text: "Welt", Left: 70, Top: 10, Width: 40, Height: 20, Confidence: 96},
		{Text: "zwei", Left: 10, Top: 40, Width: 60, Height: 20, Confidence: 96}, {Text: "Ende", Left: 990, Top: 790, Width: 10, Height: 10}}
	if fmt.Sprint(got.Words) != fmt.Sprint(want) {
		t.Errorf("words = %v, want %v", got.Words, want)
	}
	for name, bad := range map[string]string{
		"nothing": "", "no header": word(1, 1, 1, 1, 1, 1, "x"), "short": table + "5\t1\t1\n", "letters": table + "5\t1\t1\t1\t1\t1\tx\t1\t1\t1\t9\tx\n",
		"too many": table + strings.Repeat(word(1, 1, 1, 1, 1, 1, "x"), maxWords+1),
	} {
		if got, err := parse([]byte(bad), 100, 100, "eng"); err == nil {
			t.Errorf("%s: %v, want an error", name, got)
		}
	}
}

func TestOrientation(t *testing.T) {
	lines := func(dx, dy int) string {
		out := table
		for line := range 3 {
			for n := range 4 {
				out += word(line, n, 500+dx*n-line*dy/3, 500+dy*n+line*dx/3, 40, 20, "word")
			}
		}
		return out
	}
	for _, c := range []struct {
		dx, dy    int
		languages string
		want      api.PageTextOrientation
	}{
		{60, 2, "eng", 0}, {-60, -2, "eng", 180}, {3, -60, "eng", 90}, {-3, 60, "eng", 270},
		{-60, 2, "ara", 0}, {60, 2, "heb", 180}, {60, 2, "eng+heb", 0},
	} {
		got, err := parse([]byte(lines(c.dx, c.dy)), 2000, 2000, c.languages)
		need(t, err)
		if got.Orientation != c.want {
			t.Errorf("words that go by %d, %d in %s: %d°, want %d°", c.dx, c.dy, c.languages, got.Orientation, c.want)
		}
	}
}

// FuzzParse takes any table: nothing panics, and all words lie on the page.
func FuzzParse(f *testing.F) {
	f.Add([]byte(table+word(1, 1, 10, 10, 50, 20, "Grüße")+word(1, 2, 70, 10, 40, 20, "a\tb")), 100, 100)
	f.Add([]byte(table), 0, 0)
	f.Add([]byte("x"), 1, 1)
	f.Fuzz(func(t *testing.T, in []byte, width, height int) {
		width, height = max(width, 0)%70000, max(height, 0)%70000
		got, err := parse(in, width, height, "eng")
		if err != nil {
			return
		}
		if !utf8.ValidString(got.Text) {
			t.Errorf("text %q", got.Text)
		}
		for _, w := range got.Words {
			if w.Left < 0 || w.Top < 0 || w.Width < 1 || w.Height < 1 || w.Left+w.Width > width || w.Top+w.Height > height || w.Confidence < 0 || w.Confidence > 100 {
				t.Errorf("word %+v on %d × %d", w, width, height)
			}
		}
	})
}
