package pagestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// model is what a store must hold after any history of scans, edits, failing disks
// and crashes.
type model struct {
	t     *testing.T
	rng   *rand.Rand
	cfg   Config
	clock *clock
	s     *Store
	in    injector
	jobs  []*modelJob
}

type modelJob struct {
	id, document string
	ended        bool
	w            *PageWriter
	want         []byte // of the page under way
	digests      []string
}

func TestStoreKeepsItsPromises(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 1)), cfg: testConfig(t, t.TempDir()), clock: newClock()}
			m.cfg.Now = m.clock.now
			m.open()
			for range 120 {
				m.step()
			}
			m.reopen()
			if err := m.s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func (m *model) open() {
	m.t.Helper()
	s, r, err := open(m.t.Context(), m.cfg, migrations, m.in.fault)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(r.Lost) > 0 {
		m.t.Fatalf("lost %+v", r.Lost)
	}
	m.s = s
}

// reopen ends the process, one way or the other, and checks what is left.
func (m *model) reopen() {
	m.t.Helper()
	if m.rng.IntN(2) == 0 {
		crash(m.t, m.s)
	} else if err := m.s.Close(); err != nil {
		m.t.Fatal(err)
	}
	for _, j := range m.jobs {
		if j.w != nil {
			j.w.g.file.Close()
			j.w = nil
		}
	}
	m.open()
	m.check()
}

func (m *model) check() {
	m.t.Helper()
	var want []stored
	growing := 0
	for _, j := range m.jobs {
		if j.w != nil {
			growing++
		}
		for i, d := range j.digests {
			want = append(want, stored{j.id, i + 1, d})
		}
		job, _, err := m.s.Job(m.t.Context(), j.id)
		if err != nil || job.Pages != len(j.digests) || (job.Growing > 0) != (j.w != nil) {
			m.t.Fatalf("job = %+v, %v, want %d pages", job, err, len(j.digests))
		}
		doc, _, err := m.s.Document(m.t.Context(), j.document)
		if err != nil || len(doc.Pages) != len(j.digests) {
			m.t.Fatalf("document = %+v, %v, want %d pages", doc, err, len(j.digests))
		}
	}
	if growing == 0 {
		checkStored(m.t, m.s, want)
	}
}

func (m *model) step() {
	m.t.Helper()
	if len(m.jobs) == 0 || m.rng.IntN(25) == 0 {
		job := newJob(m.t, m.s)
		m.jobs = append(m.jobs, &modelJob{id: job.ID, document: job.Document})
		return
	}
	j := m.jobs[m.rng.IntN(len(m.jobs))]
	switch roll := m.rng.IntN(100); {
	case roll < 75 && !j.ended:
		m.advance(j)
	case roll < 80 && len(j.digests) > 1:
		m.shuffle(j)
	case roll < 85 && j.w == nil && !j.ended:
		setState(m.t, m.s, j.id, scan.JobCompleted)
		j.ended = true
	case roll < 88 && j.ended:
		if err := m.s.DeleteJob(m.t.Context(), j.id); err != nil {
			m.t.Fatal(err)
		}
		m.jobs = slices.DeleteFunc(m.jobs, func(o *modelJob) bool { return o == j })
	case roll < 92:
		m.clock.add(time.Duration(m.rng.IntN(60)) * time.Second)
		if swept := sweep(m.t, m.s); len(swept.Pages)+len(swept.Jobs) > 0 {
			m.t.Fatalf("Sweep took %+v too early", swept)
		}
	case roll < 96:
		m.reopen()
	default:
		m.check()
	}
}

// shuffle edits the job's document; no page leaves it.
func (m *model) shuffle(j *modelJob) {
	m.t.Helper()
	doc, _, err := m.s.Document(m.t.Context(), j.document)
	if err != nil {
		m.t.Fatal(err)
	}
	m.rng.Shuffle(len(doc.Pages), func(a, b int) { doc.Pages[a], doc.Pages[b] = doc.Pages[b], doc.Pages[a] })
	doc.Pages[0].Rotate = 90 * m.rng.IntN(4)
	if _, err := m.s.EditDocument(m.t.Context(), j.document, scan.DocumentEdit{Revision: &doc.Revision, Pages: &doc.Pages}); err != nil {
		m.t.Fatal(err)
	}
}

// advance moves the job's page on, on a disk that sometimes fails.
func (m *model) advance(j *modelJob) {
	m.t.Helper()
	fails := m.rng.IntN(4) == 0
	if fails {
		m.in.arm(m.rng.IntN(5), []error{syscall.EIO, syscall.ENOSPC}[m.rng.IntN(2)])
	}
	err := m.move(j)
	m.in.disarm()
	if err == nil {
		return
	}
	if !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
		m.t.Fatal(err)
	}
	j.w = nil
	if err := m.s.Room(m.t.Context(), 0); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) move(j *modelJob) (err error) {
	ctx := m.t.Context()
	if j.w == nil {
		j.want = nil
		j.w, err = m.s.BeginPage(ctx, start(j.id, scan.FormatJPEG))
		return err
	}
	switch m.rng.IntN(5) {
	case 0, 1:
		b := jpegBytes(1 + m.rng.IntN(20_000))
		j.want = append(j.want, b...)
		_, err = j.w.Write(b)
		return err
	case 2:
		j.w.Abort(errors.New("jam"))
		j.w = nil
		return nil
	}
	b := jpegBytes(100)
	j.want = append(j.want, b...)
	if _, err := j.w.Write(b); err != nil {
		return err
	}
	p, err := j.w.Commit(ctx, 0)
	if err != nil {
		return err
	}
	j.w = nil
	j.digests = append(j.digests, digestOf(j.want))
	if p.Digest != digestOf(j.want) || p.N != len(j.digests) {
		m.t.Fatalf("committed %+v, want page %d with digest %s", p, len(j.digests), digestOf(j.want))
	}
	return nil
}
