package rotationtest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// waiting is a state in which nothing can be done, and what a day in it may
// cost: passes, calls of the API, commits. A back-off of five minutes at most,
// less a quarter, gives 384 passes.
type waiting struct {
	name                   string
	set                    func(l *rotationtest.Lab)
	passes, calls, commits int
}

func down(i int) func(l *rotationtest.Lab) {
	return func(l *rotationtest.Lab) { l.Stores[i].SetDown(true) }
}

func refuse(prefix string, err error) func(l *rotationtest.Lab) {
	return func(l *rotationtest.Lab) {
		l.Script.Fault = func(act string) error {
			if strings.HasPrefix(act, prefix) {
				return err
			}
			return nil
		}
	}
}

func ask(then func(l *rotationtest.Lab)) func(l *rotationtest.Lab) {
	return func(l *rotationtest.Lab) {
		then(l)
		l.Request(rotation.RequestRotate)
	}
}

func current(l *rotationtest.Lab, change func(l *rotationtest.Lab, id int64)) {
	if made, ok := find(l, l.Record().Current); ok {
		change(l, made.ID)
	}
}

func apiError(status int, kind error) error {
	return &rotation.APIError{Call: "POST /user-tokens", Status: status, Kind: kind}
}

var waits = []waiting{
	{"at rest", func(*rotationtest.Lab) {}, 2, 3, 0},
	{"a target down", down(0), 400, 3, 0},
	{"a target down, and behind", ask(down(0)), 400, 3, 0},
	{"a target hangs, and is behind", ask(func(l *rotationtest.Lab) {
		l.Script.Hangs = func(act string) bool { return strings.Contains(act, "store1/") }
	}), 400, 3, 0},
	{"a target denies, and is behind", ask(refuse("put store1", errors.New("no"))), 400, 400, 1200},
	{"every target down, and due", ask(func(l *rotationtest.Lab) { down(0)(l); down(1)(l) }), 1500, 3, 0},
	{"every preflight fails, and due", ask(refuse("check", errors.New("no"))), 1500, 3, 0},
	{"a target holds a foreign value", func(l *rotationtest.Lab) { overwrite(l, "a password") }, 2, 3, 0},
	{"a target holds a foreign value, and a token waits", ask(func(l *rotationtest.Lab) { overwrite(l, "a password") }), 2, 3, 0},
	{"a gate is closed by a target that is down", func(l *rotationtest.Lab) {
		l.Request(rotation.RequestRotate)
		l.Run(rotation.Day)
		down(1)(l)
	}, 400, 3, 0},
	{"the order is refused", ask(refuse("issue", apiError(422, rotation.ErrRefused))), 2, 3, 2},
	{"the order fails", ask(refuse("issue", apiError(500, rotation.ErrUnknownOutcome))), 400, 1200, 800},
	{"the credential is refused", ask(func(l *rotationtest.Lab) { l.API.Refuse(apiError(401, rotation.ErrUnauthorized)) }), 400, 800, 400},
	{"the API is out of reach", ask(func(l *rotationtest.Lab) { l.API.Refuse(apiError(0, rotation.ErrUnavailable)) }), 400, 800, 400},
	{"the API is broken", ask(func(l *rotationtest.Lab) { l.API.Refuse(apiError(500, rotation.ErrUnavailable)) }), 400, 800, 800},
	{"the list fails", refuse("list tokens", apiError(500, rotation.ErrUnavailable)), 400, 400, 0},
	{"the account list fails", refuse("list accounts", apiError(500, rotation.ErrUnavailable)), 400, 400, 0},
	{"the account is deactivated", func(l *rotationtest.Lab) {
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deactivated = true })
	}, 4, 6, 1},
	{"the account is gone", func(l *rotationtest.Lab) {
		l.API.SetAccount(l.Slot.Policy.AccountID, func(a *rotation.Account) { a.Deleted = true })
	}, 4, 6, 1},
	{"revoked by others, and blocked", func(l *rotationtest.Lab) {
		l.Slot.Policy.BlockOnRevocation = true
		current(l, func(l *rotationtest.Lab, id int64) { l.API.ChangeToken(id, revoked) })
	}, 2, 3, 1},
	{"the list lacks a token that works", func(l *rotationtest.Lab) {
		l.API.SetLag(60 * rotation.Day)
		l.Request(rotation.RequestRotate)
	}, 4, 6, 2},
	{"too many live tokens", ask(func(l *rotationtest.Lab) {
		for n := range uint64(5) {
			l.API.IssueByHand(l.Slot.Policy.AccountID, label(n+2), 0)
		}
	}), 4, 6, 0},
	{"a token is unclaimed", func(l *rotationtest.Lab) {
		l.API.IssueByHand(l.Slot.Policy.AccountID, label(2), 0)
	}, 2, 3, 0},
	{"an old token is still used", func(l *rotationtest.Lab) {
		l.Slot.Policy.Schedule.HoldUntilUnused, l.Slot.Policy.Schedule.Quiet = true, 30*rotation.Day
		kept := l.Stores[1].Peek(rotationtest.LabPath)
		l.Request(rotation.RequestRotate)
		l.Run(time.Hour)
		l.API.Use(kept)
	}, 4, 6, 1},
	{"a token of this account stands at a target", func(l *rotationtest.Lab) {
		_, value := l.API.IssueByHand(l.Slot.Policy.AccountID, "by hand", 0)
		l.Stores[0].Overwrite(rotationtest.LabPath, value)
	}, 2, 4, 0},
	{"nobody has the value, and the slot is blocked", func(l *rotationtest.Lab) {
		refuse("issue", apiError(422, rotation.ErrRefused))(l)
		for i := range l.Stores {
			l.Stores[i].Overwrite(rotationtest.LabPath, secret.Value{})
		}
		l.DeadAllowed = true
		l.Restart()
	}, 2, 3, 2},
	{"the token is never valid", ask(func(l *rotationtest.Lab) {
		l.DeadAllowed = true
		l.API.SetValidAfter(300 * rotation.Day)
	}), 1500, 1500, 0}, // nothing proves live: the gates ask again every minute
}

// TestWaitingIsCheap: a slot that waits must not spin. Each state is given a
// day to be reached, and is then watched for ten.
func TestWaitingIsCheap(t *testing.T) {
	days := 10
	if testing.Short() {
		days = 2
	}
	for _, tt := range waits {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				l.DeadAllowed = true
				l.Slot.Policy.Schedule.Lifetime, l.Slot.Policy.Schedule.Every = 0, 0
				rotate(t, l) // a token without an end
				l.Run(5 * rotation.Day)
				l.Restart()
				tt.set(l)
				l.Run(rotation.Day)
				passes, asked, commits := l.Passes, calls(l), l.Script.Counted("commit")
				l.Run(time.Duration(days) * rotation.Day)
				for what, n := range map[string][2]int{"passes": {l.Passes - passes, tt.passes},
					"calls": {calls(l) - asked, tt.calls}, "commits": {l.Script.Counted("commit") - commits, tt.commits}} {
					if n[0] > n[1]*days {
						t.Errorf("%d %s a day, at most %d are due", n[0]/days, what, n[1])
					}
				}
				t.Logf("a day: %d passes, %d calls, %d commits", (l.Passes-passes)/days, (calls(l)-asked)/days,
					(l.Script.Counted("commit")-commits)/days)
			})
		})
	}
}

// calls counts what was asked of Qualytics.
func calls(l *rotationtest.Lab) int {
	n := 0
	for _, call := range []string{"list ", "create ", "update ", "issue", "prove", "revoke", "restore", "delete"} {
		n += l.Script.Counted(call)
	}
	return n
}
