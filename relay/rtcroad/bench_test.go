package rtcroad

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
)

// BenchmarkPage carries a page of 26,092,080 bytes over loopback; pion is at both ends.
func BenchmarkPage(b *testing.B) {
	for _, loss := range []float64{0, 0.01} {
		b.Run(fmt.Sprintf("%v lost", loss), func(b *testing.B) {
			page := make([]byte, 26_092_080)
			r := start(b, Config{}, nil)
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					c, err := r.Accept()
					if err != nil {
						return
					}
					serving.Go(func() {
						c.Write(page)
						c.Close()
					})
				}
			})
			b.Cleanup(func() { r.Close(); serving.Wait() })
			e := engine()
			if loss > 0 {
				e, _ = lossyEngine(b, loss)
			}
			browser := join(b, r, e)
			b.SetBytes(int64(len(page)))
			b.ReportAllocs()
			for b.Loop() {
				c, err := browser.Open(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, c)
				if err != nil || n != int64(len(page)) {
					b.Fatalf("%d bytes arrived, %v", n, err)
				}
				c.Close()
			}
		})
	}
}
