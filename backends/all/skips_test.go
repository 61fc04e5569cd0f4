package all_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/all"
	"github.com/handover-agent/handover/backends/backendtest"
)

var update = flag.Bool("update", false, "rewrite testdata/skips.golden from what the drivers say of themselves")

// TestSkips holds the whole list of what the conformance suite doesn't ask of a
// driver, each with the property by which its store says that it can't.
func TestSkips(t *testing.T) {
	const golden = "testdata/skips.golden"
	var got strings.Builder
	for _, d := range all.Drivers() {
		fmt.Fprintf(&got, "== %s\n", d.Type)
		skips := backendtest.Skips(open(t, d))
		for _, name := range slices.Sorted(maps.Keys(skips)) {
			fmt.Fprintf(&got, "%s: %s\n", name, skips[name])
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("what is skipped changed; look at each, then run the test with -update (-want +got):\n%s", diff)
	}
}
