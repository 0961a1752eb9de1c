package gateway

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestPassOffline(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.joined("Reception")
	cut := w.connect(n)
	cut()
	reg, _ := w.g.registry.get(n.nodeID())
	eventually(t, "the node is offline", func() bool { return !w.g.registry.online(reg) })
	w.clock.Advance(3 * time.Minute)
	p := w.refused(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil, problem.NodeOffline)
	if want := `"Reception" has not been connected for 3 minutes.`; p.Detail != want {
		t.Errorf("detail = %q, want %q", p.Detail, want)
	}
	if p.RetryAfter == 0 {
		t.Error("node-offline does not say when to try again")
	}
}

// A node that has only just gone is waited for.
func TestPassWaitsForNode(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.joined("n")
	cut := w.connect(n)
	cut()
	reg, _ := w.g.registry.get(n.nodeID())
	eventually(t, "the node is offline", func() bool { return !w.g.registry.online(reg) })
	got := make(chan int, 1)
	r := w.newRequest(token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil)
	go func() {
		answer, err := w.client.Do(r)
		if err != nil {
			got <- 0
			return
		}
		answer.Body.Close()
		got <- answer.StatusCode
	}()
	eventually(t, "the request waits", func() bool {
		w.g.registry.mu.RLock()
		defer w.g.registry.mu.RUnlock()
		return reg.changed != nil
	})
	w.connect(n)
	if status := <-got; status != http.StatusOK {
		t.Errorf("status %d, want 200 over the next link", status)
	}
}

// What can be asked again is asked again over the next link; what cannot says so.
func TestPassLinkBreaks(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.joined("n")
	job := n.addJobs(time.Now(), 1)[0]
	try := func(method, path, key string) (first *http.Response) {
		cut := w.connect(n)
		var calls atomic.Int32
		asked := make(chan struct{})
		hold := func(inner access.Handler) access.Handler {
			return func(w http.ResponseWriter, r *http.Request) error {
				if calls.Add(1) == 1 {
					close(asked)
					<-r.Context().Done()
					panic(http.ErrAbortHandler) // no answer
				}
				return inner(w, r)
			}
		}
		n.on(http.MethodGet, "/jobs/{job}", hold(n.getJob))
		n.on(http.MethodPost, "/jobs/{job}/cancel", hold(n.getJob))
		n.on(http.MethodPost, "/scanners/{scanner}/jobs", hold(n.createJob))
		var breaking sync.WaitGroup
		defer breaking.Wait()
		breaking.Go(func() {
			<-asked
			cut()
			w.connect(n)
		})
		var body any
		if key != "" {
			body = scan.JobRequest{}
		}
		r := w.newRequest(token, method, path, body)
		if key != "" {
			r.Header.Set(headerIdempotency, key)
		}
		return w.send(r)
	}
	if got := try(http.MethodGet, "/api/v1/jobs/"+job, ""); got.StatusCode != http.StatusOK {
		t.Errorf("GET over a link that broke: status %d, want 200 over the next", got.StatusCode)
	}
	if got := try(http.MethodPost, "/api/v1/scanners/"+n.scannerID()+"/jobs", "0123456789abcdef"); got.StatusCode != http.StatusCreated {
		t.Errorf("POST with an Idempotency-Key: status %d, want 201 over the next link", got.StatusCode)
	}
	got := try(http.MethodPost, "/api/v1/jobs/"+job+"/cancel", "")
	text, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(text, []byte("may have been carried out")) {
		t.Errorf("POST over a link that broke: status %d, %s, want node-offline that says what may have happened", got.StatusCode, text)
	}
}
