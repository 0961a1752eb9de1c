package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// pollEvery is how often the files are looked at.
const pollEvery = 30 * time.Second

// slotNames in the order in which they are asked.
var slotNames = []api.CertificateName{api.CertificateNameExternal, api.CertificateNameLocal}

// slot is the place of one own certificate. The Store's mu guards what changes.
type slot struct {
	name   api.CertificateName
	file   File   // of platen.ini; zero for uploads
	upload string // path of what was uploaded: the key, then the chain

	pair  *tls.Certificate // nil: none
	fault string           // why what the files hold cannot be used; "": nothing is wrong
	seen  string           // what the files looked like when they were read
}

func newSlot(c Config, name api.CertificateName, file File) *slot {
	return &slot{name: name, file: file, upload: filepath.Join(c.Dir, "own-"+string(name)+".pem")}
}

// configured reports whether platen.ini says where the certificate is.
func (s *slot) configured() bool { return s.file != File{} }

// look is what shows that the files have changed.
func (s *slot) look() string {
	names := []string{s.upload}
	if s.configured() {
		names = []string{s.file.Certificate, s.file.Key}
	}
	var text string
	for _, name := range names {
		if info, err := os.Stat(name); err != nil {
			text += "- "
		} else {
			text += fmt.Sprintf("%d %d ", info.ModTime().UnixNano(), info.Size())
		}
	}
	return text
}

// read loads the pair; nil if nothing was uploaded.
func (s *slot) read() (*tls.Certificate, error) {
	if s.configured() {
		certificate, err := readFile(s.file.Certificate, maxCertificate)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate: %w", err)
		}
		key, err := readKey(s.file.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the key: %w", err)
		}
		return parsePair(certificate, key)
	}
	both, err := identity.ReadSecret(s.upload, maxCertificate+maxKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parsePair(both, both)
}

// readKey reads a key that the administrator keeps. A group may share it, as is usual
// under /etc/ssl/private.
func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody on this machine can read the private key %s (mode %#o): take that right away with chmod o-rwx", path, info.Mode().Perm())
	}
	return readFile(path, maxKey)
}

func readFile(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, err
}

// reload reads the slots whose files have changed. What cannot be used leaves the old
// certificate in place.
func (s *Store) reload() {
	s.saving.Lock()
	defer s.saving.Unlock()
	for _, name := range slotNames {
		slot := s.slots[name]
		look := slot.look()
		s.mu.RLock()
		same, old := look == slot.seen, slot.pair
		s.mu.RUnlock()
		if same {
			continue
		}
		pair, err := slot.read()
		if err == nil && pair != nil && old != nil && !expired(old, s.Now()) {
			err = inTime(pair, s.Now()) // at the start an expired one is better than none, and is listed as such
		}
		fault := ""
		if err != nil {
			pair, fault = old, reason(err)
			s.Log.Warn("an own certificate cannot be used", slog.String("slot", string(name)), slog.String("reason", fault), slog.Bool("keepsOld", old != nil))
		} else if pair != nil {
			s.Log.Info("own certificate loaded", slog.String("slot", string(name)), slog.Any("hosts", hostsOf(pair.Leaf)), slog.Time("ends", pair.Leaf.NotAfter))
		}
		s.mu.Lock()
		slot.pair, slot.fault, slot.seen = pair, fault, look
		s.mu.Unlock()
	}
}

// reason is an error in words for people.
func reason(err error) string {
	var p *problem.Error
	if errors.As(err, &p) && p.Detail != "" {
		return p.Detail
	}
	return err.Error()
}

// Put stores an uploaded certificate and its key in a slot, "local" or "external", and
// serves it from the next handshake on. The error is a *problem.Error for what is
// wrong with it: certificate-invalid says what.
func (s *Store) Put(slot string, u api.CertificateUpload) (api.Certificate, error) {
	s.saving.Lock()
	defer s.saving.Unlock()
	to, err := s.uploadSlot(slot)
	if err != nil {
		return api.Certificate{}, err
	}
	pair, err := parsePair([]byte(u.Certificate), []byte(u.Key))
	if err == nil {
		err = inTime(pair, s.Now())
	}
	if err != nil {
		return api.Certificate{}, err
	}
	content, err := encodePair(pair)
	if err != nil {
		return api.Certificate{}, err
	}
	if err := identity.WriteSecret(to.upload, content); err != nil {
		return api.Certificate{}, fmt.Errorf("storing an own certificate: %w", err)
	}
	look := to.look()
	s.mu.Lock()
	to.pair, to.fault, to.seen = pair, "", look
	s.mu.Unlock()
	return s.describe(to.name, api.CertificateSourceOwn, pair.Leaf), nil
}

// Remove forgets what was uploaded in a slot, its key too.
func (s *Store) Remove(slot string) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	from, err := s.uploadSlot(slot)
	if err != nil {
		return err
	}
	if err := os.Remove(from.upload); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting an own certificate: %w", err)
	}
	look := from.look()
	s.mu.Lock()
	from.pair, from.fault, from.seen = nil, "", look
	s.mu.Unlock()
	return nil
}

// uploadSlot is a slot that uploads may go to.
func (s *Store) uploadSlot(name string) (*slot, error) {
	slot, ok := s.slots[api.CertificateName(name)]
	if !ok {
		return nil, problem.NotFound.Error()
	}
	if slot.configured() {
		return nil, problem.New(problem.SettingFixed, "platen.ini names the file of this certificate: %s.", slot.file.Certificate)
	}
	return slot, nil
}

// encodePair writes the key, then the chain.
func encodePair(pair *tls.Certificate) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	var text bytes.Buffer
	text.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, der := range pair.Certificate {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return text.Bytes(), nil
}
