package rotationtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The local clock may be wrong until the API has answered, and may be set ahead
// later. The next answer puts it right, and what was seen meanwhile: no list is
// taken for fresh, and no target waits, until a time that was never meant.
func TestRuleAWrongClockIsPutRight(t *testing.T) {
	start := map[string]func(l *rotationtest.Lab){
		"at the start": (*rotationtest.Lab).Restart,
		"later":        func(*rotationtest.Lab) {},
	}
	for name, start := range start {
		for _, ahead := range []time.Duration{2 * rotation.Day, -2 * rotation.Day} {
			if name == "later" && ahead < 0 {
				continue // a clock that is set back changes nothing: time is carried on
			}
			t.Run(name+" "+ahead.String(), func(t *testing.T) {
				inLab(t, func(t *testing.T, l *rotationtest.Lab) {
					l.Slot.Policy.Sweep, l.Slot.Policy.DriftCheck = time.Hour, time.Hour
					l.InTurn() // reads come before the list
					settle(t, l, 1)
					rotate(t, l)
					end := generation(t, l, 1).RevokeAfter
					l.Run(90 * time.Minute)
					start(l)
					l.Script.SetAhead(ahead)
					l.Stores[0].SetDown(true)
					l.Pass()
					lists := l.Script.Counted("list tokens")
					l.Stores[0].SetDown(false)
					overwrite(l, "")
					l.Stores[1].Delete(rotationtest.LabPath)
					l.Run(3 * time.Hour)
					wantServed(t, l, l.Record().Current)
					if more := l.Script.Counted("list tokens") - lists; more < 2 || more > 8 {
						t.Errorf("%d lists in three hours, with one each hour", more)
					}
					if got := generation(t, l, 1).RevokeAfter; got.Before(end) {
						t.Errorf("the grace ends at %s, it was to end at %s", got, end)
					}
				})
			})
		}
	}
}

// A clock that is set ahead while a target is read, and put right by the next
// answer: the target was not read in a future that isn't.
func TestRuleAClockThatIsSetDuringALook(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.Sweep, l.Slot.Policy.DriftCheck = time.Hour, time.Hour
		l.InTurn()
		settle(t, l, 1)
		set := false
		l.Script.Fault = func(act string) error {
			if !set && strings.HasPrefix(act, "get store2") {
				set = true
				l.Script.SetAhead(10 * rotation.Day)
			}
			return nil
		}
		l.Run(2 * time.Hour)
		if !set {
			t.Fatal("no target was read")
		}
		l.Stores[1].Delete(rotationtest.LabPath)
		l.Run(3 * time.Hour)
		wantServed(t, l, l.Record().Current)
	})
}

// A commit that takes long, or a process that stands still in it, makes the
// proof too old to write by.
func TestRuleAProofHoldsForAMinute(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck, l.Slot.Policy.Sweep = time.Hour, 10*rotation.Day
		settle(t, l, 1)
		l.Pass() // the list at hand is from after the issue
		l.DeadAllowed = true
		made, _ := token(t, l, 1)
		l.Stores[0].Delete(rotationtest.LabPath)
		l.Stores[1].Delete(rotationtest.LabPath)
		stood := false
		l.Script.Fault = func(act string) error {
			switch {
			case strings.HasPrefix(act, "put") && l.Record().Current == 1 && !stood:
				stood = true
				time.Sleep(2 * time.Minute)
				l.API.ChangeToken(made.ID, revoked)
			case strings.HasPrefix(act, "put") && l.Record().Current == 1:
				t.Errorf("%s, two minutes after its proof", act)
			}
			return nil
		}
		l.InTurn() // the deeds of a set one after the other
		l.Run(2 * time.Hour)
		if !stood {
			t.Fatal("nothing was healed")
		}
		wantServed(t, l, 2)
	}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeVault()), tokenStore(mem.LikeVault()))
}

// The same for what the gate saw before a revocation.
func TestRuleTheGateHoldsForAMinute(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		rotate(t, l)
		stood := false
		l.Script.Fault = func(act string) error {
			if act == "commit revoking" && !stood {
				stood = true
				time.Sleep(2 * time.Minute)
				l.Stores[0].RollBack(rotationtest.LabPath) // it serves g1 again
			}
			return nil
		}
		l.Run(3 * rotation.Day)
		if !stood {
			t.Fatal("no decision to revoke")
		}
		l.Run(10 * rotation.Day)
		wantState(t, l, 1, rotation.Gone)
	})
}
