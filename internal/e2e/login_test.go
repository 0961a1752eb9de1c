//go:build e2e

package e2e

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
)

// The command line of another computer is signed in at the gateway by a person who
// types its code in a browser, and refused by one who does not want it.
func TestCommandLineLogin(t *testing.T) {
	o := testenv.NewPair(t, "PLATEN_NODE_DRIVERS=virtual")
	ca, err := identity.LoadCA(filepath.Join(o.Gateway.Data, "keys"), "")
	if err != nil {
		t.Fatal(err)
	}
	login := func(data string) (p *testenv.Process, code string) {
		p = testenv.Start(t, "platen login", testenv.Command(nil, nil, "--data", data, "login", o.Gateway.URL, "--ca", identity.Fingerprint(ca.Certificate())))
		found := p.Await(`^Open (\S+) .* code ([2-9A-Z]{4}) ([2-9A-Z]{4})$`, testenv.StartTimeout)
		if found[1] != o.Gateway.URL+"/device" {
			t.Errorf("the command sends people to %s, want %s/device", found[1], o.Gateway.URL)
		}
		return p, found[2] + found[3]
	}
	user, other := t.TempDir(), t.TempDir()
	allowed, yes := login(user)
	refused, no := login(other)

	p := newPhone(t, nil, certificateIn(t, filepath.Join(o.Gateway.Data, "keys", "ca.pem")))
	got := result[struct {
		Asked  []string `json:"asked"` // what the page said of each program
		Faults []string `json:"faults"`
	}](t, p.start("device.mjs", "--url", o.PhoneLink, "--allow", yes, "--refuse", no), 2*time.Minute)
	host, _ := os.Hostname()
	for _, asked := range got.Asked {
		if !strings.Contains(asked, "platen on "+host) {
			t.Errorf("the page says %q of the program, want its name", asked)
		}
	}
	if len(got.Asked) != 2 || len(got.Faults) > 0 {
		t.Errorf("the browser: %+v", got)
	}

	if err := allowed.Wait(20 * time.Second); err != nil {
		t.Errorf("platen login, allowed: %v", err)
	}
	at := []string{"--gateway", o.Gateway.URL}
	if devices, err := (&testenv.Service{Data: user}).CLI(append([]string{"devices"}, at...)...); err != nil || !strings.Contains(devices, "Platen virtual scanner") {
		t.Errorf("platen devices: %v\n%s", err, devices)
	}

	var exit *exec.ExitError
	if err := refused.Wait(20 * time.Second); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("platen login, refused: %v, want exit status 1", err)
	}
	if said := strings.Join(refused.Output(), "\n"); !strings.Contains(said, "device-grant-denied") {
		t.Errorf("platen login, refused, says:\n%s", said)
	}
	if _, err := (&testenv.Service{Data: other}).CLI(append([]string{"devices"}, at...)...); err == nil || !strings.Contains(err.Error(), "not signed in") {
		t.Errorf("platen devices without a sign-in: %v", err)
	}
	sessions := ask[api.SessionList](adminOf(t, o.Gateway), http.MethodGet, "/sessions", nil).Items
	if i := indexKind(sessions, api.SessionKindDevice); len(sessions) != 2 || i < 0 || sessions[i].Device != "platen on "+host {
		t.Errorf("sessions: %+v, want the browser's and the command's", sessions)
	}
}

func indexKind(list []api.Session, kind api.SessionKind) int {
	for i, s := range list {
		if s.Kind == kind {
			return i
		}
	}
	return -1
}
