package rotationtest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// storeCalls counts what was asked of the first store, by call.
func storeCalls(l *rotationtest.Lab) map[string]int {
	counts := map[string]int{}
	for _, act := range l.Script.Names() {
		if call, at, ok := strings.Cut(act, " "); ok && strings.HasPrefix(at, "store1/") {
			counts[call]++
		}
	}
	return counts
}

// callsSince is what was counted since before.
func callsSince(now, before map[string]int) map[string]int {
	diff := map[string]int{}
	for call, n := range now {
		if n -= before[call]; n != 0 {
			diff[call] = n
		}
	}
	return diff
}

// rotationCalls is what one rotation asks of a store of each kind, from the
// request to the deletion of the old token. docs/benchmarks.md says what for.
var rotationCalls = map[string]map[string]int{
	"vault":               {"get": 3, "check": 1, "put": 1},
	"aws-secrets-manager": {"get": 3, "check": 1, "stage": 1, "promote": 1},
	"azure-key-vault":     {"get": 5, "check": 1, "put": 1, "remove": 1},
	"file":                {"get": 4, "check": 1, "put": 1},
}

func TestOneRotationAsksTheStores(t *testing.T) {
	for kind, options := range mem.Like() {
		t.Run(kind, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				var ahead time.Duration
				l.Slot.Policy.DriftCheck = 600 * rotation.Day // no turn falls into it
				l.Pass()
				before := storeCalls(l)
				aRotation(l, &ahead)
				if diff := cmp.Diff(rotationCalls[kind], callsSince(storeCalls(l), before)); diff != "" {
					t.Errorf("calls of one rotation (-want +got):\n%s", diff)
				}
				wantServed(t, l, 2)
			}, tokenStore(options))
		})
	}
}

// latency is how long each call of each store takes.
const latency = 50 * time.Millisecond

// TestARotationTakesItsSlowestStore: stores are asked at the same time, so that
// a rotation to several takes no longer than to the slowest of them alone, and
// a fifth of that.
func TestARotationTakesItsSlowestStore(t *testing.T) {
	var all []rotationtest.LabStore
	slowest := time.Duration(0)
	for _, kind := range slices.Sorted(maps.Keys(mem.Like())) {
		store := tokenStore(mem.Like()[kind])
		all = append(all, store)
		alone := delivered(t, store)
		t.Logf("%s alone: %s", kind, alone)
		slowest = max(slowest, alone)
	}
	if together := delivered(t, all...); together > slowest*6/5 || together < slowest {
		t.Errorf("together it takes %s, and the slowest alone %s", together, slowest)
	}
}

// delivered is how long a rotation takes, until every store serves the new
// token.
func delivered(t *testing.T, stores ...rotationtest.LabStore) (took time.Duration) {
	t.Helper()
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		took = timed(l)
		wantServed(t, l, 2)
	}, stores...)
	return took
}

// timed is how long a rotation takes whose stores all have the latency.
func timed(l *rotationtest.Lab) time.Duration {
	l.Script.Fault = func(act string) error {
		if strings.Contains(act, " store") {
			time.Sleep(latency)
		}
		return nil
	}
	began := time.Now()
	l.Request(rotation.RequestRotate)
	l.Pass()
	return time.Since(began)
}

// BenchmarkThreeStores is a rotation of one slot to three stores with 50 ms of
// latency for each call, in real time.
func BenchmarkThreeStores(b *testing.B) {
	l := rotationtest.NewLab(b, nil, tokenStore(mem.LikeVault()), tokenStore(mem.LikeAWS()), tokenStore(mem.LikeAzure()))
	var ahead time.Duration
	l.Pass()
	for b.Loop() {
		timed(l)
		b.StopTimer()
		l.Script.Fault = nil
		for range 2 { // the old token is revoked, then deleted
			ahead += 2*rotation.Day + time.Second
			l.API.SetClock(ahead)
			l.Pass()
		}
		b.StartTimer()
	}
}

// BenchmarkDayAtRest counts what a slot at rest asks of its store in a day, by
// the kind of store.
func BenchmarkDayAtRest(b *testing.B) {
	for _, kind := range slices.Sorted(maps.Keys(mem.Like())) {
		b.Run(kind, func(b *testing.B) {
			l := rotationtest.NewLab(b, nil, tokenStore(mem.Like()[kind]))
			l.Slot.Policy.DriftCheck = time.Hour
			l.Slot.Policy.Schedule.Lifetime, l.Slot.Policy.Schedule.Every = 0, 0
			var ahead time.Duration
			l.Pass()
			before := storeCalls(l)
			for b.Loop() {
				for range 24 {
					ahead += time.Hour
					l.API.SetClock(ahead)
					l.Pass()
				}
			}
			asked := callsSince(storeCalls(l), before)
			for call, unit := range map[string]string{"get": "gets/day", "describe": "describes/day"} {
				b.ReportMetric(float64(asked[call])/float64(b.N), unit)
			}
		})
	}
}
