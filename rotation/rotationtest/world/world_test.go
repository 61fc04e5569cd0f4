package world_test

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/rotation/rotationtest/world"
)

var (
	count = flag.Uint64("world-count", 0, "how many worlds to play; 0 is 500, or 100 with -short or -race")
	seed  = flag.Uint64("world-seed", 0, "play the world of this seed alone and tell its story; 0 plays many")
)

// play plays one world in a bubble of its own.
func play(t *testing.T, seed uint64) (result world.Result) {
	synctest.Test(t, func(t *testing.T) {
		w, err := world.New(seed)
		if err != nil {
			t.Fatal(err)
		}
		w.Run(t.Context())
		result = w.Result
	})
	return result
}

// tally adds up the results of many worlds.
type tally struct {
	mu      sync.Mutex
	worlds  int
	acts    int
	checks  int
	faults  map[world.Fault]int
	windows map[string]int
	failing []string
}

func (y *tally) add(seed uint64, r world.Result) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.worlds++
	y.acts += r.Acts
	y.checks += r.Checks
	for fault, byState := range r.Faults {
		for _, n := range byState {
			y.faults[fault] += n
		}
	}
	for name, n := range r.Windows {
		y.windows[name] += n
	}
	if len(r.Broken) > 0 {
		y.failing = append(y.failing, fmt.Sprintf("go test ./rotation/rotationtest/world -run TestWorlds -v -world-seed %d\n\t%s",
			seed, strings.Join(r.Broken, "\n\t")))
	}
}

// TestWorlds plays many worlds, or the one that -world-seed names. A world that
// breaks a promise is told as the command that plays it again.
func TestWorlds(t *testing.T) {
	if *seed != 0 {
		r := play(t, *seed)
		t.Log(strings.Join(r.Story, "\n"))
		if len(r.Broken) > 0 {
			t.Fatal(strings.Join(r.Broken, "\n"))
		}
		return
	}
	most := *count
	switch {
	case most == 0 && (testing.Short() || underRace):
		most = 100
	case most == 0:
		most = 500
	}
	y := &tally{faults: map[world.Fault]int{}, windows: map[string]int{}}
	var next atomic.Uint64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for s := next.Add(1); s <= most; s = next.Add(1) {
				y.add(s, play(t, s))
			}
		})
	}
	all.Wait()
	for _, name := range slices.Sorted(maps.Keys(y.windows)) {
		t.Logf("%6d times: %s", y.windows[name], name)
	}
	for _, fault := range slices.Sorted(maps.Keys(y.faults)) {
		t.Logf("%6d × %s", y.faults[fault], fault)
	}
	for _, f := range y.failing[:min(5, len(y.failing))] {
		t.Error(f)
	}
	if n := len(y.failing); n > 0 {
		t.Errorf("%d of %d worlds broke a promise", n, y.worlds)
	}
	if most >= enough {
		y.wantEveryFault(t)
	}
	t.Logf("%d acts, %d checks, %d worlds", y.acts, y.checks, y.worlds)
}

// enough is how many worlds meet every kind of fault.
const enough = 400

// wantEveryFault: what never happened proves nothing.
func (y *tally) wantEveryFault(t *testing.T) {
	t.Helper()
	for _, fault := range world.Kinds() {
		if y.faults[fault] == 0 {
			t.Errorf("%q did not happen in %d worlds", fault, y.worlds)
		}
	}
}

// A world replays: the same seed tells the same story.
func TestAWorldReplays(t *testing.T) {
	for s := uint64(1); s <= 10; s++ {
		first, second := play(t, s), play(t, s)
		if !slices.Equal(first.Story, second.Story) {
			t.Errorf("seed %d: the second story differs from the first", s)
		}
	}
}

// The verdict can fail: stores that take nothing are found out.
func TestABrokenWorldIsFoundOut(t *testing.T) {
	const worlds = 3
	broken := 0
	for s := range uint64(worlds) {
		synctest.Test(t, func(t *testing.T) {
			w, err := world.New(s + 1)
			if err != nil {
				t.Fatal(err)
			}
			w.Sabotage()
			w.Run(t.Context())
			if len(w.Result.Broken) > 0 {
				broken++
			}
		})
	}
	if broken != worlds {
		t.Errorf("%d of %d worlds were found broken, whose stores take nothing", broken, worlds)
	}
}
