package seal

import (
	"errors"
	"fmt"
	"mime"
	"strings"
)

// What a sealed answer has in its header.
const (
	HeaderName = "Platen-Sealed"
	MediaType  = "application/vnd.platen.sealed"
)

const (
	version   = "v1"
	maxHeader = 1024                // bytes
	wrapSize  = pointSize + 32 + 16 // enc ‖ ct
	maxType   = 100                 // bytes of a media type
)

// ErrHeader says that a header is none of this format.
var ErrHeader = errors.New("it is no header of what was sealed")

// Header is what goes before sealed bytes.
type Header struct {
	Type string // media type of the plaintext
	For  string // hint at the recipient; "" if there was none
	Key  []byte // enc ‖ ct
}

func (h Header) String() string {
	return fmt.Sprintf("%s; type=%s; for=%s; key=%s", version, h.Type, h.For, encoding.EncodeToString(h.Key))
}

// ParseHeader reads the value of a header. Its errors are ErrHeader.
func ParseHeader(text string) (Header, error) {
	if len(text) > maxHeader {
		return Header{}, ErrHeader
	}
	first, rest, _ := strings.Cut(text, ";")
	if strings.TrimSpace(first) != version {
		return Header{}, fmt.Errorf("%w: it is not %s", ErrHeader, version)
	}
	params := map[string]string{}
	for part := range strings.SplitSeq(rest, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := params[name]; !ok || twice {
			return Header{}, ErrHeader
		}
		params[name] = value
	}
	h := Header{Type: params["type"], For: params["for"]}
	if kind, more, err := mime.ParseMediaType(h.Type); err != nil || kind != h.Type || len(more) > 0 || len(h.Type) > maxType || !strings.Contains(kind, "/") {
		return Header{}, fmt.Errorf("%w: its type is no media type", ErrHeader)
	}
	var err error
	if h.Key, err = encoding.DecodeString(params["key"]); err != nil || len(h.Key) != wrapSize {
		return Header{}, fmt.Errorf("%w: its key is none", ErrHeader)
	}
	return h, nil
}
