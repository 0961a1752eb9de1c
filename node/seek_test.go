package node

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
)

// inTown runs a test in a town with fake time. The node runs once the test starts it.
func inTown(t *testing.T, test func(t *testing.T, w *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		test(t, w)
	})
}

const office1, office2 = "192.0.2.1:18603", "192.0.2.2:18603"

func TestFindGateway(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, _ := w.gateway("Office", office1)
		w.start()
		began := time.Now()
		news := w.told(NewsWaiting, time.Minute)
		if took := time.Since(began); took < seenAlone || took > 2*seenAlone {
			t.Errorf("asked after %v, want a little more than %v", took, seenAlone)
		}
		<-g.asked
		nonce := <-g.revealed
		want := FoundGateway{Name: "Office", Address: office1, Fingerprint: identity.ShortFingerprint(g.id.Pin())}
		if check := access.JoinCheck(g.id.Pin(), w.self.Pin(), g.nonce, nonce); news.Check != check || news.Gateway != want {
			t.Errorf("news = %+v, want %+v with the symbols %s", news, want, check)
		}
		if address, check, waiting := w.node.Approval(); !waiting || address != office1 || check != news.Check {
			t.Errorf("Approval() = %s, %s, %v", address, check, waiting)
		}
		if found := w.node.FoundGateways(); !slices.Equal(found, []FoundGateway{want}) {
			t.Errorf("FoundGateways() = %+v, want %+v", found, want)
		}
		w.quiet(10 * time.Minute) // the person takes his time
		g.word <- g.yes
		if news := w.told(NewsJoined, time.Minute); news.Gateway != want {
			t.Errorf("joined %+v, want %+v", news.Gateway, want)
		}
		<-w.links
		synctest.Wait()
		if address, connected := w.node.Gateway(); address != office1 || !connected {
			t.Errorf("Gateway() = %q, %v", address, connected)
		}
		if found := w.node.FoundGateways(); len(found) > 0 {
			t.Errorf("a node with a gateway still looks for one: %+v", found)
		}
		// Who comes now is nobody's business.
		w.gateway("Another", office2)
		w.quiet(time.Hour)
		if met := w.visited(); !slices.Equal(met, []string{office1}) {
			t.Errorf("the node spoke to %v", met)
		}
	})
}

// Without a browser and without a list of gateways the node speaks to nobody.
func TestFindNothing(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.gateway("Office", office1)
		before := w.config
		w.config = func(c *Config) { before(c); c.Find = nil }
		w.start()
		w.quiet(3 * time.Hour)
		if len(w.visited())+len(w.dialed) > 0 || len(w.node.FoundGateways()) > 0 {
			t.Errorf("the node spoke to %v and dialed %v", w.visited(), w.dialed)
		}
	})
}

func TestFindSeveral(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.gateway("Office", office1)
		_, goodbye := w.gateway("Warehouse", office2)
		w.start()
		if news := w.told(NewsSeveral, time.Minute); len(news.Found) != 2 || news.Found[0].Name != "Office" || news.Found[1].Name != "Warehouse" {
			t.Errorf("news = %+v, want both gateways", news)
		}
		w.quiet(time.Hour)
		if len(w.visited()) > 0 || len(w.node.FoundGateways()) != 2 {
			t.Errorf("visited %v; found %+v", w.visited(), w.node.FoundGateways())
		}
		// Somebody may have said goodbye for the right one.
		goodbye()
		w.quiet(goneCounts - time.Second)
		if len(w.visited()) > 0 || len(w.node.FoundGateways()) != 1 {
			t.Errorf("just after the goodbye: visited %v; found %+v", w.visited(), w.node.FoundGateways())
		}
		if news := w.told(NewsWaiting, 5*time.Second); news.Gateway.Name != "Office" {
			t.Errorf("news = %+v, want the one that is left", news)
		}
	})
}

func TestFindSecondWhileWaiting(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		first, _ := w.gateway("Office", office1)
		w.start()
		w.told(NewsWaiting, time.Minute)
		second, goodbye := w.gateway("Office", office2)
		if news := w.told(NewsSeveral, time.Minute); len(news.Found) != 2 {
			t.Errorf("news = %+v, want both", news)
		}
		if _, _, waiting := w.node.Approval(); waiting {
			t.Error("the node still waits for the one that was first")
		}
		first.word <- first.yes
		w.quiet(time.Minute)
		if address, _ := w.node.Gateway(); address != "" {
			t.Errorf("the node joined %s without being told which", address)
		}
		// A person's word stands, whoever comes or goes.
		need(t, w.node.Ask(t.Context(), office2))
		goodbye()
		w.quiet(10 * time.Minute)
		if address, _, waiting := w.node.Approval(); !waiting || address != office2 {
			t.Errorf("Approval() = %s, %v, want what the person asked", address, waiting)
		}
		second.word <- second.yes
		need(t, w.node.AwaitApproval(t.Context()))
		if address, _ := w.node.Gateway(); address != office2 {
			t.Errorf("joined %q, want %s", address, office2)
		}
	})
}

// A person's gateway takes the place of the one that was found.
func TestFindPersonFirst(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, _ := w.gateway("Office", office1)
		mine := newReceptionAt(t, office2)
		w.open(office2, mine.id, mine.answer)
		w.start()
		w.told(NewsWaiting, time.Minute)
		need(t, w.node.Ask(t.Context(), office2))
		g.word <- g.yes
		w.quiet(10 * time.Minute)
		if address, _, _ := w.node.Approval(); address != office2 {
			t.Errorf("the node waits for %q, want %s", address, office2)
		}
		if found := w.node.FoundGateways(); len(found) > 0 {
			t.Errorf("the node goes on looking: %+v", found)
		}
		// The node's own try that was under way does not come between.
		if _, err := w.node.uplink.askNearby(t.Context(), &nearby{addresses: []string{office1}}, nil); !errors.Is(err, errAskedAnew) {
			t.Errorf("a try of the node's own: %v, want %v", err, errAskedAnew)
		}
		if address, _, _ := w.node.Approval(); address != office2 {
			t.Errorf("after it the node waits for %q, want %s", address, office2)
		}
	})
}

// Somebody who announces the gateway's name, ID and fingerprint has not its key.
func TestFindImpostor(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		impostor := newReceptionAt(t, office1)
		w.open(office1, impostor.id, impostor.answer)
		right := newReceptionAt(t, office2)
		w.open(office2, right.id, right.answer)
		w.announce(record("Office", right.id, office1))
		w.start()
		w.quiet(10 * time.Minute)
		tries := len(w.visited())
		if tries < 5 || tries > 30 {
			t.Errorf("%d tries in ten minutes, want some, further and further apart", tries)
		}
		w.announce(record("Office", right.id, office2))
		if news := w.told(NewsWaiting, 2*time.Minute); news.Gateway.Address != office2 {
			t.Errorf("news = %+v, want the one with the key, at %s", news, office2)
		}
		if len(impostor.asked) > 0 || len(right.asked) != 1 {
			t.Errorf("the impostor was asked %d times, the right one %d times", len(impostor.asked), len(right.asked))
		}
	})
}

func TestFindStorm(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		var fakes []discovery.Record
		for i := range 1000 {
			key, err := identity.New()
			need(t, err)
			fakes = append(fakes, record(fmt.Sprint("Fake ", i), key, fmt.Sprintf("198.51.%d.%d:1", 100+i/200, 1+i%200)))
		}
		w.start()
		goodbye := w.announce(fakes...)
		w.told(NewsSeveral, time.Minute)
		w.quiet(time.Hour)
		if found := w.node.FoundGateways(); len(found) > maxNearby || len(w.visited()) > 0 {
			t.Errorf("%d gateways found, %d visited, want at most %d, and none", len(found), len(w.visited()), maxNearby)
		}
		goodbye()
		g, _ := w.gateway("Office", office1)
		if news := w.told(NewsWaiting, 2*goneCounts); news.Gateway.Address != g.address {
			t.Errorf("after the storm: %+v", news)
		}
	})
}

func TestFindVanished(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, goodbye := w.gateway("Office", office1)
		w.start()
		time.Sleep(time.Second)
		goodbye() // too early to be asked
		w.quiet(10 * time.Minute)
		if len(w.visited()) > 0 || len(w.node.FoundGateways()) > 0 {
			t.Fatalf("visited %v, found %v", w.visited(), w.node.FoundGateways())
		}
		goodbye = w.announce(record("Office", g.id, office1))
		w.told(NewsWaiting, time.Minute)
		goodbye()
		w.quiet(10 * time.Minute) // it answers all the same
		if _, _, waiting := w.node.Approval(); !waiting {
			t.Error("a goodbye alone ended the wait")
		}
		w.shut(office1)
		if news := w.told(NewsEnded, 2*time.Minute); !errors.Is(news.Err, errGone) {
			t.Errorf("the wait ended with %v, want %v", news.Err, errGone)
		}
		w.quiet(10 * time.Minute)
		// It is at another address now.
		w.open(office2, g.id, g.answer)
		w.announce(record("Office", g.id, office2))
		if news := w.told(NewsWaiting, time.Minute); news.Gateway.Address != office2 {
			t.Errorf("news = %+v, want the new address", news)
		}
	})
}

// A gateway that gets another address while the node waits is asked there.
func TestFindMoved(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, goodbye := w.gateway("Office", office1)
		w.start()
		w.told(NewsWaiting, time.Minute)
		goodbye()
		w.shut(office1)
		w.open(office2, g.id, g.answer)
		w.announce(record("Office", g.id, office2))
		w.told(NewsEnded, 2*time.Minute)
		if news := w.told(NewsWaiting, time.Minute); news.Gateway.Address != office2 {
			t.Errorf("news = %+v, want the new address", news)
		}
	})
}

func TestFindRefused(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, goodbye := w.gateway("Office", office1)
		w.start()
		w.told(NewsWaiting, time.Minute)
		g.word <- g.no
		if news := w.told(NewsEnded, time.Minute); !errors.Is(news.Err, problem.NodeRevoked.Error()) {
			t.Errorf("the wait ended with %v, want node-revoked", news.Err)
		}
		w.quiet(3 * time.Hour)
		goodbye()
		time.Sleep(2 * goneCounts)
		w.announce(record("Office", g.id, office1))
		w.quiet(3 * time.Hour)
		if met := w.visited(); len(met) != 1 {
			t.Errorf("a gateway that had refused was visited %d times", len(met)-1)
		}
		if found := w.node.FoundGateways(); len(found) != 1 {
			t.Errorf("FoundGateways() = %+v: a person may still ask it", found)
		}
	})
}

// An hour in which nobody decides, and a gateway that has forgotten the node, are no
// refusal.
func TestFindAgain(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, _ := w.gateway("Office", office1)
		w.start()
		w.told(NewsWaiting, time.Minute)
		if news := w.told(NewsEnded, approvalLife+time.Minute); !errors.Is(news.Err, errNobody) {
			t.Errorf("the wait ended with %v, want %v", news.Err, errNobody)
		}
		w.told(NewsWaiting, time.Minute)
		g.word <- func(rw http.ResponseWriter) { problem.Write(rw, problem.NodeUnknown.Error()) }
		w.told(NewsEnded, time.Minute)
		began := time.Now()
		w.told(NewsWaiting, time.Minute)
		if took := time.Since(began); took < askPause {
			t.Errorf("asked again after %v, want %v at least", took, askPause)
		}
		g.word <- g.yes
		w.told(NewsJoined, time.Minute)
		<-w.links
	})
}

// A gateway that has no time is given what it asks for.
func TestFindTooMany(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		key, err := identity.New()
		need(t, err)
		asked := make(chan time.Time, 100)
		w.open(office1, key, func(rw http.ResponseWriter, _ *http.Request) {
			asked <- time.Now()
			problem.Write(rw, problem.TooManyRequests.Error().After(20*time.Minute))
		})
		w.announce(record("Office", key, office1))
		w.start()
		w.quiet(65 * time.Minute)
		if len(asked) != 4 {
			t.Errorf("asked %d times within 65 minutes, want one every 20", len(asked))
		}
	})
}

func TestFindAfterLeaving(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		g, goodbye := w.gateway("Office", office1)
		w.start()
		w.told(NewsWaiting, time.Minute)
		g.word <- g.yes
		w.told(NewsJoined, time.Minute)
		<-w.links
		need(t, w.node.Leave(t.Context()))
		// It looks again, but does not ask what a person has just left.
		w.quiet(time.Hour)
		if found := w.node.FoundGateways(); len(found) != 1 || len(w.visited()) != 1 {
			t.Errorf("found %+v, visited %v", found, w.visited())
		}
		goodbye()
		time.Sleep(2 * goneCounts)
		other, _ := w.gateway("Warehouse", office2)
		if news := w.told(NewsWaiting, time.Minute); news.Gateway.Address != other.address {
			t.Errorf("news = %+v", news)
		}
		need(t, w.node.Leave(t.Context())) // a person does not want that either
		w.quiet(time.Hour)
		need(t, w.node.Ask(t.Context(), office1)) // but the first one after all
		g.word <- g.yes
		need(t, w.node.AwaitApproval(t.Context()))
	})
}

// The gateways of the configuration are asked in turn, and nothing else is looked for.
func TestFindListed(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.gateway("Nearby", "192.0.2.9:18603")
		g := newReceptionAt(t, office2)
		w.open(office2, g.id, g.answer)
		before := w.config
		w.config = func(c *Config) { before(c); c.Gateways = []string{office1, office2} }
		w.start()
		if news := w.told(NewsWaiting, time.Minute); news.Gateway.Address != office2 || news.Gateway.Fingerprint != identity.ShortFingerprint(g.id.Pin()) {
			t.Errorf("news = %+v, want %s", news, office2)
		}
		// The first one comes up: who was asked is waited for.
		first := newReceptionAt(t, office1)
		w.open(office1, first.id, first.answer)
		w.quiet(10 * time.Minute)
		g.word <- g.no
		w.told(NewsEnded, time.Minute)
		if news := w.told(NewsWaiting, time.Minute); news.Gateway.Address != office1 {
			t.Errorf("news = %+v, want %s", news, office1)
		}
		first.word <- first.no
		w.told(NewsEnded, time.Minute)
		w.quiet(time.Hour)
		if met := w.visited(); len(met) != 3 || slices.Contains(met, "192.0.2.9:18603") {
			t.Errorf("visited %v, want three visits to those of the list", met)
		}
	})
}

func TestGatewaysIn(t *testing.T) {
	a, err := identity.New()
	need(t, err)
	b, err := identity.New()
	need(t, err)
	change := func(f func(*discovery.Record)) discovery.Record {
		r := record("Bad", a, office1)
		f(&r)
		return r
	}
	addrs := func(texts ...string) []netip.Addr {
		var list []netip.Addr
		for _, text := range texts {
			list = append(list, netip.MustParseAddr(text))
		}
		return list
	}
	for name, bad := range map[string]discovery.Record{
		"another type":    change(func(r *discovery.Record) { r.Type = discovery.TypeNode }),
		"no port":         change(func(r *discovery.Record) { r.Port = 0 }),
		"no text":         change(func(r *discovery.Record) { r.Text = nil }),
		"no ID":           change(func(r *discovery.Record) { delete(r.Text, discovery.TextID) }),
		"bad ID":          change(func(r *discovery.Record) { r.Text[discovery.TextID] = strings.Repeat("a", 28) }),
		"no fingerprint":  change(func(r *discovery.Record) { delete(r.Text, discovery.TextFingerprint) }),
		"bad fingerprint": change(func(r *discovery.Record) { r.Text[discovery.TextFingerprint] = "0123456x" }),
		"long one":        change(func(r *discovery.Record) { r.Text[discovery.TextFingerprint] += "0" }),
		"no address":      change(func(r *discovery.Record) { r.Addrs = nil }),
		"no good address": change(func(r *discovery.Record) {
			r.Addrs = addrs("127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1%eth0", "255.255.255.255", "169.254.169.254", "fe80::1", "::ffff:127.0.0.1")
		}),
	} {
		if got := gatewaysIn([]discovery.Record{bad}); len(got) > 0 {
			t.Errorf("%s: found %+v", name, got[0])
		}
	}
	first := change(func(r *discovery.Record) {
		r.Name, r.Addrs = "Of\x1b[2Jfice\u202e\n 1"+strings.Repeat("é", 60), addrs("fe80::1%eth0", "2001:db8::1", "192.0.2.7")
	})
	second := change(func(r *discovery.Record) { r.Interface, r.Addrs, r.Port = "eth1", addrs("192.0.2.7", "192.0.2.8"), 2 })
	got := gatewaysIn([]discovery.Record{first, record("Office", b, office2), second})
	if len(got) != 2 || got[1].name != "Office" || got[1].id != b.NodeID() {
		t.Fatalf("found %+v", got)
	}
	if want := []string{"192.0.2.7:18603", "192.0.2.7:2", "192.0.2.8:2", "[2001:db8::1]:18603", "[fe80::1%eth0]:18603"}; !slices.Equal(got[0].addresses, want) {
		t.Errorf("addresses %q, want %q", got[0].addresses, want)
	}
	if name := got[0].name; !strings.HasPrefix(name, "Of[2Jfice 1éé") || len(name) > discovery.MaxName {
		t.Errorf("name %q is not fit for a terminal", name)
	}
	many := change(func(r *discovery.Record) {
		r.Addrs = nil
		for i := range 100 {
			r.Addrs = append(r.Addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		}
	})
	if got := gatewaysIn([]discovery.Record{many}); len(got) != 1 || len(got[0].addresses) != discovery.MaxAddrs {
		t.Errorf("of a hundred addresses: %+v", got)
	}
	list := []string{"a", "b", "c"}
	if got := some(list, 3); !slices.Equal(got, list) {
		t.Errorf("some(3 of 3) = %v, want them in order", got)
	}
	seen := map[string]bool{}
	for range 200 {
		got := some(list, 1)
		seen[got[0]] = len(got) == 1
	}
	if len(seen) != 3 || !slices.Equal(list, []string{"a", "b", "c"}) {
		t.Errorf("some(1 of 3) gave %v and left %v", seen, list)
	}
}

func TestIsGatewayAddress(t *testing.T) {
	for text, want := range map[string]bool{
		"gateway.example:18603": true, "192.0.2.1:1": true, "[2001:db8::1]:1": true, "[fe80::1%eth0]:18603": true,
		"": false, "gateway.example": false, "[fe80::1%eth0]:0": false, "[2001:db8::1%eth0]:1": false, "https://gateway.example:1": false,
	} {
		if got := isGatewayAddress(text); got != want {
			t.Errorf("isGatewayAddress(%q) = %v, want %v", text, got, want)
		}
	}
	if got := urlHost("[fe80::1%eth0]:1"); got != "[fe80::1]:1" {
		t.Errorf("urlHost leaves %s", got)
	}
}
