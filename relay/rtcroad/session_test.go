package rtcroad

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{Dir: dir}, nil)
	_, offer := visit(t, engine(), webrtc.Configuration{})
	answer, err := r.Answer(context.Background(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(r.Fingerprint())
	if err != nil || len(raw) != 32 {
		t.Fatalf("Fingerprint = %q", r.Fingerprint())
	}
	if sent := strings.ReplaceAll(strings.ToLower(answer), ":", ""); !strings.Contains(sent, "a=fingerprintsha-256 "+hex.EncodeToString(raw)) {
		t.Errorf("the fingerprint %x is not that of the answer:\n%s", raw, answer)
	}
	again, err := New(Config{Dir: dir})
	if err != nil || again.Fingerprint() != r.Fingerprint() {
		t.Errorf("after a restart the fingerprint is another, %v", err)
	}
	path := filepath.Join(dir, certificateFile)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", path, info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: dir}); err == nil {
		t.Error("New with a damaged certificate succeeded")
	}
}

func TestSessionLimits(t *testing.T) {
	r := start(t, Config{Limits: Limits{Sessions: 1, PerMinute: 2}}, nil)
	ask := func() error {
		_, offer := visit(t, engine(), webrtc.Configuration{})
		_, err := r.Answer(context.Background(), offer, nil)
		return err
	}
	b := join(t, r, engine())
	if err := ask(); !errors.Is(err, &problem.Error{Code: problem.TooManyRequests}) {
		t.Errorf("a second session: %v", err)
	}
	b.Close()
	var err error
	for deadline := time.Now().Add(patience); ; {
		if err = ask(); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Fatalf("after the first session has ended: %v", err)
	}
	for s := range sessions(r) {
		s.Close("of the test")
	}
	for deadline := time.Now().Add(patience); len(sessions(r)) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the session does not end")
		}
		runtime.Gosched()
	}
	if err := ask(); problem.From(err).Code != problem.TooManyRequests || problem.From(err).RetryAfter <= 0 {
		t.Errorf("a third session in a minute: %v", err)
	}
}

func sessions(r *Road) map[*session]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[*session]bool{}
	for s := range r.sessions {
		all[s] = true
	}
	return all
}

// one is the road's only session.
func one(t *testing.T, r *Road) *session {
	t.Helper()
	for s := range sessions(r) {
		return s
	}
	t.Fatal("there is no session")
	return nil
}

func TestBrowserThatDoesNotCome(t *testing.T) {
	r := start(t, Config{}, func(r *Road) { r.timing.connect = 50 * time.Millisecond })
	_, offer := visit(t, engine(), webrtc.Configuration{})
	if _, err := r.Answer(context.Background(), offer, nil); err != nil {
		t.Fatal(err)
	}
	await(t, one(t, r).Done(), "the session to end")
}

func TestBrowserThatAsksForNothing(t *testing.T) {
	r := start(t, Config{}, func(r *Road) { r.timing.unused = 50 * time.Millisecond })
	b, offer := visit(t, engine(), webrtc.Configuration{})
	answer, err := r.Answer(context.Background(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := one(t, r)
	b.first.Close() // before it is opened
	b.take(t, answer)
	await(t, s.Done(), "the session to end")
	await(t, b.done, "the browser to hear of it")
}

// TestBrowserThatVanishes: no packet comes any more.
func TestBrowserThatVanishes(t *testing.T) {
	r := start(t, Config{}, func(r *Road) { r.timing.lost = time.Second })
	e, wire := lossyEngine(t, 0)
	join(t, r, e)
	s := one(t, r)
	wire.lose(1)
	await(t, s.Done(), "the session to end")
}

// TestHiddenAddresses: a browser that tells no address is found by its checks.
func TestHiddenAddresses(t *testing.T) {
	r := start(t, Config{}, nil)
	b, offer := visit(t, engine(), webrtc.Configuration{})
	hidden := regexp.MustCompile(`127\.0\.0\.1 (\d+) typ`).ReplaceAllString(offer, "f3a1c2d0-7c1f-4a6b-9f3e-0f1d2c3b4a59.local $1 typ")
	if hidden == offer {
		t.Fatalf("the offer has no address:\n%s", offer)
	}
	answer, err := r.Answer(context.Background(), hidden, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.take(t, answer)
	if got := one(t, r).RemoteAddr().String(); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("RemoteAddr = %s", got)
	}
}

func TestChannelsThatAreRefused(t *testing.T) {
	r := start(t, Config{}, nil)
	b := join(t, r, engine())
	no, few := false, uint16(3)
	for name, options := range map[string]*webrtc.DataChannelInit{
		"unordered":  {Ordered: &no},
		"unreliable": {MaxRetransmits: &few},
		"short":      {MaxPacketLifeTime: &few},
	} {
		d, err := b.pc.CreateDataChannel(name, options)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		d.OnOpen(func() {
			defer close(ended)
			if detached, err := d.Detach(); err == nil {
				if _, err := detached.Read(make([]byte, 10)); !errors.Is(err, io.EOF) {
					t.Errorf("%s: Read = %v, want its end", name, err)
				}
			}
		})
		await(t, ended, name+" to be refused")
	}
}

// TestChannelsWait: one more than may be served waits for its turn.
func TestChannelsWait(t *testing.T) {
	r := start(t, Config{Limits: Limits{Channels: 2}}, nil)
	accepted := make(chan io.WriteCloser, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := r.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	t.Cleanup(func() { r.Close(); <-done })
	b := join(t, r, engine())
	for range 3 {
		if _, err := b.Open(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	first := await(t, accepted, "the first exchange")
	await(t, accepted, "the second exchange")
	select {
	case <-accepted:
		t.Error("a third exchange is served beside two")
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	await(t, accepted, "the third exchange")
}

// TestMessagesTooLarge: pion as a browser sends what ours says it does not take.
func TestMessagesTooLarge(t *testing.T) {
	r := start(t, Config{}, nil)
	b, offer := visit(t, engine(), webrtc.Configuration{})
	answer, err := r.Answer(context.Background(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.take(t, strings.Replace(answer, "a=max-message-size:65536", "a=max-message-size:262144", 1))
	c, err := b.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	node, err := r.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	ch := c.(*browserConn).ch
	if _, err := ch.Write(make([]byte, maxIncoming)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(node, make([]byte, maxIncoming)); err != nil {
		t.Fatalf("a message of %d bytes: %v", maxIncoming, err)
	}
	if _, err := ch.Write(make([]byte, maxIncoming+1)); err != nil {
		t.Fatal(err)
	}
	if n, err := node.Read(make([]byte, 1)); err == nil {
		t.Errorf("Read of a message too large = %d", n)
	}
}

func TestWindowAccounts(t *testing.T) {
	r := start(t, Config{}, nil)
	b := join(t, r, engine())
	for _, account := range []string{"-1", "x", "", "18446744073709551616", "99999999999999999999999999"} {
		c, err := b.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		node, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.(*browserConn).tell(account)
		if _, err := node.Read(make([]byte, 1)); !errors.Is(err, errWindow) {
			t.Errorf("Read after the account %q = %v, want %v", account, err, errWindow)
		}
		node.Close()
	}
}

// TestSlowSession: many exchanges without a window, of a browser that takes nothing at
// all, hold no more than a session may.
func TestSlowSession(t *testing.T) {
	r := start(t, Config{}, nil)
	b := join(t, r, engine())
	b.window, b.deaf = false, true
	held := 0
	for range 32 {
		if _, err := b.Open(context.Background()); err != nil {
			t.Fatal(err)
		}
		node, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close()
		for {
			node.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			n, err := node.Write(make([]byte, 64<<10))
			if held += n; err != nil {
				break
			}
		}
	}
	const most = maxQueued + 32*minQueued + 2*relay.RoadWindow
	if s := one(t, r); s.queued() > most || held > most+relay.RoadWindow {
		t.Errorf("%d bytes were written and %d are held, %d are the most", held, s.queued(), most)
	}
}

// TestAnotherCertificate: who has another than in the offer gets no connection.
func TestAnotherCertificate(t *testing.T) {
	r := start(t, Config{}, func(r *Road) { r.timing.connect = 300 * time.Millisecond })
	b, offer := visit(t, engine(), webrtc.Configuration{})
	wrong := regexp.MustCompile(`sha-256 [0-9A-F]{2}`).ReplaceAllStringFunc(offer, func(s string) string {
		if strings.HasSuffix(s, "00") {
			return "sha-256 01"
		}
		return "sha-256 00"
	})
	answer, err := r.Answer(context.Background(), wrong, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := one(t, r)
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	await(t, s.Done(), "the session to end")
	if s.RemoteAddr() == nil || s.reason != "the browser did not come" {
		t.Errorf("the session ended because %s", s.reason)
	}
}

// TestTooManyChannels: a browser that opens channels without end.
func TestTooManyChannels(t *testing.T) {
	r := start(t, Config{Limits: Limits{Channels: 1}}, nil)
	b := join(t, r, engine())
	s := one(t, r)
	for range lingering + 2 {
		if _, err := b.Open(context.Background()); err != nil {
			break
		}
	}
	await(t, s.Done(), "the session to end")
}
