package reporting

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// A node that scans under a licence and reports, and a server that counts, each a process
// of its own with a folder of its own, are killed at random moments. A run goes on in the folder
// of one before:
//
//	go test ./node/reporting -run TestKilledEnds -timeout 3h -crash.pages 100000 -crash.dir /var/tmp/crash
var (
	crashPages = flag.Int("crash.pages", 300, "committed pages at which TestKilledEnds ends")
	crashDir   = flag.String("crash.dir", "", "folder in which it goes on; empty: a new one")
)

const (
	crashRoleEnv = "REPORTING_CRASH_ROLE"
	crashDirEnv  = "REPORTING_CRASH_DIR"
	crashItem    = "licence-of-the-test"
)

func crashChild(role string) int {
	var err error
	if dir := os.Getenv(crashDirEnv); role == "node" {
		err = crashNode(dir)
	} else {
		err = crashServer(dir)
	}
	fmt.Println("failed", err)
	return 1
}

func socket(dir string) string { return filepath.Join(dir, "server.sock") }

// openEnd opens what an end of the test keeps below dir.
func openEnd(dir, name string) (*identity.Identity, *pagestore.Store, error) {
	id, err := identity.Load(filepath.Join(dir, name))
	if err != nil {
		return nil, nil, err
	}
	store, found, err := pagestore.Open(context.Background(), pagestore.Config{Dir: filepath.Join(dir, name), NodeID: id.NodeID(), Reserve: 1 << 20})
	if err == nil && len(found.Lost) > 0 {
		err = fmt.Errorf("lost pages: %+v", found.Lost)
	}
	return id, store, err
}

// crashServer counts until it is killed.
func crashServer(dir string) error {
	id, store, err := openEnd(dir, "server")
	if err != nil {
		return err
	}
	book, err := ledger.Open(context.Background(), ledger.Config{Records: store.Records(), Server: id})
	if err != nil {
		return err
	}
	os.Remove(socket(dir))
	l, err := net.Listen("unix", socket(dir))
	if err != nil {
		return err
	}
	fmt.Println("up")
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch api.ReceiptBatch
		mark, err := api.ReceiptMark{}, json.NewDecoder(r.Body).Decode(&batch)
		if err == nil {
			mark, err = book.Report(r.Context(), license.Place{}, r.URL.Query().Get("pin"), batch)
		}
		if err != nil {
			problem.Write(w, err)
			return
		}
		json.NewEncoder(w).Encode(mark)
	}))
}

// overSocket is the way to crashServer.
type overSocket struct {
	pin    string
	client *http.Client
}

func newOverSocket(dir, pin string) *overSocket {
	return &overSocket{pin, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket(dir))
		},
	}}}
}

func (o *overSocket) Pin() string { return o.pin }

func (o *overSocket) Lease(context.Context, license.Place, api.LeaseRequest) (api.LeaseAnswer, error) {
	return api.LeaseAnswer{}, problem.TrackingOffline.Error()
}

func (o *overSocket) Report(ctx context.Context, _ license.Place, pin string, batch api.ReceiptBatch) (m api.ReceiptMark, err error) {
	b, err := json.Marshal(batch)
	if err != nil {
		return m, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://server/?pin="+pin, bytes.NewReader(b))
	if err != nil {
		return m, err
	}
	answer, err := o.client.Do(r)
	if err != nil {
		return m, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		var p problem.Error
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil {
			return m, err
		}
		return m, &p
	}
	return m, json.NewDecoder(answer.Body).Decode(&m)
}

// crashNode scans and reports until it is killed. It says how many pages it has, and what
// must not happen.
func crashNode(dir string) error {
	ctx := context.Background()
	id, store, err := openEnd(dir, "node")
	if err != nil {
		return err
	}
	server, err := identity.Load(filepath.Join(dir, "server"))
	if err != nil {
		return err
	}
	way := unruly(newOverSocket(dir, server.Pin()), rand.New(rand.NewPCG(rand.Uint64(), 1)))
	r := New(Config{Identity: id, Store: store, Tracking: way, Place: func() license.Place { return license.Place{Node: id.NodeID()} }})
	go func() {
		for {
			var p *problem.Error
			if err := r.Report(ctx); errors.As(err, &p) { // not that nobody was there
				fmt.Println("failed", err)
			}
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // between two ends that die all the time
		}
	}()
	fmt.Println("up")
	for err == nil {
		var head license.Head
		if head, _, err = store.MeterHead(ctx); err != nil {
			break
		}
		fmt.Println("pages", head.Seq) // also those of lives too short for a job
		err = crashJob(ctx, store, id.NodeID())
	}
	return err
}

// crashJob scans until its licence has no other page. Blocks come again now and then.
func crashJob(ctx context.Context, store *pagestore.Store, nodeID string) error {
	job, err := makeJob(ctx, store, nodeID, func(n *pagestore.NewJob) {
		n.License = &pagestore.License{Item: crashItem, Project: "TEST-CRASH", Origin: "https://shop.example", Client: "c", Paged: true}
		n.Blocks = []pagestore.Block{{ID: fmt.Sprint("block-", rand.IntN(1_000_000)), Item: crashItem, Pages: crashBlock, Over: crashOver, Until: time.Now().Add(24 * time.Hour)}}
	})
	if errors.Is(err, problem.LicensePages.Error()) {
		return nil // the block was used up before
	}
	for left := int64(1); err == nil && left > 0; {
		left, err = commitPage(ctx, store, job)
	}
	return err
}

const (
	crashBlock = 20
	crashOver  = 2
)

// end is a process that is killed and started again.
type end struct {
	t         *testing.T
	dir, role string

	cmd  *exec.Cmd
	read sync.WaitGroup
	up   chan struct{}

	mu    sync.Mutex
	pages int64
	wrong []string
}

func (e *end) start() {
	e.t.Helper()
	e.cmd = exec.Command(os.Args[0], "-test.run=^$")
	e.cmd.Env = append(os.Environ(), crashRoleEnv+"="+e.role, crashDirEnv+"="+e.dir)
	out, err := e.cmd.StdoutPipe()
	need(e.t, err)
	e.cmd.Stderr = os.Stderr
	need(e.t, e.cmd.Start())
	up := make(chan struct{})
	e.up = up
	e.read.Go(func() { e.listen(out, up) })
}

func (e *end) listen(out io.Reader, up chan struct{}) {
	isUp := sync.OnceFunc(func() { close(up) })
	defer isUp()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		e.mu.Lock()
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "up":
			isUp()
		case "pages":
			fmt.Sscan(rest, &e.pages)
		default:
			e.wrong = append(e.wrong, e.role+": "+lines.Text())
		}
		e.mu.Unlock()
	}
}

func (e *end) kill() {
	e.cmd.Process.Kill()
	e.read.Wait()
	_ = e.cmd.Wait() // it was killed
}

func (e *end) said() (pages int64, wrong []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pages, e.wrong
}

func TestKilledEnds(t *testing.T) {
	dir := cmp.Or(*crashDir, t.TempDir())
	for _, name := range []string{"node", "server"} { // their keys are there before either looks for the other's
		_, err := identity.Load(filepath.Join(dir, name))
		need(t, err)
	}
	node, server := &end{t: t, dir: dir, role: "node"}, &end{t: t, dir: dir, role: "server"}
	node.start()
	server.start()
	kills, life, last, began := 0, crashEvery(), int64(0), time.Now()
	for {
		pages, wrong := node.said()
		_, more := server.said()
		if wrong = append(wrong, more...); len(wrong) > 0 {
			t.Errorf("after %d kills: %q", kills, wrong)
			break
		}
		if pages >= int64(*crashPages) {
			break
		}
		victim := node
		if rand.IntN(2) == 0 {
			victim = server
		}
		<-victim.up
		if life *= 2; pages > last { // a slow machine needs longer for a page
			life, last = crashEvery(), pages
		}
		<-time.After(rand.N(life)) // anywhere in what it does
		victim.kill()
		victim.start()
		kills++
	}
	node.kill()
	server.kill()
	checkEnds(t, dir, kills, time.Since(began))
}

// crashEvery is how long an end lives at most: in a long run long enough to get on.
func crashEvery() time.Duration {
	if *crashPages > 10_000 {
		return 15 * time.Second
	}
	return 150 * time.Millisecond
}

// checkEnds reports the rest, then compares pages, meter and ledger.
func checkEnds(t *testing.T, dir string, kills int, took time.Duration) {
	t.Helper()
	ctx := context.Background()
	id, store, err := openEnd(dir, "node")
	need(t, err)
	defer store.Close()
	serverID, serverStore, err := openEnd(dir, "server")
	need(t, err)
	defer serverStore.Close()
	book, err := ledger.Open(ctx, ledger.Config{Records: serverStore.Records(), Server: serverID})
	need(t, err)
	n := &node{t: t, id: id, store: store}
	need(t, n.reporter(&server{book, serverID}, nil).Report(ctx))
	n.counted(book)

	pages := committed(t, store)
	blocks, rows := map[string]int{}, 0
	need(t, book.Scan(ctx, 0, id.NodeID(), func(e api.LedgerEntry) error {
		rows++
		blocks[e.Receipt.Block]++
		return nil
	}))
	head, _, err := store.MeterHead(ctx)
	need(t, err)
	if pages != rows || head.Seq != int64(rows) || book.Pages() != int64(rows) {
		t.Errorf("%d pages, %d rows of the meter, %d in the ledger of %d: want them equal", pages, head.Seq, rows, book.Pages())
	}
	for b, used := range blocks {
		if used > crashBlock+crashOver || b == "" {
			t.Errorf("%d pages were taken of block %q, want at most %d", used, b, crashBlock+crashOver)
		}
	}
	if rows < *crashPages {
		t.Errorf("%d pages, want %d", rows, *crashPages)
	}
	t.Logf("%d pages in %d blocks, %d kills, %s: difference 0", rows, len(blocks), kills, took.Round(time.Second))
}

// committed counts the pages of all jobs.
func committed(t *testing.T, store *pagestore.Store) (pages int) {
	t.Helper()
	for cursor := ""; ; {
		jobs, next, err := store.Jobs(context.Background(), pagestore.JobFilter{}, cursor, 0)
		need(t, err)
		for _, j := range jobs {
			pages += j.Pages
		}
		if cursor = next; next == "" {
			return pages
		}
	}
}
