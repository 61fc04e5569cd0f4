package rotationtest_test

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

func TestRuleGoneByTwoListsAndAFailedProof(t *testing.T) {
	t.Run("a list that lags", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			l.API.SetLag(10 * rotation.Day)
			l.Slot.Policy.Sweep = time.Hour
			l.Run(5 * rotation.Day)
			wantServed(t, l, 1)
			if posts := l.Script.Counted("issue"); posts != 1 {
				t.Errorf("%d posts, and g1 lives", posts)
			}
			if lists := l.Script.Counted("list tokens"); lists > 5*24*2 {
				t.Errorf("%d lists in five days", lists)
			}
		})
	})
	t.Run("a list that lags, and a target out of reach has the value", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			l.API.SetLag(10 * rotation.Day)
			l.Slot.Policy.Sweep = time.Hour
			settle(t, l, 1)
			l.Stores[0].SetDown(true)
			l.Stores[1].SetDown(true)
			l.Restart()
			l.Run(2 * rotation.Day)
			if lost := l.Told(rotation.ActLost); len(lost) != 0 {
				t.Errorf("told: %+v", lost)
			}
		})
	})
	t.Run("one list that lacks it", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			settle(t, l, 1)
			l.Slot.Policy.Sweep = time.Hour
			l.DeadAllowed = true
			made, _ := token(t, l, 1)
			l.API.ChangeToken(made.ID, func(tk *rotation.Token) { tk.AccountID = "nobody@service" }) // it leaves the list, and is dead
			missed := false
			l.Script.After = func() {
				if len(l.Told(rotation.ActMissing)) > 0 && !missed {
					missed = true
					l.API.ChangeToken(made.ID, func(tk *rotation.Token) { tk.AccountID = l.Slot.Policy.AccountID })
				}
			}
			l.Run(rotation.Day)
			if !missed {
				t.Fatal("no list lacked it")
			}
			wantServed(t, l, 1)
		})
	})
}

func TestRuleDeletedByOthersIsGoneByTwoLists(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Slot.Policy.Sweep = time.Hour
		l.DeadAllowed = true
		made, _ := token(t, l, 1)
		l.API.DeleteToken(made.ID)
		l.Run(2 * time.Hour)
		wantServed(t, l, 2)
		lost, missing := l.Told(rotation.ActLost), l.Told(rotation.ActMissing)
		if len(lost) != 1 || lost[0].Reason != rotation.TokenGone || len(missing) == 0 ||
			lost[0].At.Before(missing[0].At.Add(10*time.Second)) {
			t.Errorf("told: missing %+v, lost %+v", missing, lost)
		}
	})
}

func TestRuleRevokedByOthers(t *testing.T) {
	t.Run("reissue", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			settle(t, l, 1)
			l.DeadAllowed = true
			made, _ := token(t, l, 1)
			l.API.ChangeToken(made.ID, revoked)
			l.Run(3 * rotation.Day)
			wantServed(t, l, 2)
			if lost := l.Told(rotation.ActLost); len(lost) != 1 || lost[0].Reason != rotation.RevokedByOthers {
				t.Errorf("told: %+v", lost)
			}
		})
	})
	t.Run("block", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			l.Slot.Policy.BlockOnRevocation = true
			settle(t, l, 1)
			l.DeadAllowed = true
			made, _ := token(t, l, 1)
			l.API.ChangeToken(made.ID, revoked)
			l.Run(10 * rotation.Day)
			if posts := l.Script.Counted("issue"); posts != 1 || l.Record().Blocked != rotation.RevokedByOthers {
				t.Errorf("%d posts, blocked: %q", posts, l.Record().Blocked)
			}
			l.Request(rotation.RequestRotate) // a person who asks for too much at once
			l.Run(time.Minute)
			l.Request(rotation.RequestResume)
			l.Run(10 * time.Minute)
			wantServed(t, l, 2)
			for id := range int64(2) {
				if q, err := l.Journal.Request(t.Context(), id+1); err != nil || q.ClosedAt.IsZero() {
					t.Errorf("request %d is open: %+v, %v", id+1, q, err)
				}
			}
		})
	})
}

func TestRuleResumeBehindARotateOfABlockedSlot(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		refused := true
		l.Script.Fault = func(act string) error {
			if act == "issue" && refused {
				return &rotation.APIError{Call: "POST /user-tokens", Status: 422, Kind: rotation.ErrRefused}
			}
			return nil
		}
		rotate(t, l)
		if l.Record().Blocked != rotation.IssueRefused {
			t.Fatalf("blocked: %q", l.Record().Blocked)
		}
		rotate(t, l)
		refused = false
		l.Request(rotation.RequestResume)
		l.Run(time.Minute)
		if l.Record().Current < 2 {
			t.Error("neither resumed nor rotated")
		}
	})
}

func TestRuleAccountTakenAwayBlocksItsSlots(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(a *rotation.Account)
		undo   func(a *rotation.Account)
		why    rotation.Reason
	}{
		{"deactivated", func(a *rotation.Account) { a.Deactivated = true },
			func(a *rotation.Account) { a.Deactivated = false }, rotation.AccountDeactivated},
		{"deleted", func(a *rotation.Account) { a.Deleted = true },
			func(a *rotation.Account) { a.Deleted = false }, rotation.AccountGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				l.DeadAllowed = true
				l.API.SetAccount(l.Slot.Policy.AccountID, tt.change)
				l.Run(30 * rotation.Day)
				outcome := l.Pass()
				if outcome.Reason != tt.why || outcome.Account.Blocked != tt.why {
					t.Errorf("waits for %q, the account is blocked: %q; want %q", outcome.Reason, outcome.Account.Blocked, tt.why)
				}
				if made := l.Script.Counted("create account"); made != 1 {
					t.Errorf("the account was made %d times", made)
				}
				if posts := l.Script.Counted("issue"); posts != 1 {
					t.Errorf("%d posts", posts)
				}
				l.API.SetAccount(l.Slot.Policy.AccountID, tt.undo) // by whoever took it away
				l.Run(6 * rotation.Day)
				if why := l.Pass().Account.Blocked; why != "" || l.Record().Current != 2 {
					t.Errorf("still blocked: %q, g%d", why, l.Record().Current)
				}
			})
		})
	}
}

func TestRuleDeletedAccountIsMadeAgainWhenAsked(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.DeadAllowed = true
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deleted = true })
		l.Run(6 * rotation.Day)
		l.Request(rotation.RequestRotate)
		l.Request(rotation.RequestResume)
		l.Run(10 * time.Minute)
		if made := l.Script.Counted("create account"); made != 2 {
			t.Errorf("the account was made %d times, want 2", made)
		}
		wantServed(t, l, 2)
	})
}

// The list goes on showing the tokens of an account that was deleted. The one
// that was made in its place has none.
func TestRuleATokenOfTheAccountBeforeIsReplaced(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.DeadAllowed = true
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deleted = true })
		l.Run(6 * rotation.Day)
		l.Request(rotation.RequestResume)
		l.Run(10 * time.Minute)
		wantServed(t, l, 2)
	})
}

func TestRuleAnIssueThatMissesItsAccountAsksForIt(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck = 30 * rotation.Day // nobody asks for the accounts by himself
		settle(t, l, 1)
		l.Pass()
		l.DeadAllowed = true
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deleted = true })
		rotate(t, l)
		if why := l.Pass().Account.Blocked; why != rotation.AccountGone {
			t.Errorf("blocked: %q", why)
		}
		if posts := l.Script.Counted("issue"); posts != 2 {
			t.Errorf("%d posts, want the one of before and one that met a 404", posts)
		}
	})
}

func TestRuleTokensThatWentWithTheirAccountAreNoReasonToIssue(t *testing.T) {
	for name, take := range map[string]func(l *rotationtest.Lab, id int64){
		"revoked with it": func(l *rotationtest.Lab, id int64) { l.API.ChangeToken(id, revoked) },
		"deleted with it": func(l *rotationtest.Lab, id int64) { l.API.DeleteToken(id) },
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				l.DeadAllowed = true
				l.Slot.Policy.Sweep = time.Hour
				made, _ := token(t, l, 1)
				l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deleted = true })
				take(l, made.ID)
				l.Run(3 * rotation.Day)
				if posts := l.Script.Counted("issue"); posts != 1 {
					t.Errorf("%d posts for an account that is gone", posts)
				}
				if why := l.Pass().Account.Blocked; why != rotation.AccountGone {
					t.Errorf("blocked: %q", why)
				}
			})
		})
	}
}

func TestRuleRefusedCredentialHoldsTheWholeInstance(t *testing.T) {
	for name, status := range map[string]int{"401": 401, "403": 403} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				l.API.Refuse(&rotation.APIError{Call: "POST /user-tokens", Status: status, Kind: rotation.ErrUnauthorized})
				before := l.Script.Count()
				l.Request(rotation.RequestRotate)
				l.Run(rotation.Day)
				rec, held := l.Record(), l.Engine.Held()
				if rec.Blocked != "" || held.Reason != rotation.CredentialRefused {
					t.Errorf("the slot is blocked: %q; held: %+v", rec.Blocked, held)
				}
				if acts := l.Script.Count() - before; acts > 24*60/4*4 {
					t.Errorf("%d acts in a day of 401", acts)
				}
				l.API.Refuse(nil)
				l.Run(10 * time.Minute)
				wantServed(t, l, 2)
				if held := l.Engine.Held(); held.Reason != "" {
					t.Errorf("still held: %+v", held)
				}
			})
		})
	}
}

func TestRuleAHoldOfOneSlotHoldsTheOthers(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		other := l.Slot
		other.Policy.Token = "other"
		other.Policy.Slot = rotation.Slot(other.Policy.AccountID, "other")
		l.Script.Fault = func(act string) error {
			if act == "issue" {
				return &rotation.APIError{Call: "POST /user-tokens", Status: 403, Kind: rotation.ErrUnauthorized}
			}
			return nil
		}
		l.Request(rotation.RequestRotate)
		l.Pass()
		calls := l.Script.Counted("issue")
		outcome, err := l.Engine.Pass(t.Context(), other)
		if err != nil || outcome.Reason != rotation.CredentialRefused {
			t.Errorf("the other slot waits for %q, %v", outcome.Reason, err)
		}
		if l.Script.Counted("issue") != calls {
			t.Error("the other slot called the API")
		}
	})
}

func TestRuleRefusedRoleIsAskedForAgainOnResume(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		refused := true
		l.Script.Fault = func(act string) error {
			if act == "update account" && refused {
				return &rotation.APIError{Call: "PUT /users", Status: 422, Kind: rotation.ErrRefused}
			}
			return nil
		}
		l.Slot.Policy.Account.Role = "Manager"
		l.Run(10 * rotation.Day)
		if updates := l.Script.Counted("update account"); updates != 1 {
			t.Errorf("a refused role was asked for %d times", updates)
		}
		refused = false
		l.Request(rotation.RequestResume)
		l.Run(time.Minute)
		accounts, err := l.API.Accounts(t.Context())
		if err != nil || accounts[0].Role != "Manager" {
			t.Errorf("after the resume it has the role %s, %v", accounts[0].Role, err)
		}
	})
}

func TestRuleRoleIsAppliedOnceForEachDeclaration(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Slot.Policy.Account.Role = "Manager"
		l.Run(5 * rotation.Day)
		if updates := l.Script.Counted("update account"); updates != 1 {
			t.Errorf("%d updates, want 1", updates)
		}
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Role = "Member" })
		l.Run(10 * rotation.Day)
		if updates := l.Script.Counted("update account"); updates != 1 {
			t.Errorf("%d updates: what others changed later was changed back", updates)
		}
	})
}

func TestRuleALostJournalDoesNotMakeADeletedAccountAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.DeadAllowed = true
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deleted = true })
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		l.Run(2 * rotation.Day)
		if outcome := l.Pass(); outcome.Account == nil || outcome.Account.Blocked != rotation.AccountGone {
			t.Errorf("the account is seen as %+v", outcome.Account)
		}
		if made := l.Script.Counted("create account"); made != 1 {
			t.Fatalf("the account was made %d times", made)
		}
		l.Request(rotation.RequestResume)
		l.Run(time.Minute)
		if made := l.Script.Counted("create account"); made != 2 {
			t.Errorf("a person asked for it, and the account was made %d times", made)
		}
		for _, e := range l.Told(rotation.ActAccountResumed) {
			if e.Actor == "agent" {
				t.Errorf("who resumed it isn't told: %+v", e)
			}
		}
	})
}
