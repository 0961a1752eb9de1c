//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// scanned is a job that the page has made, and what the page knows of it.
type scanned struct {
	ID, Scanner, State, Encryption, Recipient string
	Openable                                  bool
}

// scanInPage makes a job of one page in the page and waits for its end. The client's pages come by
// the gateway.
func (r *room) scanInPage(resolution int) scanned {
	r.t.Helper()
	var got scanned
	r.run(fmt.Sprintf(`
		globalThis.platen = new Platen.PlatenClient();
		const { items: [scanner] } = await platen.scanners();
		const { id } = await platen.createJob(scanner.id, { settings: { source: 'platen', mode: 'color', resolution: %d, format: 'png' } });
		for (;;) {
			globalThis.job = await platen.job(id);
			if (['completed', 'aborted', 'canceled'].includes(job.state)) break;
			await new Promise((r) => setTimeout(r, 100));
		}
		return { id, scanner: scanner.id, state: job.state, encryption: scanner.encryption ?? '', recipient: job.recipient ?? '', openable: await platen.openable(job) };`,
		resolution), &got)
	if got.State != string(scan.JobCompleted) {
		r.t.Fatalf("the job ended as %s", got.State)
	}
	return got
}

// storedPage is the first page of a job as the node keeps it, found by its digest.
func storedPage(t testing.TB, node *testenv.Service, job string) (text []byte, digest string) {
	t.Helper()
	out, err := node.CLI("jobs", "pages", job, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var pages []scan.Page
	if err := json.Unmarshal([]byte(out), &pages); err != nil || len(pages) == 0 {
		t.Fatalf("pages of %s: %v\n%s", job, err, out)
	}
	err = filepath.WalkDir(node.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || text != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() != pages[0].Bytes {
			return err
		}
		b, err := os.ReadFile(path)
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) == pages[0].Digest {
			text = b
		}
		return err
	})
	if err != nil || text == nil {
		t.Fatalf("no file below %s has the digest %s: %v", node.Data, pages[0].Digest, err)
	}
	return text, pages[0].Digest
}

// TestGatewayMemory: a page that is sealed is nowhere in its gateway, neither while it passes
// nor afterwards. One that is not is found there by the same search.
func TestGatewayMemory(t *testing.T) {
	for _, policy := range []scan.Encryption{"off", scan.EncryptionRequired} {
		t.Run(string(policy), func(t *testing.T) {
			r := newRoom(t, testenv.NewRoom(t), "PLATEN_NODE_ENCRYPTION="+string(policy))
			drop(r.NodeHost, portWebTransport)
			drop(r.NodeHost, portWebRTC)
			made := r.scanInPage(600)
			sealed := policy == scan.EncryptionRequired
			if (made.Recipient != "") != sealed || (made.Encryption != "") != sealed || !made.Openable {
				t.Fatalf("under %s the page has made %+v", policy, made)
			}
			text, digest := storedPage(t, r.Node, made.ID)
			r.job, r.digest, r.bytes = made.ID, digest, int64(len(text))
			secret := newWindows(t, text, 1000)
			r.client("true")
			r.openRoad("relay")
			r.wire.Set(testenv.Weather{Rate: float64(r.bytes) * 8 / 1e6 / 15}) // 15 seconds or so
			reached, result := r.fetch(r.bytes / 20)
			reached()
			found, looks, each := watchMemory(t, secret, r.Gateway.PID(), func() {
				var got fetched
				err := result(2*time.Minute, &got)
				r.whole(got, err, "by way of the gateway")
				if got.Road != "relay" {
					t.Errorf("the page came by %s", got.Road)
				}
			})
			if total, err := secret.inMemory(r.Gateway.PID(), found); err != nil || total < 10<<20 {
				t.Fatalf("%d bytes of the gateway's memory: %v", total, err)
			}
			t.Logf("%d looks at %d MB while the page passed; %d of %d windows are in the gateway's memory", looks, each>>20, len(found), secret.count)
			if looks < 3 {
				t.Errorf("%d looks while the page passed", looks)
			}
			if sealed && len(found) > 0 || !sealed && len(found) == 0 {
				t.Errorf("under %s, %d windows are in the gateway's memory", policy, len(found))
			}
			clear(found)
			if total, err := secret.inFolder(r.Gateway.Data, found); err != nil || total == 0 || len(found) > 0 {
				t.Errorf("%d windows are in the %d bytes of the gateway's files: %v", len(found), total, err)
			}
			if total, err := secret.inFolder(r.Node.Data, found); err != nil || len(found) != secret.count {
				t.Errorf("%d windows are in the %d bytes of the node's files, want all: %v", len(found), total, err)
			}
		})
	}
}

// TestSealedOnASlowLine: a sealed page that a slow browser fetches by the gateway comes whole and
// opens, though the node is killed in mid-page and its links with it.
func TestSealedOnASlowLine(t *testing.T) {
	r := newRoom(t, testenv.NewRoom(t), "PLATEN_NODE_ENCRYPTION=required")
	drop(r.NodeHost, portWebTransport)
	drop(r.NodeHost, portWebRTC)
	made := r.scanInPage(600)
	text, digest := storedPage(t, r.Node, made.ID)
	r.job, r.digest, r.bytes = made.ID, digest, int64(len(text))
	r.client("true")
	r.openRoad("relay")
	r.wire.Set(testenv.Weather{Rate: float64(r.bytes) * 8 / 1e6 / 15}) // 15 seconds or so
	reached, result := r.fetch(r.bytes / 5)
	reached()
	r.Node.Kill()
	r.Node.Start()
	r.Node.Await(testenv.LinkedLine, testenv.StartTimeout)
	var got fetched
	err := result(2*time.Minute, &got)
	r.whole(got, err, "over a slow line and new links")
	if made.Recipient == "" || got.Road != "relay" {
		t.Errorf("the page, for %q, came by %s", made.Recipient, got.Road)
	}
}

// watchMemory looks through a process's memory again and again while do runs.
func watchMemory(t *testing.T, secret *windows, pid int, do func()) (found map[int]bool, looks int, each int64) {
	stop, watched := make(chan struct{}), make(chan error, 1)
	found = map[int]bool{}
	go func() {
		for {
			select {
			case <-stop:
				watched <- nil
				return
			default:
			}
			var err error
			if each, err = secret.inMemory(pid, found); err != nil {
				watched <- err
				return
			}
			looks++
		}
	}()
	defer func() {
		close(stop)
		if err := <-watched; err != nil {
			t.Errorf("looking through the gateway's memory: %v", err)
		}
	}()
	do()
	return found, looks, each
}

// hostileChanges are what a gateway could do to the sealed bytes of a page, of which there
// are four chunks or more. Each makes other bytes of body, or takes those of other.
var hostileChanges = map[string]string{
	"flip a bit":           `body[3 * chunk - 100] ^= 4; return body;`,
	"flip a bit of a tag":  `body[chunk - 1] ^= 1; return body;`,
	"cut between chunks":   `return body.slice(0, 2 * chunk);`,
	"cut in a chunk":       `return body.slice(0, 2 * chunk + 5000);`,
	"cut the last byte":    `return body.slice(0, -1);`,
	"swap chunks":          `return join(part(0), part(2), part(1), body.slice(3 * chunk));`,
	"repeat a chunk":       `return join(part(0), part(1), part(1), body.slice(3 * chunk));`,
	"insert a chunk again": `return join(part(0), part(1), part(1), body.slice(2 * chunk));`,
	"leave a chunk out":    `return join(part(0), body.slice(2 * chunk));`,
	"chunk of another":     `return join(part(0), other.body.slice(chunk, 2 * chunk), body.slice(2 * chunk));`,
	"body of another":      `return other.body;`,
	"page of another":      `for (const [name, value] of other.headers) headers.set(name, value); return other.body;`,
	"key of another":       `headers.set('Platen-Sealed', other.headers.get('Platen-Sealed')); return body;`,
	"other type":           `headers.set('Platen-Sealed', headers.get('Platen-Sealed').replace(/type=[^;]*/, 'type=image/tiff')); return body;`,
	"other version":        `headers.set('ETag', other.headers.get('ETag')); return body;`,
}

// TestSealed: under Encryption=required the page of a browser comes whole through the gateway,
// is nobody else's, and nothing that was changed on its way opens.
func TestSealed(t *testing.T) {
	o := testenv.NewRoom(t)
	r := newRoom(t, o, "PLATEN_NODE_ENCRYPTION=required")
	other, made := r.scanInPage(200), r.scanInPage(200)
	text, digest := storedPage(t, o.Node, made.ID)
	if len(text) < 4<<16 {
		t.Fatalf("a page of %d bytes has too few chunks", len(text))
	}

	t.Run("opens", func(t *testing.T) {
		defer r.at(t)()
		var got string
		r.run(`return (await platen.downloadPage(job.id, 1)).digest;`, &got)
		if got != digest {
			t.Errorf("the browser has %s, the node %s", got, digest)
		}
	})
	t.Run("changed on its way", func(t *testing.T) {
		defer r.at(t)()
		r.run(fmt.Sprintf(`
			globalThis.sealedOf = async (id) => {
				const answer = await fetch('/api/v1/jobs/' + id + '/pages/1', { cache: 'no-store' });
				return { headers: answer.headers, body: new Uint8Array(await answer.arrayBuffer()) };
			};
			globalThis.other = await sealedOf(%q);
			globalThis.join = (...parts) => new Uint8Array(parts.flatMap((p) => [...p]));
			globalThis.fetchChanged = async (change) => {
				const evil = async (input, init) => {
					const answer = await fetch(input, init);
					if (!String(input).endsWith('/pages/1')) return answer;
					// It lies about ranges too: what is asked for anew is changed alike.
					const own = await sealedOf(job.id);
					let sent = 0;
					const { headers, body } = change({ headers: new Headers(own.headers), body: own.body });
					headers.set('Content-Length', String(body.length));
					const from = Number(/^bytes=(\d+)-/.exec(new Headers(init?.headers).get('Range') ?? '')?.[1] ?? 0);
					if (from > 0) headers.set('Content-Range', 'bytes ' + from + '-' + (body.length - 1) + '/' + body.length);
					return new Response(body.slice(from), { status: from > 0 ? 206 : 200, headers });
				};
				const gateway = new Platen.PlatenClient({ fetch: evil });
				try {
					const { digest } = await gateway.downloadPage(job.id, 1, { retries: 1 });
					return 'opened as ' + digest;
				} catch (error) {
					return error.name;
				}
			};`, other.ID), nil)
		outcome := func(change string) (got string) {
			r.run(fmt.Sprintf(`
				return fetchChanged(({ headers, body: from }) => {
					const chunk = 65552, part = (n) => from.slice(n * chunk, (n + 1) * chunk);
					const changed = ((body) => { %s })(from);
					return { headers, body: changed };
				});`, change), &got)
			return got
		}
		if got := outcome(`return body;`); got != "opened as "+digest {
			t.Fatalf("what was not changed: %s, want %s", got, digest)
		}
		for name, change := range hostileChanges {
			if got := outcome(change); got != "SealError" {
				t.Errorf("%s: %s, want SealError", name, got)
			}
		}
	})
	t.Run("program without a key", func(t *testing.T) {
		program := programOn(t, o, o.PhoneHost, api.RoleUser)
		got := program.refusal(http.MethodPost, "/scanners/"+made.Scanner+"/jobs", scan.JobRequest{Settings: scan.Settings{Source: scan.SourcePlaten}})
		if got != problem.EncryptionRequired {
			t.Errorf("a job without a recipient: %q, want %s", got, problem.EncryptionRequired)
		}
	})
	t.Run("another browser", func(t *testing.T) {
		p := newPhone(t, o.PhoneHost, filepath.Join(o.Gateway.Data, "keys", "ca.pem"))
		second := p.openPage(pairingLink(t, o.Gateway, api.RoleOperator))
		var got struct {
			Openable bool
			Error    string
		}
		second.run(fmt.Sprintf(`
			const platen = new Platen.PlatenClient();
			const openable = await platen.openable(await platen.job(%[1]q));
			const error = await platen.downloadPage(%[1]q, 1).then(() => '', (e) => e.name);
			return { openable, error };`, made.ID), &got)
		if got.Openable || got.Error != "SealError" {
			t.Errorf("another browser: %+v", got)
		}
	})
	t.Run("app", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "scan.pdf")
		p := newPhone(t, o.PhoneHost, filepath.Join(o.Gateway.Data, "keys", "ca.pem"))
		got := result[struct {
			Pages      int
			GrewBefore bool `json:"grewBeforeCommit"`
		}](t, p.start("scan-pdf.mjs", "--url", pairingLink(t, o.Gateway, api.RoleUser), "--source", "platen", "--out", file), 3*time.Minute)
		if got.Pages != 1 {
			t.Errorf("the app showed %+v", got)
		}
		wholePDF(t, file)
		job := o.Node.Jobs()[0]
		if job.Recipient == "" || job.State != scan.JobCompleted {
			t.Errorf("the app made %+v", job)
		}
	})
}

func wholePDF(t testing.TB, file string) {
	t.Helper()
	if out, err := exec.Command("qpdf", "--check", file).CombinedOutput(); err != nil {
		t.Errorf("qpdf --check: %v\n%s", err, out)
	}
}

// TestSealedCommands: platen scan writes what the node has, whatever the gateway can read of it.
func TestSealedCommands(t *testing.T) {
	for _, policy := range []scan.Encryption{"off", scan.EncryptionPreferred, scan.EncryptionRequired} {
		t.Run(string(policy), func(t *testing.T) {
			o := testenv.NewPair(t, "PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_ENCRYPTION="+string(policy))
			data, dir := t.TempDir(), t.TempDir()
			gateway := pairingLink(t, o.Gateway, api.RoleUser)
			scanTo := func(name string, args ...string) scan.Job {
				t.Helper()
				file := filepath.Join(dir, name)
				cmd := testenv.Command(nil, nil, append([]string{"--data", data, "scan", "--gateway", gateway, "-q", "--json", "-r", "150", "-o", file}, args...)...)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("platen scan -o %s: %v\n%s", name, err, stderrOf(err))
				}
				gateway = o.Gateway.URL // the link was used
				var job scan.Job
				if err := json.Unmarshal(out, &job); err != nil {
					t.Fatal(err)
				}
				if (job.Recipient != "") != (policy != "off") {
					t.Errorf("-o %s: the recipient is %q", name, job.Recipient)
				}
				return job
			}
			job := scanTo("page-%d.png", "--source", "adf", "--pages", "2")
			text, digest := storedPage(t, o.Node, job.ID)
			if got, err := os.ReadFile(filepath.Join(dir, "page-1.png")); err != nil || string(got) != string(text) {
				t.Errorf("page-1.png has %d bytes, %v; the node's page has %d and the digest %s", len(got), err, len(text), digest)
			}
			scanTo("all.pdf", "--source", "adf", "--pages", "3")
			wholePDF(t, filepath.Join(dir, "all.pdf"))
			scanTo("all.tiff", "--source", "adf", "--pages", "2")
			scanTo("made-%d.tiff", "--source", "platen") // of the node's PNG
			for _, name := range []string{"all.tiff", "made-1.tiff"} {
				if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.HasPrefix(string(got), "II*\x00") && !strings.HasPrefix(string(got), "MM\x00*") {
					t.Errorf("%s, of %d bytes, is no TIFF file: %v", name, len(got), err)
				}
			}
		})
	}
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

// The SDK's part in a real browser: its key, and what opens with it.
func TestSealedInChromium(t *testing.T) {
	if err := newPhone(t, nil, "").start("sealed.mjs").Wait(2 * time.Minute); err != nil {
		t.Error(err)
	}
}
