package rotationtest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// What a slot at rest may not miss, though its record isn't read: each event
// comes long before the next drift check.

// atRest brings the slot to where a pass finds nothing changed.
func atRest(t *testing.T, l *rotationtest.Lab) {
	t.Helper()
	l.Slot.Policy.DriftCheck, l.Slot.Policy.Sweep = 60*rotation.Day, time.Hour
	l.Slot.Policy.Schedule.Lifetime, l.Slot.Policy.Schedule.Every = 0, 0
	settle(t, l, 1)
	l.Run(3 * time.Hour)
	wantUnchanged(t, l)
}

func wantUnchanged(t *testing.T, l *rotationtest.Lab) {
	t.Helper()
	if outcome := l.Pass(); !outcome.Unchanged || !outcome.Settled() {
		t.Fatalf("the slot isn't at rest: %+v", outcome)
	}
}

func TestRuleRestReadsNoRecord(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		atRest(t, l)
		before := l.Script.Counted("list tokens")
		l.Journal = rotationtest.NewMemory() // the engine keeps the other one; Record would tell
		for range 20 {
			l.Run(time.Hour)
			wantUnchanged(t, l)
		}
		if lists := l.Script.Counted("list tokens") - before; lists < 15 {
			t.Errorf("%d lists in 20 sweeps: a rest must not outlive its list", lists)
		}
	})
}

func TestRuleRestEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		event func(l *rotationtest.Lab)
		want  uint64 // the generation that is served two sweeps later
		found uint64 // one that is recorded by then; 0 is none
	}{
		"by a revoked token": {func(l *rotationtest.Lab) {
			current(l, func(l *rotationtest.Lab, id int64) { l.API.ChangeToken(id, revoked) })
		}, 2, 0},
		"by a token of our label": {func(l *rotationtest.Lab) {
			l.API.IssueByHand(l.Slot.Policy.AccountID, label(7), 0)
		}, 1, 7},
		"by a request":  {func(l *rotationtest.Lab) { l.Request(rotation.RequestRotate) }, 2, 0},
		"by a new load": {func(l *rotationtest.Lab) { l.Stores[0].Delete(rotationtest.LabPath); l.Slot.Edition++ }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				atRest(t, l)
				l.DeadAllowed = true
				tt.event(l)
				l.Run(150 * time.Minute)
				wantServed(t, l, tt.want)
				if tt.found > 0 {
					wantState(t, l, tt.found, rotation.Unclaimed)
				}
			})
		})
	}
}

// A request that can't be carried out yet is no rest.
func TestRuleRestWaitsForNoRequest(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		atRest(t, l)
		refuse("check", errors.New("no"))(l)
		l.Request(rotation.RequestRotate)
		l.Run(3 * time.Hour)
		l.Script.Fault = nil
		l.Run(time.Hour)
		wantServed(t, l, 2)
	})
}

// An account whose role couldn't be set yet is no rest.
func TestRuleRestWaitsForNoAccount(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		atRest(t, l)
		refuse("update account", apiError(500, rotation.ErrUnavailable))(l)
		l.Slot.Policy.Account.Role = "Member"
		l.Slot.Edition++
		for range 3 { // the later ones find that it is too early to try again
			l.Pass()
		}
		l.Script.Fault = nil
		l.Run(3 * time.Hour)
		if applied := l.Script.Counted("update account"); applied == 0 || !roleIs(t, l, "Member") {
			t.Errorf("after %d tries the account has its old role", applied)
		}
	})
}

func roleIs(t *testing.T, l *rotationtest.Lab, role string) bool {
	t.Helper()
	accounts, err := l.API.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if a.ID == l.Slot.Policy.AccountID {
			return a.Role == role
		}
	}
	return false
}

// A slot that made its own token rests on no list before one has shown it.
func TestRuleRestStandsOnALateList(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck, l.Slot.Policy.Sweep = 60*rotation.Day, time.Hour
		if _, err := l.API.CreateAccount(t.Context(), l.Slot.Policy.Account); err != nil {
			t.Fatal(err)
		}
		l.API.SetLag(30 * rotation.Day)
		settle(t, l, 1)
		l.Run(3 * time.Hour)
		if l.Record().Generations[0].MissingAt.IsZero() {
			t.Error("three lists lack the token, and nothing was noted")
		}
	})
}

// A sweep that fails makes the calls wait, as every look does.
func TestRuleRestHoldsTheCalls(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		atRest(t, l)
		before := 0
		l.Script.Fault = func(act string) error {
			if strings.HasPrefix(act, "list tokens") {
				before++
				return apiError(500, rotation.ErrUnavailable)
			}
			return nil
		}
		l.Run(3 * time.Hour)
		if before == 0 || before > 60 {
			t.Errorf("%d lists in three hours in which all fail", before)
		}
		asked := before
		for range 5 { // as if somebody woke it
			l.Pass()
		}
		if before > asked+1 {
			t.Errorf("%d lists while calls have to wait", before-asked)
		}
		l.Script.Fault = nil
		l.Run(time.Hour)
		wantUnchanged(t, l)
	})
}
