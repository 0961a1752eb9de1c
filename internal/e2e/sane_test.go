//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// Every way the test back end delivers pixels gives the same file through platen
// scan as through scanimage.
func TestSANEPixelsEqualScanimage(t *testing.T) {
	conf := testenv.SANEConfig(t, 1)
	local := testenv.StartLocal(t, []string{conf, "PLATEN_NODE_DRIVERS=sane"})
	for _, tt := range []struct {
		name      string
		platen    []string
		scanimage []string
	}{
		{"colour 8 bit", f("--mode color --depth 8 -r 300"), f("--mode Color --depth 8 --resolution 300")},
		{"colour 16 bit", f("--mode color --depth 16 -r 100"), f("--mode Color --depth 16 --resolution 100")},
		{"grey 8 bit", f("--mode gray --depth 8 -r 300"), f("--mode Gray --depth 8 --resolution 300")},
		{"grey 16 bit", f("--mode gray --depth 16 -r 150"), f("--mode Gray --depth 16 --resolution 150")},
		{"line art", f("--mode lineart -r 200"), f("--mode Gray --depth 1 --resolution 200")},
		{"50 dpi", f("--mode color --depth 8 -r 50"), f("--mode Color --depth 8 --resolution 50")},
		{"600 dpi", f("--mode gray --depth 8 -r 600"), f("--mode Gray --depth 8 --resolution 600")},
		{"1200 dpi", f("--mode gray --depth 8 -r 1200"), f("--mode Gray --depth 8 --resolution 1200")},
		{"three passes", f("--mode color --depth 8 -r 100 --option three-pass=yes --option test-picture=Grid"),
			f("--mode Color --depth 8 --resolution 100 --three-pass=yes --test-picture Grid")},
		{"three passes in another order", f("--mode color --depth 8 -r 75 --option three-pass=yes --option three-pass-order=BRG"),
			f("--mode Color --depth 8 --resolution 75 --three-pass=yes --three-pass-order BRG")},
		{"hand scanner: no area, height unknown", f("--mode gray --depth 8 -r 100 --option hand-scanner=yes"),
			f("--mode Gray --depth 8 --resolution 100 --hand-scanner=yes")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "page.pnm")
			args := append([]string{"scan", "-q", "--source", "platen", "-o", file}, tt.platen...)
			if !strings.Contains(tt.name, "no area") {
				args = append(args, "--region", "0,0,60,40")
				tt.scanimage = append(tt.scanimage, f("-l 0 -t 0 -x 60 -y 40")...)
			}
			want := scanimage(t, conf, tt.scanimage)
			if _, err := local.CLI(args...); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(pixels(t, got), pixels(t, want)) {
				t.Errorf("platen wrote %d bytes (%q), scanimage %d (%q), and they differ",
					len(got), head(got), len(want), head(want))
			}
		})
	}
}

// A batch from the test back end's feeder has its ten sheets, each as scanimage has it.
func TestSANEFeederBatch(t *testing.T) {
	conf := testenv.SANEConfig(t, 1)
	local := testenv.StartLocal(t, []string{conf, "PLATEN_NODE_DRIVERS=sane"})
	dir := t.TempDir()
	if _, err := local.CLI(append(f("scan -q --source adf --mode color --depth 8 -r 75 --region 0,0,210,297"), "-o", filepath.Join(dir, "p-%02d.png"))...); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "p-*.png"))
	if len(files) != 10 {
		t.Fatalf("a batch of ten sheets became %d files", len(files))
	}
	out := t.TempDir()
	cmd := exec.Command("timeout", "60", "scanimage", "-d", "test:0", "--source", "Automatic Document Feeder", "--mode", "Color",
		"--depth", "8", "--resolution", "75", "--format=pnm", "--batch="+filepath.Join(out, "s-%d.pnm"))
	cmd.Env = append(os.Environ(), conf)
	if msg, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(msg), "out of documents") {
		t.Fatalf("scanimage: %v\n%s", err, msg)
	}
	pnm := filepath.Join(dir, "p-%02d.pnm")
	if _, err := local.CLI(append(f("scan -q --source adf --mode color --depth 8 -r 75 --region 0,0,210,297"), "-o", pnm)...); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 10; n++ {
		got, err := os.ReadFile(fmt.Sprintf(pnm, n))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(out, fmt.Sprintf("s-%d.pnm", n)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(pixels(t, got), pixels(t, want)) {
			t.Errorf("page %d differs from scanimage's", n)
		}
	}
}

func f(s string) []string { return strings.Fields(s) }

// scanimage scans one page to PNM. The tool hangs at its end now and then, with its
// output complete or not begun; then it is asked again.
func scanimage(t *testing.T, conf string, args []string) []byte {
	t.Helper()
	args = append([]string{"-d", "test:0", "--format=pnm"}, args...)
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		cmd := exec.CommandContext(ctx, "scanimage", args...)
		cmd.Env = append(os.Environ(), conf)
		out, err := cmd.Output()
		cancel()
		if err == nil {
			return out
		}
		t.Logf("scanimage %v: %v", args, err)
	}
	t.Fatal("scanimage gave no page in five tries")
	return nil
}

// pixels drops comments from a PNM header, so that files of different writers compare.
func pixels(t *testing.T, pnm []byte) []byte {
	t.Helper()
	var header []string
	rest := pnm
	want := 4
	for len(header) < want {
		line, tail, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			t.Fatalf("no PNM: %q", head(pnm))
		}
		rest = tail
		text, _, _ := strings.Cut(string(line), "#")
		header = append(header, strings.Fields(text)...)
		if len(header) > 0 && header[0] == "P4" {
			want = 3
		}
	}
	return append([]byte(strings.Join(header, " ")+"\n"), rest...)
}

func head(b []byte) []byte { return b[:min(len(b), 60)] }
