//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/testenv"
)

// A gateway tells Prometheus of its nodes.
func TestGatewayMetrics(t *testing.T) {
	o := testenv.NewPair(t)
	admin := adminOf(t, o.Gateway)
	testenv.Eventually(t, "the node is counted", testenv.StartTimeout, func() bool {
		res, text := admin.send(http.MethodGet, "/metrics", nil)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("GET /metrics: %s\n%.300s", res.Status, text)
		}
		return strings.Contains(string(text), `platen_nodes{state="online"} 1`)
	})
}
