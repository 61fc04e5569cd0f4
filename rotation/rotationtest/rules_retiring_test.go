package rotationtest_test

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// inGrace plays from where g2 is served everywhere and g1 is in its grace.
func inGrace(t *testing.T, play func(t *testing.T, l *rotationtest.Lab), stores ...rotationtest.LabStore) {
	t.Helper()
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		rotate(t, l)
		wantState(t, l, 1, rotation.Grace)
		play(t, l)
	}, stores...)
}

func TestRuleGraceIsAbsolute(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		end := generation(t, l, 1).RevokeAfter
		l.Slot.Policy.Schedule.Grace, l.Slot.Policy.Schedule.Hold = 0, 0 // a reload
		before(l, "revoke", func(string) {
			if l.API.Now().Before(end) {
				t.Errorf("revoked at %s, its grace lasted until %s", l.API.Now(), end)
			}
		})
		l.Run(3 * rotation.Day)
		if n := l.Script.Counted("revoke"); n != 1 {
			t.Errorf("%d revocations", n)
		}
	})
}

func TestRuleRereadBeforeRevoke(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck = 30 * rotation.Day
		l.Run(2*rotation.Day - 2*time.Minute)
		if !l.Stores[0].RollBack(rotationtest.LabPath) {
			t.Fatal("nothing to roll back to")
		}
		l.Run(rotation.Day)
		wantLive(t, l, 1) // the Lab tells if it is revoked within its new grace
		wantServed(t, l, 2)
		l.Run(5 * rotation.Day)
		l.Settled()
	})
}

func TestRuleProofBeforeRevoke(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(2*rotation.Day - 2*time.Minute)
		l.DeadAllowed = true
		current, _ := token(t, l, 2)
		l.API.SetLag(rotation.Day) // the list won't tell
		l.API.ChangeToken(current.ID, revoked)
		l.Run(20 * time.Hour)
		wantLive(t, l, 1)
	})
}

func TestRuleLossyIsProvedByWhatTheListTells(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Restart() // nobody has the value any more
		l.Run(5 * rotation.Day)
		if _, listed := token(t, l, 1); listed {
			t.Error("g1 is still there")
		}
		wantServed(t, l, 2)
	}, lossyStore())
}

func TestRuleOneUnreadableTargetMeansWait(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(rotation.Day)
		l.Stores[1].SetDown(true)
		lists := l.Script.Counted("list tokens")
		l.Run(10 * rotation.Day)
		wantLive(t, l, 1)
		if asked := l.Script.Counted("list tokens") - lists; asked > 30 {
			t.Errorf("the API was asked for %d lists in ten days of waiting for a target", asked)
		}
		l.Stores[1].SetDown(false)
		l.Run(3 * rotation.Day)
		l.Settled()
	})
}

func TestRuleDeadAlreadyMovesOn(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Stores[1].SetDown(true) // no gate is asked
		old, _ := token(t, l, 1)
		l.API.ChangeToken(old.ID, revoked)
		l.Slot.Policy.Sweep = time.Hour
		l.Run(2 * time.Hour)
		if g := generation(t, l, 1); g.State != rotation.Observing || g.Reason != rotation.DeadAlready {
			t.Errorf("g1 is %s (%s)", g.State, g.Reason)
		}
		l.Run(3 * rotation.Day)
		wantState(t, l, 1, rotation.Gone)
	})
}

func TestRuleExpiredIsRevokedWithoutTheGate(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(rotation.Day)
		l.Stores[1].SetDown(true)
		l.DeadAllowed = true
		for range 20 { // g1 lives for thirty days
			l.Run(rotation.Day)
		}
		if posts := l.Script.Counted("revoke"); posts != 0 {
			t.Fatalf("%d revocations before the expiry", posts)
		}
		l.Run(12 * rotation.Day)
		if _, listed := token(t, l, 1); listed {
			t.Error("the expired token is still there: only a revoked one can be deleted")
		}
	})
}

func TestRuleRestoredByHandIsInGraceAgain(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.Sweep = time.Hour
		l.Run(2*rotation.Day + 2*time.Hour)
		wantState(t, l, 1, rotation.Observing)
		old, _ := token(t, l, 1)
		l.API.ChangeToken(old.ID, restored)
		at := l.API.Now()
		l.Run(2 * time.Hour)
		if g := generation(t, l, 1); g.State != rotation.Grace || g.RevokeAfter.Before(at.Add(2*rotation.Day)) {
			t.Errorf("g1 is %s until %s", g.State, g.RevokeAfter)
		}
		wantLive(t, l, 1)
		l.Run(5 * rotation.Day)
		wantState(t, l, 1, rotation.Gone)
	})
}

func TestRuleRestoredAtTheLastMomentIsNotDeleted(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(4*rotation.Day - time.Minute)
		old, _ := token(t, l, 1)
		l.API.ChangeToken(old.ID, restored)
		l.Run(2 * time.Hour)
		wantLive(t, l, 1)
	})
}

func TestRuleUnclaimedWaits(t *testing.T) {
	unclaimed := func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.API.IssueByHand(l.Slot.Policy.AccountID, label(2), 40)
		l.Slot.Policy.Sweep = time.Hour
		l.Run(12 * rotation.Day)
		wantState(t, l, 2, rotation.Unclaimed)
		wantLive(t, l, 2)
	}
	t.Run("for adopt", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			unclaimed(t, l)
			l.Request(rotation.RequestResume)
			l.Run(time.Hour)
			wantState(t, l, 2, rotation.Unclaimed)
			l.Request(rotation.RequestAdopt)
			l.Run(5 * rotation.Day)
			wantState(t, l, 2, rotation.Gone)
			if told := l.Told(rotation.ActResumed); len(told) != 2 || told[1].Actor != "uid 1000" {
				t.Errorf("told: %+v", told)
			}
		})
	})
	t.Run("for its expiry", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			unclaimed(t, l)
			before(l, "revoke", func(string) {
				if tk, ok := token(t, l, 2); ok && tk.Active && tk.Live(l.API.Now()) && l.Record().Current < 3 {
					t.Error("revoked while it lives")
				}
			})
			l.Run(32 * rotation.Day)
			if tk, listed := token(t, l, 2); listed {
				t.Errorf("the expired token is still there: %+v", tk)
			}
		})
	})
}

func TestRuleOwnProofIsNoConsumersUse(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		// g1 was proved by the agent alone, less than a day of quiet before the
		// end of the grace.
		l.Slot.Policy.Schedule.Quiet = 20 * rotation.Day
		l.Run(2*rotation.Day + time.Hour)
		wantState(t, l, 1, rotation.Observing)
	})
}

func TestRuleOwnProofThatChangesNothingIsNoConsumersUse(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.API.SetLag(300 * rotation.Day) // at each sweep the agent proves what the list lacks
		l.Slot.Policy.Sweep = time.Hour
		l.Run(rotation.Day)
		l.API.SetLag(0)
		l.Run(2 * time.Hour)
		l.Slot.Policy.Schedule.Grace, l.Slot.Policy.Schedule.Quiet = time.Hour, 20*rotation.Day
		rotate(t, l)
		l.Run(2 * time.Hour)
		wantState(t, l, 1, rotation.Observing)
	})
}

func TestRuleHold(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(s *rotation.Schedule)
		// used is for how long a consumer uses g1 every hour; ends is when,
		// counted from the end of the grace, g1 is revoked.
		used, ends time.Duration
	}{
		{"ends by quiet", func(s *rotation.Schedule) { s.Hold = 10 * rotation.Day }, 3 * rotation.Day, 2 * rotation.Day},
		{"is bounded", func(s *rotation.Schedule) { s.Hold = 2 * rotation.Day }, 20 * rotation.Day, 2 * rotation.Day},
		{"until unused", func(s *rotation.Schedule) { s.HoldUntilUnused = true }, 10 * rotation.Day, 9 * rotation.Day},
		{"until unused lasts to the expiry", func(s *rotation.Schedule) { s.HoldUntilUnused = true }, 40 * rotation.Day, 28 * rotation.Day},
		{"not used", func(s *rotation.Schedule) { s.Hold = 10 * rotation.Day }, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				tt.set(&l.Slot.Policy.Schedule)
				settle(t, l, 1)
				kept := l.Stores[1].Peek(rotationtest.LabPath) // a consumer that never reads again
				rotate(t, l)
				began := l.API.Now()
				end := generation(t, l, 1).RevokeAfter
				var revokedAt time.Time
				for l.API.Now().Before(began.Add(31 * rotation.Day)) {
					if l.API.Now().Sub(began) < tt.used {
						l.API.Use(kept)
					}
					l.Run(time.Hour)
					if tk, listed := token(t, l, 1); revokedAt.IsZero() && (!listed || !tk.Live(l.API.Now())) {
						revokedAt = l.API.Now()
					}
				}
				got := revokedAt.Sub(end)
				if got < tt.ends-2*time.Hour || got > tt.ends+2*time.Hour {
					t.Errorf("g1 lived until %s after its grace, want %s", got, tt.ends)
				}
			})
		})
	}
}

func TestRuleJitterIsDrawnOnceAndJournaled(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		due := l.Record().DueAt
		s := l.Slot.Policy.Schedule
		issued := generation(t, l, 1).IssuedAt
		if due.After(issued.Add(s.Every)) || due.Before(issued.Add(s.Every-s.Every/50)) {
			t.Fatalf("due at %s, issued at %s", due, issued)
		}
		for range 10 {
			l.Restart()
			l.Run(rotation.Day)
			if now := l.Record().DueAt; !now.Equal(due) {
				t.Fatalf("a restart moved the time from %s to %s", due, now)
			}
		}
		l.Run(due.Sub(l.API.Now()) - time.Second)
		if l.Record().Current != 1 {
			t.Error("rotated before it was due")
		}
		l.Run(2 * time.Second)
		if l.Record().Current != 2 {
			t.Error("not rotated when it was due")
		}
	})
}

func TestRuleNowIsTheAPIsTime(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"local clock a year slow": 365 * rotation.Day, "local clock a year fast": -365 * rotation.Day} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				l.API.SetClock(ahead)
				settle(t, l, 1)
				began := generation(t, l, 1).IssuedAt
				if away := began.Sub(l.API.Now()); away > time.Minute || away < -2*time.Minute {
					t.Errorf("issued at %s, the API's time is %s", began, l.API.Now())
				}
				l.Run(90 * rotation.Day)
				if posts := l.Script.Counted("issue"); posts != 5 {
					t.Errorf("%d rotations in 90 days of 20, want 5 posts", posts)
				}
				l.Quiesce()
				l.Settled()
			})
		})
	}
}
