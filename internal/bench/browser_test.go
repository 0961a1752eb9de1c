//go:build bench

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
)

// tab is a page of Platen in Chromium on the phone; see web/e2e/page.mjs.
type tab struct {
	*testenv.Process
	to io.Writer
	n  int
}

func openTab(l link) *tab {
	l.t.Helper()
	out, err := l.Gateway.CLI("pair", "--json", "--role", "admin")
	if err != nil {
		l.t.Fatal(err)
	}
	var p api.Pairing
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		l.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { w.Close() })
	defer r.Close()
	cmd := l.PhoneHost.Command(l.t.Context(), "node", filepath.Join(testenv.Root(), "web", "e2e", "page.mjs"),
		"--url", p.Url, "--flags=--ignore-certificate-errors")
	cmd.Env = append(os.Environ(), "HOME="+l.t.TempDir())
	cmd.Stdin, cmd.WaitDelay = r, time.Second
	b := &tab{Process: testenv.Start(l.t, "page.mjs", cmd), to: w}
	b.Await(`^page is ready`, 2*time.Minute)
	return b
}

// run runs JavaScript in the page: the body of an async function.
func (b *tab) run(code string, v any) error {
	b.n++
	line, err := json.Marshal(map[string]any{"id": b.n, "code": code})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(b.to, "%s\n", line); err != nil {
		return err
	}
	m := b.Await(fmt.Sprintf(`^(result|failed) %d (.*)$`, b.n), 2*time.Minute)
	if m[1] == "failed" {
		return fmt.Errorf("in the page: %s", m[2])
	}
	return json.Unmarshal([]byte(m[2]), v)
}

// client makes a client of the SDK in the page whose pages come by one road.
func (b *tab) client(t *testing.T, job, road string) {
	t.Helper()
	options := fmt.Sprintf("{ kinds: [%q], times: { relay: -1, idle: 600_000 } }", road) // else the SDK goes where pages come faster
	if road == "relay" {
		options = "false"
	}
	var got string
	err := b.run(fmt.Sprintf(`
		const platen = new Platen.PlatenClient({ roads: %s });
		(globalThis.clients ??= {}).%s = platen;
		const job = await platen.job(%q);
		const end = Date.now() + 20_000;
		platen.roads?.prepare(job.node);
		for (;;) {
			const road = platen.roads?.state(job.node).road ?? 'relay';
			if (road === %q || Date.now() > end) return road;
			await new Promise((r) => setTimeout(r, 50));
		}`, options, road, job, road), &got)
	if err != nil || got != road {
		t.Fatalf("pages come by %q, %v; want %s", got, err, road)
	}
}

// page fetches the page by the client of a road.
func (b *tab) page(job, road string) func() error {
	return func() error {
		var got struct {
			Bytes int64
			Road  string
		}
		err := b.run(fmt.Sprintf(`
			const platen = clients.%s;
			const page = await platen.downloadPage(%q, 1);
			return { bytes: page.bytes.length, road: platen.roads?.state((await platen.job(%q)).node).road ?? 'relay' };`, road, job, job), &got)
		if err == nil && (got.Bytes != pageBytes || got.Road != road) {
			err = fmt.Errorf("%d bytes by %s", got.Bytes, got.Road)
		}
		return err
	}
}

// inBrowser compares the roads by which Chromium has its pages.
func inBrowser(t *testing.T, r *report) {
	l := newLink(t, both, "")
	b := openTab(l)
	sides := []side{{"fetch() through the gateway", func() error {
		var n int64
		err := b.run(fmt.Sprintf(`return (await (await fetch(%q, { cache: 'no-store' })).arrayBuffer()).byteLength`, l.path(1)), &n)
		if err == nil && n != pageBytes {
			err = fmt.Errorf("%d bytes", n)
		}
		return err
	}}}
	roads := []string{"relay", "webtransport", "webrtc"}
	for _, road := range roads {
		b.client(t, l.job, road)
		sides = append(sides, side{"SDK by " + road, func() error { return b.page(l.job, road)() }})
	}
	rows := []string{}
	rtt := roundTrip(t, l.PhoneHost, l.NodeAddr+":18622")
	list := interleave(t, 9, sides...)
	for i, s := range list {
		if i > 1 {
			b.client(t, l.job, roads[i-1]) // a road that is not used for a while is closed
		}
		g, n := l.cpuPerGB(sides[i].run)
		rows = append(rows, fmt.Sprintf("good | %s | %s | %s | %s | %.2f | %.1f + %.1f", rtt, s.name, s, megabytes(s), list[0].over(s), g, n))
	}
	wire := l.PhoneHost.Wire("eth0", testenv.Weather{})
	b.Kill() // it drops its connections when its card is another one
	b = openTab(l)
	wire.Set(bad(0.01))
	rtt = roundTrip(t, l.PhoneHost, l.NodeAddr+":18622")
	list = nil
	for i, s := range sides { // one after the other: a road that is not used for a while is closed
		if i > 0 {
			b.client(t, l.job, roads[i-1])
		}
		list = append(list, interleave(t, 1, s)...)
	}
	for _, s := range list {
		rows = append(rows, fmt.Sprintf("10 ms, 1 %% loss | %s | %s | %s | %.1f | %.2f | ", rtt, s.name, s, pageBytes/1e6/s.median().Seconds(), list[0].over(s)))
	}
	r.section("In a browser", "The same page as a JavaScript array in Chromium on the phone: by fetch(), and by the SDK, which checks the digest, through the gateway and by each direct road. "+
		"The SDK is held to its road here; by itself it goes back to the gateway where pages come faster that way. It is the phone's cable that is bad, with one page by each road. CPU is that of gateway + node.")
	r.table("network | round trip | road | time | MB/s | of fetch() | CPU s/GB", rows...)
}
