//go:build bench

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

func TestBenchmarks(t *testing.T) {
	r := &report{}
	head := fmt.Sprintf(`# Benchmarks

Written by `+"`make bench`"+` on %s, %d cores, %s. One page is A4 at 300 dpi in 24-bit colour (26,092,080 bytes raw) from SANE's
test back end. All sides of a table ran in turn in one run; times are median (fastest–slowest) of whole processes,
and ratios of medians are what to read.
`, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH)
	parts := []struct {
		name    string
		measure func(*testing.T, *report)
	}{
		{"scanning", scanning}, {"eSCL", overESCL}, {"streaming", firstByte}, {"relaying", relaying}, {"loss", losing}, {"entries", entering},
		{"browser", inBrowser}, {"memory", memory}, {"cold start", coldStart},
		{"discovery", beingFound}, {"licences", licences},
	}
	ran := 0
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) { ran++; part.measure(t, r) }) // ends its processes before the next begins
	}
	if ran < len(parts) {
		r.amend(t)
		return
	}
	r.write(t, head)
}

// rawread builds the program that reads pages from SANE and drops them.
func rawread(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "rawread")
	cmd := exec.Command("cc", "-O2", "-o", bin, "testdata/rawread.c", "-lsane")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building rawread (Debian packages gcc and libsane-dev): %v\n%s", err, msg)
	}
	return bin
}

// startLocal is a node in local mode with the SANE test back end.
func startLocal(t *testing.T, conf string) *testenv.Service {
	t.Helper()
	return testenv.StartLocal(t, []string{conf, "PLATEN_NODE_DRIVERS=sane"})
}

// platen runs a command on the node's data folder.
func platen(s *testenv.Service, args ...string) error {
	_, err := s.CLI(args...)
	return err
}

// raw runs rawread.
func raw(bin, conf string, args ...string) error {
	cmd := exec.Command(bin, append([]string{"test:0"}, args...)...)
	cmd.Env = append(os.Environ(), conf)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rawread: %w\n%s", err, msg)
	}
	return nil
}

const feeder = "Automatic Document Feeder"

func scanning(t *testing.T, r *report) {
	conf := testenv.SANEConfig(t, 1)
	bin, node, dir := rawread(t), startLocal(t, conf), t.TempDir()
	page := interleave(t, 9,
		side{"raw SANE read", func() error { return raw(bin, conf, "1", "Flatbed", "300", "0") }},
		side{"platen scan, JPEG", func() error {
			return platen(node, "scan", "-q", "--source", "platen", "--mode", "color", "-r", "300", "--region", "0,0,210,297", "-o", filepath.Join(dir, "x.jpg"))
		}},
		side{"platen scan, PNG", func() error {
			return platen(node, "scan", "-q", "--source", "platen", "--mode", "color", "-r", "300", "--region", "0,0,210,297", "-o", filepath.Join(dir, "x.png"))
		}},
	)
	batch := interleave(t, 5,
		side{"raw SANE read", func() error { return raw(bin, conf, "10", feeder, "300", "0") }},
		side{"platen scan, 10 JPEG", func() error {
			return platen(node, "scan", "-q", "--source", "adf", "--mode", "color", "-r", "300", "--region", "0,0,210,297", "-o", filepath.Join(dir, "p%02d.jpg"))
		}},
		side{"platen scan, PDF", func() error {
			return platen(node, "scan", "-q", "--source", "adf", "--mode", "color", "-r", "300", "--region", "0,0,210,297", "-o", filepath.Join(dir, "p.pdf"))
		}},
	)
	pace := interleave(t, 3,
		side{"scanner at 1.2 s a page", func() error { return raw(bin, conf, "1", "Flatbed", "300", "10000") }},
		side{"platen scan, JPEG", func() error {
			return platen(node, "scan", "-q", "--source", "platen", "--mode", "color", "-r", "300", "--region", "0,0,210,297", "--option", "read-delay=yes",
				"--option", "read-delay-duration=10000", "-o", filepath.Join(dir, "x.jpg"))
		}},
	)
	r.section("Scanning", "From device to a file of the client, each side a whole process; Platen's client talks to a running node over loopback.")
	rows := []string{}
	for _, set := range [][]series{page, batch, pace} {
		for _, s := range set {
			rows = append(rows, fmt.Sprintf("%s | %s | %.2f", s.name, s, s.over(set[0])))
		}
	}
	r.table("one page, ten pages, one page at a scanner's pace | time | ratio to the raw read", rows...)
	r.goal("one page as JPEG over the raw read", "≤ 4.7", "%.1f", page[1].over(page[0]))
	r.goal("ten pages as JPEG over the raw read", "≤ 4", "%.1f", batch[1].over(batch[0]))
	r.goal("pages a minute in the ten-page batch, client included", "≥ 200", "%.0f", 10*time.Minute.Seconds()/batch[1].median().Seconds())
	r.goal("one page at a scanner's pace over the scanner, client included", "≤ 1.02", "%.2f", pace[1].over(pace[0]))
}

func coldStart(t *testing.T, r *report) {
	var times []time.Duration
	for range 5 {
		begin := time.Now()
		l := startLocal(t, testenv.SANEConfig(t, 1))
		times = append(times, time.Since(begin))
		l.Kill()
	}
	r.goal("cold start of a node", "≤ 500 ms", "%s", ms(median(times)))
	r.section("Cold start", "The node answers requests when it prints its address; devices are looked for afterwards.")
	r.table("what | time", fmt.Sprintf("`platen` with an empty data folder, from exec to the printed address | %s", series{times: times}))
}
