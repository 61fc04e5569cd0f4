package rotationtest_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// One store in trouble: the others go on, what was delivered stays, and nothing
// is revoked.

// throttle lets the first store ask for the acts of that name to come in an
// hour, until the time that is returned.
func throttle(l *rotationtest.Lab, name string) (until time.Time) {
	until = time.Now().Add(time.Hour)
	l.Script.Fault = func(act string) error {
		if left := time.Until(until); left > 0 && strings.HasPrefix(act, name+" store1/") {
			return &backends.Error{Op: name, Ref: l.Slot.Targets[0].Ref, Kind: backends.ErrThrottled, RetryAfter: left}
		}
		return nil
	}
	return until
}

// status is what a person is told of the first target.
func status(l *rotationtest.Lab) rotation.TargetStatus {
	return rotation.Describe(l.Record(), rotation.AccountRecord{}, l.Slot.Policy).Targets[0]
}

// TestRuleAStoreThatAsksToWaitIsGivenItsTime: it is asked once, no attempt is
// spent, and the status says when it is tried again.
func TestRuleAStoreThatAsksToWaitIsGivenItsTime(t *testing.T) {
	for _, act := range []string{"put", "get"} {
		t.Run(act, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				began, until := l.API.Now(), throttle(l, act)
				asked := l.Script.Counted(act + " store1")
				l.Request(rotation.RequestRotate)
				outcome := l.Pass()
				wantAt(t, l, 1, 2)
				l.Run(time.Until(until) - time.Second)
				if n := l.Script.Counted(act+" store1") - asked; n != 1 {
					t.Errorf("it was asked %d times in its hour, want once", n)
				}
				s := status(l)
				if s.State != rotation.Behind || s.Since == nil || s.Since.Before(began) || s.Since.After(began.Add(time.Minute)) {
					t.Errorf("the status says %+v, want behind since %s", s, began)
				}
				if at := retryAt(l, outcome); !at.Equal(until.UTC()) {
					t.Errorf("it is tried again at %s, want %s", at, until.UTC())
				}
				if attempts := l.Record().Targets[l.Slot.Targets[0].Key()].Attempts; attempts != 0 {
					t.Errorf("%d attempts are spent", attempts)
				}
				l.Run(time.Minute)
				wantServed(t, l, 2)
			}, tokenStore(mem.LikeFile()), tokenStore(mem.LikeVault()))
		})
	}
}

// retryAt is when the first target is tried again: by the record, or by what
// the pass tells of a target that couldn't be read.
func retryAt(l *rotationtest.Lab, o rotation.Outcome) time.Time {
	if unread, ok := o.Unread[l.Slot.Targets[0].Key()]; ok {
		return unread.RetryAt.UTC()
	}
	return l.Record().Targets[l.Slot.Targets[0].Key()].RetryAt.UTC()
}

// TestRuleOneBadStoreHoldsTheRevocation: the others serve the new token all the
// time, and the old one lives until the bad store has been seen with the new
// one, and the grace after that.
func TestRuleOneBadStoreHoldsTheRevocation(t *testing.T) {
	kinds := map[string]error{"down": backends.ErrUnavailable, "denies": backends.ErrDenied, "throttles": backends.ErrThrottled}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				settle(t, l, 1)
				bad := true
				l.Script.Fault = func(act string) error {
					if !bad || !strings.Contains(act, " store1/") {
						return nil
					}
					return &backends.Error{Op: "act", Ref: l.Slot.Targets[0].Ref, Kind: kind}
				}
				rotate(t, l)
				for range 7 { // the grace is two
					l.Run(rotation.Day)
					wantAt(t, l, 0, 1)
					wantAt(t, l, 1, 2)
					wantLive(t, l, 1)
				}
				bad = false
				l.Run(time.Hour)
				wantServed(t, l, 2)
				l.Run(l.Slot.Policy.Schedule.Grace - 2*time.Hour)
				wantLive(t, l, 1)
				l.Run(rotation.Day)
				if listed, _ := token(t, l, 1); listed.Active {
					t.Error("g1 isn't revoked, though nothing holds it any more")
				}
			}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeAWS()))
		})
	}
}

// TestRuleAHangingStoreHoldsUpNoOther: what is to be done at the others is done
// long before the store's time limit, a minute here.
func TestRuleAHangingStoreHoldsUpNoOther(t *testing.T) {
	const soon = 10 * time.Second
	hang := func(l *rotationtest.Lab) {
		l.Script.Hangs = func(act string) bool { return strings.Contains(act, " store1/") }
	}
	t.Run("a rotation", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			settle(t, l, 1)
			hang(l)
			began := time.Now()
			l.Request(rotation.RequestRotate)
			if took := served(l, 2).Sub(began); took < 0 || took > soon {
				t.Errorf("the good store waited %s for the new token", took)
			}
			wantAt(t, l, 0, 1)
		})
	})
	t.Run("a heal", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			l.Slot.Policy.DriftCheck = time.Hour
			settle(t, l, 1)
			l.Run(time.Hour)
			var first sync.Once
			var checked time.Time // by the first look of the drift check
			hang(l)
			hangs := l.Script.Hangs
			l.Script.Hangs = func(act string) bool {
				first.Do(func() { checked = time.Now() })
				return hangs(act)
			}
			l.Stores[1].Delete(rotationtest.LabPath)
			if took := served(l, 1).Sub(checked); checked.IsZero() || took < 0 || took > soon {
				t.Errorf("the good store waited %s to be healed", took)
			}
		}, tokenStore(mem.LikeAzure()), tokenStore(mem.LikeAzure()), tokenStore(mem.LikeAzure())) // the third has the value
	})
	t.Run("a look that is slow, and no more", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *rotationtest.Lab) {
			settle(t, l, 1)
			l.Script.Fault = func(act string) error {
				if strings.HasPrefix(act, "get store1/") || strings.HasPrefix(act, "check store1/") {
					time.Sleep(20 * time.Second)
				}
				return nil
			}
			l.Request(rotation.RequestRotate)
			l.Pass()
			wantServed(t, l, 2) // in this very pass
		})
	})
}

// served runs until the second store serves that generation, for an hour and a
// half at most, and returns when it came to do so; the zero time is never.
func served(l *rotationtest.Lab, number uint64) (at time.Time) {
	var once sync.Once
	look := l.Script.After
	l.Script.After = func() {
		look()
		token, _ := l.Serves(1)
		if n, _ := rotation.ParseLabel(token.Label, rotationtest.LabToken, "lab"); n == number {
			once.Do(func() { at = time.Now() })
		}
	}
	for limit := time.Now().Add(90 * time.Minute); at.IsZero() && time.Now().Before(limit); {
		l.Run(time.Second)
	}
	return at
}
