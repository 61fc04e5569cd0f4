package rotationtest_test

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The rules of docs/decisions/on-remove.md.

// toRetire settles a slot whose tokens are to be ended when it isn't declared any
// more, and takes it out.
func toRetire(t *testing.T, l *rotationtest.Lab) (again func()) {
	t.Helper()
	l.Slot.Policy.RetireRemoved = true
	settle(t, l, 1)
	l.DeadAllowed = true
	return remove(l)
}

func leaving(l *rotationtest.Lab) bool {
	rec := l.Record()
	return rec.Leaving()
}

const more = rotation.Day / 2

// TestRuleParting: the current token has its grace, is revoked, can be restored for
// a while, and is deleted. Nothing else is done, and what others issued stays.
func TestRuleParting(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		toRetire(t, l)
		by, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, "by hand", 0)
		before := l.Script.Count()
		l.Restart()
		l.Run(rotationtest.LabSchedule.Grace - time.Hour)
		wantLive(t, l, 1)
		l.Run(time.Hour + more) // nobody else uses it
		wantDead(t, l, 1)
		wantState(t, l, 1, rotation.Observing)
		if !leaving(l) {
			t.Error("it isn't leaving while a token can still be restored")
		}
		l.Run(rotationtest.LabSchedule.Observe + more)
		wantState(t, l, 1, rotation.Gone)
		if leaving(l) {
			t.Error("it is leaving although nothing is left")
		}
		for _, act := range l.Script.Names()[before:] {
			if isOf(act, "issue", "put", "remove", "create", "update", "get") {
				t.Errorf("not declared, and %s was done", act)
			}
		}
		if !l.API.WorksByID(by.ID) {
			t.Error("a token that the agent didn't issue was revoked")
		}
	})
}

// TestRuleTheLastWordOfTheDeclarationCounts: what was declared last is gone by, also
// when it was changed by the last reload but one, and keep is the default.
func TestRuleTheLastWordOfTheDeclarationCounts(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.RetireRemoved = true
		settle(t, l, 1)
		l.Slot.Policy.RetireRemoved = false
		l.Slot.Edition++
		l.Run(time.Minute)
		remove(l)
		l.Run(25 * rotation.Day)
		wantLive(t, l, 1)
	})
}

// TestRulePartingWaitsForHeirs: where another slot is declared for its place, a
// token lives until that place serves the other's: it may be served there still.
func TestRulePartingWaitsForHeirs(t *testing.T) {
	const heir = "heir@service/token"
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		key := l.Slot.Policy.Targets[0].Key
		toRetire(t, l)
		l.Slot.Policy.Heirs = map[string]string{key: heir}
		l.Run(12 * rotation.Day) // the heir has no record yet
		wantLive(t, l, 1)
		rec := rotation.Record{Slot: heir, High: 1, Current: 1, Targets: map[string]rotation.TargetRecord{key: {State: rotation.Foreign, Reason: rotation.TargetHoldsOther}},
			Generations: []rotation.Generation{{Number: 1, Label: "token.acme.g1", State: rotation.Live, Claimed: true}}}
		rec, err := l.Journal.Commit(t.Context(), rec, rotation.Event{Slot: heir, Act: rotation.ActSeen, Actor: "agent", At: l.API.Now()})
		if err != nil {
			t.Fatal(err)
		}
		l.Run(5 * rotation.Day)
		wantLive(t, l, 1)
		rec.Targets[key] = rotation.TargetRecord{State: rotation.InStep, Reason: rotation.TargetServes, Serves: 1}
		if _, err = l.Journal.Commit(t.Context(), rec, rotation.Event{Slot: heir, Act: rotation.ActDelivered, Actor: "agent", At: l.API.Now()}); err != nil {
			t.Fatal(err)
		}
		l.Run(rotationtest.LabSchedule.Grace - time.Hour) // it begins when that is seen
		wantLive(t, l, 1)
		l.Run(2 * rotation.Day) // it is seen at the next sweep
		wantDead(t, l, 1)
	})
}

// TestRuleDeclaredAgain: a slot that comes back gets a new token, and no reader of
// it meets a dead one.
func TestRuleDeclaredAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		again := toRetire(t, l)
		l.Run(rotation.Day / 4)
		again()
		l.DeadAllowed = false
		l.Run(time.Minute)
		wantServed(t, l, 2)
		wantLive(t, l, 1)
		l.Quiesce()
		l.Settled()
		wantDead(t, l, 1)
	})
}

// TestRulePartingSurvivesAFault at each of its acts.
func TestRulePartingSurvivesAFault(t *testing.T) {
	for _, kind := range rotationtest.FaultKinds {
		for _, act := range []string{"commit on_remove", "commit parted", "commit moved", "commit revoking", "revoke", "commit revoked", "delete", "commit deleted"} {
			t.Run(kind.String()+" "+act, func(t *testing.T) {
				inLab(t, func(t *testing.T, l *rotationtest.Lab) {
					l.Script.Once(act, kind)
					toRetire(t, l)
					l.Run(25 * rotation.Day)
					wantState(t, l, 1, rotation.Gone)
					if leaving(l) || l.Script.Counted(act) == 0 {
						t.Errorf("%s: it was met %d times; %+v", act, l.Script.Counted(act), l.Record())
					}
				})
			})
		}
	}
}

// TestRuleTheAgentsOwnIsKept, whatever is declared: it may still work with it.
func TestRuleTheAgentsOwnIsKept(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.RetireRemoved = true
		settle(t, l, 1)
		l.Slot.Policy.Own = true
		l.Slot.Edition++
		l.Run(time.Minute)
		if got := l.Record().Parting; got != nil {
			t.Errorf("it would be retired: %+v", got)
		}
	})
}
