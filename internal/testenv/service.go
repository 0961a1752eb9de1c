package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// Service is a node or gateway under test.
type Service struct {
	*Process // the one that runs, or ran last
	t        testing.TB
	Host     *Host  // nil: this machine
	Data     string // folder
	URL      string // as a browser opens it
	Run      func() *exec.Cmd
}

// What services print when they are up, and how long that may take.
const (
	StartTimeout = 20 * time.Second
	ReadyLine    = `^\s+this computer\s+(\S+)`
	BrowserLine  = `^\s+browsers\s+(\S+)`
	PhoneLine    = `^\s+phone\s+(https://\S+)`
	JoinLine     = `(platen-join\.\S+)`
	LinkedLine   = `link to the gateway stands`
)

// Command prepares platen on a host with extra environment.
func Command(host *Host, env []string, args ...string) *exec.Cmd {
	bin := filepath.Join(Root(), "bin", "platen")
	var cmd *exec.Cmd
	if host == nil {
		cmd = exec.Command(bin, args...)
	} else {
		cmd = host.Command(context.Background(), append([]string{bin}, args...)...)
	}
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// StartLocal runs local mode on a free port.
func StartLocal(t testing.TB, env []string, args ...string) *Service {
	t.Helper()
	s := StartService(t, append([]string{"PLATEN_NODE_HTTPPORT=0", "PLATEN_NODE_HTTPSPORT=0"}, env...), args...)
	s.URL = s.Await(ReadyLine, StartTimeout)[1]
	return s
}

// StartService runs a command that serves, on this machine and a data folder of its own.
func StartService(t testing.TB, env []string, args ...string) *Service {
	t.Helper()
	s := &Service{t: t, Data: t.TempDir()}
	s.Run = func() *exec.Cmd { return Command(nil, env, append([]string{"--data", s.Data}, args...)...) }
	s.Start()
	return s
}

// Start starts the service, again if it was killed.
func (s *Service) Start() {
	s.t.Helper()
	s.Process = Start(s.t, "platen", s.Run())
}

// CLI runs platen to its end on the service's host and data folder.
func (s *Service) CLI(args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := Command(s.Host, nil, append([]string{"--data", s.Data}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("platen %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), err
}

// Jobs asks the service for its jobs, as the CLI does.
func (s *Service) Jobs() []scan.Job {
	s.t.Helper()
	out, err := s.CLI("jobs", "--json")
	if err != nil {
		s.t.Fatal(err)
	}
	var jobs []scan.Job
	if err := json.Unmarshal([]byte(out), &jobs); err != nil {
		s.t.Fatalf("jobs --json: %v\n%s", err, out)
	}
	return jobs
}

// AwaitJob waits until the newest job fits.
func (s *Service) AwaitJob(what string, fits func(scan.Job) bool) scan.Job {
	s.t.Helper()
	var last scan.Job
	Eventually(s.t, what, 60*time.Second, func() bool {
		jobs := s.Jobs()
		if len(jobs) == 0 {
			return false
		}
		last = jobs[0]
		return fits(last)
	})
	return last
}

// Eventually polls a condition of another process.
func Eventually(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
