//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// answering is a UDP server on a host that answers with the address that it sees.
func answering(t *testing.T, h *testenv.Host, addr string) string {
	t.Helper()
	c := h.ListenPacket(addr)
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo([]byte(from.String()+" "+strconv.Itoa(n)), from)
		}
	}()
	return c.LocalAddr().String()
}

// client is a UDP socket on a host.
type client struct {
	net.PacketConn
	t *testing.T
}

// send sends bytes bytes and answers what the server says; "": nothing, for a while.
func (c client) ask(to string, bytes int, within time.Duration) string {
	c.t.Helper()
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.WriteTo(make([]byte, bytes), addr); err != nil {
		if errors.Is(err, syscall.EMSGSIZE) {
			return "too large"
		}
		c.t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(within))
	buf := make([]byte, 256)
	for {
		n, from, err := c.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ""
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if from.String() == to {
			return string(buf[:n])
		}
	}
}

// seen is the address that a server sees; it must answer.
func (c client) seen(to string) (host, port string) {
	c.t.Helper()
	answer := c.ask(to, 1, 5*time.Second)
	if answer == "" {
		c.t.Fatalf("%s does not answer", to)
	}
	host, port, err := net.SplitHostPort(answer[:len(answer)-2])
	if err != nil {
		c.t.Fatal(err)
	}
	return host, port
}

// lost reports that a server does not answer.
func (c client) lost(to string, bytes int) bool {
	c.t.Helper()
	return c.ask(to, bytes, 300*time.Millisecond) == ""
}

// The default router maps a port alike to everybody; a symmetric one does not; a mapping
// that was forgotten is another one; nobody outside can begin.
func TestRouter(t *testing.T) {
	lab := testenv.NewLab(t)
	node, one, two := lab.Host("node"), lab.Host("one"), lab.Host("two")
	r := lab.Router("router", node)
	outside := lab.Network(one, two, r.Host)
	servers := []string{answering(t, one, outside[0]+":7000"), answering(t, two, outside[1]+":7000")}
	c := client{node.ListenPacket(":5000"), t}

	host, port := c.seen(servers[0])
	if _, other := c.seen(servers[1]); host != outside[2] || port != "5000" || other != port {
		t.Errorf("seen as %s port %s and %s, want %s port 5000 twice", host, port, other, outside[2])
	}
	stranger := client{two.ListenPacket(":9000"), t}
	for _, to := range []string{outside[2] + ":5000", r.Hosts[0] + ":5000"} {
		if addr, _ := net.ResolveUDPAddr("udp", to); addr != nil {
			stranger.WriteTo([]byte("hello"), addr)
		}
	}
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, from, err := c.ReadFrom(make([]byte, 64)); err == nil {
		t.Errorf("a stranger at %v came through", from)
	}

	r.Rebind()
	if _, again := c.seen(servers[0]); again == port {
		t.Errorf("after the mappings were forgotten the port still is %s", again)
	}
	r.BlockUDP()
	if !c.lost(servers[0], 1) {
		t.Error("UDP came through a router that blocks it")
	}
	r.UnblockUDP()
	c.seen(servers[0])

	r.Symmetric()
	d := client{node.ListenPacket(":5001"), t}
	_, first := d.seen(servers[0])
	if _, second := d.seen(servers[1]); first == second || first == "5001" {
		t.Errorf("a symmetric router shows port 5001 as %s and %s", first, second)
	}
	if _, same := d.seen(servers[0]); same != first {
		t.Errorf("a flow's port changed from %s to %s", first, same)
	}
}

// Packets that are too long for the way out vanish without a word.
func TestRouterMTU(t *testing.T) {
	lab := testenv.NewLab(t)
	node, far := lab.Host("node"), lab.Host("far")
	r := lab.Router("router", node)
	outside := lab.Network(far, r.Host)
	server := answering(t, far, outside[0]+":7000")
	c := client{node.ListenPacket("0.0.0.0:5000"), t}
	raw, err := c.PacketConn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { // do not fragment, as QUIC does
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DO)
	})
	if err != nil {
		t.Fatal(err)
	}
	const headers = 28
	if got := c.ask(server, 1400-headers, 5*time.Second); got == "" || got == "too large" {
		t.Fatalf("1400 bytes on a good way: %q", got)
	}
	r.MTU(1280)
	if got := c.ask(server, 1280-headers, 5*time.Second); got == "" || got == "too large" {
		t.Errorf("1280 bytes: %q", got)
	}
	for range 2 { // had the router said a word, the second would be refused here
		if got := c.ask(server, 1281-headers, 300*time.Millisecond); got != "" {
			t.Errorf("1281 bytes: %q, want silence", got)
		}
	}
}

// TCP that is blocked, and a phone that changes to the network behind a router.
func TestMove(t *testing.T) {
	lab := testenv.NewLab(t)
	phone, gateway := lab.Host("phone"), lab.Host("gateway")
	home := lab.Network(phone, gateway)
	mobile := lab.Router("mobile")
	outside := lab.Network(gateway, mobile.Host)
	server := gateway.Listen(":7000")
	accepted := make(chan string, 8)
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			accepted <- host
			c.Close()
		}
	}()
	from := func(addr string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err := phone.Dial(ctx, "tcp", addr+":7000")
		if err != nil {
			return ""
		}
		c.Close()
		return <-accepted
	}
	if got := from(home[1]); got != home[0] {
		t.Fatalf("at home the gateway sees %q, want %s", got, home[0])
	}
	addr := phone.Move(phone.Card(home[0]), mobile.Host, mobile.Card(mobile.Addr))
	phone.Default(mobile.Addr)
	if got := from(home[1]); got != "" {
		t.Errorf("the old network is still reached, from %s", got)
	}
	if got := from(outside[0]); got != outside[1] || addr == home[0] {
		t.Errorf("from %s behind the router the gateway sees %q, want %s", addr, got, outside[1])
	}
	mobile.BlockTCP(7000)
	if got := from(outside[0]); got != "" {
		t.Errorf("TCP came through a router that blocks it, from %s", got)
	}
	mobile.UnblockTCP(7000)
	if got := from(outside[0]); got == "" {
		t.Error("TCP does not come through a router that no longer blocks it")
	}
}

// wired are two hosts with weather between them.
func wired(t *testing.T, weather testenv.Weather) (near, far *testenv.Host, wire *testenv.Wire, addr string) {
	t.Helper()
	lab := testenv.NewLab(t)
	near, far = lab.Host("near"), lab.Host("far")
	addrs := lab.Network(near, far)
	return near, far, near.Wire(near.Card(addrs[0]), weather), addrs[1]
}

// exchange sends numbered packets, 1 ms apart, and answers how the numbers came, and the
// shortest and median time there and back.
func exchange(t *testing.T, near, far *testenv.Host, addr string, count int) (numbers []int, best, mid time.Duration) {
	t.Helper()
	echo := far.ListenPacket(addr + ":0")
	go func() {
		buf := make([]byte, 64)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			echo.WriteTo(buf[:n], from)
		}
	}()
	c := near.ListenPacket(":0")
	sent := make([]time.Time, count)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := range count {
			<-tick.C
			sent[i] = time.Now()
			c.WriteTo([]byte(strconv.Itoa(i)), echo.LocalAddr())
		}
	}()
	var times []time.Duration
	buf := make([]byte, 64)
	for {
		c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		n, _, err := c.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(string(buf[:n]))
		if err != nil {
			t.Fatal(err)
		}
		numbers, times = append(numbers, i), append(times, time.Since(sent[i]))
	}
	if len(times) > 0 {
		slices.Sort(times)
		best, mid = times[0], times[len(times)/2]
	}
	return numbers, best, mid
}

// Each kind of weather does what it says, on a card that keeps what it has.
func TestWire(t *testing.T) {
	near, far, wire, addr := wired(t, testenv.Weather{})
	numbers, best, mid := exchange(t, near, far, addr, 200)
	t.Logf("no weather: %v, median %v", best, mid)
	if len(numbers) != 200 || !slices.IsSorted(numbers) {
		t.Errorf("a good cable brought %d of 200, in order: %v", len(numbers), slices.IsSorted(numbers))
	}

	wire.Set(testenv.Weather{Delay: 10 * time.Millisecond, Jitter: 2 * time.Millisecond})
	numbers, best, mid = exchange(t, near, far, addr, 200)
	t.Logf("10 ms each way: %v, median %v", best, mid)
	if best < 16*time.Millisecond || len(numbers) != 200 || !slices.IsSorted(numbers) {
		t.Errorf("10±2 ms each way: %d of 200 came, in order: %v, the first after %v", len(numbers), slices.IsSorted(numbers), best)
	}

	wire.Set(testenv.Weather{Delay: 5 * time.Millisecond, Reorder: 0.1})
	if numbers, _, _ = exchange(t, near, far, addr, 300); len(numbers) != 300 || slices.IsSorted(numbers) {
		t.Errorf("reordering brought %d of 300, in order: %v", len(numbers), slices.IsSorted(numbers))
	}
	wire.SetEach(testenv.Weather{Duplicate: 1}, testenv.Weather{})
	if numbers, _, _ = exchange(t, near, far, addr, 100); len(numbers) != 200 {
		t.Errorf("100 packets that were sent twice came %d times", len(numbers))
	}
	wire.SetEach(testenv.Weather{Loss: 0.2}, testenv.Weather{})
	if numbers, _, _ = exchange(t, near, far, addr, 500); len(numbers) < 330 || len(numbers) > 470 { // 6 sigma and more
		t.Errorf("with a fifth lost %d of 500 came", len(numbers))
	}
	wire.Set(testenv.Weather{})
	wire.Cut()
	if numbers, _, _ = exchange(t, near, far, addr, 20); len(numbers) > 0 {
		t.Errorf("%d packets came through a cut cable", len(numbers))
	}
	wire.Mend()
	if numbers, _, _ = exchange(t, near, far, addr, 20); len(numbers) != 20 {
		t.Errorf("%d of 20 packets came through a mended cable", len(numbers))
	}
	near.Unplug("eth0")
	if state := near.Run("cat", "/sys/class/net/eth0/carrier"); state != "0\n" {
		t.Errorf("the carrier of an unplugged card is %q", state)
	}
	near.Plug("eth0")
	testenv.Eventually(t, "packets come after the cable was in again", 10*time.Second, func() bool { // Linux lets a second pass
		numbers, _, _ := exchange(t, near, far, addr, 20)
		return len(numbers) == 20
	})
}

// A cable with a rate carries that much, and one without it enough for every test.
func TestWireRate(t *testing.T) {
	near, far, wire, addr := wired(t, testenv.Weather{})
	l := far.Listen(addr + ":0")
	rate := func(bytes int64) float64 {
		took := make(chan time.Duration, 1)
		go func() {
			defer close(took)
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			begin := time.Now()
			if n, err := io.Copy(io.Discard, c); err == nil && n == bytes {
				took <- time.Since(begin)
			}
		}()
		c, err := near.Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(c, zeros{}, bytes); err != nil {
			t.Fatal(err)
		}
		c.Close()
		d := <-took
		if d == 0 {
			t.Fatal("the transfer failed")
		}
		return float64(bytes) * 8 / 1e6 / d.Seconds()
	}
	best := max(rate(100_000_000), rate(100_000_000))
	t.Logf("no weather: %.0f Mbit/s", best)
	if best < 200 { // 500 and more on an idle machine
		t.Errorf("a good cable carries %.0f Mbit/s", best)
	}
	wire.Set(testenv.Weather{Delay: 5 * time.Millisecond})
	t.Logf("5 ms: %.0f Mbit/s", rate(100_000_000))
	wire.Set(testenv.Weather{Rate: 50, Delay: time.Millisecond})
	if got := rate(20_000_000); got > 51 || got < 30 {
		t.Errorf("a cable of 50 Mbit/s carries %.0f", got)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
