package rotation

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackOffBounds(t *testing.T) {
	for attempts, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 256 * time.Second,
		10: 5 * time.Minute, 11: 5 * time.Minute, 64: 5 * time.Minute, 1 << 40: 5 * time.Minute,
	} {
		for n := range 200 {
			if got := backOff(attempts, fmt.Sprint(n)); got > want || got < want*3/4 {
				t.Errorf("after %d failures: %s, want up to a quarter less than %s", attempts, got, want)
			}
		}
	}
}

// TestNextCheckIsSpreadEvenly: whenever they were looked at last, each slot is
// looked at once in every drift check, and at each hour's minute about as many
// are as at another.
func TestNextCheckIsSpreadEvenly(t *testing.T) {
	minutes := [60]int{}
	for n := range 6000 {
		pol := Policy{Slot: fmt.Sprint("slot-", n), DriftCheck: time.Hour}
		first := pol.nextCheck(worldStart)
		if wait := first.Sub(worldStart); wait <= 0 || wait > time.Hour {
			t.Fatalf("%s is looked at after %s", pol.Slot, wait)
		}
		if again := pol.nextCheck(first); !again.Equal(first.Add(time.Hour)) {
			t.Fatalf("%s is looked at again after %s", pol.Slot, again.Sub(first))
		}
		if late := pol.nextCheck(first.Add(3 * time.Second)); !late.Equal(first.Add(time.Hour)) {
			t.Fatalf("%s, looked at late, is looked at again after %s", pol.Slot, late.Sub(first))
		}
		minutes[int(first.Sub(worldStart)/time.Minute)%60]++
	}
	for minute, n := range minutes {
		if n < 60 || n > 140 {
			t.Errorf("%d of 6000 slots are looked at in minute %d, want about 100", n, minute)
		}
	}
	unseen := Policy{Slot: "new", DriftCheck: time.Hour}
	if at := unseen.nextCheck(time.Time{}); at.After(worldStart) {
		t.Errorf("a target that was never looked at waits until %s", at)
	}
}

func TestFractionBelongsToItsKey(t *testing.T) {
	sum, seen := 0.0, map[float64]bool{}
	for n := range 1000 {
		f := fraction(fmt.Sprint(n))
		if f < 0 || f >= 1 || f != fraction(fmt.Sprint(n)) || seen[f] {
			t.Fatalf("fraction of %d: %v", n, f)
		}
		seen[f] = true
		sum += f
	}
	if mean := sum / 1000; mean < 0.45 || mean > 0.55 {
		t.Errorf("the mean of a thousand is %v", mean)
	}
}

// TestDrawDueAt: a token is never planned for its very end, and never for
// before it was made.
func TestDrawDueAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{Every: time.Duration(rapid.Int64Range(0, int64(400*Day)).Draw(t, "every"))}
		life := time.Duration(rapid.Int64Range(0, int64(400*Day)).Draw(t, "life"))
		issued, expires := worldStart, time.Time{}
		if life > 0 {
			expires = issued.Add(life)
		}
		at := drawDueAt(rapid.String().Draw(t, "label"), issued, expires, s)
		switch {
		case s.Every == 0 && life == 0:
			if !at.IsZero() {
				t.Fatalf("due at %s without a reason", at)
			}
		case at.Before(issued):
			t.Fatalf("due at %s, issued at %s", at, issued)
		case life > 3 && !at.Before(expires):
			t.Fatalf("due at %s, expires at %s", at, expires)
		case s.Every > 0 && at.After(issued.Add(s.Every)):
			t.Fatalf("due at %s, later than every %s", at, s.Every)
		case s.Every > 0 && at.Before(issued.Add(s.Every-s.Every/50-1)) && life > s.Every:
			t.Fatalf("due at %s, earlier than a fiftieth before %s", at, s.Every)
		}
	})
}
