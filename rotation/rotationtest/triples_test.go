package rotationtest_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

var (
	triples    = wholeNumber("triples", 100_000_000, "how many triples of faults to play; left out, it is 2,000, or 200 with -short or -race")
	tripleSeed = wholeNumber("triple-seed", 1<<62, "the seed of the first triple; without -triples it is played alone, and its story told")
)

// wholeNumber is a flag that takes a number from 1 to most; it is 0 when it isn't
// given.
func wholeNumber(name string, most uint64, usage string) *uint64 {
	var number uint64
	flag.Func(name, usage, func(text string) error {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 || n > most {
			return fmt.Errorf("give a whole number from 1 to %d", most)
		}
		number = n
		return nil
	})
	return &number
}

// TestTriplesOfFaults plays scenes with three faults each, drawn from a seed:
// more than can be enumerated. A failing one is told by the command that plays
// it again, with the fewest of its faults that break a promise.
func TestTriplesOfFaults(t *testing.T) {
	n, from := *triples, cmp.Or(*tripleSeed, 1)
	alone := n == 0 && *tripleSeed != 0
	switch {
	case alone:
		n = 1
	case n == 0 && (testing.Short() || underRace):
		n = 200
	case n == 0:
		n = 2000
	}
	stages := triScenes(t)
	var struck atomic.Int64
	many(t, int(n), func(i int) string {
		seed := from + uint64(i)
		s, faults := draw(stages, seed)
		broken, acts := s.play(t, faults, oneRotation)
		for act := range faults {
			if act <= len(acts) {
				struck.Add(1)
			}
		}
		if alone {
			t.Logf("%s\n%s%s", s.name, faults.on(acts), strings.Join(acts, "\n"))
		}
		if broken == "" {
			return ""
		}
		fewest, broken, acts := s.shrink(t, faults, broken, acts)
		return fmt.Sprintf("go test ./rotation/rotationtest -run TestTriplesOfFaults -v -triple-seed %d\n%s\n%s%s",
			seed, s.name, fewest.on(acts), broken)
	})
	t.Logf("seeds %d to %d; of %d planned faults, %d struck", from, from+n-1, 3*n, struck.Load())
	if !alone && struck.Load() < int64(3*n)*9/10 {
		t.Error("too few of the planned faults struck")
	}
}

// stage is a scene with the number of acts of its clean run.
type stage struct {
	scene
	acts int
}

// triScenes are scenes of every kind of store, alone and in company: at rest,
// busy, and with a slow API.
func triScenes(t *testing.T) (stages []stage) {
	t.Helper()
	all := append(scenes(),
		scene{name: "staging, plain overwrite and volatile", stores: []rotationtest.LabStore{
			jsonStore(mem.LikeAWS()), jsonStore(mem.LikeAzure()), tokenStore(mem.Options{Volatile: true})}},
		scene{name: "file and volatile", stores: []rotationtest.LabStore{
			tokenStore(mem.LikeFile()), tokenStore(mem.Options{Volatile: true})}},
		scene{name: "lossy and without metadata", stores: []rotationtest.LabStore{lossyStore(), jsonStore(mem.Options{})}},
		scene{name: "lossy", stores: []rotationtest.LabStore{lossyStore()}},
	)
	for _, s := range all {
		busy, slow := s, s
		busy.busy, slow.slow = true, true
		for _, s := range []scene{s, busy, slow} {
			s.inTurn = true
			stages = append(stages, stage{s, len(s.clean(t, oneRotation))})
		}
	}
	return stages
}

// draw draws a scene and three faults. Half of the second and third ones strike
// soon after the one before: there they meet what it left undone.
func draw(stages []stage, seed uint64) (scene, plan) {
	r := rand.New(rand.NewPCG(seed, 3))
	s := stages[r.IntN(len(stages))]
	faults := plan{}
	for last := 0; len(faults) < 3; {
		act := 1 + r.IntN(s.acts)
		if last > 0 && r.IntN(2) == 0 {
			act = last + 1 + r.IntN(12)
		}
		faults[act] = rotationtest.FaultKinds[r.IntN(len(rotationtest.FaultKinds))]
		last = act
	}
	return s.scene, faults
}

// shrink finds the fewest of a run's faults that break a promise too.
func (s scene) shrink(t *testing.T, faults plan, broken string, acts []string) (plan, string, []string) {
	t.Helper()
	for act := range faults {
		fewer := plan{}
		for a, kind := range faults {
			if a != act {
				fewer[a] = kind
			}
		}
		if b, then := s.play(t, fewer, oneRotation); b != "" {
			return s.shrink(t, fewer, b, then)
		}
	}
	return faults, broken, acts
}

// TestATripleReplays: the same seed makes the same acts.
func TestATripleReplays(t *testing.T) {
	stages := triScenes(t)
	for seed := range uint64(20) {
		s, faults := draw(stages, seed)
		_, first := s.play(t, faults, oneRotation)
		_, second := s.play(t, faults, oneRotation)
		if strings.Join(first, "\n") != strings.Join(second, "\n") {
			t.Errorf("seed %d: the second run differs from the first", seed)
		}
	}
}

// TestSeedsAndCountsOfTriples: what is no number from 1 is an error of usage.
func TestSeedsAndCountsOfTriples(t *testing.T) {
	for _, bad := range []string{"-triples=0", "-triples=-1", "-triples=", "-triples=many", "-triples=1e6", "-triples=100000001",
		"-triple-seed=0", "-triple-seed=-7", "-triple-seed=0x10", "-triple-seed=9223372036854775808"} {
		out, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$", bad).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "give a whole number from 1 to ") {
			t.Errorf("%s: %v\n%s", bad, err, out)
		}
	}
}
