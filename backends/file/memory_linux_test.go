package file_test

import (
	"os"
	"strings"
	"testing"
)

// isMemory asks the kernel's list of mounts, another source than the driver's.
func isMemory(t *testing.T, dir string) bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Skipf("no list of mounts: %v", err)
	}
	best, kind := "", ""
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		under := dir == fields[1] || strings.HasPrefix(dir, strings.TrimSuffix(fields[1], "/")+"/")
		if under && len(fields[1]) >= len(best) {
			best, kind = fields[1], fields[2]
		}
	}
	return kind == "tmpfs" || kind == "ramfs"
}
