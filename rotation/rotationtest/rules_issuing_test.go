package rotationtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

func TestRuleCommitBeforeAct(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		id := l.Slot.Policy.AccountID
		seen := map[string]int{}
		rules := map[string]func(act string) bool{
			"create account": func(string) bool {
				rec, err := l.Journal.Account(t.Context(), id)
				return err == nil && rec.Intended
			},
			"issue": func(string) bool { return l.Record().Intent != nil },
			"put": func(act string) bool {
				key := act[len("put "):]
				payloads := l.Record().Targets[key].Payloads
				return len(payloads) > 0 && payloads[len(payloads)-1].Generation == l.Record().Current
			},
			"revoke": func(string) bool { return inState(l, rotation.Revoking) },
			"delete": func(string) bool { return inState(l, rotation.Deleting) },
		}
		before(l, "", func(act string) {
			for prefix, committed := range rules {
				if len(act) < len(prefix) || act[:len(prefix)] != prefix {
					continue
				}
				seen[prefix]++
				if !committed(act) {
					t.Errorf("%s came before its commit", act)
				}
			}
		})
		l.Run(30 * rotation.Day)
		for prefix := range rules {
			if seen[prefix] == 0 {
				t.Errorf("there was no %s", prefix)
			}
		}
	})
}

func inState(l *rotationtest.Lab, state rotation.State) bool {
	for _, g := range l.Record().Generations {
		if g.State == state {
			return true
		}
	}
	return false
}

func TestRuleListedLabelIsBurnt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault rotationtest.FaultKind
		lag   time.Duration
	}{
		{"posted by an earlier process", rotationtest.CrashAfter, 0},
		{"posted by this process", rotationtest.FailAfter, 0},
		{"posted by an earlier process, not listed yet: 409", rotationtest.CrashAfter, time.Hour},
		{"posted by this process, not listed yet: 409", rotationtest.FailAfter, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				l.API.SetLag(tt.lag)
				l.Script.Once("issue", tt.fault)
				settle(t, l, 2)
				if burnt := l.Told(rotation.ActBurnt); len(burnt) != 1 || burnt[0].Reason != rotation.Ghost {
					t.Errorf("told of the label: %+v", burnt)
				}
				if g := generation(t, l, 1); !g.Claimed {
					t.Error("the ghost isn't claimed")
				}
				l.API.SetLag(0)
				l.Run(8 * rotation.Day)
				if _, listed := token(t, l, 1); listed {
					t.Error("the ghost is still there")
				}
			})
		})
	}
}

func TestRuleLabelTakenByOthersStaysUnclaimed(t *testing.T) {
	for name, lag := range map[string]time.Duration{"listed": 0, "409": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				l.API.SetLag(lag)
				act := map[bool]string{true: "check store1", false: "issue"}[lag == 0]
				taken := false
				before(l, act, func(string) {
					if !taken {
						taken = true
						l.API.IssueByHand(l.Slot.Policy.AccountID, label(1), 60)
					}
				})
				if lag == 0 { // the intent is written, its post comes after the next list
					l.Script.Once("issue", rotationtest.FailBefore)
					l.Slot.Policy.Sweep = time.Millisecond
				}
				settle(t, l, 2)
				l.Slot.Policy.Sweep = rotation.Day
				l.Run(25 * rotation.Day)
				wantState(t, l, 1, rotation.Unclaimed)
				wantLive(t, l, 1)
			})
		})
	}
}

func TestRuleOneTargetMustPassItsPreflight(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		refused := map[string]bool{"check store1/" + rotationtest.LabPath: true, "check store2/" + rotationtest.LabPath: true}
		l.Script.Fault = func(act string) error {
			if refused[act] {
				return fmt.Errorf("the policy refuses: %w", rotation.ErrRefused)
			}
			return nil
		}
		l.Run(rotation.Day)
		if posts := l.Script.Counted("issue"); posts != 0 {
			t.Fatalf("%d posts while no target would take a token", posts)
		}
		if why := reason(t, l); why != rotation.NoTargetReady {
			t.Errorf("waits for %q", why)
		}
		delete(refused, "check store2/"+rotationtest.LabPath)
		l.Stores[0].Deny(rotationtest.LabPath)
		l.Run(5 * time.Minute)
		wantAt(t, l, 1, 1)
		wantAt(t, l, 0, 0)
	})
}

func TestRuleFiveLiveGenerations(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Script.Once("issue", rotationtest.CrashAfter) // a loop of crashes, each after a token was minted
		before(l, "issue", func(string) { l.Script.Once("issue", rotationtest.CrashAfter) })
		l.Run(7 * time.Hour)
		list, err := l.API.Tokens(t.Context())
		if err != nil || len(list) != 5 {
			t.Errorf("%d tokens after a loop of crashes, %v; want 5", len(list), err)
		}
		if why := reason(t, l); why != rotation.TooManyLive {
			t.Errorf("waits for %q", why)
		}
	})
}

// Found by a simulated world: one target's foreign value keeps every token from
// being revoked, a loop of crashes fills the five places, and the token that
// the other target serves runs out.
func TestRuleBoundDoesNotStarveWhatIsServed(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Run(rotation.Day)
		l.Stores[1].Overwrite(rotationtest.LabPath, secret.New("somebody else's"))
		l.Run(5 * rotation.Day) // the agent sees it
		l.Script.Once("issue", rotationtest.CrashAfter)
		before(l, "issue", func(string) { l.Script.Once("issue", rotationtest.CrashAfter) })
		l.Request(rotation.RequestRotate)
		l.Run(7 * time.Hour)
		if why := reason(t, l); why != rotation.TooManyLive {
			t.Fatalf("waits for %q", why)
		}
		l.Script.Fault = nil
		l.Run(30 * rotation.Day)
		if got := l.Record().Current; got < 6 {
			t.Errorf("the current generation is %d, the one in store1 has run out", got)
		}
	})
}

func TestRuleRevokedTokensDontCountAsLive(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		for n := range uint64(6) { // a journal lost while short rotations are observed
			made, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, label(n+2), 60)
			l.API.ChangeToken(made.ID, revoked)
		}
		l.Journal.Restore(rotationtest.NewMemory())
		rotate(t, l)
		wantServed(t, l, 8)
	})
}

// Found by a simulated world: four tokens of another journal and the current one
// fill the five places. The current one is deleted, and its own place keeps it
// from being replaced.
func TestRuleACurrentTokenThatIsGoneTakesNoPlace(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Slot.Policy.Sweep, l.DeadAllowed = time.Hour, true
		for n := range uint64(4) {
			l.API.IssueByHand(l.Slot.Policy.AccountID, label(n+2), 60)
		}
		made, _ := token(t, l, 1)
		l.API.DeleteToken(made.ID)
		l.Run(rotation.Day)
		wantServed(t, l, 6)
	})
}

func TestRuleGenerationAboveEverything(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(l *rotationtest.Lab)
		want    uint64
	}{
		{"recorded", func(l *rotationtest.Lab) { // two ghosts, gone since
			for range 2 {
				l.Script.Once("issue", rotationtest.CrashAfter)
				l.Request(rotation.RequestRotate)
				l.Run(time.Minute)
			}
			l.Run(10 * rotation.Day)
		}, 6},
		{"listed", func(l *rotationtest.Lab) {
			l.API.IssueByHand(l.Slot.Policy.AccountID, label(7), 60)
			l.Slot.Policy.Sweep = time.Millisecond
		}, 8},
		{"found in a target", func(l *rotationtest.Lab) { // after a lost journal, of a token that is gone
			l.Request(rotation.RequestRotate)
			l.Run(time.Minute)
			for n := range uint64(2) {
				if tk, ok := find(l, n+1); ok {
					l.API.DeleteToken(tk.ID)
				}
			}
			l.DeadAllowed = true
			l.Journal.Restore(rotationtest.NewMemory())
		}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				tt.prepare(l)
				if tt.name == "found in a target" {
					settle(t, l, tt.want)
					return
				}
				rotate(t, l)
				wantServed(t, l, tt.want)
			})
		})
	}
}

func find(l *rotationtest.Lab, number uint64) (rotation.Token, bool) {
	list, _ := l.API.Tokens(l.T.Context())
	for _, tk := range list {
		if tk.Label == label(number) {
			return tk, true
		}
	}
	return rotation.Token{}, false
}

func TestRuleLostValueRotates(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Script.Once("commit issued", rotationtest.CrashAfter)
		settle(t, l, 2)
		lost := l.Told(rotation.ActLost)
		if len(lost) != 1 || lost[0].Reason != rotation.ValueLost || lost[0].Generation != 1 {
			t.Errorf("told of the loss: %+v", lost)
		}
		l.Run(6 * rotation.Day)
		l.Settled()
	})
}

func TestRuleUnreachableIsNotAbsent(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Script.Once("commit issued", rotationtest.CrashAfter)
		before(l, "issue", func(string) { l.Stores[0].SetDown(l.Script.Counted("issue") == 1) })
		l.Run(3 * rotation.Day)
		if posts := l.Script.Counted("issue"); posts != 1 {
			t.Errorf("%d posts while a store that may hold the value is out of reach", posts)
		}
		l.Stores[0].SetDown(false)
		l.Run(10 * time.Minute)
		wantServed(t, l, 2)
	})
}

func TestRuleOneThatWasNotReadMayHaveTheValue(t *testing.T) {
	for i := range 2 { // their drift checks don't fall on one time
		t.Run(fmt.Sprintf("store%d has it", i+1), func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				l.Stores[1-i].Delete(rotationtest.LabPath)
				l.Stores[i].SetDown(true)
				l.Run(10 * rotation.Day)
				if lost := l.Told(rotation.ActLost); len(lost) != 0 {
					t.Errorf("told: %+v", lost)
				}
				l.Stores[i].SetDown(false)
				l.Run(10 * time.Minute)
				wantServed(t, l, 1)
			})
		})
	}
}

func TestRuleValueFromMemory(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		before(l, "issue", func(string) { l.Stores[0].SetDown(true) })
		l.Run(time.Hour)
		wantAt(t, l, 0, 0)
		l.Stores[0].SetDown(false)
		l.Run(10 * time.Minute)
		if posts := l.Script.Counted("issue"); posts != 1 {
			t.Errorf("%d posts, want 1", posts)
		}
		wantServed(t, l, 1)
	}, tokenStore(mem.LikeFile()), lossyStore())
}

func TestRuleValueFromTheTargets(t *testing.T) {
	aws := tokenStore(mem.LikeAWS())
	for _, tt := range []struct {
		name   string
		play   func(l *rotationtest.Lab)
		stores []rotationtest.LabStore
	}{
		{"current", func(l *rotationtest.Lab) { l.Script.Once("put store1", rotationtest.CrashBefore) },
			[]rotationtest.LabStore{tokenStore(mem.LikeVault()), tokenStore(mem.LikeFile())}},
		{"pending", func(l *rotationtest.Lab) { l.Script.Once("promote", rotationtest.CrashBefore) },
			[]rotationtest.LabStore{aws}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				if tt.name == "current" { // one after the other, so that one store is written when the agent dies
					l.Script.Fault = func(act string) error {
						if act == "put store1/"+rotationtest.LabPath && l.Record().Targets["store2/"+rotationtest.LabPath].State != rotation.InStep {
							return fmt.Errorf("not yet")
						}
						return nil
					}
					l.Run(time.Minute)
				}
				tt.play(l)
				l.Run(10 * time.Minute)
				wantServed(t, l, 1)
				if l.Script.Counted("issue") != 1 {
					t.Error("the token was issued anew")
				}
			}, tt.stores...)
		})
	}
	t.Run("previous", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			settle(t, l, 1)
			l.Slot.Policy.Targets[0].TakeOver = true
			l.DeadAllowed = true
			overwrite(l, "a person's mistake")
			l.Restart()
			settle(t, l, 1)
		}, tokenStore(mem.LikeVault()))
	})
}

func TestRuleLongerLivesThanAskedForEnd(t *testing.T) {
	for _, days := range []int{3650, 0} {
		t.Run(fmt.Sprintf("%d days", days), func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				l.API.SetDays(days)
				settle(t, l, 1)
				l.Run(10 * l.Slot.Policy.Schedule.Every)
				if n := l.Record().Current; n > 11 {
					t.Errorf("%d generations in ten rotations", n)
				}
			})
		})
	}
}

func TestRuleTheHighestNumberBlocks(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.API.IssueByHand(l.Slot.Policy.AccountID, label(rotation.MaxGeneration), 0)
		l.API.IssueByHand(l.Slot.Policy.AccountID, label(rotation.MaxGeneration)+"0", 0)
		rotate(t, l)
		l.Run(time.Hour)
		if r := l.Record(); r.Blocked != rotation.NumbersUsedUp || r.Current != 1 || r.High != rotation.MaxGeneration {
			t.Errorf("blocked %q, current g%d, high g%d", r.Blocked, r.Current, r.High)
		}
		wantServed(t, l, 1)
	})
}

func TestRuleARefusedOrderIsTriedAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Slot.Policy.DriftCheck = time.Hour
		refused := true
		l.Script.Fault = func(act string) error {
			if act == "issue" && refused {
				return &rotation.APIError{Call: "POST /user-tokens", Status: 400, Kind: rotation.ErrRefused}
			}
			return nil
		}
		l.Request(rotation.RequestRotate)
		l.Run(rotation.Day)
		if posts := l.Script.Counted("issue"); posts < 24 || posts > 27 || l.Record().Blocked != rotation.IssueRefused {
			t.Errorf("%d posts in a day, blocked: %q", posts, l.Record().Blocked)
		}
		refused = false
		l.Run(2 * time.Hour)
		if r := l.Record(); r.Blocked != "" || r.Current < 2 {
			t.Errorf("blocked: %q, current g%d", r.Blocked, r.Current)
		}
	})
}
