package rotationtest_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// qualyticsCalls counts what was asked of Qualytics, by call.
func qualyticsCalls(l *rotationtest.Lab) map[string]int {
	counts := map[string]int{}
	for _, call := range []string{"list accounts", "list tokens", "create account", "update account", "issue", "prove", "revoke", "restore", "delete"} {
		if n := l.Script.Counted(call); n > 0 {
			counts[call] = n
		}
	}
	return counts
}

// aRotation is one whole rotation, from the request to the deletion of the old
// token: the API's clock is moved, so that nothing has to be waited for.
func aRotation(l *rotationtest.Lab, ahead *time.Duration) {
	l.Request(rotation.RequestRotate)
	for range 3 { // issue and deliver, revoke, delete
		l.Pass()
		*ahead += 2*rotation.Day + time.Second
		l.API.SetClock(*ahead)
	}
}

// TestOneRotationCosts: no more calls than design.md's tables need. Each list
// serves all slots. Issuing takes one that is no older than the sweep and than
// the slot's own last change, an account list no older than the drift check, the
// issue and its proof; revoking
// takes a fresh list, a proof of what is served instead, and the call; deleting
// takes a fresh list and the call.
func TestOneRotationCosts(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		var ahead time.Duration
		l.Pass()
		l.Pass() // takes the first list that has the account in it
		ahead = l.Slot.Policy.Sweep + time.Second
		l.API.SetClock(ahead)
		before := qualyticsCalls(l)
		aRotation(l, &ahead)
		got := qualyticsCalls(l)
		for call, n := range before {
			if got[call] -= n; got[call] == 0 {
				delete(got, call)
			}
		}
		want := map[string]int{"list accounts": 1, "list tokens": 3, "issue": 1, "prove": 2, "revoke": 1, "delete": 1}
		if !maps.Equal(got, want) {
			t.Errorf("one rotation takes %v, want %v", got, want)
		}
		wantServed(t, l, 2)
		if _, listed := token(t, l, 1); listed {
			t.Error("g1 is still there")
		}
	})
}

// BenchmarkRotation reports what one rotation of a slot with two targets asks
// of Qualytics, of the stores and of the journal.
func BenchmarkRotation(b *testing.B) {
	l := rotationtest.NewLab(b, nil, twoStores()...)
	var ahead time.Duration
	l.Pass()
	calls, counted := qualyticsCalls(l), map[string]int{"get": l.Script.Counted("get"), "put": l.Script.Counted("put"), "commit": l.Script.Counted("commit")}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		aRotation(l, &ahead)
	}
	b.StopTimer()
	all := 0
	now := qualyticsCalls(l)
	for _, call := range slices.Sorted(maps.Keys(now)) {
		all += now[call] - calls[call]
	}
	b.ReportMetric(float64(all)/float64(b.N), "API-calls/op")
	for what, unit := range map[string]string{"get": "reads/op", "put": "writes/op", "commit": "commits/op"} {
		b.ReportMetric(float64(l.Script.Counted(what)-counted[what])/float64(b.N), unit)
	}
	if broken := l.Broken(); broken != "" {
		b.Fatal(broken)
	}
}

// BenchmarkPassAtRest is what a slot costs that has nothing to do.
func BenchmarkPassAtRest(b *testing.B) {
	l := rotationtest.NewLab(b, nil, twoStores()...)
	l.Pass()
	b.ReportAllocs()
	for b.Loop() {
		l.Pass()
	}
}

// TestSlotsAtRestShareOneList: whoever passes first fetches it for all.
func TestSlotsAtRestShareOneList(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.DeadAllowed = true // all slots share the Lab's two places
		slots := make([]rotation.Declared, 50)
		for i := range slots {
			slots[i] = l.Slot
			slots[i].Policy.Token = fmt.Sprint("token-", i)
			slots[i].Policy.Slot = rotation.Slot(l.Slot.Policy.AccountID, slots[i].Policy.Token)
			if _, err := l.Engine.Pass(t.Context(), slots[i]); err != nil {
				t.Fatal(err)
			}
		}
		before := qualyticsCalls(l)["list tokens"]
		time.Sleep(l.Slot.Policy.Sweep + l.Slot.Policy.Sweep/8 + time.Second)
		var all sync.WaitGroup
		for _, slot := range slots {
			all.Go(func() {
				if _, err := l.Engine.Pass(t.Context(), slot); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if lists := qualyticsCalls(l)["list tokens"] - before; lists != 1 {
			t.Errorf("%d lists for %d slots, want 1", lists, len(slots))
		}
	})
}
