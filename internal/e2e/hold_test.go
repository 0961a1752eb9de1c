//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// At a scanner that holds its jobs nothing is scanned before the owner stands there:
// the code is typed at the kiosk beside it, and the pages go to the owner alone.
func TestHeldForOwner(t *testing.T) {
	o := testenv.NewPair(t, "PLATEN_NODE_DRIVERS=virtual")
	admin := adminOf(t, o.Gateway)
	owner, other := admin.signIn(api.PairingRequest{Role: api.RoleUser}), admin.signIn(api.PairingRequest{Role: api.RoleUser})
	operator, kiosk := admin.signIn(api.PairingRequest{Role: api.RoleOperator}), admin.signIn(api.PairingRequest{Role: api.RoleKiosk})
	scanner := "/scanners/" + scannerOf(t, o.Gateway)
	hold := map[string]bool{"hold": true}

	for _, c := range []*caller{owner, kiosk} {
		if got := c.refusal(http.MethodPatch, scanner, hold); got != problem.PermissionDenied {
			t.Errorf("somebody who may not configure the scanner holds its jobs: %q", got)
		}
	}
	if s := ask[scan.Scanner](operator, http.MethodPatch, scanner, hold); !s.Hold {
		t.Fatal("the scanner does not hold")
	}
	job := ask[scan.Job](owner, http.MethodPost, scanner+"/jobs", map[string]any{"settings": map[string]any{"source": "platen", "resolution": 75}})
	if job.State != scan.JobHeld || !slices.Contains(job.Reasons, scan.ReasonHeldForOwner) || len(job.ReleaseCode) != 6 {
		t.Fatalf("the new job is %s %v with the code %q", job.State, job.Reasons, job.ReleaseCode)
	}
	path := "/jobs/" + job.ID
	if seen := ask[scan.Job](operator, http.MethodGet, path, nil); seen.ReleaseCode != "" {
		t.Error("the operator was told the owner's code")
	}

	wrong := map[string]string{"code": fmt.Sprintf("%06d", (int(job.ReleaseCode[5]-'0')+1)%10)}
	code := map[string]string{"code": job.ReleaseCode}
	for _, tt := range []struct {
		name string
		by   *caller
		path string
		body any
		want problem.Code
	}{
		{"another user sees the job", other, path, nil, problem.NotFound},
		{"another user releases it", other, path + "/release", map[string]string{}, problem.NotFound},
		{"the owner releases it from afar", owner, path + "/release", map[string]string{}, problem.ReleaseWrong},
		{"the owner resumes it", owner, path + "/resume", nil, problem.HeldForOwner},
		{"a wrong code", kiosk, scanner + "/release", wrong, problem.ReleaseWrong},
	} {
		method := http.MethodPost
		if tt.path == path {
			method = http.MethodGet
		}
		if got := tt.by.refusal(method, tt.path, tt.body); got != tt.want {
			t.Errorf("%s: %q, want %s", tt.name, got, tt.want)
		}
	}
	if now := ask[scan.Job](owner, http.MethodGet, path, nil); now.State != scan.JobHeld || now.Pages != 0 {
		t.Fatalf("the job is %s with %d pages before its release", now.State, now.Pages)
	}
	ask[any](kiosk, http.MethodPost, scanner+"/release", code)
	testenv.Eventually(t, "the released job is completed", 30*time.Second, func() bool {
		return ask[scan.Job](owner, http.MethodGet, path, nil).State == scan.JobCompleted
	})
	if got := kiosk.refusal(http.MethodPost, scanner+"/release", code); got != problem.ReleaseWrong {
		t.Errorf("the code a second time: %q", got)
	}

	page := path + "/pages/1"
	if res, image := owner.send(http.MethodGet, page, nil); res.StatusCode != http.StatusOK || len(image) < 1000 {
		t.Errorf("the owner's page: %s, %d bytes", res.Status, len(image))
	}
	for name, c := range map[string]*caller{"another user": other, "the kiosk": kiosk} {
		for _, path := range []string{path, path + "/pages", page, path + "/events"} {
			if got := c.refusal(http.MethodGet, path, nil); got != problem.NotFound {
				t.Errorf("%s, %s: %q, want %s", name, path, got, problem.NotFound)
			}
		}
		if list := ask[api.JobList](c, http.MethodGet, "/jobs", nil); len(list.Items) > 0 {
			t.Errorf("%s lists %d jobs of somebody else", name, len(list.Items))
		}
	}
}
