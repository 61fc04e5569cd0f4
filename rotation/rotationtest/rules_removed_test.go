package rotationtest_test

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The rules of docs/decisions/removed.md.

// remove takes the lab's slot out of the declaration, with its targets; the
// function that is returned declares it again.
func remove(l *rotationtest.Lab) (again func()) {
	before := l.Slot
	l.Slot.Policy = rotation.Policy{Slot: before.Policy.Slot, AgentID: before.Policy.AgentID, AccountID: before.Policy.AccountID,
		Token: before.Policy.Token, URL: before.Policy.URL, DriftCheck: before.Policy.DriftCheck, Sweep: before.Policy.Sweep, Removed: true}
	l.Slot.Targets = nil
	l.Slot.Edition++
	return func() {
		l.Slot.Policy, l.Slot.Targets = before.Policy, before.Targets
		l.Slot.Edition++
	}
}

// TestRuleRemoved: nothing is done at a slot that isn't declared, however long.
// Declared again, the grace of its older tokens begins anew: nobody knows what its
// targets served meanwhile.
func TestRuleRemoved(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		again := remove(l)
		before := l.Script.Count()
		l.Restart()
		l.Run(25 * rotation.Day) // due by age, and g1's grace is over
		wantLive(t, l, 1)
		for _, act := range l.Script.Names()[before:] {
			if isOf(act, "issue", "put", "revoke", "delete", "remove", "create", "update", "get") {
				t.Errorf("not declared, and %s was done", act)
			}
		}
		if rec := l.Record(); len(rec.Targets) != 2 || rec.Current != 2 {
			t.Errorf("what is known of its targets is forgotten: %+v", rec.Targets)
		}
		again()
		l.Run(rotation.Day)
		wantLive(t, l, 1)
		wantServed(t, l, 3)
		l.Quiesce()
		l.Settled()
	})
}

// TestRuleEmergencyOnARemovedSlot: its tokens are revoked at once, whatever the
// deadline, and nothing is issued; when it is declared again, it is.
func TestRuleEmergencyOnARemovedSlot(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		again := remove(l)
		l.DeadAllowed = true
		q := leaked(t, l, rotation.Request{Deadline: time.Hour})
		l.Run(time.Second)
		for _, number := range []uint64{1, 2} {
			wantDead(t, l, number)
		}
		wantClosed(t, l, q, "revoked 2 tokens")
		e, _ := rotation.DescribeEmergency(l.Record(), l.Slot.Policy, l.API.Now())
		if !e.Removed || !e.RevokeOnly || len(e.Targets) != 2 || e.Targets[0].Reason != rotation.NotDeclared || !e.Targets[0].Dead || e.Targets[0].Delivered {
			t.Errorf("it is told as %+v", e)
		}
		l.Run(5 * rotation.Day)
		if n := l.Script.Counted("issue"); n != 2 {
			t.Errorf("%d orders", n)
		}
		again()
		l.Run(time.Minute)
		wantServed(t, l, 3)
		l.DeadAllowed = false
		l.Quiesce()
		l.Settled()
	})
}

// TestRuleRemovedDuringAnEmergency: what is open goes on, and waits for nobody.
func TestRuleRemovedDuringAnEmergency(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.DeadAllowed = true
		away := true
		silent(l, &away, "store2")
		q := l.Ask(rotation.Request{Kind: rotation.RequestEmergency, Reason: "leaked", Deadline: time.Hour})
		l.Run(10 * time.Second)
		wantLive(t, l, 1)
		remove(l)
		l.Restart()
		l.Run(10 * time.Second)
		wantDead(t, l, 1)
		wantClosed(t, l, q, "revoked 1 tokens")
	})
}

// TestRuleOrdersOnARemovedSlot: revoke, restore, and the account's end. A restored
// token is retired only when its targets are declared again.
func TestRuleOrdersOnARemovedSlot(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		again := remove(l)
		l.DeadAllowed = true
		q := l.Ask(rotation.Request{Kind: rotation.RequestRevoke})
		l.Run(5 * rotation.Day) // it can be restored as long as it isn't declared
		wantDead(t, l, 1)
		wantClosed(t, l, q, "revoked 1 tokens")
		q = l.Request(rotation.RequestRestore)
		l.Run(time.Minute)
		wantLive(t, l, 1)
		wantClosed(t, l, q, "restored generation 1")
		by, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, "by hand", 0)
		q = l.Ask(rotation.Request{Kind: rotation.RequestRevoke, TokenID: by.ID})
		l.Run(time.Minute)
		wantClosed(t, l, q, "revoked 1 tokens")
		if l.API.WorksByID(by.ID) {
			t.Error("the token that was named works")
		}
		again()
		l.DeadAllowed = false
		l.Run(time.Hour)
		wantServed(t, l, 1)
		remove(l)
		l.DeadAllowed = true
		q = l.Request(rotation.RequestDeactivate)
		l.Run(time.Minute)
		wantClosed(t, l, q, "out of use")
		if n := l.Script.Counted("update account") + l.Script.Counted("issue") - 1; n != 0 {
			t.Errorf("%d acts that aren't asked for", n)
		}
	})
}
