package relay_test

import (
	"net"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// TestStreamKnowsWhatIsAcknowledged: a peer that reads all the time is no stalled one while
// the system takes nothing more, as it does until a third of a large buffer is free.
func TestStreamKnowsWhatIsAcknowledged(t *testing.T) {
	a, b := tcpPair(t)
	b.(*net.TCPConn).SetReadBuffer(8 << 10)
	a.(*net.TCPConn).SetWriteBuffer(200 << 10)
	s := relay.NewStream(a)
	s.StallLimit = time.Second
	wrote := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, 600<<10))
		wrote <- err
	}()
	pace := time.NewTicker(50 * time.Millisecond) // 60 KiB a second
	defer pace.Stop()
	for p := make([]byte, 3<<10); ; {
		select {
		case err := <-wrote:
			if err != nil {
				t.Errorf("Write to a slow reader: %v", err)
			}
			return
		case <-pace.C:
			b.Read(p)
		}
	}
}
