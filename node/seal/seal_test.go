package seal_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/platen-scan/platen/node/seal"
)

var page = seal.Name{
	Node: "abcdefghijklmnopqrstuvwxyzab", Object: "abcdefghijklmnop-jaaaaaaaaaaaaaaaaaaaa", Part: "3",
	Version: "abcdefghijklmnop-paaaaaaaaaaaaaaaaaaaa",
}

func newRecipient(t testing.TB) (*ecdh.PrivateKey, *seal.Recipient) {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private, parse(t, seal.FormatRecipient(private.PublicKey()))
}

func parse(t testing.TB, text string) *seal.Recipient {
	t.Helper()
	to, err := seal.ParseRecipient(text)
	if err != nil {
		t.Fatalf("ParseRecipient(%q) = %v", text, err)
	}
	return to
}

// plaintext is the bytes that the vectors are made of.
func plaintext(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// sizes are those around the ends of chunks.
var sizes = []int{0, 1, 15, 16, 17, 1000, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1, 2 * seal.ChunkSize, 3*seal.ChunkSize + 77}

func sealed(t testing.TB, key *seal.Key, plain []byte) []byte {
	t.Helper()
	b, err := io.ReadAll(seal.NewReader(key, bytes.NewReader(plain), int64(len(plain))))
	if err != nil {
		t.Fatalf("sealing %d bytes: %v", len(plain), err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	private, to := newRecipient(t)
	secret := seal.NewSecret()
	for _, size := range sizes {
		plain := plaintext(size)
		key := secret.Key(to, page, nil)
		body := sealed(t, key, plain)
		if got := seal.Size(int64(size)); got != int64(len(body)) {
			t.Errorf("Size(%d) = %d, sealing makes %d", size, got, len(body))
		}
		var written bytes.Buffer
		w := seal.NewWriter(key, &written)
		if _, err := io.Copy(w, iotest.HalfReader(bytes.NewReader(plain))); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil || !bytes.Equal(written.Bytes(), body) {
			t.Errorf("size %d: the writer makes other bytes than the reader, %v", size, err)
		}

		wrapped, err := key.Wrap(to, page, "image/jpeg")
		if err != nil {
			t.Fatal(err)
		}
		h, err := seal.ParseHeader(wrapped.String())
		if err != nil || h.Type != "image/jpeg" || h.For != wrapped.For {
			t.Fatalf("ParseHeader(%s) = %+v, %v", wrapped, h, err)
		}
		own, err := seal.Unwrap(private, page, h)
		if err != nil {
			t.Fatalf("Unwrap: %v", err)
		}
		for _, src := range []io.Reader{bytes.NewReader(body), iotest.OneByteReader(bytes.NewReader(body)), iotest.DataErrReader(bytes.NewReader(body))} {
			if got, err := io.ReadAll(own.Open(src, 0)); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("size %d: opened %d bytes, %v", size, len(got), err)
			}
		}
	}
}

// TestRanges reads any part of the sealed bytes as of the whole.
func TestRanges(t *testing.T) {
	_, to := newRecipient(t)
	secret := seal.NewSecret()
	for _, size := range sizes {
		plain := plaintext(size)
		whole := sealed(t, secret.Key(to, page, nil), plain)
		r := seal.NewReader(secret.Key(to, page, nil), bytes.NewReader(plain), int64(size))
		for range 50 {
			from := mathrand.IntN(len(whole))
			to := from + mathrand.IntN(len(whole)-from) + 1
			if at, err := r.Seek(int64(from), io.SeekStart); err != nil || at != int64(from) {
				t.Fatalf("Seek(%d) = %d, %v", from, at, err)
			}
			got := make([]byte, to-from)
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, whole[from:to]) {
				t.Fatalf("size %d: bytes %d to %d are not those of the whole, %v", size, from, to, err)
			}
		}
		if end, err := r.Seek(0, io.SeekEnd); err != nil || end != int64(len(whole)) {
			t.Errorf("Seek to the end = %d, %v, want %d", end, err, len(whole))
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("Read at the end = %d, %v", n, err)
		}
	}
	r := seal.NewReader(secret.Key(to, page, nil), strings.NewReader("x"), 1)
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek before the start succeeds")
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt before the start succeeds")
	}
	if _, err := io.ReadAll(seal.NewReader(secret.Key(to, page, nil), strings.NewReader("x"), 2)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("sealing a source that is shorter than said = %v", err)
	}
}

// TestGrowing has, at every length on the way, the beginning of what is sealed at the end.
func TestGrowing(t *testing.T) {
	_, to := newRecipient(t)
	secret := seal.NewSecret()
	for _, size := range sizes {
		plain := plaintext(size)
		whole := sealed(t, secret.Key(to, page, nil), plain)
		r := seal.NewGrowing(secret.Key(to, page, nil), bytes.NewReader(plain))
		var got []byte
		take := func() {
			t.Helper()
			b := make([]byte, r.Size()-int64(len(got)))
			if n, err := r.ReadAt(b, int64(len(got))); n != len(b) || err != nil {
				t.Fatalf("size %d: ReadAt = %d, %v", size, n, err)
			}
			got = append(got, b...)
		}
		for have := 0; have < size; have += 1 + mathrand.IntN(40_000) {
			r.Extend(int64(have), false)
			if need := seal.Needed(int64(len(got))); (int64(have) >= need) != (r.Size() > int64(len(got))) {
				t.Fatalf("Needed(%d) = %d; with %d bytes there are %d sealed ones", len(got), need, have, r.Size())
			}
			take()
		}
		if n, err := r.ReadAt(make([]byte, 1), int64(len(got))); n != 0 || err != io.EOF {
			t.Errorf("ReadAt behind what is there = %d, %v", n, err)
		}
		r.Extend(int64(size), true)
		take()
		if !bytes.Equal(got, whole) {
			t.Errorf("size %d: what grew is not what was committed", size)
		}
	}
}

// TestKeys has one key for one thing and another for everything else.
func TestKeys(t *testing.T) {
	_, one := newRecipient(t)
	_, two := newRecipient(t)
	secret := seal.NewSecret()
	with := func(change func(*seal.Name)) seal.Name { n := page; change(&n); return n }
	digest := sha256.Sum256([]byte("a"))
	other := sha256.Sum256([]byte("b"))
	png := with(func(n *seal.Name) { n.Form = "png" })
	seen := map[string]int{}
	for i, key := range []*seal.Key{
		secret.Key(one, page, nil),
		secret.Key(two, page, nil),
		seal.NewSecret().Key(one, page, nil),
		secret.Key(one, with(func(n *seal.Name) { n.Node += "x" }), nil),
		secret.Key(one, with(func(n *seal.Name) { n.Object += "x" }), nil),
		secret.Key(one, with(func(n *seal.Name) { n.Part = "4" }), nil),
		secret.Key(one, with(func(n *seal.Name) { n.Version += "x" }), nil),
		secret.Key(one, png, nil),
		secret.Key(one, page, digest[:]),
		secret.Key(one, png, digest[:]),
		secret.Key(one, png, other[:]), // made again with other bytes
		seal.NewKey(),
		seal.NewKey(),
	} {
		body := string(sealed(t, key, plaintext(40)))
		for _, what := range []string{key.Mark, body} {
			if was, twice := seen[what]; twice {
				t.Errorf("keys %d and %d are the same", was, i)
			}
			seen[what] = i
		}
	}
	a, b := secret.Key(one, png, digest[:]), secret.Key(one, png, digest[:])
	if a.Mark != b.Mark || !bytes.Equal(sealed(t, a, plaintext(40)), sealed(t, b, plaintext(40))) {
		t.Error("the same question has another answer")
	}
}

func TestRecipients(t *testing.T) {
	private, _ := newRecipient(t)
	good := seal.FormatRecipient(private.PublicKey())
	for name, text := range map[string]string{
		"empty":       "",
		"short":       good[:86],
		"long":        good + "A",
		"padded":      good[:86] + "=",
		"standard":    "+/" + good[2:],
		"infinity":    strings.Repeat("A", 87),
		"off curve":   good[:40] + flipped(good[40]) + good[41:],
		"compressed":  "Ag" + good[2:],
		"loose bits":  good[:86] + next(good[86]),
		"line breaks": "\n" + good[1:],
	} {
		if _, err := seal.ParseRecipient(text); !errors.Is(err, seal.ErrRecipient) {
			t.Errorf("%s: ParseRecipient(%q) = %v, want ErrRecipient", name, text, err)
		}
	}
}

func flipped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// next is the following digit: the last one of a point has two bits that mean nothing.
func next(c byte) string {
	i := strings.IndexByte(alphabet, c)
	return string(alphabet[(i+1)%len(alphabet)])
}

func TestUnwrapRefuses(t *testing.T) {
	private, to := newRecipient(t)
	stranger, _ := newRecipient(t)
	h, err := seal.NewKey().Wrap(to, page, "image/jpeg")
	if err != nil {
		t.Fatal(err)
	}
	refuses := func(what string, private *ecdh.PrivateKey, name seal.Name, h seal.Header) {
		t.Helper()
		if _, err := seal.Unwrap(private, name, h); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: Unwrap = %v, want ErrOpen", what, err)
		}
	}
	refuses("another key", stranger, page, h)
	for i := range 5 {
		name := page
		*[]*string{&name.Node, &name.Object, &name.Part, &name.Version, &name.Form}[i] += "1"
		refuses("another name", private, name, h)
	}
	changed := h
	changed.Type = "text/html"
	refuses("another type", private, page, changed)
	for i := range h.Key {
		changed := h
		changed.Key = bytes.Clone(h.Key)
		changed.Key[i] ^= 1
		refuses("another byte", private, page, changed)
	}
	changed.Key = h.Key[:len(h.Key)-1]
	refuses("a short key", private, page, changed)
}

// TestOpenGivesErrorsOfItsSource has a lost connection be one, not damage.
func TestOpenGivesErrorsOfItsSource(t *testing.T) {
	key := seal.NewKey()
	body := sealed(t, key, plaintext(seal.ChunkSize+10))
	lost := errors.New("connection lost")
	src := io.MultiReader(bytes.NewReader(body[:seal.SealedChunk+3]), iotest.ErrReader(lost))
	if got, err := io.ReadAll(key.Open(src, 0)); !errors.Is(err, lost) || !bytes.Equal(got, plaintext(seal.ChunkSize)) {
		t.Errorf("opened %d bytes, %v; want the first chunk and the error of the source", len(got), err)
	}
	rest := key.Open(bytes.NewReader(body[seal.SealedChunk:]), 1)
	if got, err := io.ReadAll(rest); err != nil || !bytes.Equal(got, plaintext(seal.ChunkSize + 10)[seal.ChunkSize:]) {
		t.Errorf("opened %d bytes from chunk 1, %v", len(got), err)
	}
}

// TestMemory keeps one chunk, however long the page is.
func TestMemory(t *testing.T) {
	key, plain, buf := seal.NewKey(), plaintext(20*seal.ChunkSize), make([]byte, 32<<10)
	allocs := testing.AllocsPerRun(10, func() {
		r := seal.NewReader(key, bytes.NewReader(plain), int64(len(plain)))
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	})
	if allocs > 4 {
		t.Errorf("sealing 20 chunks takes %v allocations, want 4 at most", allocs)
	}
}

func FuzzParseHeader(f *testing.F) {
	_, to := newRecipient(f)
	h, err := seal.NewKey().Wrap(to, page, "image/jpeg")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range append(malformed(h.String()), h.String(), "v1; more=x; "+strings.TrimPrefix(h.String(), "v1; ")) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := seal.ParseHeader(text)
		if err != nil {
			if !errors.Is(err, seal.ErrHeader) {
				t.Errorf("ParseHeader(%q) = %v, want ErrHeader", text, err)
			}
			return
		}
		if again, err := seal.ParseHeader(h.String()); err != nil || again.String() != h.String() {
			t.Errorf("ParseHeader(%q) = %+v, which is read as %+v, %v", text, h, again, err)
		}
	})
}

// FuzzOpen gives out nothing but what was sealed, in order, and no good end without all.
func FuzzOpen(f *testing.F) {
	key := seal.NewKey()
	const size = 2*seal.ChunkSize + 9
	body := sealed(f, key, plaintext(size))
	f.Add(0, byte(1), len(body), 0)
	f.Add(seal.SealedChunk, byte(0), seal.SealedChunk, 1)
	f.Add(len(body)-1, byte(255), len(body), 0)
	f.Fuzz(func(t *testing.T, at int, flip byte, length, from int) {
		length, at, from = clamp(length, len(body)+1), clamp(at, len(body)), clamp(from, 4)
		b := bytes.Clone(body)
		b[at] ^= flip
		got, err := io.ReadAll(key.Open(bytes.NewReader(b[:length]), int64(from)))
		if !bytes.HasPrefix(plaintext(size), got) {
			t.Fatalf("%d bytes came that were not sealed", len(got))
		}
		if whole := flip == 0 && length == len(body) && from == 0; whole != (err == nil) || err != nil && !errors.Is(err, seal.ErrOpen) {
			t.Errorf("flip %x at %d, length %d, from %d: %v", flip, at, length, from, err)
		}
	})
}

func clamp(n, limit int) int { return int(uint(n) % uint(limit)) }

func BenchmarkReader(b *testing.B) {
	const size = 26_092_080
	plain := plaintext(size)
	key := seal.NewKey()
	buf := make([]byte, 256<<10)
	copyAll := func(b *testing.B, src io.Reader) {
		b.Helper()
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{src}, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("sealed", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			copyAll(b, seal.NewReader(key, bytes.NewReader(plain), size))
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			copyAll(b, bytes.NewReader(plain))
		}
	})
	b.Run("opened", func(b *testing.B) {
		body := sealed(b, key, plain)
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			copyAll(b, key.Open(bytes.NewReader(body), 0))
		}
	})
}

func BenchmarkWrap(b *testing.B) {
	_, to := newRecipient(b)
	secret := seal.NewSecret()
	for b.Loop() {
		if _, err := secret.Key(to, page, nil).Wrap(to, page, "image/jpeg"); err != nil {
			b.Fatal(err)
		}
	}
}
