package seal_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platen-scan/platen/node/seal"
)

var update = flag.Bool("update", false, "write the vectors that the SDK is tested with anew")

// vectorFile is what both ends are tested with.
var vectorFile = filepath.Join("..", "..", "web", "sdk", "test", "testdata", "sealed.json")

type vectors struct {
	Private   string   `json:"private"` // PKCS #8, base64
	Recipient string   `json:"recipient"`
	Good      []vector `json:"good"`
	Hostile   []edited `json:"hostile"`   // each must not open to its end
	Malformed []string `json:"malformed"` // headers
}

// vector is a sealed answer. Its plaintext is the bytes of plaintext().
type vector struct {
	Name    string `json:"name"`
	Of      of     `json:"of"`
	Header  string `json:"header"`
	Type    string `json:"type"`
	Plain   int    `json:"plain"`  // bytes
	Sealed  int    `json:"sealed"` // bytes
	SHA256  string `json:"sha256"` // of the sealed bytes
	Content string `json:"key"`    // the content key in hexadecimal
	Body    string `json:"body,omitempty"`
}

// of is a seal.Name.
type of struct {
	Node    string `json:"node"`
	Object  string `json:"object"`
	Part    string `json:"part"`
	Version string `json:"version"`
	Form    string `json:"form"`
}

// edited is the body of a good vector after some changes.
type edited struct {
	Name  string `json:"name"`
	Of    string `json:"of"`
	Edits []edit `json:"edits"`
	Opens int    `json:"opens"` // plain bytes before the fault, in whole chunks
}

// edit is one of: flip the lowest bit of the byte at; cut to at bytes; put the chunks with
// these numbers in this order, those from another vector as {from, chunk}.
type edit struct {
	Flip   *int       `json:"flip,omitempty"`
	Cut    *int       `json:"cut,omitempty"`
	Append *int       `json:"append,omitempty"` // so many zero bytes
	Chunks []chunkRef `json:"chunks,omitempty"`
}

type chunkRef struct {
	From  string `json:"from,omitempty"` // "": the same vector
	Chunk int    `json:"chunk"`
}

// malformed are headers that must be refused, made from a good one.
func malformed(good string) []string {
	return []string{
		"", "v1", "v2" + good[2:], good[4:], strings.Replace(good, "v1", "v1 ", 1) + ";", good + "; type=image/png",
		strings.Replace(good, "image/jpeg", "image", 1), strings.Replace(good, "image/jpeg", "", 1), strings.Replace(good, "type=", "kind=", 1),
		strings.Replace(good, "key=", "keys=", 1), good[:len(good)-1], good + "A", good + "==", strings.Replace(good, "; for", ", for", 1),
		strings.Replace(good, "type=image/jpeg", "type=image/jpeg,text/html", 1), good + "; x=" + strings.Repeat("x", 1024),
	}
}

func ref(n int) *int { return &n }

func chunks(of ...any) []edit {
	var e edit
	for _, c := range of {
		switch c := c.(type) {
		case int:
			e.Chunks = append(e.Chunks, chunkRef{Chunk: c})
		case chunkRef:
			e.Chunks = append(e.Chunks, c)
		}
	}
	return []edit{e}
}

const (
	long      = 2*seal.ChunkSize + 77
	longSize  = long + 3*16
	fullTwice = seal.ChunkSize * 2
)

var hostile = []edited{
	{"flip the first byte", "long", []edit{{Flip: ref(0)}}, 0},
	{"flip the tag of the first chunk", "long", []edit{{Flip: ref(seal.SealedChunk - 1)}}, 0},
	{"flip the second chunk", "long", []edit{{Flip: ref(seal.SealedChunk)}}, seal.ChunkSize},
	{"flip the final chunk", "long", []edit{{Flip: ref(2 * seal.SealedChunk)}}, fullTwice},
	{"flip the last byte", "long", []edit{{Flip: ref(longSize - 1)}}, fullTwice},
	{"cut to nothing", "long", []edit{{Cut: ref(0)}}, 0},
	{"cut within a tag", "long", []edit{{Cut: ref(7)}}, 0},
	{"cut within the first chunk", "long", []edit{{Cut: ref(40_000)}}, 0},
	{"cut after the first chunk", "long", []edit{{Cut: ref(seal.SealedChunk)}}, seal.ChunkSize},
	{"cut after the second chunk", "long", []edit{{Cut: ref(2 * seal.SealedChunk)}}, fullTwice},
	{"cut within the second chunk", "long", []edit{{Cut: ref(seal.SealedChunk + 1000)}}, seal.ChunkSize},
	{"cut one byte", "long", []edit{{Cut: ref(longSize - 1)}}, fullTwice},
	{"append a byte", "long", []edit{{Append: ref(1)}}, fullTwice},
	{"append a chunk", "long", []edit{{Append: ref(seal.SealedChunk)}}, fullTwice},
	{"swap chunks", "long", chunks(1, 0, 2), 0},
	{"repeat a chunk", "long", chunks(0, 0, 1, 2), seal.ChunkSize},
	{"leave a chunk out", "long", chunks(0, 2), seal.ChunkSize},
	{"final chunk first", "long", chunks(2, 0, 1), 0},
	{"final chunk twice", "long", chunks(0, 1, 2, 2), fullTwice},
	{"only the final chunk", "long", chunks(2), 0},
	{"a chunk of another page", "long", chunks(chunkRef{"other page", 0}, 1, 2), 0},
	{"the final chunk of another page", "long", chunks(0, 1, chunkRef{"other page", 2}), fullTwice},
	{"all chunks of another rendition", "long", chunks(chunkRef{"rendition", 0}), 0},
	{"empty: flip", "empty", []edit{{Flip: ref(3)}}, 0},
	{"empty: cut", "empty", []edit{{Cut: ref(0)}}, 0},
	{"whole chunks: without the final one", "whole chunks", []edit{{Cut: ref(seal.SealedChunk)}}, seal.ChunkSize},
}

func writeVectors(t *testing.T) {
	private, to := newRecipient(t)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	v := vectors{Private: base64.StdEncoding.EncodeToString(der), Recipient: seal.FormatRecipient(private.PublicKey()), Hostile: hostile}
	secret := seal.NewSecret()
	add := func(name string, as seal.Name, mediaType string, size int) {
		plain := plaintext(size)
		digest := sha256.Sum256(plain)
		key := secret.Key(to, as, digest[:])
		body := sealed(t, key, plain)
		h, err := key.Wrap(to, as, mediaType)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		one := vector{Name: name, Of: of(as), Header: h.String(), Type: mediaType, Plain: size, Sealed: len(body), SHA256: hex.EncodeToString(sum[:]), Content: seal.Raw(key)}
		if size < 2000 {
			one.Body = base64.StdEncoding.EncodeToString(body)
		}
		v.Good = append(v.Good, one)
	}
	other, rendition := page, page
	other.Part, other.Version = "4", strings.Replace(page.Version, "-pa", "-pb", 1)
	rendition.Form = "jpeg-w240"
	document := seal.Name{Node: page.Node, Object: strings.Replace(page.Object, "-j", "-d", 1), Version: "0123456789abcdef0123456789abcdef", Form: "pdf"}
	add("empty", page, "image/jpeg", 0)
	add("one byte", page, "image/png", 1)
	add("short", page, "image/jpeg", 1000)
	add("whole chunks", page, "image/jpeg", seal.ChunkSize)
	add("long", page, "image/jpeg", long)
	add("other page", other, "image/jpeg", long)
	add("rendition", rendition, "image/jpeg", 900)
	add("document", document, "application/pdf", 1500)
	v.Malformed = malformed(v.Good[2].Header)
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(vectorFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVectors checks the file that the SDK is tested with: both ends read the same.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(v.Private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := parsed.(interface {
		ECDH() (*ecdh.PrivateKey, error)
	}).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	if got := seal.FormatRecipient(private.PublicKey()); got != v.Recipient {
		t.Errorf("recipient %s, want %s", v.Recipient, got)
	}
	bodies, keys, plains := map[string][]byte{}, map[string]*seal.Key{}, map[string][]byte{}
	for _, c := range v.Good {
		h, err := seal.ParseHeader(c.Header)
		if err != nil || h.Type != c.Type {
			t.Errorf("%s: header %+v, %v", c.Name, h, err)
			continue
		}
		key, err := seal.Unwrap(private, seal.Name(c.Of), h)
		if err != nil || seal.Raw(key) != c.Content {
			t.Errorf("%s: Unwrap = %v", c.Name, err)
			continue
		}
		body := sealed(t, key, plaintext(c.Plain))
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != c.SHA256 || len(body) != c.Sealed {
			t.Errorf("%s: sealed bytes are not those of the file", c.Name)
		}
		if c.Body != "" && base64.StdEncoding.EncodeToString(body) != c.Body {
			t.Errorf("%s: the body is not that of the file", c.Name)
		}
		bodies[c.Name], keys[c.Name], plains[c.Name] = body, key, plaintext(c.Plain)
	}
	if len(v.Hostile) != len(hostile) {
		t.Errorf("%d hostile bodies, want %d: run with -update", len(v.Hostile), len(hostile))
	}
	for _, c := range v.Hostile {
		body := bytes.Clone(bodies[c.Of])
		for _, e := range c.Edits {
			body = e.apply(body, bodies)
		}
		got, err := io.ReadAll(keys[c.Of].Open(bytes.NewReader(body), 0))
		if !errors.Is(err, seal.ErrOpen) || len(got) != c.Opens || !bytes.HasPrefix(plains[c.Of], got) {
			t.Errorf("%s: opened %d bytes, %v; want %d of the page and ErrOpen", c.Name, len(got), err, c.Opens)
		}
	}
	for _, text := range v.Malformed {
		if h, err := seal.ParseHeader(text); !errors.Is(err, seal.ErrHeader) {
			t.Errorf("ParseHeader(%q) = %+v, %v, want ErrHeader", text, h, err)
		}
	}
}

func (e edit) apply(body []byte, bodies map[string][]byte) []byte {
	switch {
	case e.Flip != nil:
		body[*e.Flip] ^= 1
	case e.Cut != nil:
		return body[:*e.Cut]
	case e.Append != nil:
		return append(body, make([]byte, *e.Append)...)
	case e.Chunks != nil:
		var out []byte
		for _, c := range e.Chunks {
			from := body
			if c.From != "" {
				from = bodies[c.From]
			}
			out = append(out, from[c.Chunk*seal.SealedChunk:min((c.Chunk+1)*seal.SealedChunk, len(from))]...)
		}
		return out
	}
	return body
}
