package rotationtest_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

func TestRuleProofBeforeAHeal(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck, l.Slot.Policy.Sweep = time.Hour, 10*rotation.Day
		settle(t, l, 1)
		l.Pass() // the list at hand is from after the issue
		l.DeadAllowed = true
		dead, _ := token(t, l, 1)
		l.API.ChangeToken(dead.ID, revoked) // and the list at hand doesn't tell
		l.Stores[1].Delete(rotationtest.LabPath)
		before(l, "put", func(act string) {
			if l.Record().Current == 1 {
				t.Errorf("%s, and the token is dead", act)
			}
		})
		l.Run(2 * time.Hour)
		wantServed(t, l, 2)
	})
}

func TestRuleNotValidAtOnce(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.API.SetValidAfter(40 * time.Second)
		l.Run(30 * time.Second)
		wantAt(t, l, 0, 0)
		if told := l.Told(rotation.ActNotProved); len(told) < 3 {
			t.Errorf("%d proofs failed in 30s, want a few", len(told))
		}
		l.Run(5 * time.Minute)
		wantServed(t, l, 1)
	})
}

func TestRuleNeverValidIsReplaced(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.API.SetValidAfter(rotation.Day)
		l.Run(time.Hour)
		lost := l.Told(rotation.ActLost)
		if len(lost) == 0 || lost[0].Reason != rotation.TokenRefused {
			t.Errorf("told: %+v", lost)
		}
		if put := l.Script.Counted("put"); put != 0 {
			t.Errorf("a token that fails its proof was written %d times", put)
		}
	})
}

func TestRuleSeenIsCommittedBeforeOverwritten(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		rotate(t, l)
		wantState(t, l, 1, rotation.Grace)
		end := generation(t, l, 1).RevokeAfter
		l.Run(rotation.Day)
		if !l.Stores[0].RollBack(rotationtest.LabPath) {
			t.Fatal("nothing to roll back to")
		}
		key := l.Slot.Targets[0].Key()
		heals := 0
		before(l, "put "+key, func(string) {
			heals++
			if serves := l.Record().Targets[key].Serves; serves != 1 {
				t.Errorf("the heal begins, and the record says that g%d is served", serves)
			}
		})
		l.Restart()
		l.Run(time.Minute)
		if heals != 1 {
			t.Fatalf("%d heals", heals)
		}
		wantServed(t, l, 2)
		if later := generation(t, l, 1).RevokeAfter; later.Before(end.Add(rotation.Day)) {
			t.Errorf("g1 was served until now, and is revoked after %s as before (%s)", later, end)
		}
	})
}

func TestRuleRemovedTargetLeavesTheGate(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Stores[1].SetDown(true)
		rotate(t, l)
		wantState(t, l, 1, rotation.Waiting)
		l.DeadAllowed = true // it dies there: plan and the reload said so
		l.Slot.Targets, l.Slot.Policy.Targets = l.Slot.Targets[:1], l.Slot.Policy.Targets[:1]
		l.Run(6 * rotation.Day)
		if _, listed := token(t, l, 1); listed {
			t.Error("g1 waits for a target that isn't declared")
		}
		if told := l.Told(rotation.ActForgotTarget); len(told) != 1 || told[0].Generation != 1 {
			t.Errorf("told of the target: %+v", told)
		}
	})
}

func TestRuleOursByFingerprint(t *testing.T) {
	bare := rotationtest.LabStore{Options: mem.Options{}, Format: payload.Spec{Format: "json"}}
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		old := l.Stores[0].Peek(rotationtest.LabPath)
		rotate(t, l)
		l.Run(6 * rotation.Day) // g1 is deleted by now
		l.DeadAllowed = true
		l.Stores[0].Overwrite(rotationtest.LabPath, secret.New(old.Reveal()+"\n")) // not the payload that was sent
		l.Restart()
		l.Run(time.Minute)
		seen := l.Told(rotation.ActSeen)
		if last := seen[len(seen)-1]; last.Generation != 1 {
			t.Errorf("a deleted generation isn't known again: %+v", last)
		}
		l.Run(rotation.Day)
		if why := reason(t, l); why != rotation.ValueLost && l.Record().Current < 2 {
			t.Errorf("waits for %s", why)
		}
	}, bare)
}

func TestRuleOursByRememberedPayload(t *testing.T) {
	bare := rotationtest.LabStore{Options: mem.Options{}, Format: payload.Spec{Format: "template", Template: "key={{.Token}}"}}
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Restart()
		settle(t, l, 1)
		wantKnown(t, l, 1)
		rotate(t, l)
		wantServed(t, l, 2)
	}, bare)
}

func TestRuleOursByMetadata(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		settle(t, l, 1)
		wantKnown(t, l, 1)
	}, lossyStore())
}

// wantKnown: the first target was written once, and is known to serve that
// generation.
func wantKnown(t *testing.T, l *rotationtest.Lab, number uint64) {
	t.Helper()
	if written := l.Stores[0].Written(rotationtest.LabPath); written != 1 {
		t.Errorf("written %d times, want once", written)
	}
	if seen := l.Record().Targets[l.Slot.Targets[0].Key()]; seen.State != rotation.InStep || seen.Serves != number {
		t.Errorf("the target is %s (%s) and serves g%d, want g%d", seen.State, seen.Reason, seen.Serves, number)
	}
}

// otherToken puts a token of the account that a person made at store i.
func otherToken(l *rotationtest.Lab, i int) rotation.Token {
	made, value := l.API.IssueByHand(l.Slot.Policy.AccountID, "made by hand", 300)
	l.Stores[i].Overwrite(rotationtest.LabPath, value)
	return made
}

func TestRuleTokenOfThisAccountIsLeftAlone(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		made := otherToken(l, 0)
		l.Run(10 * rotation.Day)
		if served, _ := l.Serves(0); served.ID != made.ID {
			t.Fatalf("%s replaced it", served.Label)
		}
		if l.Record().Current != 1 {
			t.Error("it was a reason to issue")
		}
		l.Run(20 * rotation.Day) // the next issue replaces it
		wantServed(t, l, 2)
		l.Run(20 * rotation.Day)
		list, _ := l.API.Tokens(t.Context())
		for _, listed := range list {
			if listed.ID == made.ID && !listed.Active {
				t.Error("a token that isn't ours was revoked")
			}
		}
	}, tokenStore(mem.LikeVault()))
}

func TestRuleTokenOfThisAccountThatDiesIsDrift(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		made := otherToken(l, 0)
		l.Run(6 * rotation.Day)
		l.DeadAllowed = true
		l.API.ChangeToken(made.ID, revoked)
		l.Run(5 * rotation.Day)
		wantServed(t, l, 1)
	}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeFile()))
}

// somebodys is a token of another account.
func somebodys(l *rotationtest.Lab) (rotation.Token, secret.Value) {
	if _, err := l.API.CreateAccount(l.T.Context(), rotation.AccountSpec{Name: "Somebody", Role: "Member"}); err != nil {
		l.T.Fatal(err)
	}
	return l.API.IssueByHand("somebody@service", "somebody's", 60)
}

func TestRuleForeignValue(t *testing.T) {
	foreign := map[string]func(l *rotationtest.Lab){
		"a password": func(l *rotationtest.Lab) { overwrite(l, "somebody's password") },
		"a token of another account": func(l *rotationtest.Lab) {
			_, value := somebodys(l)
			l.Stores[0].Overwrite(rotationtest.LabPath, value)
		},
		"a token that names this account and is of another": func(l *rotationtest.Lab) {
			owned, _ := somebodys(l)
			made, value := l.API.IssueByHand(l.Slot.Policy.AccountID, "theirs", 60)
			l.API.ChangeToken(made.ID, func(tk *rotation.Token) { tk.AccountID, tk.UserID = owned.AccountID, owned.UserID })
			l.Stores[0].Overwrite(rotationtest.LabPath, value)
		},
	}
	for name, put := range foreign {
		t.Run("refuse: "+name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				put(l)
				theirs := l.Stores[0].Peek(rotationtest.LabPath).Fingerprint()
				l.Run(25 * rotation.Day)
				if l.Stores[0].Peek(rotationtest.LabPath).Fingerprint() != theirs {
					t.Error("it was overwritten")
				}
				if l.Record().Current != 2 || l.Script.Counted("issue") != 2 {
					t.Errorf("it was a reason to issue, or kept from it: g%d", l.Record().Current)
				}
				wantAt(t, l, 1, 2)
				if state := l.Record().Targets[l.Slot.Targets[0].Key()].State; state != rotation.Foreign {
					t.Errorf("its state is %s", state)
				}
			}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeFile()))
		})
		t.Run("take over: "+name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				l.Slot.Policy.Targets[0].TakeOver = true
				put(l)
				settle(t, l, 1)
			}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeFile()))
		})
	}
}

func TestRuleOnlyThisAccountsTokensAreTried(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		theirs, value := somebodys(l)
		l.Stores[0].Overwrite(rotationtest.LabPath, value)
		l.Run(10 * rotation.Day)
		list, _ := l.API.Tokens(t.Context())
		for _, listed := range list {
			if listed.ID == theirs.ID && !listed.LastUsed.IsZero() {
				t.Error("a value that doesn't name this account was sent to the API")
			}
		}
	}, tokenStore(mem.LikeVault()))
}

func TestRuleForeignIsNoPlaceToDeliverTo(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		overwrite(l, "somebody's password")
		l.Run(10 * rotation.Day)
		if posts := l.Script.Counted("issue"); posts != 0 {
			t.Errorf("%d posts of a token that no target would take", posts)
		}
		if why := reason(t, l); why != rotation.NoTargetReady {
			t.Errorf("waits for %q", why)
		}
	}, tokenStore(mem.LikeVault()))
}

func TestRuleForeignValueHoldsEveryRetiredToken(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		overwrite(l, "somebody's password") // a person may put the old token back
		l.Run(22 * rotation.Day)
		wantAt(t, l, 1, 2)
		wantState(t, l, 1, rotation.Waiting)
		l.Run(7 * rotation.Day)
		wantLive(t, l, 1)
	})
}

func TestRuleSamePayloadIsNotWrittenAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		for range 3 {
			l.Script.Once("put store1", rotationtest.CrashAfter)
			l.Script.Once("put store2", rotationtest.FailAfter)
			l.Run(10 * time.Minute)
		}
		wantServed(t, l, 1)
		for i, store := range l.Stores {
			if written := store.Written(rotationtest.LabPath); written != 1 {
				t.Errorf("store%d was written %d times, want once", i+1, written)
			}
		}
	})
}

func TestRuleOneBadTargetDelaysNoOther(t *testing.T) {
	bad := map[string]func(l *rotationtest.Lab){
		"down":   func(l *rotationtest.Lab) { l.Stores[0].SetDown(true) },
		"denied": func(l *rotationtest.Lab) { l.Stores[0].Deny(rotationtest.LabPath) },
		"a put that fails": func(l *rotationtest.Lab) {
			l.Script.Fault = func(act string) error {
				if strings.HasPrefix(act, "put store1") {
					return errors.New("refused")
				}
				return nil
			}
		},
		"hangs": func(l *rotationtest.Lab) {
			l.Script.Hangs = func(act string) bool { return strings.Contains(act, "store1/") }
		},
	}
	for name, spoil := range bad {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				spoil(l)
				began := time.Now()
				var delivered time.Time
				var once sync.Once // acts on targets come at the same time
				l.Script.After = func() {
					if _, ok := l.Serves(1); ok {
						once.Do(func() { delivered = time.Now() })
					}
				}
				l.Run(10 * time.Minute)
				if took := delivered.Sub(began); delivered.IsZero() || took > 3*time.Minute {
					t.Errorf("the good target waited %s for the bad one", took)
				}
				for range 3 {
					rotate(t, l)
				}
				l.Run(10 * time.Minute)
				wantAt(t, l, 1, 4)
				wantAt(t, l, 0, 0)
			})
		})
	}
}

func TestRuleAFailedReadWaitsForItsTime(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Stores[0].SetDown(true)
		l.Restart()
		l.Run(time.Hour)
		reads := l.Script.Counted("get store1")
		for range 20 { // whatever else a pass is for
			l.Pass()
		}
		if again := l.Script.Counted("get store1") - reads; again > 1 {
			t.Errorf("read %d times at one instant", again)
		}
		l.Request(rotation.RequestResume) // a person who says go on means now
		l.Pass()
		if again := l.Script.Counted("get store1") - reads; again == 0 {
			t.Error("not read again when a person asked")
		}
	})
}

func TestRuleOnlyDeclaredSlotsAreTouched(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		theirs := map[int64]string{}
		for _, name := range []string{"pipeline-production.other.g1", "alation-sync.lab.g1", "pipeline-production", "pipeline-production.lab.g01"} {
			made, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, name, 300)
			theirs[made.ID] = name
		}
		l.Run(60 * rotation.Day)
		list, _ := l.API.Tokens(t.Context())
		for _, listed := range list {
			if listed.Active && theirs[listed.ID] == listed.Label {
				delete(theirs, listed.ID)
			}
		}
		for _, name := range theirs {
			t.Errorf("%s was touched", name)
		}
	})
}

func TestRuleARefusedPayloadWaitsForAPerson(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck = time.Hour
		key, refusing := l.Slot.Targets[0].Key(), true
		l.Script.Fault = func(act string) error {
			if refusing && strings.HasPrefix(act, "put "+key) {
				return &backends.Error{Op: "put", Ref: l.Slot.Targets[0].Ref, Kind: backends.ErrInvalid}
			}
			return nil
		}
		l.Run(rotation.Day)
		if got := l.Record().Targets[key]; got.State != rotation.TargetBlocked || got.Reason != rotation.TargetRefused {
			t.Errorf("the target is %s (%s)", got.State, got.Reason)
		}
		if puts := l.Script.Counted("put " + key); puts < 20 || puts > 30 {
			t.Errorf("%d puts in a day of hourly drift checks", puts)
		}
		wantAt(t, l, 1, 1)
		refusing = false
		l.Request(rotation.RequestResume)
		l.Run(time.Minute)
		wantServed(t, l, 1)
	})
}

// The value of a new token is kept in memory for a target that was never read.
// The other one has a format that doesn't give it back.
func TestRuleAValueIsKeptForATargetThatWasNeverRead(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Stores[1].SetDown(true)
		l.Run(10 * time.Minute)
		wantAt(t, l, 0, 1)
		l.Stores[1].SetDown(false)
		l.Run(10 * time.Minute)
		wantServed(t, l, 1)
	}, lossyStore(), tokenStore(mem.LikeVault()))
}
