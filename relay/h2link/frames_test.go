package h2link

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/net/http2"

	"github.com/platen-scan/platen/proto/problem"
)

// opening is a client's first bytes.
func opening(write func(*http2.Framer)) []byte {
	b := bytes.NewBufferString(http2.ClientPreface)
	write(http2.NewFramer(b, nil))
	return b.Bytes()
}

func TestFirstFrames(t *testing.T) {
	settings := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}
	accepted := opening(func(f *http2.Framer) {
		f.WriteSettings(settings)
		f.WriteWindowUpdate(0, 1)
	})
	for _, row := range []struct {
		name  string
		in    []byte
		taken bool
		said  problem.Code
	}{
		{"accepted", accepted, true, ""},
		{"refused", opening(func(f *http2.Framer) {
			f.WriteSettings()
			f.WriteGoAway(0, http2.ErrCodeNo, []byte(problem.NodeRevoked))
		}), false, problem.NodeRevoked},
		{"refused without a word", opening(func(f *http2.Framer) { f.WriteGoAway(0, http2.ErrCodeNo, nil) }), false, ""},
		{"nothing", nil, false, ""},
		{"HTTP/1", []byte("GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n"), false, ""},
		{"cut in the preface", accepted[:10], false, ""},
		{"cut in a frame's header", accepted[:30], false, ""},
		{"cut in a frame", accepted[:36], false, ""},
		{"cut before the next frame", accepted[:39], false, ""},
		{"too large", opening(func(f *http2.Framer) {
			f.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 1<<16))
		}), false, ""},
		{"without an end", opening(func(f *http2.Framer) {
			for range 1000 {
				f.WriteSettings(settings)
			}
		}), false, ""},
	} {
		seen, err := firstFrames(bytes.NewReader(row.in))
		if taken := err == nil; taken != row.taken {
			t.Errorf("%s: taken = %v (%v), want %v", row.name, taken, err, row.taken)
		}
		if row.taken && !bytes.HasPrefix(row.in, seen) {
			t.Errorf("%s: %q was read, %q is given on", row.name, row.in, seen)
		}
		if row.said != "" && !errors.Is(err, row.said.Error()) {
			t.Errorf("%s: %v, want %s", row.name, err, row.said)
		}
	}
}

func FuzzFirstFrames(f *testing.F) {
	f.Add(opening(func(f *http2.Framer) { f.WriteSettings(); f.WriteGoAway(0, 0, []byte("node-revoked")) }))
	f.Add(opening(func(f *http2.Framer) { f.WriteSettings(); f.WriteWindowUpdate(0, 1) }))
	f.Fuzz(func(t *testing.T, in []byte) {
		seen, err := firstFrames(bytes.NewReader(in))
		if err == nil && !bytes.HasPrefix(in, seen) || len(seen) > 8<<10 {
			t.Errorf("firstFrames(%q) = %q, %v", in, seen, err)
		}
	})
}
