package version

import (
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	settings := func(kv ...string) []debug.BuildSetting {
		var s []debug.BuildSetting
		for i := 0; i < len(kv); i += 2 {
			s = append(s, debug.BuildSetting{Key: kv[i], Value: kv[i+1]})
		}
		return s
	}
	tests := []struct {
		release string
		info    *debug.BuildInfo
		want    string
	}{
		{"1.2.3", nil, "1.2.3"},
		{"1.2.3", &debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}}, "1.2.3"},
		{"", nil, "unknown"},
		{"", &debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}}, "v1.0.0"},
		{"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		{"", &debug.BuildInfo{Settings: settings("vcs.revision", "0123456789abcdef")}, "devel-0123456789ab"},
		{"", &debug.BuildInfo{Settings: settings("vcs.revision", "0123", "vcs.modified", "true")}, "devel-0123-modified"},
	}
	for _, tt := range tests {
		if got := describe(tt.release, tt.info); got != tt.want {
			t.Errorf("describe(%q, %+v) = %q, want %q", tt.release, tt.info, got, tt.want)
		}
	}
	if String() == "" {
		t.Error("this build has no version")
	}
}
