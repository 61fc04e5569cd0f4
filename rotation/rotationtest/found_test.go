package rotationtest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

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
