package node

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// TestMisdelivery has two people at one scanner that holds jobs, in random interleavings
// of create, release, cancel and fetch: nobody is ever told another's job or code, and
// each page is of the job that it is fetched from.
func TestMisdelivery(t *testing.T) {
	g, _, scanner := holding(t, pageOfItsJob)
	h := g.node.Handler(access.RoadLoopback)
	presence := presenceOf(g, scanner)
	kiosk := g.userOf(h, access.RoadLoopback, api.RoleKiosk)
	var people [2]*person
	for i := range people {
		people[i] = &person{
			t: t, ask: g.userOf(h, access.RoadLoopback, api.RoleUser), kiosk: kiosk, scanner: scanner, presence: presence,
			height: 100 * (i + 1), rng: rand.New(rand.NewPCG(uint64(i), 1)),
		}
	}
	people[0].other, people[1].other = people[1], people[0]
	for range interleavings {
		var both sync.WaitGroup
		for _, p := range people {
			both.Go(p.visit)
		}
		both.Wait()
		if t.Failed() {
			return
		}
	}
	for i, p := range people {
		t.Logf("person %d: %d jobs, %d pages, %d refusals of the other's", i, p.made, p.pages, p.refused)
		if p.pages < interleavings/4 || p.refused < interleavings {
			t.Errorf("person %d fetched %d pages and was refused %d times: the test tests too little", i, p.pages, p.refused)
		}
	}
}

// pageOfItsJob brings one page that says for which region, and so for which job.
func pageOfItsJob(b *fakeBatch) error {
	p, err := b.sink.PageStarted(fakePage)
	if err != nil {
		return err
	}
	if _, err := p.Write([]byte(pageText(*b.settings.Region))); err != nil {
		p.Abort(err)
		return err
	}
	return p.Commit(fakePage.Height)
}

func pageText(r scan.Region) string { return fmt.Sprintf("\xff\xd8\xff%v\xff\xd9", r) }

// person is one of the two. Only its own goroutine uses it, but for job.
type person struct {
	t          *testing.T
	ask, kiosk asker
	scanner    string
	presence   string
	height     int // of the regions of its jobs, in mm
	rng        *rand.Rand
	other      *person

	made, pages, refused int

	mu   sync.Mutex
	last string // ID of its last job
}

func (p *person) lastJob() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// visit makes a job and does what comes to mind until the job has ended.
func (p *person) visit() {
	p.made++
	body := fmt.Sprintf(`{"settings":{"source":"adf","resolution":75,"region":{"x":0,"y":0,"width":%v,"height":%d}}}`,
		50+float64(p.made%1000)/10, p.height)
	a := p.ask(http.MethodPost, "/api/v1/scanners/"+p.scanner+"/jobs", body)
	if a.Code != http.StatusCreated {
		p.t.Errorf("creating a job: status %d, %s", a.Code, a.Body)
		return
	}
	job := decode[scan.Job](p.t, a, http.StatusCreated)
	p.mu.Lock()
	p.last = job.ID
	p.mu.Unlock()
	for now := job; !now.State.Terminal() && !p.t.Failed(); {
		p.step(job, waitsForOwner(now))
		now = decode[scan.Job](p.t, p.ask(http.MethodGet, "/api/v1/jobs/"+job.ID, ""), http.StatusOK)
		if waitsForOwner(now) && now.ReleaseCode != job.ReleaseCode {
			p.t.Errorf("a job's code is %q, then %q", job.ReleaseCode, now.ReleaseCode)
		}
	}
	p.fetch(job)
}

// step does one thing.
func (p *person) step(job scan.Job, held bool) {
	own := "/api/v1/jobs/" + job.ID
	switch p.rng.IntN(8) {
	case 0, 1:
		p.ask(http.MethodPost, own+"/release", `{"presence":"`+p.presence+`"}`)
	case 2, 3:
		if held { // a code that is no job's any more counts as wrong
			p.kiosk(http.MethodPost, "/api/v1/scanners/"+p.scanner+"/release", codeBody(job.ReleaseCode, true))
		}
	case 4:
		if p.rng.IntN(4) == 0 {
			p.ask(http.MethodPost, own+"/cancel", "")
		}
	case 5:
		p.intrude()
	case 6:
		p.list()
	default:
		p.fetch(job)
	}
}

// fetch reads what the job has: nothing, or its own page.
func (p *person) fetch(job scan.Job) {
	a := p.ask(http.MethodGet, "/api/v1/jobs/"+job.ID+"/pages/1", "")
	switch got, want := a.Body.String(), pageText(*job.Settings.Region); {
	case a.Code == http.StatusOK && got == want:
		p.pages++
	case a.Code != http.StatusOK && !strings.Contains(got, "\xff\xd8\xff"): // there is none yet, or it failed
	default:
		p.t.Errorf("page: status %d, %q, want %q", a.Code, got, want)
	}
}

// intrude asks for what is the other's.
func (p *person) intrude() {
	id := p.other.lastJob()
	if id == "" {
		return
	}
	path := "/api/v1/jobs/" + id
	for _, a := range []answer{
		p.ask(http.MethodGet, path, ""), p.ask(http.MethodGet, path+"/pages/1", ""), p.ask(http.MethodGet, path+"/pages", ""),
		p.ask(http.MethodPost, path+"/release", `{"presence":"`+p.presence+`"}`), p.ask(http.MethodPost, path+"/cancel", ""),
	} {
		if a.Code != http.StatusNotFound {
			p.t.Errorf("the other's job: status %d, %q", a.Code, a.Body)
		}
		p.refused++
	}
}

// list reads the newest jobs: all are its own.
func (p *person) list() {
	a := p.ask(http.MethodGet, "/api/v1/jobs?limit=5", "")
	for _, j := range decode[api.JobList](p.t, a, http.StatusOK).Items {
		if j.Settings.Region == nil || j.Settings.Region.Height != float64(p.height) {
			p.t.Errorf("the list has job %+v, which is the other's", j)
		}
	}
	s := decode[scan.Scanner](p.t, p.ask(http.MethodGet, "/api/v1/scanners/"+p.scanner, ""), http.StatusOK)
	if id := p.other.lastJob(); id != "" && s.Status.Job == id {
		p.t.Errorf("the scanner names the other's job")
	}
}
