package rotationtest_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// play runs one world with planned faults and tells what broke, and the acts.
func play(t *testing.T, plan map[int]rotationtest.FaultKind, days int, busy bool) (broken string, acts []string) {
	synctest.Test(t, func(t *testing.T) {
		l := rotationtest.NewLab(t, plan, twoStores()...)
		if !busy {
			l.Slot.Policy.Sweep, l.Slot.Policy.DriftCheck = 60*rotation.Day, 60*rotation.Day
		}
		for range days {
			l.Run(rotation.Day)
		}
		l.Quiesce()
		l.Settled()
		broken, acts = l.Broken(), l.Script.Names()
	})
	return broken, acts
}

// TestEveryFaultAtEveryAct is the crash enumerator: a clean run of ninety days
// counts the acts; then each act meets each fault once.
func TestEveryFaultAtEveryAct(t *testing.T) {
	days := 90
	if testing.Short() {
		days = 26
	}
	broken, acts := play(t, nil, days, true)
	if broken != "" {
		t.Fatalf("without a fault:\n%s", broken)
	}
	var plans []map[int]rotationtest.FaultKind
	for act := range acts {
		for _, kind := range rotationtest.FaultKinds {
			plans = append(plans, map[int]rotationtest.FaultKind{act + 1: kind})
		}
	}
	playAll(t, plans, days, true)
}

// TestEveryPairOfFaults does the same with two faults, on a run of one
// rotation. The second one strikes at each act of the run that the first one
// makes.
func TestEveryPairOfFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: some ten thousand runs")
	}
	const days = 26
	broken, acts := play(t, nil, days, false)
	if broken != "" {
		t.Fatalf("without a fault:\n%s", broken)
	}
	var plans []map[int]rotationtest.FaultKind
	for first, name := range acts {
		for _, a := range faultsOf(first, name) {
			if underRace && first%5 != 0 {
				continue
			}
			_, then := play(t, map[int]rotationtest.FaultKind{first + 1: a}, days, false)
			for second := first + 1; second < len(then); second++ {
				for _, b := range faultsOf(second, then[second]) {
					plans = append(plans, map[int]rotationtest.FaultKind{first + 1: a, second + 1: b})
				}
			}
		}
	}
	playAll(t, plans, days, false)
}

// faultsOf leaves out what is the same world twice: a crash before an act is a
// crash after the one before it, and a look that fails or crashes changes
// nothing, whether it was done or not. The run of single faults tries all.
func faultsOf(act int, name string) []rotationtest.FaultKind {
	for _, look := range []string{"list ", "get ", "check "} {
		if strings.HasPrefix(name, look) {
			return []rotationtest.FaultKind{rotationtest.FailBefore}
		}
	}
	if act == 0 {
		return rotationtest.FaultKinds
	}
	return []rotationtest.FaultKind{rotationtest.CrashAfter, rotationtest.FailBefore, rotationtest.FailAfter}
}

// playAll plays each plan and fails with the story of the first that broke.
func playAll(t *testing.T, plans []map[int]rotationtest.FaultKind, days int, busy bool) {
	if underRace {
		plans = thin(plans, 20)
	}
	var next atomic.Int64
	var mu sync.Mutex
	first := ""
	failed := 0
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(plans) {
					return
				}
				broken, _ := play(t, plans[i], days, busy)
				if broken == "" {
					continue
				}
				mu.Lock()
				failed++
				if first == "" {
					first = fmt.Sprintf("plan %v:\n%s", plans[i], broken)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d runs with faults, %d broke a promise", len(plans), failed)
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
