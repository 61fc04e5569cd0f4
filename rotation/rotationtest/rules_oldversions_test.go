package rotationtest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// previous is the token in what store i keeps of the value before; false when
// nobody can read any.
func previous(t *testing.T, l *rotationtest.Lab, i int) (rotation.Token, bool) {
	t.Helper()
	ref := backends.Ref{Backend: "store", Path: rotationtest.LabPath}
	item, _, err := l.Stores[i].Backend().Get(t.Context(), ref, backends.Previous)
	if err != nil && !errors.Is(err, backends.ErrNotFound) {
		t.Fatal(err)
	}
	return l.API.Within(item.Payload)
}

// wantPrevious wants store i to keep that generation's version; 0 is none.
func wantPrevious(t *testing.T, l *rotationtest.Lab, i int, generation uint64) {
	t.Helper()
	token, _ := previous(t, l, i)
	number, _ := rotation.ParseLabel(token.Label, rotationtest.LabToken, "lab")
	if number != generation {
		t.Errorf("store%d keeps a version of g%d, want g%d", i+1, number, generation)
	}
}

// TestRuleOldVersionsGoWithTheirToken: where the store says so, an old version
// is taken out of reach once its token is revoked, and not before; elsewhere it
// stays.
func TestRuleOldVersionsGoWithTheirToken(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(2*rotation.Day - 2*time.Minute)
		wantState(t, l, 1, rotation.Grace)
		for i := range l.Stores {
			wantPrevious(t, l, i, 1)
		}
		l.Run(time.Hour)
		wantState(t, l, 1, rotation.Observing)
		wantPrevious(t, l, 0, 0)
		wantPrevious(t, l, 1, 1)
		wantPrevious(t, l, 2, 0)
		wantServed(t, l, 2)
	}, jsonStore(mem.LikeAzure()), tokenStore(mem.LikeVault()), lossyAzure())
}

// lossyAzure removes versions, and its format doesn't give the token back.
func lossyAzure() rotationtest.LabStore {
	s := lossyStore()
	s.Options = mem.LikeAzure()
	return s
}

// TestRuleOldVersionsHoldNothing: a store that is away holds neither the
// revocation nor the deletion; it is done when it answers, also by another
// process.
func TestRuleOldVersionsHoldNothing(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		away := true
		l.Script.Fault = func(act string) error {
			if away && isOf(act, "remove") {
				return &backends.Error{Op: "remove", Kind: backends.ErrUnavailable}
			}
			return nil
		}
		l.Run(5 * rotation.Day)
		wantState(t, l, 1, rotation.Gone)
		wantPrevious(t, l, 0, 1)
		if why := reason(t, l); why != rotation.OldVersionsLeft {
			t.Errorf("the slot waits for %q", why)
		}
		l.Restart()
		away = false
		l.Run(10 * time.Minute)
		wantPrevious(t, l, 0, 0)
		if n := len(l.Told(rotation.ActRemovedOld)); n != 1 {
			t.Errorf("%d removals are told", n)
		}
	}, jsonStore(mem.LikeAzure()))
}

// TestRuleOthersVersionsStay: a version that isn't known to hold a revoked token
// of ours is left alone: another's, or of a token that lives.
func TestRuleOthersVersionsStay(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.Targets[0].TakeOver = true
		overwrite(l, "a person's")
		l.Run(7 * rotation.Day) // seen, taken over, and g1 to its end
		wantServed(t, l, 2)
		wantState(t, l, 1, rotation.Gone)
		if _, ours := previous(t, l, 0); ours || l.Script.Counted("remove") > 0 {
			t.Errorf("the person's version was removed: %d removals", l.Script.Counted("remove"))
		}
	}, jsonStore(mem.LikeAzure()))
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(2*rotation.Day - time.Minute)
		rotate(t, l) // g2 waits for its grace to be over when g1 is revoked
		l.Run(time.Hour)
		wantState(t, l, 1, rotation.Observing)
		wantLive(t, l, 2)
		wantPrevious(t, l, 0, 2)
		l.Run(3 * rotation.Day) // with g2 what it hid goes too
		wantPrevious(t, l, 0, 0)
	}, jsonStore(mem.LikeAzure()))
}

// TestRuleAReplacedDeadVersionGoes: a person puts a revoked token back; once it
// is healed, that version goes too.
func TestRuleAReplacedDeadVersionGoes(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck, l.Slot.Policy.Schedule.Observe = time.Hour, 9*rotation.Day
		old := l.Stores[0].Peek(rotationtest.LabPath)
		rotate(t, l)
		l.Run(2*rotation.Day + time.Hour)
		wantState(t, l, 2, rotation.Observing)
		wantPrevious(t, l, 0, 0)
		l.DeadAllowed = true
		l.Stores[0].Overwrite(rotationtest.LabPath, old)
		wantAt(t, l, 0, 2)
		l.Run(2 * time.Hour)
		wantServed(t, l, 3)
		if token, ok := previous(t, l, 0); ok && token.Label == label(2) {
			t.Error("the dead version is readable")
		}
	}, jsonStore(mem.LikeAzure()))
}
