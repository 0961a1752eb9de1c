package pagestore

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platen-scan/platen/proto/scan"
)

// cable is a disk whose power is cut before each file operation in turn. It knows
// what a file system may legally have forgotten by then: bytes since the last fsync
// of the file, names since the last fsync of the folder.
type cable struct {
	t       *testing.T
	dir     string
	rng     *rand.Rand
	last    fileOp
	renamed map[string]string // new name → old name, until the folder is synced
	created map[string]bool   // files and folders whose name may be forgotten
	durable map[string]int64  // size at the last fsync of the file
	cuts    []cut
	pages   []stored // committed so far
}

type cut struct {
	dir   string
	step  fileOp
	pages []stored
}

type stored struct {
	job    string
	n      int
	digest string
}

func (c *cable) fault(o op, name string) error {
	c.settle()
	c.last = fileOp{o, name}
	if _, err := os.Stat(filepath.Join(c.dir, spoolDir, name)); o == opMkdir && err == nil {
		c.last = fileOp{} // it is there and stays
	}
	for range 2 { // what was forgotten is a matter of luck
		c.cuts = append(c.cuts, cut{c.copy(), fileOp{o, name}, append([]stored(nil), c.pages...)})
	}
	return nil
}

// settle notes what the operation before this one has made durable or not.
func (c *cable) settle() {
	switch o, name := c.last.op, c.last.name; o {
	case opMkdir, opCreate:
		c.created[name] = true
	case opSync:
		if fi, err := os.Stat(filepath.Join(c.dir, spoolDir, name)); err == nil {
			c.durable[name] = fi.Size()
		}
	case opRename:
		for old := range c.durable {
			if strings.HasSuffix(old, partSuffix) && strings.HasPrefix(name, strings.TrimSuffix(old, partSuffix)) {
				c.renamed[name] = old
				c.durable[name] = c.durable[old]
			}
		}
	case opSyncDir:
		for n := range c.created {
			if path.Dir(n) == path.Clean(name) {
				delete(c.created, n)
			}
		}
		for n := range c.renamed {
			if path.Dir(n) == path.Clean(name) {
				delete(c.renamed, n)
			}
		}
	case opRemove:
		delete(c.durable, name)
		delete(c.created, name)
	}
}

// copy is the data folder as the disk might hold it now.
func (c *cable) copy() string {
	to := filepath.Join(c.t.TempDir(), "data")
	err := filepath.WalkDir(c.dir, func(from string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(from, c.dir)
		if d.IsDir() {
			if name := strings.TrimPrefix(rel, "/"+spoolDir+"/"); c.created[name] && c.rng.IntN(2) == 0 {
				return filepath.SkipDir
			}
			return os.MkdirAll(to+rel, 0o700)
		}
		if strings.HasSuffix(rel, "-shm") {
			return nil // never on disk
		}
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if name, ok := strings.CutPrefix(rel, "/"+spoolDir+"/"); ok {
			if c.created[name] && c.rng.IntN(2) == 0 {
				return nil
			}
			if keep := c.durable[name]; keep < int64(len(b)) {
				b = b[:keep+c.rng.Int64N(int64(len(b))-keep+1)]
				if c.rng.IntN(2) == 0 {
					clear(b[keep:])
				}
			}
			if old := c.renamed[name]; old != "" && c.rng.IntN(2) == 0 {
				rel = "/" + spoolDir + "/" + old
			}
		}
		return os.WriteFile(to+rel, b, 0o600)
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return to
}

func TestPowerCutBeforeEveryStep(t *testing.T) {
	dir := t.TempDir()
	c := &cable{
		t: t, dir: dir, rng: rand.New(rand.NewPCG(1, 2)),
		renamed: map[string]string{}, created: map[string]bool{}, durable: map[string]int64{},
	}
	armed := false
	s, _ := openTest(t, testConfig(t, dir), func(o op, name string) error {
		if !armed {
			return nil
		}
		return c.fault(o, name)
	})
	job := newJob(t, s)
	armed = true
	for range 2 {
		p, b := commitPage(t, s, job.ID, 3000)
		c.pages = append(c.pages, stored{job.ID, p.N, digestOf(b)})
	}
	w := begin(t, s, job.ID)
	if _, err := w.Write(jpegBytes(100)); err != nil {
		t.Fatal(err)
	}
	w.Abort(nil)
	armed = false
	if want := 2 * (7 + 6 + 4); len(c.cuts) != want { // first page, second, aborted
		t.Fatalf("%d cuts, want %d", len(c.cuts), want)
	}
	for i, cut := range c.cuts {
		t.Run(fmt.Sprintf("%d before %s", i, cut.step.op), func(t *testing.T) {
			s, r := openTest(t, testConfig(t, cut.dir), nil)
			if r.Clean || len(r.Lost) > 0 {
				t.Errorf("Recovery = %+v, want an unclean end and nothing lost", r)
			}
			checkStored(t, s, cut.pages)
			if len(r.Unfinished) != 1 || r.Unfinished[0].State != scan.JobStopped || r.Unfinished[0].Reasons[0] != scan.ReasonInterrupted {
				t.Errorf("unfinished jobs = %+v, want the one, interrupted", r.Unfinished)
			}
			if p, _ := commitPage(t, s, job.ID, 500); p.N != len(cut.pages)+1 {
				t.Errorf("the next page is %d, want %d", p.N, len(cut.pages)+1)
			}
		})
	}
}

// checkStored demands that a store has exactly these pages, whole, counted and
// without a file too many.
func checkStored(t testing.TB, s *Store, want []stored) {
	t.Helper()
	for _, p := range want {
		b, err := readPage(t, s, p.job, p.n)
		if err != nil || digestOf(b) != p.digest {
			t.Errorf("page %d of %s: %d bytes, %v, want digest %s", p.n, p.job, len(b), err, p.digest)
		}
	}
	if n := count(t, s, "SELECT count(*) FROM pages WHERE state IN ('committed', 'delivered')"); n != len(want) {
		t.Errorf("%d page rows, want %d", n, len(want))
	}
	if n := count(t, s, "SELECT count(*) FROM pages p WHERE NOT EXISTS (SELECT 1 FROM meter m WHERE m.job = p.job AND m.n = p.n AND m.digest = p.digest)"); n != 0 {
		t.Errorf("%d pages are not metered", n)
	}
	if files := spoolFiles(t, s.cfg.Dir); len(files) != len(want) {
		t.Errorf("files %v, want those of %d pages", files, len(want))
	}
}
