package discovery

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// ask runs the clock until end and tells what was asked when, in tenths of a second.
func ask(tab *Table, c *clock, end time.Duration) []string {
	var asked []string
	start := c.t
	for {
		next := tab.Next()
		if next.IsZero() || next.Sub(start) > end {
			c.t = start.Add(end)
			return asked
		}
		if next.After(c.t) {
			c.t = next
		}
		for _, q := range tab.Due() {
			asked = append(asked, fmt.Sprintf("%.1f %d %s%s%s", c.t.Sub(start).Seconds(), q.Kind, q.Type, q.Name, q.Host))
		}
	}
}

func TestMissingIsAskedFor(t *testing.T) {
	tab, c := table(TypeScanner)
	tell(tab, printer, ptr("Büro", time.Hour))
	s, x := fmt.Sprint(int(SRV), " ", TypeScanner, "Büro"), fmt.Sprint(int(TXT), " ", TypeScanner, "Büro")
	want := []string{"0.1 " + s, "0.1 " + x, "1.1 " + s, "1.1 " + x, "3.1 " + s, "3.1 " + x, "7.1 " + s, "7.1 " + x, "15.1 " + s, "15.1 " + x}
	if got := ask(tab, c, time.Minute); !reflect.DeepEqual(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	if tab.entries != 0 {
		t.Error("an instance that never became complete is still kept")
	}

	tell(tab, printer, ptr("Büro", time.Hour), srv("Büro", "p.local", 1, time.Hour), txt("Büro", time.Hour, "a=b"))
	if got, want := ask(tab, c, 500*time.Millisecond), []string{"0.1 4 p.local", "0.1 5 p.local"}; !reflect.DeepEqual(got, want) {
		t.Errorf("without addresses asked %q, want %q", got, want)
	}
	tell(tab, printer, addr("p.local", "192.0.2.7", time.Hour))
	if got, want := ask(tab, c, time.Minute), []string{"0.6 5 p.local"}; !reflect.DeepEqual(got, want) {
		t.Errorf("with an address of IPv4 asked %q, want %q", got, want)
	}
}

func TestRefresh(t *testing.T) {
	tab, c := table(TypeScanner)
	both := append(all("Büro", "p.local", "192.0.2.7"), addr("p.local", "2001:db8::7", time.Hour))
	for i := range both {
		both[i].TTL = 1000 * time.Second
	}
	tell(tab, printer, both...)
	counts := map[string]int{}
	last := 0
	for second := range 1000 {
		for _, q := range tab.Due() {
			counts[fmt.Sprint(int(q.Kind), q.Name, q.Host)]++
			if n := counts["1"]; n > last { // PTR
				last = n
				if from := 750 + 50*n; second < from || second > from+21 {
					t.Errorf("question %d after %d s, want %d to %d", n, second, from, from+21)
				}
			}
		}
		c.t = c.t.Add(time.Second)
	}
	want := map[string]int{"1": 4, "2Büro": 4, "3Büro": 4, "4p.local": 4, "5p.local": 4}
	if !reflect.DeepEqual(counts, want) {
		t.Errorf("questions: %v, want %v", counts, want)
	}

	tab, c = table(TypeScanner)
	tell(tab, printer, both...)
	c.t = c.t.Add(900 * time.Second)
	tab.Due()
	tell(tab, printer, both...)
	if due := tab.Due(); len(due) != 0 {
		t.Errorf("just refreshed: asked for %v", due)
	}
}

func TestKnown(t *testing.T) {
	tab, c := table(TypeScanner, TypeNode)
	tell(tab, printer, ptr("Büro", time.Hour), ptr("Attic", 10*time.Minute))
	tell(tab, printer, Entry{Kind: PTR, Type: TypeNode, Name: "other", TTL: time.Hour})
	c.t = c.t.Add(5*time.Minute - time.Second)
	want := []Entry{
		{Kind: PTR, Type: TypeScanner, Name: "Attic", TTL: 5*time.Minute + time.Second},
		{Kind: PTR, Type: TypeScanner, Name: "Büro", TTL: 55*time.Minute + time.Second},
	}
	q := Question{Interface: "eth0", Kind: PTR, Type: TypeScanner}
	if got := tab.Known(q); !reflect.DeepEqual(got, want) {
		t.Errorf("Known() = %v, want %v", got, want)
	}
	c.t = c.t.Add(time.Second)
	if got := tab.Known(q); len(got) != 1 || got[0].Name != "Büro" {
		t.Errorf("Known() after half the time of one = %v, want the other", got)
	}
	tell(tab, printer, ptr("Büro", 0))
	if got := tab.Known(q); len(got) != 0 {
		t.Errorf("Known() after a goodbye = %v, want none", got)
	}
	if got := tab.Known(Question{Interface: "wlan0", Kind: PTR, Type: TypeNode}); len(got) != 0 {
		t.Errorf("Known() of the other interface = %v, want none", got)
	}
}
