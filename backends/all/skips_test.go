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

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/all"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/vault"
)

var update = flag.Bool("update", false, "rewrite testdata/skips.golden from what the drivers say of themselves")

// TestSkips holds the whole list of what the conformance suite doesn't ask of a
// driver, each with the property by which its store says that it can't.
func TestSkips(t *testing.T) {
	const golden = "testdata/skips.golden"
	var got strings.Builder
	list := func(store string, b backends.Backend) {
		fmt.Fprintf(&got, "== %s\n", store)
		skips := backendtest.Skips(b)
		for _, name := range slices.Sorted(maps.Keys(skips)) {
			fmt.Fprintf(&got, "%s: %s\n", name, skips[name])
		}
	}
	for _, d := range all.Drivers() {
		given := options(t, d)
		list(d.Type, open(t, d, given))
		if o, ok := given.(*vault.Options); ok {
			plain := *o
			plain.KVVersion = 1
			list(d.Type+", kv_version: 1", open(t, d, &plain))
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
