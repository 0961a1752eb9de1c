// Package metrics tells Prometheus what an administrator wants to be woken for: that
// certificates end, that nodes are gone, that jobs wait, and how the process is. Each
// number is asked for when it is read; the package counts nothing and keeps nothing.
// The commands of cmd/platen say what there is to ask. It has its own registry, so
// that no library adds to what is told.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/version"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// Config says where the numbers come from. The functions are called at each read, and
// may be called at the same time; what is nil is not told.
type Config struct {
	Role string // of this end: "node", "gateway"

	Certificates func() []api.Certificate
	Scanners     func() int                    // that are there now
	JobsWaiting  func() int                    // that have not begun
	Nodes        func() map[scan.NodeState]int // by state
	AuditRecords func() uint64                 // written since the log was begun
}

// Routes is GET /metrics, for administrators and their API tokens.
func Routes(c Config) []access.Route {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{c})
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4})
	return []access.Route{{
		Method: http.MethodGet, Path: "/api/v1/metrics", Policy: access.AtLeast(api.RoleAdmin).Direct(),
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			handler.ServeHTTP(w, r)
			return nil
		},
	}}
}

// What is told beside Go's and the process's own numbers.
var (
	buildInfo = desc("build_info", "1, labelled by the version and the role of this end.", "version", "role")
	expiry    = desc("certificate_expiry_timestamp_seconds", "When a certificate ends, in Unix time. The host tells certificates of ACME apart.", "name", "source", "host")
	scanners  = desc("scanners", "Scanners that are there.")
	waiting   = desc("jobs_waiting", "Jobs that have not begun.")
	nodes     = desc("nodes", "Nodes by state.", "state")
	records   = desc("audit_records_total", "Records of the audit log.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("platen", "", name), help, labels, nil)
}

// collector asks the functions of its Config.
type collector struct{ Config }

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildInfo, expiry, scanners, waiting, nodes, records} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(buildInfo, 1, version.String(), c.Role)
	if c.Certificates != nil {
		for _, item := range c.Certificates() {
			if item.NotAfter.IsZero() {
				continue
			}
			host := ""
			if item.Source == api.CertificateSourceAcme && len(item.Hosts) > 0 {
				host = item.Hosts[0]
			}
			gauge(expiry, float64(item.NotAfter.Unix()), string(item.Name), string(item.Source), host)
		}
	}
	for d, count := range map[*prometheus.Desc]func() int{scanners: c.Scanners, waiting: c.JobsWaiting} {
		if count != nil {
			gauge(d, float64(count()))
		}
	}
	if c.Nodes != nil {
		for state, n := range c.Nodes() {
			gauge(nodes, float64(n), string(state))
		}
	}
	if c.AuditRecords != nil {
		to <- prometheus.MustNewConstMetric(records, prometheus.CounterValue, float64(c.AuditRecords()))
	}
}
