package rotationtest_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// play runs one world with planned faults and tells what broke.
func play(t *testing.T, plan map[int]rotationtest.FaultKind, days int, busy bool) (broken string, acts int) {
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
		broken, acts = l.Broken(), l.Script.Count()
	})
	return broken, acts
}

// TestEveryFaultAtEveryAct is the crash enumerator: a clean run of ninety days
// counts the acts; then each act meets each fault once.
func TestEveryFaultAtEveryAct(t *testing.T) {
	broken, acts := play(t, nil, 90, true)
	if broken != "" {
		t.Fatalf("without a fault:\n%s", broken)
	}
	var plans []map[int]rotationtest.FaultKind
	for act := 1; act <= acts; act++ {
		for _, kind := range rotationtest.FaultKinds {
			plans = append(plans, map[int]rotationtest.FaultKind{act: kind})
		}
	}
	playAll(t, plans, 90, true)
}

// TestEveryPairOfFaults does the same with two faults, on a run of one
// rotation.
func TestEveryPairOfFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: tens of thousands of runs")
	}
	broken, acts := play(t, nil, 26, false)
	if broken != "" {
		t.Fatalf("without a fault:\n%s", broken)
	}
	var plans []map[int]rotationtest.FaultKind
	for first := 1; first <= acts; first++ {
		for second := first + 1; second <= acts; second++ {
			for _, a := range rotationtest.FaultKinds {
				for _, b := range rotationtest.FaultKinds {
					plans = append(plans, map[int]rotationtest.FaultKind{first: a, second: b})
				}
			}
		}
	}
	playAll(t, plans, 26, false)
}

// playAll plays each plan and fails with the story of the first that broke.
func playAll(t *testing.T, plans []map[int]rotationtest.FaultKind, days int, busy bool) {
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
