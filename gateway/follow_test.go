package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// What a node says of a scanner is stored and shown as far as people can read it.
func TestScannerText(t *testing.T) {
	n := newFakeNode(t, "n")
	g := newHolder(t, n)
	reg, _ := g.registry.get(n.nodeID())
	reg.link = &held{}
	s := n.scanner("x")
	s.Name, s.Location, s.Model = "\x1b[31mred\u202e", strings.Repeat("é", 5000), "ok"
	s.Sources = slices.Repeat(s.Sources, 1000)
	g.registry.putScanner(reg, reg.link, s)
	got := reg.scanners[0]
	if got.Name != "[31mred" || len(got.Location) != maxScannerText || got.Model != "ok" || len(got.Sources) != maxScannerList {
		t.Errorf("name %q, location of %d bytes, model %q, %d sources", got.Name, len(got.Location), got.Model, len(got.Sources))
	}
}

// An event that cannot be read costs what it says, not the link; a node that says more
// than anybody can follow waits.
func TestEventsOfOddNodes(t *testing.T) {
	inFakeTime(t, func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway) {
		reg, _ := g.registry.get(n.nodeID())
		inner := n.handler
		feeder := n.scanner("ADF")
		adf, err := json.Marshal(scan.Event{Type: scan.EventDeviceState, Scanner: &feeder})
		if err != nil {
			t.Fatal(err)
		}
		n.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/link/events") {
				inner.ServeHTTP(w, r)
				return
			}
			lines := bytes.Replace(adf, []byte(`"platen"`), []byte(`"hopper"`), 1)
			lines = append(lines, "\n{\"type\":\n"...)
			lines = append(append(lines, adf...), "\n\n"...)
			w.Write(lines)
			line := append(adf, '\n')
			for r.Context().Err() == nil {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		})
		link, _, _ := hold(t, ctx, g, n)
		time.Sleep(time.Minute)
		synctest.Wait()
		if list, _, _ := g.registry.scannerPage("", 200); !g.registry.online(reg) || isDone(link.Done()) || len(list) != 1 || list[0].Name != "ADF" {
			t.Errorf("online: %t, scanners %+v; want the one that can be read", g.registry.online(reg), list)
		}
		if got := g.registry.events.head(); got < eventBurst || got > eventBurst+61*eventRate {
			t.Errorf("%d events in a minute, want %d and %d a second", got, eventBurst, eventRate)
		}
	})
}

// Why a link fell silent is told with it.
func TestWordsOfSilence(t *testing.T) {
	inFakeTime(t, func(t *testing.T, ctx context.Context, n *fakeNode, g *Gateway) {
		var log bytes.Buffer
		g.log = slog.New(slog.NewTextHandler(&log, nil))
		inner := n.handler
		n.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/link/events") {
				inner.ServeHTTP(w, r)
				return
			}
			io.WriteString(w, strings.Repeat("x", 2*maxEvent))
			<-r.Context().Done()
		})
		_, _, done := hold(t, ctx, g, n)
		<-done
		if want := errSilent.Error() + ", since reading the node's events: " + errLongLine.Error(); !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	})
}
