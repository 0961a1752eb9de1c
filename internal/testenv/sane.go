package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// saneTest is SANE's test back end with an area of A4 and a colour page at 300 dpi as defaults.
const saneTest = `number_of_devices %d
mode Color
depth 8
resolution_min 50.0
resolution_max 1200.0
resolution_quant 1.0
resolution 300.0
test-picture "Color pattern"
geometry_min 0.0
geometry_max 300.0
geometry_quant 1.0
tl_x 0.0
tl_y 0.0
br_x 210.0
br_y 297.0
`

// SANEConfig writes a SANE configuration with the test back end alone and returns
// the environment variable that selects it.
func SANEConfig(t testing.TB, devices int) (env string) {
	t.Helper()
	return saneConfig(t, map[string]string{"dll.conf": "test\n", "test.conf": fmt.Sprintf(saneTest, devices)})
}

// saneConfig writes the files of a SANE configuration.
func saneConfig(t testing.TB, files map[string]string) (env string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return "SANE_CONFIG_DIR=" + dir
}
