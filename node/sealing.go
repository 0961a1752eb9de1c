package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/node/seal"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// What goes through a gateway is sealed for the recipient of its job, whatever the node's
// policy is; the policy says what becomes of jobs without one. All that sends the bytes of
// pages asks sealedFor first. The format is that of package seal.

// sealing makes the keys of what is sealed.
type sealing struct {
	policy func() scan.Encryption // may be nil
	dir    string                 // of the secret; "": it lives in memory

	mu     sync.Mutex // held while the secret is read or made
	secret *seal.Secret
}

// sealExtension is added to the names of sealed files.
const sealExtension = ".sealed"

// encryption is the node's policy.
func (n *Node) encryption() scan.Encryption {
	if n.sealing.policy == nil {
		return scan.EncryptionOff
	}
	return n.sealing.policy()
}

// byGateway reports whether a caller is here on a gateway's word. On a direct road nobody
// stands between, but the gateway could have opened it for itself.
func byGateway(road access.Road) bool {
	switch road {
	case access.RoadLoopback, access.RoadLAN, access.RoadSetup, access.RoadESCL:
		return false
	}
	return true
}

// checkRecipient judges whom a request names as the recipient of its job's pages.
func (n *Node) checkRecipient(r *http.Request, recipient string) error {
	if recipient != "" {
		if _, err := seal.ParseRecipient(recipient); err != nil {
			return problem.New(problem.BadRequest, "It is the uncompressed point of a public key on P-256, in base64url.").At("recipient")
		}
		return nil
	}
	_, err := n.sealedFor(r, "")
	return err
}

// sealedFor is whom the pages of a job with the recipient are sealed for in the answer to r;
// nil for nobody. Problem encryption-required if the caller cannot have them at all.
func (n *Node) sealedFor(r *http.Request, recipient string) (*seal.Recipient, error) {
	if !byGateway(access.CallerOf(r.Context()).Road) {
		return nil, nil
	}
	if recipient != "" {
		to, err := seal.ParseRecipient(recipient)
		if err != nil {
			return nil, fmt.Errorf("recipient of a job: %w", err)
		}
		return to, nil
	}
	if n.encryption() == scan.EncryptionRequired {
		return nil, problem.EncryptionRequired.Error()
	}
	return nil, nil
}

// key is the content key of name; see seal.Secret.
func (s *sealing) key(to *seal.Recipient, name seal.Name, digest []byte) (*seal.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == nil {
		secret, err := loadSecret(s.dir)
		if err != nil {
			return nil, fmt.Errorf("the secret that pages are sealed by: %w", err)
		}
		s.secret = secret
	}
	return s.secret.Key(to, name, digest), nil
}

const secretFile = "seal.key"

// loadSecret reads the secret in the folder, and makes it at first. With another one the
// same pages have other ETags.
func loadSecret(dir string) (*seal.Secret, error) {
	if dir == "" {
		return seal.NewSecret(), nil
	}
	path := filepath.Join(dir, secretFile)
	b, err := identity.ReadSecret(path, seal.SecretSize)
	if errors.Is(err, fs.ErrNotExist) {
		secret := seal.NewSecret()
		return secret, identity.WriteSecret(path, secret[:])
	}
	if err != nil {
		return nil, err
	}
	if len(b) != seal.SecretSize {
		return nil, fmt.Errorf("%s has %d bytes, not %d: delete it, and a new one is made", path, len(b), seal.SecretSize)
	}
	return (*seal.Secret)(b), nil
}

// pageName is what a page, or a rendition of it, is sealed as.
func (n *Node) pageName(page scan.Page, form string) seal.Name {
	return seal.Name{Node: n.id, Object: page.Job, Part: strconv.Itoa(page.N), Version: page.ID, Form: form}
}

// sealedHeaders says what is sealed under the key, and under which ETag.
func sealedHeaders(h http.Header, to *seal.Recipient, key *seal.Key, name seal.Name, etag, mediaType string) error {
	wrapped, err := key.Wrap(to, name, mediaType)
	if err != nil {
		return err
	}
	h.Set("Content-Type", seal.MediaType)
	h.Set(seal.HeaderName, wrapped.String())
	h.Set("ETag", `"`+etag+".s-"+key.Mark+`"`)
	return nil
}

// sendSealedPage sends the stored bytes of a page sealed, also while they grow.
func (n *Node) sendSealedPage(w http.ResponseWriter, r *http.Request, to *seal.Recipient, reader *pagestore.PageReader) error {
	page := reader.Page()
	name := n.pageName(page, "")
	key, err := n.sealing.key(to, name, nil)
	if err != nil {
		return err
	}
	if err := sealedHeaders(w.Header(), to, key, name, page.ID, page.Format.MediaType()); err != nil {
		return err
	}
	if page.State == scan.PageGrowing {
		return n.sendGrowing(w, r, &sealedGrowing{seal.NewGrowing(key, reader), reader})
	}
	if err := n.account(w, r); err != nil {
		return err
	}
	return sendImmutable(w, r, seal.NewReader(key, reader, page.Bytes))
}

// sendSealedRendition sends a file that was made of a page sealed.
func (n *Node) sendSealedRendition(w http.ResponseWriter, r *http.Request, to *seal.Recipient, page scan.Page, form, mediaType string, f io.ReaderAt) error {
	// It may have been made again since it was sent last: other bytes need another key.
	digest := sha256.New()
	size, err := io.Copy(digest, io.NewSectionReader(f, 0, 1<<62))
	if err != nil {
		return fmt.Errorf("reading a rendition: %w", err)
	}
	name := n.pageName(page, form)
	key, err := n.sealing.key(to, name, digest.Sum(nil))
	if err != nil {
		return err
	}
	if err := sealedHeaders(w.Header(), to, key, name, page.ID+"."+form, mediaType); err != nil {
		return err
	}
	return sendImmutable(w, r, seal.NewReader(key, f, size))
}

// sealedGrowing is a page that grows, sealed.
type sealedGrowing struct {
	*seal.Reader
	page *pagestore.PageReader
}

func (s *sealedGrowing) Wait(ctx context.Context, beyond int64) error {
	return s.page.Wait(ctx, seal.Needed(beyond)-1)
}

func (s *sealedGrowing) Size() (n int64, done bool, err error) {
	n, done, err = s.page.Size()
	s.Extend(n, done)
	return s.Reader.Size(), done, err
}

func (s *sealedGrowing) Digest() string { return "" } // of the sealed bytes: nobody knows it

// documentFor is whom a document is sealed for in the answer to r: the one recipient among
// its pages. Plain pages may go to anybody who may have the document.
func (n *Node) documentFor(r *http.Request, doc scan.Document) (*seal.Recipient, error) {
	if !byGateway(access.CallerOf(r.Context()).Road) {
		return nil, nil
	}
	recipient, seen := "", map[string]bool{}
	for _, at := range doc.Pages {
		if seen[at.Job] {
			continue
		}
		seen[at.Job] = true
		job, _, err := n.store.Job(r.Context(), at.Job)
		if err != nil {
			return nil, err
		}
		switch {
		case job.Recipient == "", job.Recipient == recipient:
		case recipient == "":
			recipient = job.Recipient
		default:
			return nil, problem.SealedForOthers.Error()
		}
	}
	return n.sealedFor(r, recipient)
}
