package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/platen-scan/platen/node/seal"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// opener opens the answers of a job that are sealed for this command. nil: nothing is.
type opener struct {
	key  *ecdh.PrivateKey // of this command alone: nobody opens the pages by the gateway afterwards
	node string           // that the scanner belongs to
}

// newOpener makes a key where the scanner says that pages are, or can be, encrypted for who
// asks for them. Services say so only to those who come by a gateway.
func newOpener(scanner scan.Scanner) (*opener, error) {
	if scanner.Encryption == scan.EncryptionOff {
		return nil, nil
	}
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key that pages are encrypted for: %w", err)
	}
	return &opener{key: key, node: scanner.Node}, nil
}

// recipient is what a job request names; "" for nobody.
func (o *opener) recipient() string {
	if o == nil {
		return ""
	}
	return seal.FormatRecipient(o.key.PublicKey())
}

// errSealed says that what came is not what was encrypted for this command. Asking again
// does not help.
var errSealed = errors.New("the encrypted file does not open")

// asked is what a sealed answer must be.
type asked struct {
	object, part string // as in seal.Name
	form         string // the rendition
	mediaType    string // of what is inside
	fromTag      bool   // the stored bytes may come in place of the rendition; the ETag tells
}

func askedPage(p scan.Page, format scan.Format) asked {
	return asked{object: p.Job, part: strconv.Itoa(p.N), form: string(format), mediaType: format.MediaType(), fromTag: true}
}

func askedDocument(id string, format api.GetDocumentContentParamsFormat) asked {
	kind := "application/pdf"
	if format == "tiff" {
		kind = scan.FormatTIFF.MediaType()
	}
	return asked{object: id, form: string(format), mediaType: kind}
}

// sealedTag is the ETag of a sealed answer: version, perhaps form, and mark.
var sealedTag = regexp.MustCompile(`^"([^".]+)(?:\.([^".]+))?\.s-[0-9a-f]+"$`)

// open is the plain body of an answer.
func (o *opener) open(res *http.Response, want asked) (io.Reader, error) {
	sealed := res.Header.Get("Content-Type") == seal.MediaType
	switch {
	case o == nil && !sealed:
		return res.Body, nil
	case o == nil:
		return nil, fmt.Errorf("%w: it is encrypted for another device", errSealed)
	case !sealed:
		return nil, fmt.Errorf("%w: it came unencrypted, although encryption was asked for", errSealed)
	}
	h, err := seal.ParseHeader(res.Header.Get(seal.HeaderName))
	tag := sealedTag.FindStringSubmatch(res.Header.Get("ETag"))
	if err != nil || tag == nil || h.Type != want.mediaType {
		return nil, fmt.Errorf("%w: it is not what was asked for", errSealed)
	}
	name := seal.Name{Node: o.node, Object: want.object, Part: want.part, Version: tag[1], Form: want.form}
	switch form := tag[2]; {
	case want.fromTag && (form == "" || form == want.form):
		name.Form = form
	case want.fromTag || form != "":
		return nil, fmt.Errorf("%w: it is not what was asked for", errSealed)
	}
	key, err := seal.Unwrap(o.key, name, h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSealed, err)
	}
	return sealedBody{key.Open(res.Body, 0)}, nil
}

// sealedBody tells what does not open from a connection that was lost.
type sealedBody struct{ *seal.Opener }

func (b sealedBody) Read(p []byte) (int, error) {
	n, err := b.Opener.Read(p)
	if errors.Is(err, seal.ErrOpen) {
		err = fmt.Errorf("%w: %w", errSealed, err)
	}
	return n, err
}
