//go:build bench

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// overESCL scans with sane-airscan from another host, in turn with the node's own command
// and with a program on the node's host that drops what it reads.
func overESCL(t *testing.T, r *report) {
	source := testenv.SANEConfig(t, 1)
	n := testenv.NewNeighbours(t, source, "PLATEN_NODE_DRIVERS=sane")
	conf := testenv.AirscanConfig(t, "Office", n.ESCL(t, testenv.ESCLPort))
	bin, dir := rawread(t), t.TempDir()
	direct := func(args ...string) func() error {
		return func() error {
			cmd := n.NodeHost.Command(t.Context(), append([]string{bin, "test:0"}, args...)...)
			cmd.Env = append(os.Environ(), source)
			if msg, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("rawread: %w\n%s", err, msg)
			}
			return nil
		}
	}
	own := func(args ...string) func() error {
		return func() error {
			return platen(n.Node, append([]string{"scan", "-q", "--mode", "color", "-r", "300", "--region", "0,0,210,297"}, args...)...)
		}
	}
	escl := func(pages int, args ...string) func() error {
		return func() error { return airscan(t, n, conf, pages, args...) }
	}
	page := interleave(t, 9,
		side{"raw SANE read", direct("1", "Flatbed", "300", "0")},
		side{"platen scan, PNG", own("--source", "platen", "-o", filepath.Join(dir, "x.png"))},
		side{"scanimage by eSCL", escl(1, "--source", "Flatbed")},
	)
	batch := interleave(t, 5,
		side{"raw SANE read, 10 pages", direct("10", feeder, "300", "0")},
		side{"platen scan, 10 PNG", own("--source", "adf", "-o", filepath.Join(dir, "p%02d.png"))},
		side{"scanimage by eSCL, 10 pages", escl(10, "--source", "ADF")},
	)
	r.section("By eSCL", "One page and ten pages as PNM files of SANE's scanimage with sane-airscan on another host (network namespaces, veth), "+
		"which fetches PNG from the node; beside what the node's own host does in the same run. Each side is a whole process.")
	rows := []string{}
	for _, set := range [][]series{page, batch} {
		for _, s := range set {
			rows = append(rows, fmt.Sprintf("%s | %s | %.2f | %.2f", s.name, s, s.over(set[0]), s.over(set[1])))
		}
	}
	r.table("one page, ten pages | time | ratio to the raw read | ratio to platen scan", rows...)
}

// airscan is one scanimage on the computer, which must give so many pages. It hangs at its
// end now and then; then it is asked again, and the time is an outlier.
func airscan(t *testing.T, n *testenv.Neighbours, conf string, pages int, args ...string) error {
	t.Helper()
	dir := t.TempDir()
	args = append([]string{"-d", "airscan:e0:Office", "--mode", "Color", "--resolution", "300", "-x", "210", "-y", "297",
		"--format=pnm", "--batch=" + filepath.Join(dir, "p%d.pnm"), fmt.Sprintf("--batch-count=%d", pages)}, args...)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		msg, err := n.Scanimage(ctx, conf, args...).CombinedOutput()
		hung := ctx.Err() != nil && t.Context().Err() == nil
		cancel()
		if hung {
			t.Logf("scanimage hung:\n%s", msg)
			continue
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.pnm"))
		if len(files) != pages {
			return fmt.Errorf("scanimage gave %d pages, want %d: %w\n%s", len(files), pages, err, msg)
		}
		return os.RemoveAll(dir)
	}
}
