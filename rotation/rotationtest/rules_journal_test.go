package rotationtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

func TestRuleRebuildAdoptsWhatMetadataProves(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		settle(t, l, 2)
		if posts := l.Script.Counted("issue"); posts != 2 {
			t.Errorf("%d posts, want the 2 of before", posts)
		}
		if g := generation(t, l, 2); g.Claimed || g.State != rotation.Live {
			t.Errorf("g2 is %s, claimed: %v; want it live and unclaimed", g.State, g.Claimed)
		}
		wantState(t, l, 1, rotation.Unclaimed)
		l.Run(22 * rotation.Day)
		wantServed(t, l, 3)
		l.Run(5 * rotation.Day)
		wantLive(t, l, 1) // all of it stays unclaimed as to revocation
		wantLive(t, l, 2)
		l.Run(30 * rotation.Day)
		l.Quiesce()
		l.Settled()
	})
}

func TestRuleRebuildRotatesOnceWhereNothingProves(t *testing.T) {
	bare := tokenStore(mem.Options{})
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		settle(t, l, 3)
		l.Run(15 * rotation.Day)
		if posts := l.Script.Counted("issue"); posts != 3 {
			t.Errorf("%d posts, want 3", posts)
		}
		wantState(t, l, 1, rotation.Unclaimed)
		wantState(t, l, 2, rotation.Unclaimed)
	}, bare)
}

func TestRuleMetadataCountsOnlyWhenItFits(t *testing.T) {
	inGrace(t, func(t *testing.T, l *rotationtest.Lab) {
		// The old token, put back by hand, has no metadata of its own.
		l.Stores[0].RollBack(rotationtest.LabPath)
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		l.Run(time.Minute)
		if g := generation(t, l, 1); g.State == rotation.Live {
			t.Error("g1 was adopted")
		}
		l.Run(rotation.Day)
		wantLive(t, l, 1)
	}, tokenStore(mem.LikeVault()))
}

// TestRuleLosingTheJournalLosesNoAccess loses the journal after each act of a
// month, in which there are all phases of a slot's life.
func TestRuleLosingTheJournalLosesNoAccess(t *testing.T) {
	everyAct(t, func(l *rotationtest.Lab) { l.Journal.Restore(rotationtest.NewMemory()) })
}

// TestRuleOldCopyOfTheJournalLosesNoAccess puts copies of several ages back.
func TestRuleOldCopyOfTheJournalLosesNoAccess(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: some thousand runs")
	}
	for _, age := range []int{1, 5, 20, 60} {
		t.Run(fmt.Sprint(age, " commits old"), func(t *testing.T) {
			everyAct(t, func(l *rotationtest.Lab) {
				if copies := l.Copies; len(copies) > 0 {
					l.Journal.Restore(copies[max(0, len(copies)-1-age)])
				}
			})
		})
	}
}

// everyAct crashes after each act in turn, and lets change loose on the journal.
// After it, no reader may ever meet a dead token, and the slot has to come to
// rest: every target serves the one current token.
func everyAct(t *testing.T, change func(l *rotationtest.Lab)) {
	t.Helper()
	acts, stories := 1, 0
	for act := 1; act <= acts && stories < 3; act++ {
		synctest.Test(t, func(t *testing.T) {
			l := rotationtest.NewLab(t, map[int]rotationtest.FaultKind{act: rotationtest.CrashAfter}, twoStores()...)
			l.Slot.Policy.Sweep, l.Slot.Policy.DriftCheck = 60*rotation.Day, 60*rotation.Day
			l.KeepCopies = true
			l.OnCrash = func() { change(l) }
			l.Run(30 * rotation.Day)
			acts = max(acts, l.Script.Count()-1)
			l.Slot.Policy.Sweep, l.Slot.Policy.DriftCheck = 2*rotation.Day, 2*rotation.Day
			l.Run(70 * rotation.Day)
			rec := l.Record()
			for i := range l.Stores {
				if served, ok := l.Serves(i); !ok || served.Label != label(rec.Current) {
					t.Errorf("store%d serves %q, current is g%d", i+1, served.Label, rec.Current)
				}
			}
			if broken := l.Broken(); broken != "" || t.Failed() {
				stories++
				t.Errorf("act %d, %s:\n%s", act, l.Script.Names()[act-1], broken)
			}
		})
	}
	t.Logf("%d acts", acts)
}

func TestRuleTwoAgentsWithTheirOwnJournalsDoNoHarm(t *testing.T) {
	for _, tt := range []struct {
		name  string
		later time.Duration
	}{{"begun together", 0}, {"the second a minute later", time.Minute}, {"the second in the middle of a life", 5 * rotation.Day}} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				l.Run(tt.later)
				l.Second(rotationtest.NewMemory())
				l.Run(100 * rotation.Day) // the Lab watches promises 1 and 2
				list, _ := l.API.Tokens(t.Context())
				live := 0
				for _, listed := range list {
					if listed.Live(l.API.Now()) {
						live++
					}
				}
				if live > 8 {
					t.Errorf("%d live tokens", live)
				}
			})
		})
	}
}

func TestRuleOneAgentRevokesNothingThatAnotherIssued(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(time.Minute)
		mine := map[string]bool{}
		l.Second(rotationtest.NewMemory())
		l.Run(60 * rotation.Day)
		for _, e := range l.Told(rotation.ActIssued) {
			mine[fmt.Sprint(e.TokenID)] = true
		}
		if len(mine) < 3 {
			t.Fatalf("%d issues", len(mine))
		}
	})
}

func TestRuleTwoEnginesOnOneJournal(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(time.Minute)
		first, slot := l.Engine, l.Slot
		l.Restart() // a second process takes the lease
		rotate(t, l)
		wantServed(t, l, 2)
		posts := l.Script.Counted("issue")
		l.Request(rotation.RequestRotate)
		for range 3 { // the first one doesn't know yet that it isn't alone
			if _, err := first.Pass(t.Context(), slot); !errors.Is(err, rotation.ErrFenced) {
				t.Errorf("the fenced agent's pass: %v, want ErrFenced", err)
			}
		}
		if l.Script.Counted("issue") != posts {
			t.Error("the fenced agent issued")
		}
		l.Run(time.Minute)
		wantServed(t, l, 3)
	})
}

func TestRuleTwoEnginesInOneProcessOfTheSameJournal(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Second(l.Journal) // the same lease: only the revisions keep them apart
		l.Run(60 * rotation.Day)
		l.Quiesce()
		l.Settled()
		labels := map[uint64]int{}
		for _, e := range l.Told(rotation.ActIssued) {
			labels[e.Generation]++
		}
		for number, times := range labels {
			if times > 1 {
				t.Errorf("g%d was issued %d times", number, times)
			}
		}
	})
}

func TestRuleShutdownIsNoAttempt(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		ctx, stop := context.WithCancel(t.Context())
		l.Script.Hangs = func(act string) bool {
			if act == "put "+l.Slot.Targets[0].Key() {
				stop()
				return true
			}
			return false
		}
		began := time.Now()
		if _, err := l.Engine.Pass(ctx, l.Slot); !errors.Is(err, context.Canceled) {
			t.Errorf("the pass that was told to end: %v", err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 20*time.Second {
			t.Errorf("the act under way was given %s, want fifteen seconds", took)
		}
		if told := l.Told(rotation.ActDeliverFailed); len(told) != 0 {
			t.Errorf("the shutdown counts as an attempt: %+v", told)
		}
		if told := l.Told(rotation.ActDelivered); len(told) != 1 {
			t.Errorf("the other target's delivery wasn't committed: %+v", told)
		}
	})
}

func TestRuleANumberUsedAgainByAnotherJournalIsTracked(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		rotate(t, l)
		l.Run(10 * rotation.Day)
		wantState(t, l, 1, rotation.Gone)
		theirs, _ := l.API.IssueByHand(l.Slot.Policy.AccountID, label(1), 20)
		l.Run(5 * rotation.Day)
		if g := generation(t, l, 1); g.TokenID != theirs.ID || g.State != rotation.Unclaimed || g.Claimed {
			t.Errorf("g1 is %+v", g)
		}
		wantLive(t, l, 1)
		l.Run(30 * rotation.Day)
		if _, listed := token(t, l, 1); listed {
			t.Error("it expired, and is listed still")
		}
	})
}
