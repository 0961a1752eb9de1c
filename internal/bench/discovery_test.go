//go:build bench

package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/testenv"
)

// street are a host for Platen, a desk computer with Avahi, and one with platen find.
type street struct {
	t                 *testing.T
	home, desk, other *testenv.Host
}

func newStreet(t *testing.T) *street {
	t.Helper()
	lab := testenv.NewLab(t)
	s := &street{t, lab.Host("home"), lab.Host("desk"), lab.Host("other")}
	lab.NetworkV6(s.home, s.desk, s.other)
	s.desk.Avahi(t)
	return s
}

// start runs platen with a configuration in a data folder.
func (s *street) start(data, ini string, env []string, args ...string) *testenv.Process {
	s.t.Helper()
	s.configure(data, ini)
	return testenv.Start(s.t, "platen", testenv.Command(s.home, env, append([]string{"--data", data}, args...)...))
}

func (s *street) configure(data, ini string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(data, "platen.ini"), []byte(ini), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// browse is avahi-browse on the desk, which says as soon as it has resolved a service.
// When it returns no more than so many others are there.
func (s *street) browse(typ string, others int) *testenv.Process {
	s.t.Helper()
	s.gone(typ, others) // else it would begin with what Avahi remembers
	p := testenv.Start(s.t, "avahi-browse", s.desk.Command(context.Background(), "avahi-browse", "-rpk", typ))
	s.gone(typ, others) // by then it looks
	return p
}

// find is platen find on the third host.
func (s *street) find() *testenv.Process {
	s.t.Helper()
	cmd := testenv.Command(s.other, nil, "--data", s.t.TempDir(), "find", "--watch", "--json")
	return testenv.Start(s.t, "platen find", cmd)
}

// gone waits until the desk lists no more than so many services of a type by IPv4. It
// resolves nothing: that takes long for what has just gone.
func (s *street) gone(typ string, others int) {
	s.t.Helper()
	testenv.Eventually(s.t, "no "+typ, 30*time.Second, func() bool {
		return strings.Count(s.desk.Run("avahi-browse", "-pt", typ), ";IPv4;") <= others
	})
}

// forget makes the desk forget what it has heard.
func (s *street) forget() {
	s.t.Helper()
	s.desk.Run("avahi-daemon", "-k")
	testenv.Eventually(s.t, "the end of Avahi", 10*time.Second, func() bool { return s.desk.Command(s.t.Context(), "avahi-daemon", "-c").Run() != nil })
	s.desk.StartAvahi(s.t)
}

// resolved is a line of avahi-browse, and listed one of platen find.
func resolved(port int) string { return fmt.Sprintf(`^=;eth0;IPv4;.*;%d;`, port) }
func listed(port int) string   { return fmt.Sprintf(`"port":%d,`, port) }

const findRounds = 5

// found is one row: how long until somebody listed what was to be found.
type found struct {
	what, by string
	times    []time.Duration
}

// beingFound measures how long others do not see what is there.
func beingFound(t *testing.T, r *report) {
	s := newStreet(t)
	var rows []string
	for _, part := range []func(*street) []found{starting, plugging, appearing} {
		for _, f := range part(s) {
			rows = append(rows, fmt.Sprintf("%s | %s | %s", f.what, f.by, series{times: f.times}))
		}
	}
	r.section("Being found", "From a change on one host to the line of a program that looks on another (network namespaces, veth). "+
		"Before something is announced its names are tried out for 750 ms, as RFC 6762 wants.")
	r.table("what happens | who lists it | time", rows...)
}

// starting is from exec to resolved, with a data folder that was used before.
func starting(s *street) (rows []found) {
	for _, kind := range []struct {
		what, typ, ini string
		port           int
		args           []string
	}{
		{"gateway starts", discovery.TypeGateway, "", 18603, []string{"gateway"}},
		{"node starts, open to other devices", discovery.TypeNode, "[node]\nDrivers=virtual\nExternal=TRUE\nFindGateway=FALSE\n", 18623, []string{"node"}},
		{"node starts, its scanner is shared", discovery.TypeScanner, "[node]\nDrivers=virtual\nFindGateway=FALSE\n[escl]\nEnable=TRUE\n", testenv.ESCLPort, []string{"node"}},
	} {
		row := found{what: kind.what, by: "`avahi-browse`"}
		data := s.t.TempDir()
		for round := range findRounds + 1 {
			look := s.browse(kind.typ, 0)
			begin := time.Now()
			p := s.start(data, kind.ini, nil, kind.args...)
			look.Await(resolved(kind.port), testenv.StartTimeout)
			if round > 0 {
				row.times = append(row.times, time.Since(begin))
			}
			p.Signal(syscall.SIGTERM)
			if err := p.Wait(15 * time.Second); err != nil {
				s.t.Fatal(err)
			}
			look.Kill()
		}
		rows = append(rows, row)
	}
	return rows
}

// plugging is from a cable that is in again to resolved by a computer that has not seen
// the node before: others would list it from memory.
func plugging(s *street) []found {
	row := found{what: "cable of a node is in again", by: "`avahi-browse`"}
	p := s.start(s.t.TempDir(), "[node]\nDrivers=virtual\nExternal=TRUE\nFindGateway=FALSE\n", nil, "node")
	p.Await(testenv.ReadyLine, testenv.StartTimeout)
	for round := range findRounds + 1 {
		s.home.Unplug("eth0")
		s.forget()
		look := s.browse(discovery.TypeNode, 0)
		begin := time.Now()
		s.home.Plug("eth0")
		look.Await(resolved(18623), testenv.StartTimeout)
		if round > 0 {
			row.times = append(row.times, time.Since(begin))
		}
		look.Kill()
	}
	p.Kill()
	s.forget()
	return []found{row}
}

// appearing is a scanner that is shared from now on, by a change of platen.ini, by its
// setting, or because it was connected.
func appearing(s *street) (rows []found) {
	data := s.t.TempDir()
	const off, on = "[node]\nFindGateway=FALSE\nDrivers=sane\n", "[node]\nFindGateway=FALSE\nDrivers=sane\n[escl]\nEnable=TRUE\n"
	conf := testenv.SANEConfig(s.t, 1)
	p := s.start(data, off, []string{conf}, "node")
	p.Await(testenv.ReadyLine, testenv.StartTimeout)
	node := &testenv.Service{Host: s.home, Data: data}
	c := callerOf(s.t, node)
	c.http.Transport.(*http.Transport).DialContext = s.home.Dial
	scanner := c.scanner(s.t)
	measure := func(what string, rounds int, before, change, after func(round int), others func(round int) int) {
		byAvahi, byUs := found{what: what, by: "`avahi-browse`"}, found{what: what, by: "`platen find --watch`"}
		for round := range rounds + 1 {
			port := testenv.ESCLPort + 2*others(round)
			theirs, ours := s.browse(discovery.TypeScanner, others(round)), s.find()
			ours.Await(`^\[`, testenv.StartTimeout) // what is there already, if only nothing
			before(round)
			begin := time.Now()
			change(round)
			seen := make(chan time.Time, 1)
			go func() { seen <- arrival(ours, listed(port)) }()
			theirs.Await(resolved(port), testenv.StartTimeout)
			first, second := time.Now(), <-seen
			if second.IsZero() {
				s.t.Fatal("platen find does not list the scanner")
			}
			if round > 0 {
				byAvahi.times, byUs.times = append(byAvahi.times, first.Sub(begin)), append(byUs.times, second.Sub(begin))
			}
			theirs.Kill()
			ours.Kill()
			after(round)
		}
		rows = append(rows, byAvahi, byUs)
	}
	nothing, none := func(int) {}, func(int) int { return 0 }
	anyTime := func(int) { time.Sleep(rand.N(2 * time.Second)) } // the file is looked at every two seconds
	measure("`[escl] Enable` is switched on in platen.ini", findRounds, anyTime,
		func(int) { s.configure(data, on) }, func(int) { s.configure(data, off) }, none)
	share := func(yes bool) func(int) {
		return func(int) {
			res, err := c.do(http.MethodPatch, "/scanners/"+scanner, map[string]bool{"shared": yes})
			if err != nil {
				s.t.Fatal(err)
			}
			res.Body.Close()
		}
	}
	s.configure(data, on)
	share(false)(0)
	measure("a scanner is shared by its setting", findRounds, nothing, share(true), share(false), none)

	// Drivers are asked once a minute, and sooner for somebody who wants the list, but not
	// twice in ten seconds.
	share(true)(0)
	one := s.browse(discovery.TypeScanner, 1)
	one.Await(resolved(testenv.ESCLPort), testenv.StartTimeout)
	measure("one more scanner is connected, and somebody lists scanners", findRounds,
		func(round int) { connect(s.t, conf, round+2); time.Sleep(11 * time.Second) },
		func(int) {
			if _, err := node.CLI("devices"); err != nil {
				s.t.Fatal(err)
			}
		}, nothing, func(round int) int { return round + 1 })
	return rows
}

// arrival is when a process printed a line that matches; zero: never.
func arrival(p *testenv.Process, pattern string) time.Time {
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		for _, line := range p.Output() {
			if re.MatchString(line) {
				return time.Now()
			}
		}
	}
	return time.Time{}
}

// connect makes SANE's test back end have so many devices.
func connect(t *testing.T, conf string, n int) {
	t.Helper()
	dir, _ := strings.CutPrefix(conf, "SANE_CONFIG_DIR=")
	file := filepath.Join(dir, "test.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(file, []byte(fmt.Sprintf("number_of_devices %d\n%s", n, rest)), 0o644); err != nil {
		t.Fatal(err)
	}
}
