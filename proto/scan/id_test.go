package scan

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func testNodeID(t testing.TB) string {
	t.Helper()
	id, err := NodeID(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestNodeIDFindsTypingErrors(t *testing.T) {
	id := testNodeID(t)
	if err := ParseNodeID(id); err != nil {
		t.Fatalf("ParseNodeID(%q) = %v", id, err)
	}
	for i := range len(id) {
		for _, c := range base32Alphabet {
			wrong := id[:i] + string(c) + id[i+1:]
			if wrong != id && ParseNodeID(wrong) == nil {
				t.Errorf("ParseNodeID(%q) accepts a wrong character at %d", wrong, i)
			}
		}
		if i > 0 && id[i] != id[i-1] {
			swapped := id[:i-1] + string([]byte{id[i], id[i-1]}) + id[i+1:]
			if ParseNodeID(swapped) == nil {
				t.Errorf("ParseNodeID(%q) accepts swapped neighbours at %d", swapped, i)
			}
		}
	}
}

func TestObjectIDs(t *testing.T) {
	node := testNodeID(t)
	for _, k := range []Kind{KindScanner, KindJob, KindDocument, KindPage} {
		id := NewID(node, k)
		prefix, kind, err := ParseID(id)
		if err != nil || prefix != Prefix(node) || kind != k {
			t.Errorf("ParseID(%q) = %q, %c, %v", id, prefix, kind, err)
		}
	}
	if a, b := DerivedID(node, KindScanner, "sane:x"), DerivedID(node, KindScanner, "sane:x"); a != b {
		t.Errorf("DerivedID is not stable: %q, %q", a, b)
	}
	good := NewID(node, KindJob)
	for _, bad := range []string{"", "x", good + "a", good[1:], strings.ToUpper(good), strings.Replace(good, "-j", "-x", 1),
		strings.Replace(good, "-", "/", 1), good[:len(good)-1] + "1", "../../../../etc/passwd-jaaaaaaaaaaaaaa"} {
		if _, _, err := ParseID(bad); !errors.Is(err, ErrBadID) {
			t.Errorf("ParseID(%q) = %v, want ErrBadID", bad, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(NewID(testNodeID(f), KindJob))
	f.Fuzz(func(t *testing.T, s string) {
		prefix, kind, err := ParseID(s)
		if err == nil && s != prefix+"-"+string(kind)+s[prefixLength+2:] {
			t.Fatalf("ParseID(%q) = %q, %c", s, prefix, kind)
		}
	})
}

func TestTimeOnTheWire(t *testing.T) {
	at := At(time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.FixedZone("x", 3600)))
	b, err := json.Marshal(struct {
		At   Time `json:"at"`
		None Time `json:"none,omitzero"`
	}{At: at})
	if want := `{"at":"2026-11-22T09:00:00.123Z"}`; err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v, want %s", b, err, want)
	}
	var back struct{ At Time }
	if err := json.Unmarshal(b, &back); err != nil || !back.At.Equal(at.Time) {
		t.Errorf("Unmarshal(%s) = %v, %v", b, back.At, err)
	}
}

func TestEnumsRefuseWhatTheyDoNotKnow(t *testing.T) {
	var s Settings
	for _, doc := range []string{`{"source":"tray"}`, `{"mode":"Color"}`, `{"format":"gif"}`, `{"source":""}`} {
		if err := json.Unmarshal([]byte(doc), &s); err == nil {
			t.Errorf("Unmarshal(%s) succeeded", doc)
		}
	}
}
