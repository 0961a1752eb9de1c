package identity

import (
	"fmt"

	"github.com/platen-scan/platen/internal/durable"
	"github.com/platen-scan/platen/proto/scan"
)

// MakeFile makes a key that is no end's own, as that of a vendor of licences, and writes it
// to a file that nobody else can read. A file that is there already stays, and is an
// error with fs.ErrExist.
func MakeFile(path string) (*Identity, error) {
	i, err := New()
	if err != nil {
		return nil, err
	}
	file, err := newPEMFile(i.Signer(), nil)
	if err == nil {
		err = durable.Create(path, file.pem, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return i, nil
}

// ReadFile reads what MakeFile wrote.
func ReadFile(path string) (*Identity, error) {
	text, err := ReadSecret(path, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	file, err := parsePEMFile(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	key, err := keyIn(file, path)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	i := &Identity{}
	i.now.Store(key)
	i.nodeID, err = scan.NodeID(key.public())
	return i, err
}
