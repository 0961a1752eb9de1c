// Package version says which build this is. It is for people, logs and the API's
// answers; no behaviour hangs on it.
package version

import (
	"runtime/debug"
	"sync"
)

// release is set by the linker: -X github.com/platen-scan/platen/internal/version.release=1.2.3
var release string

// String is the version: of the release, else of the module, else of the commit.
var String = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return describe(release, info)
})

func describe(release string, info *debug.BuildInfo) string {
	if release != "" {
		return release
	}
	if info == nil {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, modified := "", false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if commit == "" {
		return "devel"
	}
	v := "devel-" + commit[:min(12, len(commit))]
	if modified {
		v += "-modified"
	}
	return v
}
