//go:build e2e

package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// A default install, started by a user without rights, opens exactly the ports that
// the operator guide names, and nothing more once it was used.
func TestDefaultPorts(t *testing.T) {
	const nobody = "65534"
	both := func(port string) []string { return []string{"tcp 127.0.0.1:" + port, "tcp [::1]:" + port} }
	setup := "PLATEN_NODE_ENABLEWEBSETUP=TRUE"
	scan := f("scan -q -r 75 --option pace=off -o page.jpg")
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		line string
		use  []string // a command
		want []string
	}{
		{"local", nil, nil, testenv.ReadyLine, scan, append(both("18622"), both("18623")...)},
		{"local with the setup page", []string{setup}, nil, testenv.ReadyLine, scan, slices.Concat(both("18622"), both("18623"), both("18625"))},
		{"LAN", nil, []string{"local", "--lan"}, testenv.PhoneLine, scan, append(announced("tcp *:18630", "tcp *:18631"), "tcp *:18622", "tcp *:18623")},
		{"LAN without eSCL", nil, []string{"local", "--lan", "--no-escl"}, testenv.PhoneLine, scan, announced("tcp *:18622", "tcp *:18623")},
		{"LAN with the setup page", []string{setup}, []string{"local", "--lan"}, testenv.PhoneLine, scan, append(announced(append(both("18625"), "tcp *:18630", "tcp *:18631")...), "tcp *:18622", "tcp *:18623", "tcp *:18626")},
		{"node", nil, []string{"node"}, testenv.ReadyLine, scan, announced(append(both("18622"), both("18623")...)...)},
		{"gateway", nil, []string{"gateway"}, testenv.BrowserLine, f("gateway nodes"), announced("tcp *:18602", "tcp *:18603", "udp *:18603")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab := testenv.NewLab(t)
			host, other := lab.Host("host"), lab.Host("other")
			lab.Network(host, other)
			data := t.TempDir()
			if err := os.Chown(data, 65534, 65534); err != nil {
				t.Fatal(err)
			}
			for dir := data; dir != os.TempDir(); dir = dir[:strings.LastIndexByte(dir, '/')] {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			bin := testenv.Command(nil, nil).Path
			cmd := host.Command(t.Context(), append([]string{"setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", bin, "--data", data + "/platen"}, tt.args...)...)
			cmd.Env = append(os.Environ(), append([]string{"PLATEN_NODE_DRIVERS=virtual", "HOME=" + data}, tt.env...)...)
			testenv.Start(t, "platen", cmd).Await(tt.line, testenv.StartTimeout)
			slices.Sort(tt.want)
			for _, use := range [][]string{nil, tt.use} {
				if use != nil {
					command := host.Command(t.Context(), append([]string{bin, "--data", data + "/platen"}, use...)...)
					command.Dir = t.TempDir()
					if out, err := command.CombinedOutput(); err != nil {
						t.Fatalf("platen %v: %v\n%s", use, err, out)
					}
				}
				got := listening(host)
				for deadline := time.Now().Add(5 * time.Second); !slices.Equal(got, tt.want) && time.Now().Before(deadline); { // what is announced comes last
					time.Sleep(100 * time.Millisecond)
					got = listening(host)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("open ports: %q, want %q", got, tt.want)
				}
			}
		})
	}
}

// announced are ports, and those of multicast DNS on a host with one network card.
func announced(ports ...string) []string {
	return append(ports, "udp 224.0.0.251:5353", "udp [ff02::fb]%eth0:5353")
}

// listening lists the open ports of a host.
func listening(h *testenv.Host) []string {
	var all []string
	for line := range strings.Lines(h.Run("ss", "-H", "-l", "-n", "-t", "-u")) {
		if f := strings.Fields(line); len(f) > 4 {
			all = append(all, f[0]+" "+f[4])
		}
	}
	slices.Sort(all)
	return all
}
