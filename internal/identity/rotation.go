package identity

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/platen-scan/platen/internal/durable"
	"github.com/platen-scan/platen/proto/scan"
)

// A change of key goes through these steps. A process that is killed between any two
// finds a working key at its next start:
//
//  1. Prepare writes identity.next. The old key goes on to serve.
//  2. The other end takes the Rotation and admits both keys.
//  3. Change adds the rotation to identity.chain, from where on Load goes through with
//     the change, and renames identity.next to identity.key.

// Errors of a change of key.
var (
	ErrNoNext      = errors.New("there is no next key")
	ErrBadRotation = errors.New("the change of key is not signed as it must be")
)

// maxChain is how many changes of key one identity can have: a node that joins shows
// all of them.
const maxChain = 32

// Rotation says that a node or gateway changes from one key to another. Both keys have
// signed it.
type Rotation struct {
	Node  string            `json:"node"` // ID, of the first key
	Old   ed25519.PublicKey `json:"old"`
	New   ed25519.PublicKey `json:"new"`
	ByOld []byte            `json:"byOld"`
	ByNew []byte            `json:"byNew"`
}

func (r Rotation) signed() []byte {
	return slices.Concat([]byte("platen-rotation/1\x00"+r.Node+"\x00"), r.Old, r.New)
}

// String is the rotation as text, for ParseRotation.
func (r Rotation) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("identity: rotation that is no JSON: %v", err)) // strings and bytes only
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// ParseRotation reads a rotation and checks both signatures. Whether Old is a key that
// the reader knows is the reader's business.
func ParseRotation(text string) (Rotation, error) {
	const maxText = 2048
	var r Rotation
	if len(text) > maxText {
		return r, ErrBadRotation
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || json.Unmarshal(decoded, &r) != nil {
		return Rotation{}, ErrBadRotation
	}
	return r, r.check()
}

func (r Rotation) check() error {
	if len(r.Old) != ed25519.PublicKeySize || len(r.New) != ed25519.PublicKeySize || r.Old.Equal(r.New) ||
		scan.ParseNodeID(r.Node) != nil ||
		!ed25519.Verify(r.Old, r.signed(), r.ByOld) || !ed25519.Verify(r.New, r.signed(), r.ByNew) {
		return ErrBadRotation
	}
	return nil
}

// NodeIDOf is the ID of the node with this key: that of its first key, from which the
// chain of rotations leads to this one.
func NodeIDOf(key ed25519.PublicKey, chain []Rotation) (string, error) {
	first := key
	if len(chain) > 0 {
		first = chain[0].Old
	}
	if len(first) != ed25519.PublicKeySize {
		return "", fmt.Errorf("%w: there is no key", ErrBadRotation)
	}
	id, err := scan.NodeID(first)
	if err != nil {
		return "", err
	}
	if len(chain) > maxChain {
		return "", fmt.Errorf("%w: it was changed too often", ErrBadRotation)
	}
	at := first
	for _, r := range chain {
		if err := r.check(); err != nil {
			return "", err
		}
		if r.Node != id || !r.Old.Equal(at) {
			return "", fmt.Errorf("%w: it does not follow from the key before", ErrBadRotation)
		}
		at = r.New
	}
	if !at.Equal(key) {
		return "", fmt.Errorf("%w: it leads to another key", ErrBadRotation)
	}
	return id, nil
}

// ParseChain reads a chain of rotations and checks it as NodeIDOf does.
func ParseChain(key ed25519.PublicKey, texts []string) (nodeID string, err error) {
	nodeID, _, err = ParseEarlier(key, texts)
	return nodeID, err
}

// ParseEarlier is ParseChain that answers Identity.Earlier too.
func ParseEarlier(key ed25519.PublicKey, texts []string) (nodeID string, pins []string, err error) {
	if len(texts) > maxChain {
		return "", nil, ErrBadRotation
	}
	chain := make([]Rotation, len(texts))
	for i, text := range texts {
		if chain[i], err = ParseRotation(text); err != nil {
			return "", nil, err
		}
	}
	nodeID, err = NodeIDOf(key, chain)
	return nodeID, earlier(chain), err
}

// Chain is how the key follows from the first one; empty if it is that.
func (i *Identity) Chain() []string {
	i.changing.Lock()
	defer i.changing.Unlock()
	texts := make([]string, len(i.chain))
	for at, r := range i.chain {
		texts[at] = r.String()
	}
	return texts
}

// Earlier are the pins of the keys that went before, the first one first.
func (i *Identity) Earlier() []string {
	i.changing.Lock()
	defer i.changing.Unlock()
	return earlier(i.chain)
}

func earlier(chain []Rotation) (pins []string) {
	for _, r := range chain {
		pins = append(pins, PinOf(r.Old))
	}
	return pins
}

// Next is the pin of the key that is to follow; "" without one.
func (i *Identity) Next() string {
	i.changing.Lock()
	defer i.changing.Unlock()
	if i.next == nil {
		return ""
	}
	return i.next.pin
}

// Prepare makes the key that is to follow and answers its rotation. Called again it
// answers the same one.
func (i *Identity) Prepare() (Rotation, error) {
	i.changing.Lock()
	defer i.changing.Unlock()
	if len(i.chain) >= maxChain {
		return Rotation{}, fmt.Errorf("preparing a change of key: the key was changed %d times, which is as often as it can be", maxChain)
	}
	if i.next == nil {
		next, err := newOwnKey()
		if err != nil {
			return Rotation{}, fmt.Errorf("preparing a change of key: %w", err)
		}
		if err := i.writeNext(next); err != nil {
			return Rotation{}, fmt.Errorf("preparing a change of key: %w", err)
		}
		i.next = next
	}
	return i.rotationLocked(), nil
}

func (i *Identity) rotationLocked() Rotation {
	now := i.now.Load()
	r := Rotation{Node: i.nodeID, Old: now.public(), New: i.next.public()}
	r.ByOld = ed25519.Sign(now.private, r.signed())
	r.ByNew = ed25519.Sign(i.next.private, r.signed())
	return r
}

func (i *Identity) writeNext(next *ownKey) error {
	if i.dir == "" {
		return nil
	}
	file, err := newPEMFile(next.private, nil)
	if err != nil {
		return err
	}
	return WriteSecret(filepath.Join(i.dir, nextFile), file.pem)
}

// Change takes the next key in place of the present one: ErrNoNext if there is none.
// What uses this Identity goes on with the new key.
func (i *Identity) Change() error {
	i.changing.Lock()
	defer i.changing.Unlock()
	if i.next == nil {
		return ErrNoNext
	}
	chain := append(slices.Clone(i.chain), i.rotationLocked())
	if i.dir != "" {
		if err := i.writeChain(chain); err != nil {
			return fmt.Errorf("changing the key: %w", err)
		}
		if err := i.rename(); err != nil {
			return fmt.Errorf("changing the key: %w", err)
		}
	}
	i.chain = chain
	i.now.Store(i.next)
	i.next = nil
	return nil
}

func (i *Identity) writeChain(chain []Rotation) error {
	text, err := json.MarshalIndent(chain, "", "  ")
	if err != nil {
		return err
	}
	return WriteSecret(filepath.Join(i.dir, chainFile), append(text, '\n'))
}

func (i *Identity) rename() error {
	if err := os.Rename(filepath.Join(i.dir, nextFile), filepath.Join(i.dir, keyFile)); err != nil {
		return err
	}
	return durable.SyncDir(i.dir)
}

// Drop forgets the next key. It is silent where there is none.
func (i *Identity) Drop() error {
	i.changing.Lock()
	defer i.changing.Unlock()
	if i.next == nil {
		return nil
	}
	if i.dir != "" {
		// A Change that failed half-way may have named the next key in the chain.
		if err := i.writeChain(i.chain); err != nil {
			return fmt.Errorf("dropping the next key: %w", err)
		}
		if err := os.Remove(filepath.Join(i.dir, nextFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("dropping the next key: %w", err)
		}
	}
	i.next = nil
	return nil
}

// loadChange reads chain and next key, and goes through with a change that Change had
// written down but not yet done.
func (i *Identity) loadChange() error {
	chain, err := readChain(filepath.Join(i.dir, chainFile))
	if err != nil {
		return err
	}
	path := filepath.Join(i.dir, nextFile)
	file, err := readKeyFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if i.next, err = keyIn(file, path); err != nil {
			return err
		}
	}
	if last := len(chain) - 1; last >= 0 && !chain[last].New.Equal(i.Public()) && chain[last].Old.Equal(i.Public()) {
		if i.next == nil || !chain[last].New.Equal(i.next.public()) {
			return fmt.Errorf("%s says that the key was changed, but %s is not there: restore the folder from a backup",
				filepath.Join(i.dir, chainFile), path)
		}
		if err := i.rename(); err != nil {
			return err
		}
		i.now.Store(i.next)
		i.next = nil
	}
	i.chain = chain
	if i.nodeID, err = NodeIDOf(i.Public(), chain); err != nil {
		return fmt.Errorf("reading %s: %w: restore it from a backup", filepath.Join(i.dir, chainFile), err)
	}
	return nil
}

func readChain(path string) ([]Rotation, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var chain []Rotation
	if err := json.Unmarshal(text, &chain); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w: restore it from a backup", path, err)
	}
	return chain, nil
}
