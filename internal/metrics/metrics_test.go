package metrics

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

func read(t *testing.T, routes []access.Route) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := routes[0].Handle(w, httptest.NewRequest("GET", routes[0].Path, nil)); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(got, "text/plain") {
		t.Fatalf("the answer is %d as %q: %s", w.Code, got, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	end := time.Unix(1800000000, 0)
	waiting := 3
	routes := Routes(Config{
		Role: "gateway",
		Certificates: func() []api.Certificate {
			return []api.Certificate{
				{Name: "ca", Source: "internal", Hosts: []string{"192.168.1.20"}, NotAfter: scan.At(end)},
				{Name: "external", Source: "own", Hosts: []string{"scan.example.com"}, NotAfter: scan.At(end)},
				{Name: "external", Source: "acme", Hosts: []string{"a.example.com"}, NotAfter: scan.At(end)},
				{Name: "external", Source: "acme", Hosts: []string{"b.example.com"}, NotAfter: scan.At(end.Add(time.Hour))},
				{Name: "external", Source: "acme", Hosts: []string{"c.example.com"}, State: "failed"},
			}
		},
		Scanners:     func() int { return 2 },
		JobsWaiting:  func() int { return waiting },
		Nodes:        func() map[scan.NodeState]int { return map[scan.NodeState]int{scan.NodeOnline: 5, scan.NodeOffline: 1} },
		AuditRecords: func() uint64 { return 11 },
	})
	text := read(t, routes)
	for _, want := range []string{
		`platen_build_info{role="gateway",version="` + version.String() + `"} 1`,
		`platen_certificate_expiry_timestamp_seconds{host="",name="ca",source="internal"} 1.8e+09`,
		`platen_certificate_expiry_timestamp_seconds{host="",name="external",source="own"} 1.8e+09`,
		`platen_certificate_expiry_timestamp_seconds{host="a.example.com",name="external",source="acme"} 1.8e+09`,
		`platen_certificate_expiry_timestamp_seconds{host="b.example.com",name="external",source="acme"} 1.8000036e+09`,
		"platen_scanners 2", "platen_jobs_waiting 3", `platen_nodes{state="online"} 5`, `platen_nodes{state="offline"} 1`,
		"# TYPE platen_audit_records_total counter", "platen_audit_records_total 11", "# TYPE go_goroutines gauge",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if strings.Contains(text, "c.example.com") {
		t.Error("a certificate that is not there has an end")
	}
	faults, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(faults) > 0 {
		t.Errorf("the names do not follow the conventions: %v, %v", faults, err)
	}
	waiting = 4
	if !strings.Contains(read(t, routes), "platen_jobs_waiting 4\n") {
		t.Error("a number is not asked for again")
	}
}

func TestNothingToAsk(t *testing.T) {
	text := read(t, Routes(Config{Role: "node"}))
	got := regexp.MustCompile(`(?m)^platen_\w+`).FindAllString(text, -1)
	if len(got) != 1 || got[0] != "platen_build_info" {
		t.Errorf("with nothing to ask it tells %q", got)
	}
}

func TestPolicy(t *testing.T) {
	p := Routes(Config{})[0].Policy
	if p.Role() != api.RoleAdmin || p.On(access.RoadLink) || p.Probes() {
		t.Error("GET /metrics is not for administrators alone, or a gateway can ask a node for it")
	}
}

func TestReadAtOnce(t *testing.T) {
	routes := Routes(Config{Role: "node", Scanners: func() int { return 1 }})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			w := httptest.NewRecorder()
			if err := routes[0].Handle(w, httptest.NewRequest("GET", routes[0].Path, nil)); err != nil || w.Code != 200 {
				t.Errorf("%d, %v", w.Code, err)
			}
		})
	}
	readers.Wait()
}
