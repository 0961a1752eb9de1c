//go:build scale

package bench

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	sizes  = flag.String("nodes", "2000,5000,10000", "how many nodes, in growing order")
	rounds = flag.Int("rounds", 3, "restarts of the gateway, with the first number of nodes; 0: none")
	settle = flag.Duration("settle", 4*time.Minute, "how long nodes are idle before memory is read")
)

// What is to be reached.
const (
	mostPerNode = 112 << 10
	mostRestart = 5 * time.Second
)

func TestScale(t *testing.T) {
	r := &report{}
	w := newTown(t)
	empty := w.rest(*settle / 2)
	rows := []string{fmt.Sprintf("0 | | | %.1f | | %.2f |", mib(empty.memory), empty.cpu)}
	var restarts []restarted
	for i, text := range strings.Split(*sizes, ",") {
		count, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		w.grow(count)
		fresh := pss(family(w.Gateway.PID()))
		idle := w.rest(*settle)
		each := float64(idle.memory-empty.memory) / float64(count)
		stand := w.online(t.Context(), callerOf(t, w.Gateway).base)
		rows = append(rows, fmt.Sprintf("%d | %d | %d | %.1f (%.1f when the last had come) | %.1f KiB | %.1f | %.1f", count, stand, w.overQUIC(), mib(idle.memory), mib(fresh), each/1024, idle.cpu, idle.nodes))
		t.Log(rows[len(rows)-1])
		r.goal(fmt.Sprintf("memory of the gateway for each of %d idle nodes", count), fmt.Sprintf("≤ %d KiB", mostPerNode>>10), "%.0f KiB", each/1024)
		r.goal(fmt.Sprintf("%d nodes come, and stand after %v", count, *settle), "all", "%d", stand)
		if i == 0 && *rounds > 0 {
			restarts = w.restarts(*rounds)
		}
	}
	if len(restarts) > 0 {
		slowest := slices.MaxFunc(restarts, func(a, b restarted) int { return cmp.Compare(a.all, b.all) })
		r.goal("gateway killed and started 0.5 s later: all nodes are back", "≤ "+mostRestart.String(), "%s", seconds(slowest.all))
	}
	r.section("Idle nodes", fmt.Sprintf("Simulated nodes: the real keeper, QUIC link and handshake of each, an event stream with one scanner and a heartbeat of 64 bytes every "+
		"two seconds; %d behind one address and %d in a process, which has one processor (GOMAXPROCS=1) and collects its garbage late (GOGC=400): they share the processors of the gateway. "+
		"They join one after the other. The gateway is the built program. Memory is its PSS after %v; CPU is in percent of one core, over %v.", perOffice, perProcess, *settle, cpuOver))
	r.table("nodes | of these stand | over QUIC | MiB | a node | CPU % | CPU % of the nodes", rows...)
	if len(restarts) > 0 {
		r.section("The gateway is killed", "Killed (SIGKILL) and started 0.5 s later. Times are from the kill until the gateway counts that many nodes as online. Nodes and gateway share the "+
			"machine's cores. Meanwhile a real node scans from its feeder: the job was begun before the kill.")
		table := []string{}
		for _, back := range restarts {
			table = append(table, back.String())
		}
		r.table("gateway answers | first node | half | 99 % | all | CPU of gateway + nodes | over QUIC before | load before | job under way", table...)
	}
	r.write(t, fmt.Sprintf(`# Scale

Written by `+"`make scale`"+` on %s, %d cores, %s, load %s at the end. How many nodes one gateway carries, and how soon they are back.
`, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH, load()))
}

// cpuOver is how long processor time is measured.
const cpuOver = 30 * time.Second

// idle is what the gateway needs while nothing happens.
type idle struct {
	memory int64   // bytes
	cpu    float64 // percent of one core
	nodes  float64 // the same, of the simulated nodes
}

// rest waits until what was set up is forgotten, then measures.
func (w *town) rest(settle time.Duration) idle {
	w.t.Helper()
	pids := family(w.Gateway.PID())
	pause(w.t, settle-cpuOver)
	gateway, nodes := cpu(pids), cpu(w.processes)
	pause(w.t, cpuOver)
	percent := func(spent time.Duration) float64 { return 100 * spent.Seconds() / cpuOver.Seconds() }
	return idle{memory: pss(pids), cpu: percent(cpu(pids) - gateway), nodes: percent(cpu(w.processes) - nodes)}
}

// pause lets time pass: idleness is what is measured.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// load is the machine's load over the last minute: other work slows what is measured.
func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
