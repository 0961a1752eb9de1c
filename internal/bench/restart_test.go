//go:build scale

package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// restarted is how a gateway's nodes came back, counted from its end.
type restarted struct {
	answers, first, half, most, all time.Duration
	gateway, nodes                  time.Duration // of processor time until all were back
	quic                            int           // nodes over QUIC before
	load                            string        // of the machine before
	job                             string
}

func (r restarted) String() string {
	return fmt.Sprintf("%s | %s | %s | %s | %s | %s + %s | %d | %s | %s", seconds(r.answers), seconds(r.first), seconds(r.half), seconds(r.most), seconds(r.all),
		seconds(r.gateway), seconds(r.nodes), r.quic, r.load, r.job)
}

// away is how long a killed gateway stays away.
const away = 500 * time.Millisecond

// restarts kills the gateway again and again, while a node of its own scans.
func (w *town) restarts(rounds int) (list []restarted) {
	w.t.Helper()
	w.StartNode(w.t, "PLATEN_NODE_HTTPPORT=0", "PLATEN_NODE_HTTPSPORT=0", "PLATEN_NODE_DRIVERS=virtual")
	w.nodes++
	for range rounds {
		w.await(w.nodes)
		list = append(list, w.restart())
		w.t.Log(list[len(list)-1])
		pause(w.t, 100*time.Second) // the next round begins with settled nodes: a silence keeps them off QUIC for a minute and a half
	}
	return list
}

func (w *town) restart() restarted {
	w.t.Helper()
	job := w.beginJob()
	c := callerOf(w.t, w.Gateway)
	r := restarted{quic: w.overQUIC(), load: load()}
	w.Gateway.Kill()
	killed, nodes := time.Now(), cpu(w.processes)
	pause(w.t, away)
	w.Gateway.Start()
	note := func(at *time.Duration, reached bool) {
		if *at == 0 && reached {
			*at = time.Since(killed)
		}
	}
	for tick := time.NewTicker(25 * time.Millisecond); r.all == 0; <-tick.C {
		there := w.online(w.t.Context(), c.base)
		note(&r.answers, there >= 0)
		note(&r.first, there >= 1)
		note(&r.half, there >= w.nodes/2)
		note(&r.most, there >= w.nodes*99/100)
		note(&r.all, there >= w.nodes)
		if time.Since(killed) > patience {
			w.t.Fatalf("%d of %d nodes are back after %v", there, w.nodes, patience)
		}
	}
	r.gateway, r.nodes = cpu(family(w.Gateway.PID())), cpu(w.processes)-nodes
	w.Gateway.Await(testenv.JoinLine, patience)
	r.job = w.endJob(job)
	return r
}

// sheets are in the feeder of the job that is under way; at half the resolution of the
// scanner's rated pace each takes 0.8 s.
const sheets = 12

var batch = scan.JobRequest{Settings: scan.Settings{Source: scan.SourceADF, Mode: scan.ModeGray, Resolution: 150,
	Options: map[string]string{"sheets": fmt.Sprint(sheets), "pace": "real"}}}

// beginJob has the real node scan, and returns the job once it has its first page.
func (w *town) beginJob() scan.Job {
	w.t.Helper()
	c := callerOf(w.t, w.Gateway)
	id, err := identity.Load(filepath.Join(w.Node.Data, "keys"))
	if err != nil {
		w.t.Fatal(err)
	}
	var scanner string
	testenv.Eventually(w.t, "the node's scanner", testenv.StartTimeout, func() bool {
		for s := range every[scan.Scanner](w.t, c, "/scanners") {
			if s.Node == id.NodeID() && s.Status.State == scan.ScannerIdle {
				scanner = s.ID
			}
		}
		return scanner != ""
	})
	var job scan.Job
	c.json(w.t, http.MethodPost, "/scanners/"+scanner+"/jobs", batch, &job)
	testenv.Eventually(w.t, "the job's first page", testenv.StartTimeout, func() bool {
		c.json(w.t, http.MethodGet, "/jobs/"+job.ID, nil, &job)
		return job.Pages > 0
	})
	return job
}

// endJob says how the job ended, and checks each of its pages through the gateway.
func (w *town) endJob(job scan.Job) string {
	w.t.Helper()
	c := callerOf(w.t, w.Gateway)
	testenv.Eventually(w.t, "the end of the job", time.Minute, func() bool {
		c.json(w.t, http.MethodGet, "/jobs/"+job.ID, nil, &job)
		return job.State.Terminal()
	})
	var list api.PageList
	c.json(w.t, http.MethodGet, "/jobs/"+job.ID+"/pages", nil, &list)
	whole := 0
	for _, page := range list.Items {
		res, err := c.do(http.MethodGet, fmt.Sprintf("/jobs/%s/pages/%d", job.ID, page.N), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		hash := sha256.New()
		_, err = io.Copy(hash, res.Body)
		res.Body.Close()
		if err == nil && hex.EncodeToString(hash.Sum(nil)) == page.Digest {
			whole++
		}
	}
	if job.State != scan.JobCompleted || whole != sheets {
		w.t.Errorf("the job that was under way is %s with %d of %d whole pages", job.State, whole, sheets)
	}
	return fmt.Sprintf("%s, %d of %d pages", job.State, whole, sheets)
}
