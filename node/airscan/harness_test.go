package airscan

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/virtual"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
)

// TestMain is a worker program too, so that nodes in tests have real processes.
func TestMain(m *testing.M) {
	if driver.IsWorker(os.Args[1:]) {
		os.Exit(driver.WorkerMain(os.Args[1:], []driver.Driver{virtual.New()}, imaging.Codecs{}))
	}
	goleak.VerifyTestMain(m)
}

// rig is a server over the fake node, on a network in memory where the clock is fake.
type rig struct {
	t      *testing.T
	node   *fakeNode
	server *Server
	conns  chan net.Conn
	ended  chan struct{}
	stop   func()

	mu      sync.Mutex
	clients []netip.Addr // that the API was asked for
}

const (
	alice = "192.0.2.10"
	bob   = "192.0.2.20"
)

// withRig runs a test in a bubble of its own.
func withRig(t *testing.T, test func(g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, newFakeNode())
		defer g.stop()
		synctest.Wait()
		test(g)
	})
}

func newRig(t *testing.T, node *fakeNode) *rig {
	t.Helper()
	g := &rig{t: t, node: node, conns: make(chan net.Conn), ended: make(chan struct{})}
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := New(Config{Scanner: scannerID, API: g.api, Spool: t.TempDir(), Log: log})
	need(t, err)
	g.server = s
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	web := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo)}
	listening := make(chan struct{})
	go func() { defer close(listening); web.Serve(g) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		web.Close()
		<-listening
	})
	return g
}

func (g *rig) api(client netip.Addr) *api.Client {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clients = append(g.clients, client)
	return &api.Client{Server: "http://node/", Client: g.node}
}

// Accept, Close and Addr make the rig a listener.
func (g *rig) Accept() (net.Conn, error) {
	select {
	case c := <-g.conns:
		return c, nil
	case <-g.ended:
		return nil, net.ErrClosed
	}
}

func (g *rig) Close() error   { close(g.ended); return nil }
func (g *rig) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 18630} }

// fromConn says where it comes from.
type fromConn struct {
	net.Conn
	from string
}

func (c fromConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 50000))
}

func (g *rig) dial(from string) net.Conn {
	client, server := net.Pipe()
	g.conns <- fromConn{server, from}
	return client
}

// answer is what came back, to its last byte.
type answer struct {
	*http.Response
	body []byte
	took time.Duration
}

// ask sends a request as it stands and reads the answer, or the error of reading it.
func (g *rig) ask(from, request string) (answer, error) {
	g.t.Helper()
	began := time.Now()
	c := g.dial(from)
	defer c.Close()
	go io.WriteString(c, request) // a server that refuses early does not read all
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(res.Body)
	return answer{res, body, time.Since(began)}, err
}

// raw is a request as a client writes it; lines are headers.
func raw(method, path, body string, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: scanner.local:18630\r\nConnection: close\r\n", method, path)
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// wants asks and checks the status.
func (g *rig) wants(status int, from, method, path, body string, lines ...string) answer {
	g.t.Helper()
	a, err := g.ask(from, raw(method, path, body, lines...))
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.StatusCode != status {
		g.t.Fatalf("%s %s = %s %q, want %d", method, path, a.Status, a.body, status)
	}
	return a
}

// wantsOneOf asks and checks that the status is one of these.
func (g *rig) wantsOneOf(from, method, path, body string, statuses ...int) int {
	g.t.Helper()
	a, err := g.ask(from, raw(method, path, body))
	if err != nil || !slices.Contains(statuses, a.StatusCode) {
		g.t.Fatalf("%s %s = %v, %v; want one of %v", method, path, a.Response, err, statuses)
	}
	return a.StatusCode
}

// settings is a ScanSettings document with these elements.
func settings(elements ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><scan:ScanSettings xmlns:scan="http://schemas.hp.com/imaging/escl/2011/05/03" ` +
		`xmlns:pwg="http://www.pwg.org/schemas/2010/12/sm"><pwg:Version>2.63</pwg:Version>` + strings.Join(elements, "") + `</scan:ScanSettings>`
}

func source(s string) string { return "<pwg:InputSource>" + s + "</pwg:InputSource>" }
func format(s string) string { return "<scan:DocumentFormatExt>" + s + "</scan:DocumentFormatExt>" }
func mode(s string) string   { return "<scan:ColorMode>" + s + "</scan:ColorMode>" }

// post makes a job and returns its path.
func (g *rig) post(from string, elements ...string) string {
	g.t.Helper()
	a := g.wants(http.StatusCreated, from, "POST", "/eSCL/ScanJobs", settings(elements...), "Content-Type: text/xml")
	location := a.Header.Get("Location")
	path, ok := strings.CutPrefix(location, "http://scanner.local:18630")
	if !ok || !strings.HasPrefix(path, "/eSCL/ScanJobs/") || strings.Count(path, "/") != 3 || len(a.body) != 0 {
		g.t.Fatalf("Location %q, body %q", location, a.body)
	}
	return path
}

func (g *rig) next(status int, from, job string) answer {
	g.t.Helper()
	return g.wants(status, from, "GET", job+"/NextDocument", "")
}

// job is the latest of the fake node.
func (g *rig) job() *fakeJob {
	g.t.Helper()
	synctest.Wait()
	g.node.mu.Lock()
	defer g.node.mu.Unlock()
	if len(g.node.jobs) == 0 {
		g.t.Fatal("no job was made")
	}
	return g.node.jobs[len(g.node.jobs)-1]
}

// runs says what the node does with jobs from now on.
func (g *rig) runs(f func(*fakeJob)) {
	g.node.mu.Lock()
	defer g.node.mu.Unlock()
	g.node.run = f
}

func (g *rig) set(change func(f *fakeNode)) {
	g.node.mu.Lock()
	defer g.node.mu.Unlock()
	change(g.node)
}

func (g *rig) called(call string) int {
	g.node.mu.Lock()
	defer g.node.mu.Unlock()
	return g.node.calls[call]
}

// element is the text of the first element with that name, "" where there is none.
func element(body []byte, name string) string {
	_, rest, _ := bytes.Cut(body, []byte(":"+name+">"))
	text, _, _ := bytes.Cut(rest, []byte("<"))
	return string(text)
}

// status is the state, that of the feeder, and that of the newest job.
func (g *rig) status(from string) (state, feeder, job string, body []byte) {
	g.t.Helper()
	time.Sleep(statusFresh) // what was known before does not count
	a := g.wants(http.StatusOK, from, "GET", "/eSCL/ScannerStatus", "")
	return element(a.body, "State"), element(a.body, "AdfState"), element(a.body, "JobState"), a.body
}

func (g *rig) wantsStatus(from string, state escl.State, feeder escl.FeederState, job escl.JobState) []byte {
	g.t.Helper()
	s, f, j, body := g.status(from)
	if s != string(state) || f != string(feeder) || j != string(job) {
		g.t.Errorf("ScannerStatus = %s, %s, job %s; want %s, %s, job %s", s, f, j, state, feeder, job)
	}
	return body
}
