package rotationtest_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// scene is a world that is played again and again, each time with other faults.
type scene struct {
	name   string
	stores []rotationtest.LabStore
	// busy: targets are read and tokens listed every few days. Else a run has
	// the acts of its rotations and few more.
	busy bool
	// slow: a list shows a change only a minute later, and a token works only
	// ten seconds after it was issued.
	slow bool
	// inTurn: a plan strikes the same acts in each run.
	inTurn bool
	// emergency is asked for on the second day; nil: there is none.
	emergency *rotation.Request
}

// scenes have a store of each kind. The last three have no other one, so that
// what is lost there stands nowhere.
func scenes() []scene {
	return []scene{
		{name: "compare-and-set and file", stores: twoStores()},
		{name: "staging", stores: []rotationtest.LabStore{jsonStore(mem.LikeAWS())}},
		{name: "plain overwrite", stores: []rotationtest.LabStore{jsonStore(mem.LikeAzure())}},
		{name: "volatile", stores: []rotationtest.LabStore{tokenStore(mem.Options{Volatile: true})}},
	}
}

func jsonStore(options mem.Options) rotationtest.LabStore {
	return rotationtest.LabStore{Options: options, Format: payload.Spec{Format: "json"}}
}

// plan says which act, counted from 1, meets which fault.
type plan map[int]rotationtest.FaultKind

// on tells the plan by the acts of its run.
func (p plan) on(acts []string) string {
	var lines strings.Builder
	for _, act := range slices.Sorted(maps.Keys(p)) {
		name := "(the run has fewer acts)"
		if act <= len(acts) {
			name = acts[act-1]
		}
		fmt.Fprintf(&lines, "act %d, %s: %s\n", act, name, p[act])
	}
	return lines.String()
}

// oneRotation is how many days have one whole rotation in them.
const oneRotation = 26

// play runs the scene for some days with planned faults, and tells what broke,
// and the acts.
func (s scene) play(t *testing.T, faults plan, days int) (broken string, acts []string) {
	synctest.Test(t, func(t *testing.T) {
		l := rotationtest.NewLab(t, faults, s.stores...)
		if s.inTurn {
			l.InTurn()
		}
		if !s.busy {
			l.Slot.Policy.Sweep, l.Slot.Policy.DriftCheck = 60*rotation.Day, 60*rotation.Day
		}
		if s.slow {
			l.API.SetLag(time.Minute)
			l.API.SetValidAfter(10 * time.Second)
		}
		for day := range days {
			if day == 1 && s.emergency != nil {
				l.Ask(*s.emergency)
			}
			l.Run(rotation.Day)
			l.Leaks(leakBound)
		}
		l.Quiesce()
		l.Settled()
		l.Unanswered()
		broken, acts = l.Broken(), l.Script.Names()
	})
	return broken, acts
}

// clean are the acts of a run without a fault.
func (s scene) clean(t *testing.T, days int) []string {
	t.Helper()
	broken, acts := s.play(t, nil, days)
	if broken != "" {
		t.Fatalf("%s, without a fault:\n%s", s.name, broken)
	}
	return acts
}

// TestEveryFaultAtEveryAct is the crash enumerator: a clean run counts the acts;
// then each act meets each fault once. The first scene's run has ninety days,
// the others' two rotations; with a slow API it is one rotation.
func TestEveryFaultAtEveryAct(t *testing.T) {
	days := 90
	for _, s := range scenes() {
		if testing.Short() {
			days = oneRotation
		}
		s.busy = true
		t.Run(s.name, func(t *testing.T) { s.playAll(t, s.singles(t, days), days) })
		s.slow = true
		t.Run(s.name+", slow", func(t *testing.T) { s.playAll(t, s.singles(t, oneRotation), oneRotation) })
		days = 46
	}
}

func (s scene) singles(t *testing.T, days int) (plans []plan) {
	t.Helper()
	for act := range s.clean(t, days) {
		for _, kind := range rotationtest.FaultKinds {
			plans = append(plans, plan{act + 1: kind})
		}
	}
	return plans
}

// TestEveryPairOfFaults does the same with two faults, on a run of one
// rotation. The second one strikes at each act of the run that the first one
// makes. From the second scene on a store has a part in each pair: the others
// are those of the first scene.
func TestEveryPairOfFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: some twenty thousand runs")
	}
	for i, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			wanted := func(act string, kind rotationtest.FaultKind) bool { return i == 0 || s.concerns(act, kind) }
			s.playAll(t, s.pairs(t, 0, oneRotation, wanted), oneRotation)
		})
	}
}

// pairs are two faults each, of which one at least is wanted. The first is not
// before the act from, counted from 0.
func (s scene) pairs(t *testing.T, from, days int, wanted func(act string, kind rotationtest.FaultKind) bool) (plans []plan) {
	t.Helper()
	for first, name := range s.clean(t, days) {
		if underRace && first%5 != 0 || first < from {
			continue
		}
		for _, a := range faultsOf(first, name) {
			_, then := s.play(t, plan{first + 1: a}, days)
			for second := first + 1; second < len(then); second++ {
				for _, b := range faultsOf(second, then[second]) {
					if wanted(name, a) || wanted(then[second], b) {
						plans = append(plans, plan{first + 1: a, second + 1: b})
					}
				}
			}
		}
	}
	return plans
}

// concerns reports whether a store has a part in a fault: it is an act on one,
// or a crash that empties one.
func (s scene) concerns(act string, kind rotationtest.FaultKind) bool {
	if s.stores[0].Options.Volatile && (kind == rotationtest.CrashBefore || kind == rotationtest.CrashAfter) {
		return true
	}
	return isOf(act, "get", "put", "stage", "promote", "check")
}

// isOf reports whether an act's name begins with one of these words.
func isOf(act string, words ...string) bool {
	first, _, _ := strings.Cut(act, " ")
	return slices.Contains(words, first)
}

// faultsOf leaves out what is the same world twice: a crash before an act is a
// crash after the one before it, and a look that fails or crashes changes
// nothing, whether it was done or not. The run of single faults tries all.
func faultsOf(act int, name string) []rotationtest.FaultKind {
	switch {
	case isOf(name, "list", "get", "check"):
		return []rotationtest.FaultKind{rotationtest.FailBefore}
	case act == 0:
		return rotationtest.FaultKinds
	}
	return []rotationtest.FaultKind{rotationtest.CrashAfter, rotationtest.FailBefore, rotationtest.FailAfter}
}

// playAll plays each plan.
func (s scene) playAll(t *testing.T, plans []plan, days int) {
	t.Helper()
	if underRace {
		plans = thin(plans, 20)
	}
	many(t, len(plans), func(i int) string {
		broken, acts := s.play(t, plans[i], days)
		if broken == "" {
			return ""
		}
		return plans[i].on(acts) + broken
	})
}

// many makes n runs on all processors and fails with the story of the first
// that broke a promise; play returns "" for one that broke none.
func many(t *testing.T, n int, play func(i int) string) {
	t.Helper()
	var next atomic.Int64
	var mu sync.Mutex
	first, failed := "", 0
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				broken := play(i)
				if broken == "" {
					continue
				}
				mu.Lock()
				failed++
				if first == "" {
					first = broken
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d runs with faults, %d broke a promise", n, failed)
	if failed > 0 {
		t.Fatal(first)
	}
}

// thin keeps one of n, from the first on.
func thin[T any](all []T, n int) []T {
	var kept []T
	for i := 0; i < len(all); i += n {
		kept = append(kept, all[i])
	}
	return kept
}
