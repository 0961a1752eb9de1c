//go:build bench

package bench

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// benchmarkLine is a result of go test -bench.
var benchmarkLine = regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)

// benchmarks runs a package's, and answers the median of each by its name.
func benchmarks(t *testing.T, pkg, which string) map[string]time.Duration {
	t.Helper()
	cmd := exec.Command("go", "test", pkg, "-run", "^$", "-bench", which, "-count", "5", "-benchtime", "300ms")
	cmd.Dir = testenv.Root()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", pkg, err, out)
	}
	all := map[string][]time.Duration{}
	for _, m := range benchmarkLine.FindAllStringSubmatch(string(out), -1) {
		ns, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = append(all[m[1]], time.Duration(ns))
	}
	found := map[string]time.Duration{}
	for name, times := range all {
		found[name] = median(times)
	}
	return found
}

// licences is what a licence costs: of a job, and of each page.
func licences(t *testing.T, r *report) {
	checks := benchmarks(t, "./internal/license", "BenchmarkChecks")
	commit := benchmarks(t, "./node/pagestore", "BenchmarkCommit")
	ledger := benchmarks(t, "./gateway/state", "BenchmarkLedgerReport")
	r.section("Licences", "What the checks cost, each by itself on one core: signatures are Ed25519 (PASETO). A page is signed for and checked when a gateway passes it on; without a vendor none of this runs. "+
		"A commit is with fsync, on this machine's disk: free and under a licence that counts pages.")
	const us = "%s | %s | %.0f µs"
	var rows []string
	for _, row := range [][3]string{
		{"job", "key parsed and its signature checked", "BenchmarkChecks/job:_Parse_a_key"},
		{"job", "gateway finds the permit of a leased seat", "BenchmarkChecks/job:_Desk.Permit_of_a_leased_seat"},
		{"job", "node judges key and block", "BenchmarkChecks/job:_Judge_pages"},
		{"page", "node chains the receipt", "BenchmarkChecks/page:_Chain"},
		{"page", "node signs it for the gateway", "BenchmarkChecks/page:_SignReceipt"},
		{"page", "gateway checks it", "BenchmarkChecks/page:_ReceiptIn"},
		{"page", "commit of 1.5 MB, free", "BenchmarkCommit/1500KiB"},
		{"page", "commit of 1.5 MB, licensed", "BenchmarkCommitLicensed/1500KiB"},
		{"batch", "100 pages into the gateway's ledger, with fsync", "BenchmarkLedgerReport/100"},
	} {
		of := checks
		switch {
		case commit[row[2]] > 0:
			of = commit
		case ledger[row[2]] > 0:
			of = ledger
		}
		if of[row[2]] == 0 {
			t.Fatalf("no benchmark %s in %v, %v, %v", row[2], checks, commit, ledger)
		}
		rows = append(rows, fmt.Sprintf(us, row[0], row[1], float64(of[row[2]])/float64(time.Microsecond)))
	}
	r.table("of each | what | time", rows...)
}
