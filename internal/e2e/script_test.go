//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/platen-scan/platen/internal/testenv"
)

// The scripts in testdata are the command line as its users see it.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Join(testenv.Root(), "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("PLATEN_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("PLATEN_NODE_DRIVERS", "virtual")
			return nil
		},
	})
}
