package world_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/handover-agent/handover/rotation/rotationtest/world"
)

// tally adds up the results of many worlds.
type tally struct {
	mu      sync.Mutex
	worlds  int
	acts    int
	struck  int
	checks  int
	faults  world.Counts
	exposed world.Counts
	windows map[string]int
	failing map[uint64]world.Result
}

func newTally() *tally {
	return &tally{faults: world.Counts{}, exposed: world.Counts{}, windows: map[string]int{}, failing: map[uint64]world.Result{}}
}

// add takes a result in; it returns true for one that broke a promise.
func (y *tally) add(seed uint64, r world.Result) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.worlds++
	y.acts += r.Acts
	y.struck += len(r.Struck)
	y.checks += r.Checks
	y.faults.Add(r.Faults)
	y.exposed.Add(r.Exposed)
	for name, n := range r.Windows {
		y.windows[name] += n
	}
	if len(r.Broken) > 0 {
		y.failing[seed] = r
	}
	return len(r.Broken) > 0
}

// tell prints the windows that no rule closes, and the table of faults by the
// state of the slot that they met.
func (y *tally) tell(t *testing.T) {
	t.Helper()
	var text strings.Builder
	text.WriteString("what no rule closes, and how often it happened:\n")
	for _, name := range slices.Sorted(maps.Keys(y.windows)) {
		fmt.Fprintf(&text, "%8d %s\n", y.windows[name], name)
	}
	fmt.Fprintf(&text, "\n%-42s", "faults by the state of the slot")
	for _, state := range world.States() {
		fmt.Fprintf(&text, "%12s", state)
	}
	for _, fault := range world.Kinds() {
		fmt.Fprintf(&text, "\n%-42s", fault)
		for _, state := range world.States() {
			fmt.Fprintf(&text, "%12s", fmt.Sprintf("%d/%d", y.faults[fault][state], y.exposed[fault][state]))
		}
	}
	t.Log(text.String())
}

const (
	// covering is how many worlds let every fault meet every state often
	// enough.
	covering = 20000
	// often is how often that is.
	often = 100
	// seldom: acts that come to pass less often than that, in covering worlds,
	// can't meet every fault.
	seldom = 500
)

// wantEveryFaultInEveryState: what never happened proves nothing.
func (y *tally) wantEveryFaultInEveryState(t *testing.T) {
	t.Helper()
	for _, fault := range world.Kinds() {
		for _, state := range world.States() {
			if n := y.faults[fault][state]; n < often && y.exposed[fault][state] >= seldom {
				t.Errorf("%q met a slot that is %s %d times in %d worlds, want %d", fault, state, n, y.worlds, often)
			}
		}
	}
}
