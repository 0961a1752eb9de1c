//go:build e2e

package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// The promise of the README: a phone-sized browser scans five sheets on both sides
// with the virtual scanner and saves a PDF that other programs accept.
func TestPhoneSavesTwoSidedScanAsPDF(t *testing.T) {
	local := testenv.StartLocal(t, []string{"PLATEN_NODE_DRIVERS=virtual"})
	dir := t.TempDir()
	file := filepath.Join(dir, "scan.pdf")
	script := newPhone(t, nil, "").start("scan-pdf.mjs", "--url", local.URL, "--source", "adf-duplex", "--out", file, "--shots", dir)
	got := result[struct {
		Pages      int  `json:"pages"`
		GrewBefore bool `json:"grewBeforeCommit"` // the image had rows before its page was committed
	}](t, script, 3*time.Minute)
	if got.Pages != 10 || !got.GrewBefore {
		t.Errorf("the app showed %d pages, growing %t; want 10, true", got.Pages, got.GrewBefore)
	}
	if out, err := exec.Command("qpdf", "--check", file).CombinedOutput(); err != nil {
		t.Errorf("qpdf --check: %v\n%s", err, out)
	}
	info, err := exec.Command("pdfinfo", file).Output()
	if err != nil {
		t.Fatalf("pdfinfo: %v", err)
	}
	if !regexp.MustCompile(`(?m)^Pages: +10$`).Match(info) || !strings.Contains(string(info), "A4") {
		t.Errorf("pdfinfo says:\n%s", info)
	}
	text, err := exec.Command("pdfimages", "-list", file).Output()
	if err != nil || strings.Count(string(text), "jpeg") != 10 {
		t.Errorf("pdfimages: %v, want ten JPEGs as they were stored:\n%s", err, text)
	}
}

// A worker that is killed, or hangs, in the middle of a page takes nothing with it:
// the node lives, the job says why, the device scans again.
func TestWorkerDiesInMidPage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
	}{
		{"killed", syscall.SIGKILL},
		{"stopped", syscall.SIGSTOP}, // hangs: canceled by the user
	} {
		t.Run(tt.name, func(t *testing.T) {
			local := testenv.StartLocal(t, []string{testenv.SANEConfig(t, 1), "PLATEN_NODE_DRIVERS=sane"})
			scanning := testenv.Start(t, "platen scan", testenv.Command(nil, nil, append([]string{"--data", local.Data, "scan",
				"-o", filepath.Join(t.TempDir(), "x-%d.jpg")}, slowScan...)...))
			scanning.Await(`^page 1:`, 60*time.Second)
			job := local.AwaitJob("second page growing", func(j scan.Job) bool { return j.Growing == 2 })
			for _, pid := range children(t, local.PID()) {
				if err := syscall.Kill(pid, tt.signal); err != nil {
					t.Fatal(err)
				}
			}
			if tt.signal == syscall.SIGSTOP {
				begin := time.Now()
				if _, err := local.CLI("jobs", "cancel", job.ID); err != nil {
					t.Fatal(err)
				}
				local.AwaitJob("canceled", func(j scan.Job) bool { return j.State == scan.JobCanceled })
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("canceling a hanging device took %v", took)
				}
			} else {
				job = local.AwaitJob("ended", func(j scan.Job) bool { return j.State.Terminal() })
				if job.State != scan.JobCompleted || len(job.Reasons) == 0 || job.Reasons[0] != scan.Partial(scan.ReasonDriverFailed) {
					t.Errorf("job ended as %s %v, want completed [%s]", job.State, job.Reasons, scan.Partial(scan.ReasonDriverFailed))
				}
			}
			if job = local.Jobs()[0]; job.Pages != 1 {
				t.Errorf("%d pages are committed, want 1", job.Pages)
			}
			if _, err := local.CLI("scan", "-q", "-r", "75", "--pages", "1", "-o", filepath.Join(t.TempDir(), "again.jpg")); err != nil {
				t.Errorf("the device is not usable again: %v", err)
			}
		})
	}
}

// slowScan is a feeder batch at the pace of a real scanner.
var slowScan = f("--source adf --mode color -r 300 --option read-delay=yes --option read-delay-duration=10000")

// children lists the processes that a process started.
func children(t testing.TB, pid int) []int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("process %d: %v", pid, err)
	}
	var pids []int
	for _, name := range tasks {
		file, err := os.Open(name)
		if err != nil {
			continue // the thread ended
		}
		words := bufio.NewScanner(file)
		words.Split(bufio.ScanWords)
		for words.Scan() {
			if n, err := strconv.Atoi(words.Text()); err == nil {
				pids = append(pids, n)
			}
		}
		file.Close()
	}
	if len(pids) == 0 {
		t.Fatalf("process %d has no children", pid)
	}
	return pids
}

// platen --lan: a phone in the same network scans from the node itself, once with the
// node's CA installed and once with the browser's warning clicked away.
func TestPhoneScansOverLAN(t *testing.T) {
	for _, trust := range []bool{true, false} {
		name := map[bool]string{true: "CA installed", false: "warning clicked away"}[trust]
		t.Run(name, func(t *testing.T) {
			lab := testenv.NewLab(t)
			nodeHost, phoneHost := lab.Host("node"), lab.Host("phone")
			addr := lab.Network(nodeHost, phoneHost)[0]
			data := t.TempDir()
			node := testenv.Start(t, "platen --lan", testenv.Command(nodeHost, []string{"PLATEN_NODE_DRIVERS=virtual"}, "--data", data, "--lan"))
			link := node.Await(testenv.PhoneLine, testenv.StartTimeout)[1]
			ca := ""
			if trust {
				ca = filepath.Join(t.TempDir(), "ca.crt")
				phoneHost.Run("curl", "-sSf", "-o", ca, "http://"+addr+":18622/platen-ca.crt")
			}
			script := newPhone(t, phoneHost, ca).start("batch.mjs", "--url", link, "--source", "adf", "--resolution", "100",
				"--options", options(map[string]string{"pace": "off", "sheets": "3"}))
			got := result[batch](t, script, 3*time.Minute)
			if got.State != string(scan.JobCompleted) || len(got.Pages) != 3 || !got.Secure {
				t.Errorf("job ended as %s with %d pages, secure context %t", got.State, len(got.Pages), got.Secure)
			}
		})
	}
}

// Without platen-driver beside it, platen is its own worker: the virtual scanner works,
// and what is missing is said.
func TestScansWithoutPlatenDriver(t *testing.T) {
	dir := t.TempDir()
	program, err := os.ReadFile(filepath.Join(testenv.Root(), "bin", "platen"))
	if err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(dir, "platen")
	if err := os.WriteFile(alone, program, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "page.jpg")
	for _, args := range [][]string{f("scan -q --option pace=off -r 75 -o " + file), f("devices")} {
		cmd := exec.Command(alone, append([]string{"--data", filepath.Join(dir, "data")}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("platen %v: %v\n%s", args, err, out)
		}
		if args[0] == "devices" && (!strings.Contains(string(out), "virtual") || !strings.Contains(string(out), "driver sane:")) {
			t.Errorf("platen devices says:\n%s", out)
		}
	}
	if page, err := os.ReadFile(file); err != nil || len(page) < 1000 {
		t.Errorf("the page has %d bytes, %v", len(page), err)
	}
}
