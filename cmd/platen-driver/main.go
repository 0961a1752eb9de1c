// Command platen-driver is the worker program for native libraries: it hosts the
// drivers in processes that platen starts and that may crash or hang. It is of no use
// to people directly; lying beside platen is all it takes to be used.
package main

import (
	"fmt"
	"os"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/sane"
	"github.com/platen-scan/platen/node/driver/virtual"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/node/imaging/turbo"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if !driver.IsWorker(args) {
		fmt.Fprintln(os.Stderr, "platen-driver is started by platen; leave it in the same folder.")
		return 2
	}
	codecs, err := turbo.Codecs()
	if err != nil {
		codecs = imaging.Codecs{} // slower, and as good
	}
	return driver.WorkerMain(args, []driver.Driver{virtual.New(), sane.New()}, codecs)
}
