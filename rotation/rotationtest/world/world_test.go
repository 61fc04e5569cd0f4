package world_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/rotation/rotationtest/world"
)

var (
	count = flag.Uint64("world-count", 0, "how many worlds to play, seeds 1 to that; 0 is 20000, or 500 with -short or -race")
	seed  = flag.Uint64("world-seed", 0, "play the world of this seed alone and tell its story; 0 plays many")
	only  numbers
	first = flag.Bool("world-first", false, "stop at the first world that breaks a promise, and say which one it is")
)

func TestMain(m *testing.M) {
	flag.Var(&only, "world-only", "with -world-seed: the `numbers` of the faults that take place, as 3,7; all without this, none with 0")
	flag.Parse()
	if only != nil && *seed == 0 {
		fmt.Fprintln(os.Stderr, "-world-only: which faults? The numbers are those of one world: give -world-seed too")
		os.Exit(2)
	}
	debug.SetGCPercent(1000) // worlds are short-lived, and there is memory enough
	os.Exit(m.Run())
}

// numbers is a flag with a list of whole numbers.
type numbers []int

func (n *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*n)), " ", ","), "[]")
}

// Set reads a list.
func (n *numbers) Set(text string) error {
	*n = numbers{}
	for part := range strings.SplitSeq(text, ",") {
		number, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return fmt.Errorf("%q is no number of a fault", part)
		}
		if number > 0 {
			*n = append(*n, int(number))
		}
	}
	return nil
}

// onDisk is how many worlds have one whose journals are SQLite files, and which
// log: the rest are in memory.
const onDisk = 100

// longest is what a world may take in real time: some hundred times what one
// takes on a busy machine. A world stops itself after so many acts and passes;
// this is for what goes round without either.
const longest = 2 * time.Minute

// play plays one world in a bubble of its own.
func play(t *testing.T, seed uint64, o world.Options) (result world.Result) {
	watch := time.AfterFunc(longest, func() {
		fmt.Printf("first broken world: seed %d after %d worlds: it spins, and had no end after %s\n", seed, seed, longest)
		os.Exit(1)
	})
	defer watch.Stop()
	synctest.Test(t, func(t *testing.T) {
		if seed%onDisk == 0 {
			o.Disk, o.Logged = newFile(t), true
		}
		w, err := world.New(seed, o)
		if err != nil {
			t.Fatalf("the world of seed %d can't be built: %v", seed, err)
		}
		w.Run(t.Context())
		result = w.Result
	})
	return result
}

// TestWorlds plays many worlds, or the one that -world-seed names. A world that
// breaks a promise is told as the command that plays it again, shrunk to the
// fewest faults, with its story.
func TestWorlds(t *testing.T) {
	if *seed != 0 {
		tellOne(t)
		return
	}
	most := *count
	switch {
	case most == 0 && (testing.Short() || underRace):
		most = 500
	case most == 0:
		most = 20000
	}
	began := time.Now()
	y := playMany(t, most)
	took := time.Since(began)
	y.tell(t)
	told := min(3, len(y.failing))
	if *first { // whoever asks for that knows what is wrong
		told = 0
	}
	for _, s := range slices.Sorted(maps.Keys(y.failing))[:told] {
		shrunk, result := world.Shrink(y.failing[s], func(only map[string]bool) world.Result {
			return play(t, s, world.Options{Only: only})
		})
		t.Errorf("go test ./rotation/rotationtest/world -run TestWorlds -v -world-seed %d -world-only %s\n%s\n%s", s, shrunk,
			strings.Join(result.Broken, "\n"), strings.Join(result.Story, "\n"))
	}
	if n := len(y.failing); n > 0 {
		seeds := slices.Sorted(maps.Keys(y.failing))
		t.Errorf("%d of %d worlds broke a promise: the seeds %d", n, y.worlds, seeds)
		fmt.Printf("first broken world: seed %d after %d worlds\n", seeds[0], seeds[0])
	} else if most >= covering {
		y.wantEveryFaultInEveryState(t)
	}
	t.Logf("%d acts, %d faults, %d checks; %.0f worlds a second on %d processors",
		y.acts, y.struck, y.checks, float64(y.worlds)/took.Seconds(), runtime.GOMAXPROCS(0))
	t.Logf("%d worlds", y.worlds)
}

// tellOne plays one world and tells its story.
func tellOne(t *testing.T) {
	o := world.Options{}
	if only != nil {
		all := play(t, *seed, o).Struck
		o.Only = map[string]bool{}
		for _, number := range only {
			if number > len(all) {
				t.Fatalf("-world-only %d: the world of seed %d has %d faults", number, *seed, len(all))
			}
			o.Only[all[number-1].ID] = true
		}
	}
	r := play(t, *seed, o)
	t.Log(strings.Join(r.Story, "\n"))
	if len(r.Broken) > 0 {
		t.Fatal(strings.Join(r.Broken, "\n"))
	}
}

// playMany plays the worlds of the seeds up to most.
func playMany(t *testing.T, most uint64) *tally {
	y := newTally()
	var next atomic.Uint64
	var stop atomic.Bool
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for s := next.Add(1); s <= most && !stop.Load(); s = next.Add(1) {
				if r := play(t, s, world.Options{}); y.add(s, r) && *first {
					stop.Store(true)
				}
			}
		})
	}
	all.Wait()
	return y
}

// A world replays: the same seed tells the same story.
func TestAWorldReplays(t *testing.T) {
	for s := uint64(1); s <= 10; s++ {
		first, second := play(t, s, world.Options{}), play(t, s, world.Options{})
		if !slices.Equal(first.Story, second.Story) {
			t.Errorf("seed %d: the second story differs from the first", s)
		}
	}
}

// A world on SQLite is the world in memory.
func TestAWorldOnDiskIsTheSame(t *testing.T) {
	const s = 7
	var onFile world.Result
	synctest.Test(t, func(t *testing.T) {
		w, err := world.New(s, world.Options{Disk: newFile(t)})
		if err != nil {
			t.Fatal(err)
		}
		w.Run(t.Context())
		onFile = w.Result
	})
	if inMemory := play(t, s, world.Options{}); !slices.Equal(onFile.Story, inMemory.Story) {
		t.Errorf("on disk:\n%s\n\nin memory:\n%s", strings.Join(onFile.Story, "\n"), strings.Join(inMemory.Story, "\n"))
	}
}

// A world that would go on and on is stopped, and is broken.
func TestARunawayIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := world.New(1, world.Options{})
		if err != nil {
			t.Fatal(err)
		}
		const done = 1 << 20
		w.Result.Acts = done
		w.Run(t.Context())
		if r := w.Result; len(r.Broken) != 1 || !strings.HasPrefix(r.Broken[0], "runaway: ") || r.Acts > done+10 {
			t.Errorf("%d more acts, %q", r.Acts-done, r.Broken)
		}
	})
}

// The verdict can fail: stores that take nothing are found out.
func TestABrokenWorldIsFoundOut(t *testing.T) {
	const worlds = 3
	broken := 0
	for s := range uint64(worlds) {
		synctest.Test(t, func(t *testing.T) {
			w, err := world.New(s+1, world.Options{})
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
