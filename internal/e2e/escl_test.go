//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// square is 5 inches, a whole number of millimetres and of eSCL's units, so that every
// client and driver means the same pixels by it.
var square = f("-l 0 -t 0 -x 127 -y 127")

// Every mode and resolution has the same pixels through eSCL and sane-airscan as from
// the device itself. This client has no line art; TestSANEESCLGlass has.
func TestAirscanPixelsEqualSource(t *testing.T) {
	source := testenv.SANEConfig(t, 1)
	n := testenv.NewNeighbours(t, source, "PLATEN_NODE_DRIVERS=sane")
	conf := testenv.AirscanConfig(t, "Front Office", n.ESCL(t, testenv.ESCLPort))
	for _, mode := range []string{"Color", "Gray"} {
		for _, dpi := range []int{75, 100, 150, 200, 300, 600} {
			t.Run(fmt.Sprint(mode, " ", dpi), func(t *testing.T) {
				settings := append(f(fmt.Sprintf("--mode %s --resolution %d", mode, dpi)), square...)
				want := raster(t, scanimage(t, source, append(settings, "--depth", "8")))
				got := raster(t, scanOver(t, n, conf, append([]string{"-d", "airscan:e0:Front Office"}, settings...)...))
				compare(t, got, want)
			})
		}
	}
	t.Run("by a link-local address", func(t *testing.T) {
		fields := strings.Fields(n.NodeHost.Run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"))
		addr, _, _ := strings.Cut(fields[3], "/")
		conf := testenv.AirscanConfig(t, "Front Office", fmt.Sprintf("http://[%s%%eth0]:%d/eSCL", addr, testenv.ESCLPort))
		settings := append(f("--mode Gray --resolution 75"), square...)
		want := raster(t, scanimage(t, source, append(settings, "--depth", "8")))
		compare(t, raster(t, scanOver(t, n, conf, append([]string{"-d", "airscan:e0:Front Office"}, settings...)...)), want)
	})
	t.Run("a part that does not begin in the corner", func(t *testing.T) {
		settings := f("--mode Color --resolution 100 -l 127 -t 127 -x 127 -y 127")
		want := raster(t, scanimage(t, source, append(settings, "--depth", "8")))
		compare(t, raster(t, scanOver(t, n, conf, append([]string{"-d", "airscan:e0:Front Office"}, settings...)...)), want)
	})
}

// The feeder gives n pages, and 2n with both sides, each with the pixels of its sheet.
func TestAirscanFeeder(t *testing.T) {
	n := testenv.NewNeighbours(t, "PLATEN_NODE_DRIVERS=virtual")
	conf := testenv.AirscanConfig(t, "Virtual", n.ESCL(t, testenv.ESCLPort))
	for _, tt := range []struct {
		source string // as the client says it
		ours   string
		pages  int
	}{
		{"ADF", "adf", 5},
		{"ADF Duplex", "adf-duplex", 10},
	} {
		t.Run(tt.source, func(t *testing.T) {
			want := reference(t, n, tt.ours, "gray", 75)
			args := append(f("-d airscan:e0:Virtual --mode Gray --resolution 75"), square...)
			got := batchOver(t, n, conf, append(args, "--source", tt.source)...)
			if len(got) != tt.pages || len(want) != tt.pages {
				t.Fatalf("%d pages by eSCL, %d by platen scan, want %d", len(got), len(want), tt.pages)
			}
			for i := range got {
				compare(t, got[i], want[i])
			}
		})
	}
}

// A hundred jobs in a row, by one program and by many, all have the same page and leave
// nothing behind.
func TestAirscanHundredJobs(t *testing.T) {
	source := testenv.SANEConfig(t, 1)
	n := testenv.NewNeighbours(t, source, "PLATEN_NODE_DRIVERS=sane")
	conf := testenv.AirscanConfig(t, "Office", n.ESCL(t, testenv.ESCLPort))
	settings := append(f("--mode Gray --resolution 75"), square...)
	want := raster(t, scanimage(t, source, append(settings, "--depth", "8")))
	args := append(f("-d airscan:e0:Office"), settings...)
	pages := batchOver(t, n, conf, append(args, "--batch-count=90")...)
	for range 10 {
		pages = append(pages, raster(t, scanOver(t, n, conf, args...)))
	}
	if len(pages) != 100 {
		t.Errorf("a hundred jobs gave %d pages", len(pages))
	}
	for _, got := range pages {
		compare(t, got, want)
	}
	testenv.Eventually(t, "the jobs, whose client said that it is done with them, are gone", 20*time.Second, func() bool {
		return len(n.Node.Jobs()) == 0
	})
}

// saneModes are the modes of SANE's own client, and by how much samples may be off on
// average: it fetches gray and colour as JPEG. The colour picture is noise, of which JPEG
// keeps less than of anything that people scan.
var saneModes = []struct {
	ours, theirs string
	off          float64
}{
	{"--mode Gray --depth 1", "Lineart", 0},
	{"--mode Gray --depth 8", "Gray", 5},
	{"--mode Color --depth 8", "Color", 24},
}

// SANE's own client, the back end escl, fetches PDF from the glass and renders it.
func TestSANEESCLGlass(t *testing.T) {
	source := testenv.SANEConfig(t, 1)
	n := testenv.NewNeighbours(t, source, "PLATEN_NODE_DRIVERS=sane")
	device := strings.TrimSuffix("escl:"+n.ESCL(t, testenv.ESCLPort), "/eSCL")
	conf := testenv.ESCLConfig(t)
	for _, tt := range saneModes {
		for _, dpi := range []int{75, 150, 300} {
			t.Run(fmt.Sprint(tt.theirs, " ", dpi), func(t *testing.T) {
				settings := append(f(fmt.Sprintf("--resolution %d", dpi)), square...)
				want := raster(t, scanimage(t, source, append(f(tt.ours), settings...))).rgb()
				got := raster(t, scanOver(t, n, conf, append([]string{"-d", device, "--mode", tt.theirs}, settings...)...))
				if off := distance(t, got, want); off > tt.off {
					t.Errorf("samples are off by %.1f, want %.0f at most", off, tt.off)
				}
			})
		}
	}
}

// All sheets come from the feeder, the right way up: this client turns PNG upside down.
func TestSANEESCLFeeder(t *testing.T) {
	for _, tt := range saneModes {
		t.Run(tt.theirs, func(t *testing.T) {
			source := testenv.SANEConfig(t, 1)
			n := testenv.NewNeighbours(t, source, "PLATEN_NODE_DRIVERS=sane") // anew: the test back end counts sheets, not batches
			device := strings.TrimSuffix("escl:"+n.ESCL(t, testenv.ESCLPort), "/eSCL")
			settings := append(f("--resolution 75"), square...)
			want := raster(t, scanimage(t, source, append(f(tt.ours), settings...))).rgb()
			got := batchOver(t, n, testenv.ESCLConfig(t), append([]string{"-d", device, "--source", "ADF", "--mode", tt.theirs}, settings...)...)
			if len(got) != 10 {
				t.Errorf("ten sheets became %d pages", len(got))
			}
			for i, page := range got {
				if off := distance(t, page.rgb(), want); off > tt.off {
					t.Errorf("samples of page %d are off by %.1f, want %.0f at most", i+1, off, tt.off)
				}
			}
		})
	}
}

// Two scanners of one computer are found without being configured, each once, though each
// is announced with HTTP and HTTPS, for IPv4 and IPv6.
func TestScannersAreListedOnce(t *testing.T) {
	n := testenv.NewNeighbours(t, testenv.SANEConfig(t, 2), "PLATEN_NODE_DRIVERS=sane")
	n.ESCL(t, testenv.ESCLPort)
	n.ESCL(t, testenv.ESCLPort+2)
	n.Computer.Avahi(t)
	conf := testenv.AirscanConfig(t, "", "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	discover := n.Computer.Command(ctx, "airscan-discover") // lists what clients could connect to
	discover.Env = append(os.Environ(), conf)
	for _, tt := range []struct {
		name string
		cmd  *exec.Cmd
		want []string // each once
		all  string   // and no others
	}{
		{"scanimage -L, airscan", n.Scanimage(ctx, conf, "-L"), []string{":frontend-tester'", ":frontend-tester (2)'"}, "device `"},
		{"scanimage -L, escl", n.Scanimage(ctx, testenv.ESCLConfig(t), "-L"), []string{"ESCL frontend-tester platen", "ESCL frontend-tester (2) platen"}, "device `"},
		{"airscan-discover", discover, []string{":18630/", ":18631/", ":18632/", ":18633/"}, "eSCL/"},
	} {
		out, err := tt.cmd.Output()
		if err != nil || bytes.Count(out, []byte(tt.all)) != len(tt.want) {
			t.Errorf("%s: %v, want %d lines with %q:\n%s", tt.name, err, len(tt.want), tt.all, out)
		}
		for _, one := range tt.want {
			if bytes.Count(out, []byte(one)) != 1 {
				t.Errorf("%s: want %q once:\n%s", tt.name, one, out)
			}
		}
	}
	small := f("--mode Gray --resolution 75 -x 127 -y 127")
	raster(t, scanOver(t, n, conf, append(small, "-d", "airscan:e1:frontend-tester (2)")...))
	raster(t, scanOver(t, n, testenv.ESCLConfig(t), append(small, "-d", fmt.Sprintf("escl:https://%s:%d", n.Addr, testenv.ESCLPort+1))...))
}

// reference scans the square with platen scan on the node.
func reference(t *testing.T, n *testenv.Neighbours, source, mode string, dpi int) []picture {
	t.Helper()
	dir := t.TempDir()
	if _, err := n.Node.CLI("scan", "-q", "--source", source, "--mode", mode, "--depth", "8", "-r", strconv.Itoa(dpi), "--region", "0,0,127,127",
		"--option", "pace=off", "-o", filepath.Join(dir, "p-%02d.pnm")); err != nil {
		t.Fatal(err)
	}
	return pictures(t, dir)
}

// scanOver scans one page on the computer. A hanging scanimage is asked again.
func scanOver(t *testing.T, n *testenv.Neighbours, conf string, args ...string) []byte {
	t.Helper()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var out, msg bytes.Buffer
		cmd := n.Scanimage(ctx, conf, append([]string{"--format=pnm"}, args...)...)
		cmd.Stdout, cmd.Stderr = &out, &msg
		err := cmd.Run()
		hung := errors.Is(ctx.Err(), context.DeadlineExceeded)
		cancel()
		switch {
		case err == nil:
			return out.Bytes()
		case !hung:
			t.Fatalf("scanimage %v: %v\n%s", args, err, msg.Bytes())
		}
		t.Logf("scanimage %v hung\n%s", args, msg.Bytes())
	}
	t.Fatal("scanimage gave no page in three tries")
	return nil
}

// batchOver scans on the computer until there are no more pages.
func batchOver(t *testing.T, n *testenv.Neighbours, conf string, args ...string) []picture {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := n.Scanimage(ctx, conf, append([]string{"--format=pnm", "--batch=" + filepath.Join(dir, "p-%03d.pnm")}, args...)...)
	msg, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && bytes.Contains(msg, []byte("out of documents"))) {
		t.Fatalf("scanimage %v: %v\n%s", args, err, msg)
	}
	return pictures(t, dir)
}

// pictures are the files of a folder in the order of their names.
func pictures(t *testing.T, dir string) []picture {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.pnm"))
	if err != nil {
		t.Fatal(err)
	}
	all := make([]picture, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = raster(t, text)
	}
	return all
}

// picture is an image with 8 bits a sample.
type picture struct {
	width, height, channels int
	samples                 []byte
}

// raster reads a PNM image. Bits become samples of 0 and 255.
func raster(t *testing.T, pnm []byte) picture {
	t.Helper()
	head, rest, _ := bytes.Cut(pixels(t, pnm), []byte("\n"))
	words := f(string(head))
	p := picture{channels: 1}
	p.width, _ = strconv.Atoi(words[1])
	p.height, _ = strconv.Atoi(words[2])
	switch words[0] {
	case "P4":
		line := (p.width + 7) / 8
		for y := range p.height {
			for x := range p.width {
				p.samples = append(p.samples, 255*(1-rest[y*line+x/8]>>(7-x%8)&1)) // 1 is black
			}
		}
	case "P6":
		p.channels = 3
		fallthrough
	case "P5":
		p.samples = rest
	}
	if p.width*p.height*p.channels == 0 || len(p.samples) != p.width*p.height*p.channels {
		t.Fatalf("%s with %d samples is no picture", head, len(p.samples))
	}
	return p
}

// rgb has three samples for each of a gray picture.
func (p picture) rgb() picture {
	if p.channels == 3 {
		return p
	}
	c := picture{width: p.width, height: p.height, channels: 3}
	for _, v := range p.samples {
		c.samples = append(c.samples, v, v, v)
	}
	return c
}

// distance is by how much samples differ, on average.
func distance(t *testing.T, a, b picture) float64 {
	t.Helper()
	if a.width != b.width || a.height != b.height || a.channels != b.channels {
		t.Fatalf("got %d x %d x %d samples, want %d x %d x %d", a.width, a.height, a.channels, b.width, b.height, b.channels)
	}
	sum := 0
	for i := range a.samples {
		sum += max(int(a.samples[i]), int(b.samples[i])) - min(int(a.samples[i]), int(b.samples[i]))
	}
	return float64(sum) / float64(len(a.samples))
}

func compare(t *testing.T, got, want picture) {
	t.Helper()
	if got.width != want.width || got.height != want.height || got.channels != want.channels {
		t.Errorf("got %d x %d x %d samples, want %d x %d x %d", got.width, got.height, got.channels, want.width, want.height, want.channels)
		return
	}
	different, first := 0, -1
	for i := range want.samples {
		if got.samples[i] != want.samples[i] {
			if different++; first < 0 {
				first = i
			}
		}
	}
	if different > 0 {
		t.Errorf("%d of %d samples differ, first that in row %d", different, len(want.samples), first/(want.width*want.channels))
	}
}
