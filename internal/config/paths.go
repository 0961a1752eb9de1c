package config

import (
	"fmt"
	"os"
	"path/filepath"
)

// Paths are the parts of the data folder.
type Paths struct {
	Storage string // jobs and pages
	Spool   string // what is under way and may go at a start
	Log     string
	Keys    string // identity and CA: who has them is this node or gateway
}

// PathsIn are the parts of the data folder dir.
func PathsIn(dir string) Paths {
	in := func(name string) string { return filepath.Join(dir, name) }
	return Paths{Storage: in("storage"), Spool: in("spool"), Log: in("log"), Keys: in("keys")}
}

// DefaultDir is the data folder of the user who runs the program, one for each role:
// "node", "gateway". It is where the XDG base directory specification puts data.
func DefaultDir(role string) (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "platen", role), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the data folder: %w", err)
	}
	return filepath.Join(home, ".local", "share", "platen", role), nil
}
