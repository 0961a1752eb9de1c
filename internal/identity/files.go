package identity

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
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
func WriteSecret(path string, content []byte) error { return writeVia(path, content, os.Rename) }

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
	// A hard link fails if the name is taken: rename would replace the key that
	// another process made in the meantime.
	if err := writeVia(path, f.pem, os.Link); errors.Is(err, fs.ErrExist) {
		return readKeyFile(path)
	} else if err != nil {
		return nil, err
	}
	return f, nil
}

// writeVia writes a file under a passing name, makes it durable and publishes it
// under path with os.Link (never replaces) or os.Rename (replaces).
func writeVia(path string, content []byte, publish func(old, new string) error) error {
	suffix := make([]byte, 8)
	rand.Read(suffix)
	passing := path + ".new-" + hex.EncodeToString(suffix)
	file, err := os.OpenFile(passing, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(passing) // after a rename there is nothing to remove
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", passing, err)
	}
	if err := publish(passing, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such call; its metadata is journaled
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("making %s durable: %w", dir, err)
	}
	return nil
}
