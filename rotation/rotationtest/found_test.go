package rotationtest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// What the enumerators found, each by itself.

// TestWhatWasSeenBeforeAFailedCommitIsSeenAgain: a target was found empty, and
// the journal didn't take it. Found as a crash, which empties a volatile store,
// and a failing commit after it: the target stayed empty until the next drift
// check.
func TestWhatWasSeenBeforeAFailedCommitIsSeenAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		settle(t, l, 1)
		l.Stores[0].Delete(rotationtest.LabPath)
		failed := false
		l.Script.Fault = func(act string) error {
			if failed || !strings.HasPrefix(act, "commit seen") {
				return nil
			}
			failed = true
			return errors.New("the disk is full")
		}
		for !failed {
			l.Run(time.Minute)
		}
		l.Run(time.Minute)
		wantAt(t, l, 0, 1)
	})
}

// TestADuplicateBelongsToOthersAlsoWhenTheJournalRefuses: another agent made the
// label, the API said so, and the commit of it failed. Found as that: the next
// list showed the label, and the agent took its refused post for the one that
// had made it. It claimed the other's live token.
func TestADuplicateBelongsToOthersAlsoWhenTheJournalRefuses(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.API.SetLag(time.Hour)
		taken, failed := false, false
		l.Script.Fault = func(act string) error {
			switch {
			case !taken && strings.HasPrefix(act, "issue"):
				taken = true
				l.API.IssueByHand(l.Slot.Policy.AccountID, label(1), 60)
			case !failed && strings.HasPrefix(act, "commit burnt"):
				failed = true
				l.API.SetLag(0)
				return errors.New("the disk is full")
			}
			return nil
		}
		settle(t, l, 2)
		if !failed {
			t.Fatal("no commit failed")
		}
		wantState(t, l, 1, rotation.Unclaimed)
		wantLive(t, l, 1)
	})
}
