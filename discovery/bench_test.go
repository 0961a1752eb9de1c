package discovery

import (
	"fmt"
	"net/netip"
	"testing"
)

// BenchmarkStorm is what one packet costs when the table is full.
func BenchmarkStorm(b *testing.B) {
	tab, _ := table(TypeScanner)
	for i := range 200 {
		tell(tab, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), honest(i)...)
	}
	packets := make([]Answer, 256)
	for i := range packets {
		packets[i] = Answer{Interface: "eth0", From: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Entries: all(fmt.Sprintf("Fake %d", i), "f.local", "192.0.2.200")}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tab.Take(packets[i%len(packets)])
		tab.Due()
		tab.Next()
		tab.List()
	}
}
