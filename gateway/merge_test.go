package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// walkJobs reads the list of jobs page by page.
func walkJobs(w *world, token string, limit int, filter string) (jobs []scan.Job, pages int) {
	w.t.Helper()
	for cursor := ""; ; pages++ {
		var list api.JobList
		w.do(token, http.MethodGet, fmt.Sprintf("/api/v1/jobs?limit=%d&cursor=%s%s", limit, cursor, filter), nil, http.StatusOK, &list)
		if len(list.Items) > limit {
			w.t.Fatalf("a page of %d has %d items", limit, len(list.Items))
		}
		if len(list.Items) == 0 && list.Next != "" {
			w.t.Fatal("an empty page says that there is more")
		}
		jobs = append(jobs, list.Items...)
		if cursor = list.Next; cursor == "" {
			return jobs, pages + 1
		}
		if len(cursor) > maxCursor {
			w.t.Fatalf("a cursor of %d characters", len(cursor))
		}
	}
}

func checkJobs(t *testing.T, what string, jobs []scan.Job, want []string) {
	t.Helper()
	var got []string
	for i, j := range jobs {
		got = append(got, j.ID)
		if i > 0 && j.Created.After(jobs[i-1].Created.Time) {
			t.Errorf("%s: job %d is newer than the one before", what, i)
		}
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d jobs, %d of them different, want each of %d once", what, len(got), len(slices.Compact(slices.Clone(got))), len(want))
	}
}

func TestListJobsMerged(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var want []string
	var nodes []*fakeNode
	for i, count := range []int{0, 1, 30, 7, 12} {
		n := w.newNode(fmt.Sprintf("node %d", i))
		// Some begin at the same minute, so that times are equal over nodes.
		want = append(want, n.addJobs(start.Add(time.Duration(i/2*5)*time.Minute), count)...)
		nodes = append(nodes, n)
	}
	for _, limit := range []int{1, 3, 7, 49, 50, 200} {
		jobs, pages := walkJobs(w, token, limit, "")
		checkJobs(t, fmt.Sprintf("limit %d", limit), jobs, want)
		if most := (len(want)+limit-1)/limit + 1; pages > most {
			t.Errorf("limit %d: %d pages for %d jobs, want at most %d", limit, pages, len(want), most)
		}
	}
	jobs, _ := walkJobs(w, token, 4, "&scanner="+nodes[3].scannerID())
	checkJobs(t, "of one scanner", jobs, want[31:38])
	w.refused(token, http.MethodGet, "/api/v1/jobs?scanner="+scan.NewID(newFakeNode(t, "x").nodeID(), scan.KindScanner), nil, problem.NotFound)
}

// Many jobs of the same millisecond on one node come each once, in the node's order.
func TestListJobsOfOneTime(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n, other := w.newNode("n"), w.newNode("other")
	at := scan.At(time.Now())
	var want []string
	for _, node := range []*fakeNode{n, other} {
		want = append(want, node.addJobs(time.Now(), 9)...)
		for i := range node.jobs {
			node.jobs[i].Created = at
		}
	}
	for _, limit := range []int{1, 2, 5} {
		jobs, _ := walkJobs(w, token, limit, "")
		checkJobs(t, fmt.Sprintf("limit %d", limit), jobs, want)
	}
}

// Jobs that come while the list is read are not in it, and push nothing out of it.
func TestListJobsWhileJobsCome(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n, other := w.newNode("n"), w.newNode("other")
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	want := append(n.addJobs(start, 10), other.addJobs(start, 10)...)
	var jobs []scan.Job
	for cursor, round := "", 0; round == 0 || cursor != ""; round++ {
		var list api.JobList
		w.do(token, http.MethodGet, "/api/v1/jobs?limit=3&cursor="+cursor, nil, http.StatusOK, &list)
		jobs, cursor = append(jobs, list.Items...), list.Next
		n.addJobs(start.Add(time.Hour*time.Duration(round+1)), 2)
	}
	checkJobs(t, "while jobs come", jobs, want)
}

// So many nodes that their cursors do not fit into one.
func TestListJobsOfManyNodes(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var want []string
	for i := range 90 {
		want = append(want, w.newNode("n").addJobs(start.Add(time.Duration(i)*time.Second), 4)...)
	}
	jobs, _ := walkJobs(w, token, 100, "")
	checkJobs(t, "90 nodes", jobs, want)
}

func TestListIncomplete(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	good, away, stalled, lying, broken := w.newNode("good"), newFakeNode(t, "away"), w.newNode("stalled"), w.newNode("lying"), w.newNode("broken")
	w.join(away)
	want := good.addJobs(time.Now(), 2)
	stalled.addJobs(time.Now(), 2)
	stalled.on(http.MethodGet, "/jobs", func(w http.ResponseWriter, r *http.Request) error {
		<-r.Context().Done()
		return nil
	})
	lying.mu.Lock()
	lying.jobs = slices.Clone(good.jobs)
	lying.mu.Unlock()
	broken.on(http.MethodGet, "/jobs", func(http.ResponseWriter, *http.Request) error { return problem.Unavailable.Error() })

	began := time.Now()
	var list api.JobList
	w.do(token, http.MethodGet, "/api/v1/jobs", nil, http.StatusOK, &list)
	if took := time.Since(began); took > listBudget+waitLimit/4 {
		t.Errorf("a stalled node held the list for %v, want about %v", took, listBudget)
	}
	checkJobs(t, "with absent nodes", list.Items, want)
	var names []string
	for _, a := range list.Incomplete {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"away", "broken", "lying", "stalled"}) {
		t.Errorf("incomplete = %v, want the four that did not answer well", names)
	}
}

func TestCursorTampering(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleAdmin)
	w.newNode("a").addJobs(time.Now(), 3)
	w.newNode("b").addJobs(time.Now(), 3)
	var jobs api.JobList
	w.do(token, http.MethodGet, "/api/v1/jobs?limit=2", nil, http.StatusOK, &jobs)
	var nodes api.NodeList
	w.do(token, http.MethodGet, "/api/v1/nodes?limit=1", nil, http.StatusOK, &nodes)
	if jobs.Next == "" || nodes.Next == "" {
		t.Fatal("the lists have no second page")
	}
	flip := func(s string, i int) string {
		b := []byte(s)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		return string(b)
	}
	for _, path := range []string{
		"/api/v1/jobs?limit=2&cursor=" + flip(jobs.Next, 0),
		"/api/v1/jobs?limit=2&cursor=" + flip(jobs.Next, len(jobs.Next)/2),
		"/api/v1/jobs?limit=2&cursor=" + jobs.Next + "AAAA",
		"/api/v1/jobs?limit=2&cursor=" + jobs.Next[:8],
		"/api/v1/jobs?limit=2&cursor=%00",
		"/api/v1/jobs?limit=2&cursor=" + url.QueryEscape(nodes.Next),
		"/api/v1/jobs?limit=2&state=completed&cursor=" + jobs.Next,
		"/api/v1/documents?limit=2&cursor=" + jobs.Next,
		"/api/v1/scanners?limit=2&cursor=" + nodes.Next,
		"/api/v1/nodes?limit=1&cursor=" + jobs.Next,
	} {
		if p := w.refused(token, http.MethodGet, path, nil, problem.BadRequest); p.Field != "cursor" {
			t.Errorf("GET %s: field %q, want cursor", path, p.Field)
		}
	}
	w.refused(token, http.MethodGet, "/api/v1/jobs?limit=0", nil, problem.BadRequest)
	w.refused(token, http.MethodGet, "/api/v1/jobs?limit=201", nil, problem.BadRequest)
}

// What does not fit is left out, and what is left still goes on at the right place.
func TestCursorStaysShort(t *testing.T) {
	n := newFakeNode(t, "n")
	g := newHolder(t, n)
	g.cursors = cursors{g.cfg.Identity}
	m := merge{g: g, kind: jobList, filter: url.Values{}}
	p := place{Time: 1, Shown: []string{scan.NewID(n.nodeID(), scan.KindJob)}, Nodes: map[string]string{}}
	for range 1000 {
		p.Nodes[scan.RandomText(16)] = scan.RandomText(60)
		p.Done = append(p.Done, scan.RandomText(16))
	}
	cursor, err := m.seal(p)
	if err != nil || len(cursor) > maxCursor {
		t.Fatalf("seal = %d characters, %v, want at most %d", len(cursor), err, maxCursor)
	}
	var back place
	if err := g.cursors.open(m.name(), cursor, &back); err != nil || back.Time != 1 || len(back.Shown) != 1 || len(back.Nodes) == 0 {
		t.Errorf("open = %+v, %v, want the place and some of the nodes", back, err)
	}
}

func TestListScanners(t *testing.T) {
	w := newWorld(t)
	admin, user := w.signIn(api.RoleAdmin), w.signIn(api.RoleUser)
	for range 3 {
		n := w.newNode("n")
		for i := range 2 {
			s := n.scanner(fmt.Sprintf("more %d", i))
			s.Status.Job = scan.NewID(n.nodeID(), scan.KindJob)
			s.Status.State = scan.ScannerProcessing
			n.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &s})
		}
	}
	eventually(t, "all scanners are known", func() bool {
		page, _, _ := w.g.registry.scannerPage("", 200)
		return len(page) == 9
	})
	var ids []string
	jobs := 0
	for cursor, first := "", true; first || cursor != ""; first = false {
		var list api.ScannerList
		w.do(admin, http.MethodGet, "/api/v1/scanners?limit=2&cursor="+cursor, nil, http.StatusOK, &list)
		for _, s := range list.Items {
			ids = append(ids, s.ID)
			if s.Status.Job != "" {
				jobs++
			}
		}
		cursor = list.Next
	}
	if len(ids) != 9 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 9 || jobs != 6 {
		t.Errorf("pages of 2 gave %d scanners, %d with a job, want each of 9 once and 6", len(ids), jobs)
	}
	var list api.ScannerList
	w.do(user, http.MethodGet, "/api/v1/scanners", nil, http.StatusOK, &list)
	for _, s := range list.Items {
		if s.Status.Job != "" {
			t.Error("a user sees which job holds a scanner")
		}
	}
}

func TestCreateDocument(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	a, b := w.newNode("a"), w.newNode("b")
	jobA, jobB := a.addJobs(time.Now(), 1)[0], b.addJobs(time.Now(), 1)[0]
	const path = "/api/v1/documents"

	var d scan.Document
	w.do(token, http.MethodPost, path, scan.DocumentRequest{Name: "x", Pages: []scan.DocumentPage{{Job: jobB, N: 1, Rotate: 90}}}, http.StatusCreated, &d)
	if d.Node != b.nodeID() || d.Name != "x" || len(d.Pages) != 1 || d.Pages[0].Rotate != 90 {
		t.Errorf("by its pages: %+v, want it on b as asked", d)
	}
	w.do(token, http.MethodPost, path, scan.DocumentRequest{Node: a.nodeID()}, http.StatusCreated, &d)
	if d.Node != a.nodeID() {
		t.Errorf("by the member node: it is on %s, want a", d.Node)
	}
	for _, test := range []struct {
		body scan.DocumentRequest
		code problem.Code
		at   string
	}{
		{scan.DocumentRequest{}, problem.NodeNeeded, "node"},
		{scan.DocumentRequest{Node: "nonsense"}, problem.BadID, "node"},
		{scan.DocumentRequest{Node: newFakeNode(t, "x").nodeID()}, problem.NotFound, "node"},
		{scan.DocumentRequest{Pages: []scan.DocumentPage{{Job: jobA, N: 1}, {Job: jobB, N: 1}}}, problem.PagesElsewhere, "pages.1.job"},
		{scan.DocumentRequest{Node: a.nodeID(), Pages: []scan.DocumentPage{{Job: jobB, N: 1}}}, problem.PagesElsewhere, "pages.0.job"},
		{scan.DocumentRequest{Pages: []scan.DocumentPage{{Job: "nonsense", N: 1}}}, problem.BadID, "pages.0.job"},
		{scan.DocumentRequest{Pages: []scan.DocumentPage{{Job: scan.NewID(newFakeNode(t, "x").nodeID(), scan.KindJob), N: 1}}}, problem.NotFound, "pages.0.job"},
	} {
		if p := w.refused(token, http.MethodPost, path, test.body, test.code); p.Field != test.at {
			t.Errorf("%+v: field %q, want %q", test.body, p.Field, test.at)
		}
	}
}
