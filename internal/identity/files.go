package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/platen-scan/platen/internal/durable"
)

// pemFile is the content of a key file: a private key and, for the CA and its
// leaf, the certificate that belongs to it. One file holds both, so that they
// cannot be of two generations.
type pemFile struct {
	key         crypto.PrivateKey
	certificate *x509.Certificate // nil if there is none
	pem         []byte
}

const (
	keyBlock         = "PRIVATE KEY"
	certificateBlock = "CERTIFICATE"
	maxKeyFile       = 16 << 10 // bytes; a real one has under 2 KiB
)

func newPEMFile(key crypto.PrivateKey, certificate []byte) (*pemFile, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})
	if certificate != nil {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: certificate})...)
	}
	return parsePEMFile(text)
}

func parsePEMFile(text []byte) (*pemFile, error) {
	f := &pemFile{pem: text}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) != 0 {
				return nil, errors.New("it is damaged: there is text outside its PEM blocks")
			}
			break
		}
		var err error
		switch block.Type {
		case keyBlock:
			f.key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case certificateBlock:
			f.certificate, err = x509.ParseCertificate(block.Bytes)
		default:
			err = fmt.Errorf("it holds an unknown block %q", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("it is damaged: %w", err)
		}
	}
	if f.key == nil {
		return nil, errors.New("it is damaged: it holds no private key")
	}
	return f, nil
}

// readKeyFile reads a key file that this package has written.
func readKeyFile(path string) (*pemFile, error) {
	text, err := ReadSecret(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	f, err := parsePEMFile(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w. Restore it from a backup; deleting it makes a new identity, which has to join again", path, err)
	}
	return f, nil
}

// ReadSecret reads a file of at most so many bytes that nobody else can read.
func ReadSecret(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("other users of this machine can read the private key %s (mode %#o): make it yours alone with chmod 600, or delete it if it may have been copied", path, info.Mode().Perm())
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes: it is no key file", path, info.Size())
	}
	text := make([]byte, info.Size())
	if n, err := file.ReadAt(text, 0); n < len(text) {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return text, nil
}

// WriteSecret writes a file that nobody else can read. Its new content appears whole
// or not at all, and outlasts a power failure.
func WriteSecret(path string, content []byte) error { return durable.Replace(path, content, 0o600) }

// loadOrMake reads path, or writes what makeIt makes if there is no such file. The
// file appears whole or not at all, and never replaces another.
func loadOrMake(path string, makeIt func() (*pemFile, error)) (*pemFile, error) {
	f, err := readKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if f, err = makeIt(); err != nil {
		return nil, err
	}
	if err := durable.Create(path, f.pem, 0o600); errors.Is(err, fs.ErrExist) {
		return readKeyFile(path) // another process made a key in the meantime
	} else if err != nil {
		return nil, err
	}
	return f, nil
}
