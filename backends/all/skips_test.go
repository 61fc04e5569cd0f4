package all_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/all"
	"github.com/handover-agent/handover/backends/backendtest"
)

var update = flag.Bool("update", false, "write testdata/skips.golden anew")

// TestSkips: what a store can't do is declared, and the conformance suite leaves
// that out and nothing else. Whoever adds to the list has to say so here.
func TestSkips(t *testing.T) {
	var text strings.Builder
	for _, d := range all.Drivers() {
		for _, skip := range backendtest.Skips(open(t, d)) {
			fmt.Fprintf(&text, "%-20s %-28s needs %s\n", d.Type, skip.Subtest, skip.Needs)
		}
	}
	name := filepath.Join("testdata", "skips.golden")
	if *update {
		if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("what the suite skips (-golden +now):\n%s", diff)
	}
}
