package node

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/pdfium"
	"github.com/platen-scan/platen/node/driver/virtual"
	"github.com/platen-scan/platen/node/imaging"
)

// TestMain is a worker program too, so that nodes in tests have real processes.
func TestMain(m *testing.M) {
	if driver.IsWorker(os.Args[1:]) {
		os.Exit(driver.WorkerMain(os.Args[1:], []driver.Driver{virtual.New(), pdfium.New()}, imaging.Codecs{}))
	}
	goleak.VerifyTestMain(m)
}
