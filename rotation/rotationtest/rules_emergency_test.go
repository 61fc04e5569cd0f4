package rotationtest_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The rules of docs/decisions/emergency.md.

// leaked asks for an emergency and runs a second.
func leaked(t *testing.T, l *rotationtest.Lab, q rotation.Request) rotation.Request {
	t.Helper()
	q.Kind, q.Reason = rotation.RequestEmergency, "seen in a log"
	q = l.Ask(q)
	l.Run(time.Second)
	return q
}

// wantDead wants the token of that generation to be refused.
func wantDead(t *testing.T, l *rotationtest.Lab, number uint64) {
	t.Helper()
	if tk, listed := token(t, l, number); listed && tk.Live(l.API.Now()) {
		t.Errorf("g%d lives", number)
	}
}

// wantClosed wants a request to be closed, with that in its outcome.
func wantClosed(t *testing.T, l *rotationtest.Lab, q rotation.Request, outcome string) {
	t.Helper()
	stored, err := l.Journal.Request(t.Context(), q.ID)
	if err != nil || stored.ClosedAt.IsZero() || !strings.Contains(stored.Outcome, outcome) {
		t.Errorf("request %d: closed at %v with %q, %v; want %q", q.ID, stored.ClosedAt, stored.Outcome, err, outcome)
	}
}

func wantOpen(t *testing.T, l *rotationtest.Lab, q rotation.Request) {
	t.Helper()
	if stored, err := l.Journal.Request(t.Context(), q.ID); err != nil || !stored.ClosedAt.IsZero() {
		t.Errorf("request %d: closed at %v with %q, %v; want it open", q.ID, stored.ClosedAt, stored.Outcome, err)
	}
}

// silent makes the stores of these numbers, from 1, answer nothing.
func silent(l *rotationtest.Lab, away *bool, stores ...string) {
	l.Script.Fault = func(act string) error {
		for _, name := range stores {
			if *away && strings.Contains(act, name) {
				return &backends.Error{Op: "act", Kind: backends.ErrUnavailable}
			}
		}
		return nil
	}
}

// TestRuleEmergency: the leaked token, and every older one, is dead within a
// second; each target serves the new one, and its old versions are gone.
func TestRuleEmergency(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		q := leaked(t, l, rotation.Request{})
		wantServed(t, l, 3)
		wantLive(t, l, 3)
		for _, number := range []uint64{1, 2} {
			wantDead(t, l, number)
			wantState(t, l, number, rotation.Observing)
		}
		wantClosed(t, l, q, "revoked 2 tokens, issued generation 3")
		for i := range l.Stores {
			wantPrevious(t, l, i, 0)
		}
		l.Quiesce()
		l.Settled()
	}, tokenStore(mem.LikeVault()), jsonStore(mem.LikeAWS()), lossyAzure())
}

// TestRuleEmergencyMakesBeforeItBreaks: issue, prove, deliver, revoke, in that
// order, and no call beside them before what leaked is dead.
func TestRuleEmergencyMakesBeforeItBreaks(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.InTurn()
		before := l.Script.Count()
		leaked(t, l, rotation.Request{})
		wantDead(t, l, 1)
		got := strings.Join(l.Script.Names()[before:], ", ")
		want := "commit emergency, commit intended, issue, commit issued, get store1/connections/qualytics, prove, commit proved, " +
			"commit sending, put store1/connections/qualytics, get store1/connections/qualytics, commit delivered, revoke, commit revoked"
		if !strings.HasPrefix(got, want) {
			t.Errorf("acts:\n%s\nwant them to begin with\n%s", got, want)
		}
	}, tokenStore(mem.LikeVault()))
}

// TestRuleEmergencyHasADeadline: a target that can't be reached keeps the leaked
// token alive until the deadline, and not longer; it is delivered when it answers.
func TestRuleEmergencyHasADeadline(t *testing.T) {
	for name, deadline := range map[string]time.Duration{"the usual one": 0, "another": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				away, most := true, 30*time.Second
				if deadline != 0 {
					most = deadline
				}
				silent(l, &away, "store2")
				q := leaked(t, l, rotation.Request{Deadline: deadline})
				wantAt(t, l, 0, 2)
				wantAt(t, l, 1, 1)
				l.Run(most - 2*time.Second)
				wantLive(t, l, 1)
				wantOpen(t, l, q)
				l.Run(2 * time.Second)
				wantDead(t, l, 1)
				wantAt(t, l, 1, 1)
				wantClosed(t, l, q, "1 targets left")
				away = false
				l.Run(6 * time.Minute)
				wantServed(t, l, 2)
			})
		})
	}
}

// TestRuleEmergencyWaitsForNoHangingTarget: one that hangs holds neither the
// others nor the revocation.
func TestRuleEmergencyWaitsForNoHangingTarget(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		hangs := true
		l.Script.Hangs = func(act string) bool { return hangs && strings.Contains(act, "store2") }
		began := l.API.Now()
		l.Ask(rotation.Request{Kind: rotation.RequestEmergency})
		l.Run(time.Minute)
		var delivered, revoked time.Duration
		for _, e := range l.Events {
			switch {
			case e.Act == rotation.ActDelivered && e.Generation == 2:
				delivered = e.At.Sub(began)
			case e.Act == rotation.ActRevoked:
				revoked = e.At.Sub(began)
			}
		}
		if delivered == 0 || delivered > 6*time.Second {
			t.Errorf("the target that answers was delivered after %s", delivered)
		}
		if revoked == 0 || revoked > 31*time.Second {
			t.Errorf("revoked after %s", revoked)
		}
		hangs = false
		l.Run(6 * time.Minute)
		wantServed(t, l, 2)
	})
}

// TestRuleRevokeFirst: the token is dead before another is issued.
func TestRuleRevokeFirst(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		before(l, "issue", func(string) { wantDead(t, l, 1) })
		q := leaked(t, l, rotation.Request{RevokeFirst: true})
		wantServed(t, l, 2)
		wantClosed(t, l, q, "revoked 1 tokens, issued generation 2")
	})
}

// TestRuleEmergencyThatCantIssue: an order that isn't taken doesn't keep the leaked
// token alive beyond the deadline.
func TestRuleEmergencyThatCantIssue(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		refused := true
		l.Script.Fault = func(act string) error {
			if refused && act == "issue" {
				return &rotation.APIError{Call: "POST /user-tokens", Status: 503, Kind: rotation.ErrUnavailable}
			}
			return nil
		}
		q := leaked(t, l, rotation.Request{})
		l.Run(28 * time.Second)
		wantLive(t, l, 1)
		l.Run(2 * time.Second)
		wantDead(t, l, 1)
		l.Run(time.Minute)
		wantClosed(t, l, q, "issued none yet, 2 targets left")
		refused = false
		l.Run(6 * time.Minute)
		if l.Record().Lost != "" {
			t.Errorf("the slot still wants a token: %s", l.Record().Lost)
		}
		wantServed(t, l, l.Record().Current)
	})
}

// TestRuleEmergencyTwice: one that comes while the first is open joins it; one
// that comes later is another rotation.
func TestRuleEmergencyTwice(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		away := true
		silent(l, &away, "store2")
		first := leaked(t, l, rotation.Request{})
		second := leaked(t, l, rotation.Request{})
		l.Run(30 * time.Second)
		for _, q := range []rotation.Request{first, second} {
			wantClosed(t, l, q, "revoked 1 tokens, issued generation 2")
		}
		away = false
		l.Run(6 * time.Minute)
		wantServed(t, l, 2)
		third := leaked(t, l, rotation.Request{})
		wantClosed(t, l, third, "revoked 1 tokens, issued generation 3")
		wantServed(t, l, 3)
	})
}

// TestRuleEmergencyJoinedInAHurry: one that joins may be in a greater hurry.
func TestRuleEmergencyJoinedInAHurry(t *testing.T) {
	for name, second := range map[string]rotation.Request{"revoke first": {RevokeFirst: true}, "a sooner deadline": {Deadline: time.Second}} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				away := true
				silent(l, &away, "store2")
				leaked(t, l, rotation.Request{})
				wantLive(t, l, 1)
				leaked(t, l, second)
				l.Run(time.Second)
				wantDead(t, l, 1)
			})
		})
	}
}

// TestRuleEmergencyNamesOneToken: only that one is revoked; the current one is
// replaced before.
func TestRuleEmergencyNamesOneToken(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		one, _ := token(t, l, 1)
		q := leaked(t, l, rotation.Request{TokenID: one.ID})
		wantDead(t, l, 1)
		wantServed(t, l, 2)
		wantClosed(t, l, q, "revoked 1 tokens")
		two, _ := token(t, l, 2)
		q = leaked(t, l, rotation.Request{TokenID: two.ID})
		wantDead(t, l, 2)
		wantServed(t, l, 3)
		wantClosed(t, l, q, "revoked 1 tokens, issued generation 3")
	})
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		two, _ := token(t, l, 2)
		leaked(t, l, rotation.Request{TokenID: two.ID})
		wantServed(t, l, 3)
		wantLive(t, l, 1) // in its grace, and nobody said that it leaked
	})
}

// TestRuleEmergencyNamesAForeignToken: a token that the agent didn't issue is
// revoked when an operator names it; a target that held it is healed.
func TestRuleEmergencyNamesAForeignToken(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		named, value := l.API.IssueByHand(l.Slot.Policy.AccountID, "by hand", 0)
		other, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, "by hand too", 0)
		l.Stores[1].Overwrite(rotationtest.LabPath, value)
		l.DeadAllowed = true
		q := leaked(t, l, rotation.Request{TokenID: named.ID})
		if l.API.WorksByID(named.ID) || !l.API.WorksByID(other.ID) {
			t.Errorf("the named token works: %v, another one: %v", l.API.WorksByID(named.ID), l.API.WorksByID(other.ID))
		}
		wantClosed(t, l, q, "revoked 1 tokens")
		wantServed(t, l, 1)
		q = leaked(t, l, rotation.Request{TokenID: 4711})
		wantClosed(t, l, q, "has no such token")
		q = leaked(t, l, rotation.Request{TokenID: named.ID})
		wantClosed(t, l, q, "revoked before")
	})
}

// TestRuleEmergencyKillsTheUnclaimed: after a lost journal the token that leaked is
// one that this journal didn't issue.
func TestRuleEmergencyKillsTheUnclaimed(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		leaked(t, l, rotation.Request{})
		l.Run(time.Minute)
		for _, number := range []uint64{1, 2} {
			wantDead(t, l, number)
		}
		wantServed(t, l, 3)
		l.Quiesce()
		l.Settled()
	})
}

// TestRuleEmergencyKillsWhatComesToLight: an order from before that lands only
// after the emergency is over.
func TestRuleEmergencyKillsWhatComesToLight(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		lost := true
		l.Script.Fault = func(act string) error {
			if lost && act == "issue" {
				lost = false
				return &rotation.APIError{Call: "POST /user-tokens", Kind: rotation.ErrUnknownOutcome}
			}
			return nil
		}
		l.Request(rotation.RequestRotate)
		l.Pass()
		if l.Record().Intent == nil {
			t.Fatal("nothing is intended")
		}
		q := leaked(t, l, rotation.Request{})
		l.Run(time.Minute)
		wantServed(t, l, 3)
		wantClosed(t, l, q, "issued generation 3")
		late, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, label(2), 30)
		l.Run(3 * rotation.Day)
		if l.API.WorksByID(late.ID) {
			t.Error("the token that landed late lives")
		}
		wantServed(t, l, 3)
	})
}

// TestRuleEmergencyOvertakes: a rotation that waits for a store that hangs makes
// room at once, and its token goes too.
func TestRuleEmergencyOvertakes(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		var mended atomic.Bool
		l.Script.Hangs = func(act string) bool { return !mended.Load() && strings.HasPrefix(act, "put store2") }
		l.Request(rotation.RequestRotate)
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(20 * time.Second)
		}()
		time.Sleep(5 * time.Second)
		if got := l.Record().Current; got != 2 {
			t.Fatalf("the rotation has not come to its delivery: current is %d", got)
		}
		mended.Store(true)
		l.Ask(rotation.Request{Kind: rotation.RequestEmergency})
		time.Sleep(time.Second)
		wantDead(t, l, 1)
		wantDead(t, l, 2)
		<-done
		wantServed(t, l, 3)
	})
}

// TestRuleEmergencyOnABlockedSlot: a person's word unblocks it; five live tokens
// and a back-off hold nothing.
func TestRuleEmergencyOnABlockedSlot(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.BlockOnRevocation = true
		settle(t, l, 1)
		kept := l.Stores[0].Peek(rotationtest.LabPath)
		overwrite(l, "a person's") // nothing of the slot can be revoked by the common road
		for range 6 {
			l.Request(rotation.RequestRotate)
			l.Run(7 * time.Minute)
		}
		if why := reason(t, l); why != rotation.TooManyLive {
			t.Fatalf("the slot waits for %q", why)
		}
		l.Stores[0].Overwrite(rotationtest.LabPath, kept)
		last := l.Record().Current
		listed, _ := token(t, l, last)
		l.DeadAllowed = true
		l.API.ChangeToken(listed.ID, revoked)
		l.Run(3 * rotation.Day)
		if l.Record().Blocked != rotation.RevokedByOthers {
			t.Fatalf("the slot is blocked by %q", l.Record().Blocked)
		}
		leaked(t, l, rotation.Request{})
		wantServed(t, l, last+1)
		if got := l.Record(); got.Current <= last || got.Blocked != "" {
			t.Errorf("current is %d after %d, blocked %q", got.Current, last, got.Blocked)
		}
		for number := uint64(1); number <= last; number++ {
			wantDead(t, l, number)
		}
	})
}

// TestRuleEmergencyIsntHeld: a hold of all calls by their own back-off doesn't
// keep an emergency waiting; one that the API asked for does.
func TestRuleEmergencyIsntHeld(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		gone := &rotation.APIError{Call: "any", Status: 503, Kind: rotation.ErrUnavailable}
		l.API.Refuse(gone)
		l.Request(rotation.RequestRotate)
		l.Run(10 * time.Minute)
		if wait := l.Engine.Held().Until.Sub(l.API.Now()); wait < time.Minute {
			t.Fatalf("calls are held for %s", wait)
		}
		l.API.Refuse(nil)
		leaked(t, l, rotation.Request{})
		l.Run(10 * time.Second)
		wantDead(t, l, 1)
	})
}

// TestRuleCondemnedIsRestoredByAPersonAlone: a person who restores a token that an
// emergency killed is heeded.
func TestRuleCondemnedIsRestoredByAPersonAlone(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		leaked(t, l, rotation.Request{})
		tk, _ := token(t, l, 1)
		l.API.ChangeToken(tk.ID, restored)
		l.Run(rotation.Day)
		wantLive(t, l, 1)
	})
}

// TestRuleEmergencyWithAWrongClock: the deadline of an emergency that was taken up
// while the clock was ahead is counted by the API's time.
func TestRuleEmergencyWithAWrongClock(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		away := true
		silent(l, &away, "store2")
		l.Script.SetAhead(rotation.Day)
		q := leaked(t, l, rotation.Request{})
		wantLive(t, l, 1)
		l.Run(31 * time.Second)
		wantDead(t, l, 1)
		wantClosed(t, l, q, "1 targets left")
	})
}

// TestRuleRestoreOfWhatIsntClaimed: an emergency revokes a token that this journal
// didn't issue; restored, it is nobody's to revoke again.
func TestRuleRestoreOfWhatIsntClaimed(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		leaked(t, l, rotation.Request{})
		one, _ := token(t, l, 1)
		l.Ask(rotation.Request{Kind: rotation.RequestRestore, TokenID: one.ID})
		l.Run(10 * rotation.Day)
		wantLive(t, l, 1)
		wantState(t, l, 1, rotation.Unclaimed)
	})
}
