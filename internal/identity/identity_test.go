package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/scan"
)

// raceEnv makes this test binary load the identity of a folder and print its pin.
const raceEnv = "PLATEN_TEST_IDENTITY"

func TestMain(m *testing.M) {
	dir := os.Getenv(raceEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	id, err := identity.Load(dir)
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString(id.Pin())
}

func TestLoadKeepsTheKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "keys")
	first, err := identity.Load(dir)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	again, err := identity.Load(dir)
	if err != nil {
		t.Fatalf("Load again: %v", err)
	}
	if !first.Public().Equal(again.Public()) || first.Pin() != again.Pin() || first.NodeID() != again.NodeID() {
		t.Errorf("the second Load has pin %s, the first %s", again.Pin(), first.Pin())
	}
	if err := scan.ParseNodeID(first.NodeID()); err != nil {
		t.Errorf("node ID %q: %v", first.NodeID(), err)
	}
	if sig := ed25519.Sign(first.Signer(), []byte("grant")); !ed25519.Verify(again.Public(), []byte("grant"), sig) {
		t.Error("the signer does not belong to the public key")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the key alone", entries, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "identity.key")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v, want mode 0600", info, err)
	}
	if info, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the key folder: %v, %v, want mode 0700", info, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	_, other, _ := elliptic256(t)
	for _, row := range []struct {
		name   string
		damage func(t *testing.T, path string)
		words  []string
	}{
		{"readable by the group", chmod(0o640), []string{"identity.key", "0640", "chmod 600"}},
		{"readable by all", chmod(0o604), []string{"0604", "chmod 600"}},
		{"empty", write(""), []string{"damaged", "backup"}},
		{"cut off", cut, []string{"damaged", "backup"}},
		{"text", write("hello"), []string{"damaged"}},
		{"another key type", write(other), []string{"ecdsa", "Ed25519"}},
		{"a certificate", write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []string{"damaged"}},
		{"too large", write(strings.Repeat("x", 1<<20)), []string{"no key file"}},
		{"a folder", folder, []string{"not a file"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := identity.Load(dir); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "identity.key")
			row.damage(t, path)
			before, _ := os.ReadFile(path)
			_, err := identity.Load(dir)
			if err == nil {
				t.Fatal("Load succeeded")
			}
			for _, word := range row.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q lacks %q", err, word)
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func chmod(mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		if runtime.GOOS == "windows" {
			t.Skip("has no modes")
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

func write(content string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func cut(t *testing.T, path string) {
	if err := os.Truncate(path, 60); err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, path string) {
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func elliptic256(t *testing.T) (*ecdsa.PrivateKey, string, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), der
}

// TestFirstStartOfMany: processes that start at once on an empty folder agree.
func TestFirstStartOfMany(t *testing.T) {
	for range 5 {
		dir := filepath.Join(t.TempDir(), "keys")
		var starts []*exec.Cmd
		var outputs []*bytes.Buffer
		for range 4 {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), raceEnv+"="+dir)
			out := new(bytes.Buffer)
			c.Stdout, c.Stderr = out, out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			starts, outputs = append(starts, c), append(outputs, out)
		}
		id, err := identity.Load(dir)
		if err != nil {
			t.Fatalf("Load: %v", err)
		}
		for i, c := range starts {
			if err := c.Wait(); err != nil || outputs[i].String() != id.Pin() {
				t.Errorf("process %d: %q, %v, want pin %s", i, outputs[i], err, id.Pin())
			}
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("the folder holds %v, want the key alone", entries)
		}
	}
}

func TestPinOf(t *testing.T) {
	// The key of RFC 8032 7.1, test 1; the digest by: openssl pkey -pubin -outform DER | sha256
	key := ed25519.PublicKey{
		0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
		0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
	}
	const want = "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k"
	if got := identity.PinOf(key); got != want {
		t.Errorf("PinOf(RFC 8032 test 1) = %q, want %q", got, want)
	}
	for _, bad := range []ed25519.PublicKey{nil, {}, key[:31]} {
		if got := identity.PinOf(bad); got != "" {
			t.Errorf("PinOf(%d bytes) = %q, want nothing", len(bad), got)
		}
	}
}

func TestShortFingerprint(t *testing.T) {
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(id.Public())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := identity.ShortFingerprint(id.Pin()), fmt.Sprintf("%x", sha256.Sum256(spki))[:8]; got != want || !identity.IsShortFingerprint(got) {
		t.Errorf("ShortFingerprint(%s) = %q, want %q", id.Pin(), got, want)
	}
	for _, bad := range []string{"", "x", id.Pin()[1:], id.Pin() + "A", "=" + id.Pin()[1:]} {
		if got := identity.ShortFingerprint(bad); got != "" {
			t.Errorf("ShortFingerprint(%q) = %q, want none", bad, got)
		}
	}
	for _, bad := range []string{"", "0123456", "012345678", "0123456G", "0123456F", "0123456\n"} {
		if identity.IsShortFingerprint(bad) {
			t.Errorf("IsShortFingerprint(%q) = true", bad)
		}
	}
}
