//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// memory scans an A3 page of 600 dpi in colour and samples what node and workers hold.
func memory(t *testing.T, r *report) {
	conf := testenv.SANEConfig(t, 1)
	dir, _ := strings.CutPrefix(conf, "SANE_CONFIG_DIR=")
	file := filepath.Join(dir, "test.conf")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(b), "geometry_max 300.0", "geometry_max 420.0", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	node := startLocal(t, conf)
	idle := pss(family(node.PID()))
	scanning := testenv.Start(t, "platen scan", testenv.Command(nil, nil, "--data", node.Data, "scan", "-q", "--source", "platen",
		"--mode", "color", "-r", "600", "--region", "0,0,297,420", "-o", filepath.Join(t.TempDir(), "a3.jpg")))
	ended := make(chan error, 1)
	go func() { ended <- scanning.Wait(2 * time.Minute) }()
	var most int64
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-tick.C:
			most = max(most, pss(family(node.PID())))
			continue
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			tick.Stop()
		}
		break
	}
	r.goal("node memory with a 600 dpi A3 colour page", "≤ 64 MiB", "%.1f MiB", float64(most)/(1<<20))
	r.section("Memory", "Sum of PSS over the node and its workers, sampled every 20 ms; the client is not counted.")
	r.table("what | MiB",
		fmt.Sprintf("idle node, device found | %.1f", float64(idle)/(1<<20)),
		fmt.Sprintf("most while a 600 dpi A3 colour page (209 MB raw) is scanned | %.1f", float64(most)/(1<<20)))
}
