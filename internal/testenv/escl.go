package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Neighbours are a node that shares its scanners by eSCL, in local mode, and a computer
// on the same network that has nothing of Platen.
type Neighbours struct {
	NodeHost, Computer *Host
	Addr               string // the node's
	Node               *Service
}

// ESCLPort is the HTTP port of a node's first shared scanner; the next one's is two higher.
const ESCLPort = 18630

// NewNeighbours starts the node with extra environment.
func NewNeighbours(t testing.TB, env ...string) *Neighbours {
	t.Helper()
	lab := NewLab(t)
	n := &Neighbours{NodeHost: lab.Host("node"), Computer: lab.Host("computer")}
	n.Addr = lab.Network(n.NodeHost, n.Computer)[0]
	n.Node = &Service{t: t, Host: n.NodeHost, Data: t.TempDir()}
	n.Node.Run = func() *exec.Cmd {
		return Command(n.NodeHost, append([]string{"PLATEN_ESCL_ENABLE=TRUE"}, env...), "--data", n.Node.Data)
	}
	n.Node.Start()
	n.Node.Await(ReadyLine, StartTimeout)
	return n
}

// ESCL is the root of the scanner on a port, as soon as the computer reaches it.
func (n *Neighbours) ESCL(t testing.TB, port int) string {
	t.Helper()
	root := fmt.Sprintf("http://%s:%d/eSCL", n.Addr, port)
	Eventually(t, root+" answers", StartTimeout, func() bool {
		return n.Computer.Command(t.Context(), "curl", "-sf", "-m", "5", "-o", "/dev/null", root+"/ScannerCapabilities").Run() == nil
	})
	return root
}

// Scanimage prepares SANE's scanimage on the computer. conf is what one of the functions
// below returned.
func (n *Neighbours) Scanimage(ctx context.Context, conf string, args ...string) *exec.Cmd {
	cmd := n.Computer.Command(ctx, append([]string{"scanimage"}, args...)...)
	cmd.Env = append(os.Environ(), conf)
	return cmd
}

// AirscanConfig is a SANE configuration with sane-airscan alone, for the scanner at an
// eSCL root under a name; "" for those that it finds itself. It returns the environment
// variable that selects it.
func AirscanConfig(t testing.TB, name, root string) (env string) {
	t.Helper()
	conf := "[options]\nws-discovery = off\n"
	if root != "" {
		conf = fmt.Sprintf("[devices]\n%q = %s/, eSCL\n[options]\ndiscovery = disable\n", name, root)
	}
	return saneConfig(t, map[string]string{"dll.conf": "airscan\n", "airscan.conf": conf})
}

// ESCLConfig is a SANE configuration with SANE's own eSCL client, the back end escl,
// alone. A device of it is called "escl:" and the URL without the root.
func ESCLConfig(t testing.TB) (env string) {
	t.Helper()
	return saneConfig(t, map[string]string{"dll.conf": "escl\n", "escl.conf": ""})
}
