package audit

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// world is an exported chain of 250 records with its heads, by line.
func world(t testing.TB) (lines []string, c Config, head Head) {
	c = Config{Dir: t.TempDir(), Signer: newSigner(t)}
	l := open(t, c)
	fill(t, l, 250)
	return strings.SplitAfter(strings.TrimSuffix(export(t, l), "\n"), "\n"), c, l.Head()
}

func TestVerifyNamesTheLine(t *testing.T) {
	lines, c, head := world(t)
	other := newSigner(t)
	last := len(lines)
	join := func(parts ...[]string) string {
		var b strings.Builder
		for _, p := range parts {
			b.WriteString(strings.Join(p, ""))
		}
		return b.String()
	}
	edit := func(i int, from, to string) string {
		if !strings.Contains(lines[i], from) {
			t.Fatalf("line %d has no %q: %s", i+1, from, lines[i])
		}
		return join(lines[:i], []string{strings.Replace(lines[i], from, to, 1)}, lines[i+1:])
	}
	for _, tt := range []struct {
		name string
		text string
		line int
	}{
		{"edited", edit(50, "Ann", "Bob"), 51},
		{"blank put in", edit(50, `"who":`, ` "who":`), 51},
		{"hash edited", edit(50, `"hash":"`, `"hash":"0`), 51},
		{"deleted", join(lines[:50], lines[51:]), 51},
		{"exchanged", join(lines[:50], lines[51:52], lines[50:51], lines[52:]), 51},
		{"inserted", join(lines[:50], lines[49:]), 51},
		{"first deleted", join(lines[:1], lines[2:]), 2},
		{"beginning taken away", join(lines[110:]), 1},
		{"head edited", edit(101, `{"head":100`, `{"head":101`), 102},
		{"head's time edited", edit(101, `"time":"2`, `"time":"3`), 102},
		{"head moved", join(lines[:100], lines[101:102], lines[100:101], lines[102:]), 101},
		{"end taken away", join(lines[:200]), 201},
		{"all taken away", "", 1},
		{"signed by another key", join(lines[:last-1], []string{sign(other, 250, head.Hash, head.Time).String() + "\n"}), last},
		{"signature of another key", join(lines[:last-1], []string{strings.Replace(sign(other, 250, head.Hash, head.Time).String(), sign(other, 0, "", head.Time).Key, head.Key, 1)}), last},
		{"not the log", "hello\n", 1},
		{"a long line", strings.Repeat("x", maxLine+1), 1},
	} {
		_, err := Verify(strings.NewReader(tt.text), c.Signer.Pin(), head)
		if want := fmt.Sprintf("line %d: ", tt.line); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: Verify = %v, want %s", tt.name, err, want)
		}
	}
	if n, err := Verify(strings.NewReader(join(lines)), c.Signer.Pin(), head); err != nil || n != 250 {
		t.Errorf("the whole log: %d, %v", n, err)
	}
	if _, err := Verify(strings.NewReader(join(lines)), other.Pin()); err == nil {
		t.Error("the log passes for another end's")
	}
	made := open(t, Config{Dir: t.TempDir(), Signer: c.Signer})
	fill(t, made, 300)
	if _, err := Verify(strings.NewReader(export(t, made)), c.Signer.Pin(), head); err == nil {
		t.Error("a log that was made anew passes for the one whose head is known")
	}
}

func FuzzVerify(f *testing.F) {
	lines, c, head := world(f)
	text := strings.Join(lines, "")
	f.Add([]byte(text[:4000]))
	f.Add([]byte(lines[0] + lines[1]))
	f.Add([]byte(`{"n":1,"hash":""}` + "\n" + `{"head":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Verify(bytes.NewReader(b), c.Signer.Pin(), head)
		if err == nil && !strings.HasPrefix(text, string(bytes.TrimSuffix(b, []byte("\n")))) {
			t.Errorf("Verify(%q) = %d without the key", b, n)
		}
	})
}
