package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func TestFrames(t *testing.T) {
	var pipe bytes.Buffer
	w := &frameWriter{w: &pipe}
	big := bytes.Repeat([]byte("platen"), 100_000)
	if err := w.data(big); err != nil {
		t.Fatal(err)
	}
	if err := w.json(message{Lines: 7}); err != nil {
		t.Fatal(err)
	}
	r := newFrameReader(&pipe)
	var data []byte
	for {
		kind, p, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == frameJSON {
			var m message
			if err := json.Unmarshal(p, &m); err != nil || m.Lines != 7 {
				t.Errorf("message = %+v, %v; want 7 lines", m, err)
			}
			break
		}
		if len(p) > maxData {
			t.Errorf("a data frame of %d bytes", len(p))
		}
		data = append(data, p...)
	}
	if !bytes.Equal(data, big) {
		t.Errorf("%d bytes came out of %d", len(data), len(big))
	}
	if _, _, err := r.next(); err != io.EOF {
		t.Errorf("next() at the end = %v, want EOF", err)
	}
}

func TestMessageTooLarge(t *testing.T) {
	var pipe bytes.Buffer
	w := &frameWriter{w: &pipe}
	if err := w.json(request{Name: string(make([]byte, maxJSON))}); err == nil || pipe.Len() > 0 {
		t.Errorf("json() of too much = %v, with %d bytes written", err, pipe.Len())
	}
}

func TestMalformedFrames(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"half a header", []byte{frameData, 0}, io.ErrUnexpectedEOF},
		{"half a frame", []byte{frameData, 0, 0, 9, 'x'}, io.ErrUnexpectedEOF},
		{"unknown kind", []byte{9, 0, 0, 0}, errFrame},
		{"JSON too large", []byte{frameJSON, 1, 0, 1}, errFrame},
		{"data too large", []byte{frameData, 4, 0, 1}, errFrame},
		{"text", []byte("Segmentation fault"), errFrame},
	} {
		if _, _, err := newFrameReader(bytes.NewReader(test.in)).next(); !errors.Is(err, test.want) {
			t.Errorf("%s: next() = %v, want %v", test.name, err, test.want)
		}
	}
}

// TestFrameDeadline interrupts a frame in its middle; nothing of it may be lost.
func TestFrameDeadline(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	var whole bytes.Buffer
	w := &frameWriter{w: &whole}
	w.data([]byte("a page"))
	w.json(message{Lines: 1})
	r := newFrameReader(in)
	var got []byte
	for i, b := range whole.Bytes() {
		out.Write([]byte{b})
		in.SetReadDeadline(time.Now().Add(time.Millisecond))
		kind, p, err := r.next()
		switch {
		case err == nil:
			got = append(append(got, kind), p...)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatalf("after byte %d: %v", i, err)
		}
	}
	if want := "\x02a page\x01{\"lines\":1}"; string(got) != want {
		t.Errorf("frames = %q, want %q", got, want)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{frameData, 0, 0, 1, 'x', frameJSON, 0, 0, 2, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newFrameReader(bytes.NewReader(b))
		total := 0
		for {
			kind, p, err := r.next()
			if err != nil {
				return
			}
			if total += frameHeader + len(p); total > len(b) || kind != frameJSON && kind != frameData {
				t.Fatalf("frame of kind %d with %d bytes out of %d", kind, len(p), len(b))
			}
			if kind == frameJSON {
				var m message
				_ = json.Unmarshal(p, &m) // must not panic
			}
		}
	})
}
