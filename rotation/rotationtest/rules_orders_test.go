package rotationtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The rules of docs/decisions/orders.md.

// pause pauses a scope.
func pause(t *testing.T, l *rotationtest.Lab, scope string) {
	t.Helper()
	_, err := l.Journal.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestPause, Slot: scope, Actor: "uid 1000"})
	if err != nil {
		t.Fatal(err)
	}
	l.Engine.Asked(rotation.Request{Slot: l.Slot.Policy.Slot})
}

// scopes are all under which the lab's slot can be paused.
func scopes(l *rotationtest.Lab) map[string]string {
	return map[string]string{"slot": l.Slot.Policy.Slot, "account": l.Slot.Policy.AccountID, "whole agent": rotation.WholeAgent}
}

// TestRulePaused: nothing is issued, delivered, revoked, deleted or made; reads
// and lists go on, also in the next process. It ends for just the scope that is
// resumed.
func TestRulePaused(t *testing.T) {
	for name := range scopes(rotationtest.NewLab(t, nil)) {
		t.Run(name, func(t *testing.T) {
			inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
				scope := scopes(l)[name]
				pause(t, l, scope)
				l.Run(time.Minute)
				before := l.Script.Count()
				l.Restart()
				l.Request(rotation.RequestRotate)
				overwrite(l, "")
				l.Run(25 * rotation.Day) // due by age, g1's grace is over, store1 is empty
				wantLive(t, l, 1)
				for _, act := range l.Script.Names()[before:] {
					if isOf(act, "issue", "put", "revoke", "delete", "remove", "create", "update") {
						t.Errorf("paused, and %s was done", act)
					}
				}
				if l.Script.Counted("get") == 0 || l.Script.Counted("list tokens") == 0 || reason(t, l) != rotation.Paused {
					t.Errorf("paused, the slot waits for %q", reason(t, l))
				}
				for other := range scopes(l) {
					if other != name {
						_, err := rotation.EndPauses(t.Context(), l.Journal, scopes(l)[other], "uid 0")
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if l.Run(time.Hour); l.Record().Current != 2 {
					t.Error("the pause of another scope was ended, and the slot goes on")
				}
				if ended, err := rotation.EndPauses(t.Context(), l.Journal, scope, "uid 0"); err != nil || len(ended) != 1 {
					t.Fatalf("%d pauses ended, %v", len(ended), err)
				}
				l.Engine.Asked(rotation.Request{Slot: l.Slot.Policy.Slot})
				l.Run(time.Hour)
				wantServed(t, l, 3)
				l.Quiesce()
				l.Settled()
			})
		})
	}
}

// TestRuleResumeEndsTheSlotsPauses: and no wider one.
func TestRuleResumeEndsTheSlotsPauses(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		pause(t, l, l.Slot.Policy.Slot)
		pause(t, l, l.Slot.Policy.Slot)
		pause(t, l, rotation.WholeAgent)
		q := l.Request(rotation.RequestResume)
		pause(t, l, l.Slot.Policy.Slot)
		l.Run(time.Minute)
		wantClosed(t, l, q, "applied")
		open, err := l.Journal.OpenRequests(t.Context())
		if err != nil || len(open) != 2 || open[0].Slot != rotation.WholeAgent || open[1].ID < q.ID {
			t.Errorf("open are %+v, %v; want the wider pause and the later one", open, err)
		}
	})
}

// TestRuleAPausedAccountIsNotMade: of a slot that never had one.
func TestRuleAPausedAccountIsNotMade(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		pause(t, l, rotation.WholeAgent)
		l.Run(rotation.Day)
		if n := l.Script.Counted("create account"); n != 0 {
			t.Errorf("%d accounts were made", n)
		}
		if _, err := rotation.EndPauses(t.Context(), l.Journal, rotation.WholeAgent, "uid 0"); err != nil {
			t.Fatal(err)
		}
		l.Engine.Asked(rotation.Request{Slot: l.Slot.Policy.Slot})
		settle(t, l, 1)
	})
}

// TestRuleEmergencyOnAPausedSlot: it is carried out, also at targets that were
// away; then the pause holds again.
func TestRuleEmergencyOnAPausedSlot(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		pause(t, l, rotation.WholeAgent)
		away := true
		silent(l, &away, "store2")
		q := leaked(t, l, rotation.Request{})
		l.Run(time.Minute)
		wantDead(t, l, 1)
		wantAt(t, l, 0, 2)
		wantClosed(t, l, q, "1 targets left")
		away = false
		l.Run(6 * time.Minute)
		wantServed(t, l, 2)
		l.Run(25 * rotation.Day)
		if l.Record().Current != 2 || l.Script.Counted("delete") != 0 {
			t.Error("the pause doesn't hold any more")
		}
	})
}

// TestRuleRevoke: all tokens of the slot, and nothing is issued until a person says
// so.
func TestRuleRevoke(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.DeadAllowed = true
		q := l.Ask(rotation.Request{Kind: rotation.RequestRevoke})
		l.Run(time.Second)
		for _, number := range []uint64{1, 2} {
			wantDead(t, l, number)
		}
		wantClosed(t, l, q, "revoked 2 tokens")
		l.Run(rotation.Day)
		if rec := l.Record(); rec.Blocked != rotation.RevokedOnRequest || rec.Current != 2 {
			t.Errorf("current is %d, blocked %q", rec.Current, rec.Blocked)
		}
		l.Request(rotation.RequestResume)
		l.Run(time.Minute)
		wantServed(t, l, 3)
	})
}

// TestRuleRevokeNamesOneToken: one that isn't current goes, and the slot is as it
// was.
func TestRuleRevokeNamesOneToken(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		one, _ := token(t, l, 1)
		by, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, "by hand", 0)
		for _, id := range []int64{one.ID, by.ID} {
			l.Ask(rotation.Request{Kind: rotation.RequestRevoke, TokenID: id})
			l.Run(time.Minute)
			if l.API.WorksByID(id) {
				t.Errorf("token %d works", id)
			}
		}
		if rec := l.Record(); rec.Blocked != "" || rec.Lost != "" {
			t.Errorf("blocked %q, lost %q", rec.Blocked, rec.Lost)
		}
		wantServed(t, l, 2)
	})
}

// TestRuleRestore: a revoked token lives again, and its grace begins anew.
func TestRuleRestore(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(2*rotation.Day + time.Hour)
		wantState(t, l, 1, rotation.Observing)
		pause(t, l, rotation.WholeAgent) // a person's word all the same
		q := l.Request(rotation.RequestRestore)
		l.Run(time.Minute)
		wantLive(t, l, 1)
		wantState(t, l, 1, rotation.Grace)
		wantClosed(t, l, q, "restored generation 1")
		if end := generation(t, l, 1).RevokeAfter; end.Before(l.API.Now().Add(2*rotation.Day - time.Hour)) {
			t.Errorf("its grace ends at %s", end)
		}
		if _, err := rotation.EndPauses(t.Context(), l.Journal, rotation.WholeAgent, "uid 0"); err != nil {
			t.Fatal(err)
		}
		l.Engine.Asked(q)
		l.Run(2*rotation.Day + time.Hour)
		wantState(t, l, 1, rotation.Observing)
		l.Run(3 * rotation.Day)
		q = l.Request(rotation.RequestRestore)
		l.Run(time.Minute)
		wantClosed(t, l, q, "no such token")
	})
}

// TestRuleRestoreAfterAnEmergency: what was condemned may live again when a person
// says so, and an emergency that is open doesn't kill it again.
func TestRuleRestoreAfterAnEmergency(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		away := true
		silent(l, &away, "store2")
		leaked(t, l, rotation.Request{RevokeFirst: true})
		wantDead(t, l, 1)
		l.Request(rotation.RequestRestore)
		l.Run(2 * time.Second)
		wantLive(t, l, 1)
		away = false
		l.Run(rotation.Day)
		wantLive(t, l, 1)
		wantServed(t, l, 2)
		l.Quiesce()
		l.Settled()
	})
}

// TestRuleRestoreOfTheCurrentToken: a revocation too many is undone as it was.
func TestRuleRestoreOfTheCurrentToken(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.DeadAllowed = true
		l.Ask(rotation.Request{Kind: rotation.RequestRevoke})
		l.Run(time.Minute)
		wantDead(t, l, 1)
		l.Request(rotation.RequestRestore)
		l.Run(time.Minute)
		wantLive(t, l, 1)
		wantState(t, l, 1, rotation.Live)
		l.DeadAllowed = false
		l.Run(5 * rotation.Day)
		wantServed(t, l, 1)
		if rec := l.Record(); rec.Blocked != "" || rec.Lost != "" {
			t.Errorf("blocked %q, lost %q", rec.Blocked, rec.Lost)
		}
	})
}

// TestRuleRestoreRefused: what Qualytics won't restore is told, and goes its way.
func TestRuleRestoreRefused(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(2*rotation.Day + time.Hour)
		l.Script.Fault = func(act string) error {
			if act == "restore" {
				return &rotation.APIError{Call: "PUT /user-tokens", Status: 422, Kind: rotation.ErrRefused}
			}
			return nil
		}
		q := l.Request(rotation.RequestRestore)
		l.Run(time.Minute)
		wantClosed(t, l, q, "didn't restore")
		l.Run(3 * rotation.Day)
		wantState(t, l, 1, rotation.Gone)
	})
}

// TestRuleDeactivate: the account is taken out of use, and no token is issued to
// it until it is put back.
func TestRuleDeactivate(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.DeadAllowed = true
		q := l.Request(rotation.RequestDeactivate)
		l.Run(time.Minute)
		wantClosed(t, l, q, "out of use")
		accounts, err := l.API.Accounts(t.Context())
		if err != nil || !accounts[0].Deactivated {
			t.Errorf("%+v, %v", accounts, err)
		}
		l.Request(rotation.RequestRotate)
		l.Run(5 * rotation.Day)
		if n := l.Script.Counted("issue"); n != 1 {
			t.Errorf("%d orders", n)
		}
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deactivated = false })
		l.Run(5 * rotation.Day)
		wantServed(t, l, 2)
	})
}

// TestRuleDeactivateThatDoesNothing: an API that doesn't know the call, or takes it
// and does nothing: a person is told.
func TestRuleDeactivateThatDoesNothing(t *testing.T) {
	for name, answer := range map[string]error{"refused": &rotation.APIError{Call: "PUT /users", Status: 422, Kind: rotation.ErrRefused},
		"not in its documents": &rotation.APIError{Call: "PUT /users", Status: 405, Kind: rotation.ErrInvalidAnswer}, "taken": nil} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				before(l, "list accounts", func(string) {
					l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deactivated = false })
				})
				mended := l.Script.Fault
				l.Script.Fault = func(act string) error {
					if answer != nil && strings.HasPrefix(act, "deactivate") {
						return answer
					}
					return mended(act)
				}
				l.DeadAllowed = true
				q := l.Request(rotation.RequestDeactivate)
				l.Run(time.Hour)
				wantClosed(t, l, q, "a person has to")
				if n := l.Script.Counted("deactivate"); n > 3 {
					t.Errorf("%d calls", n)
				}
				wantServed(t, l, 1)
			})
		})
	}
}

// TestRuleDeactivateIsTriedAgain: when the API is away, or the process ends.
func TestRuleDeactivateIsTriedAgain(t *testing.T) {
	for _, kind := range rotationtest.FaultKinds {
		t.Run(kind.String(), func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				l.DeadAllowed = true
				l.Script.Once("deactivate account", kind)
				q := l.Request(rotation.RequestDeactivate)
				l.Run(time.Hour)
				wantClosed(t, l, q, "out of use")
			})
		})
	}
}
