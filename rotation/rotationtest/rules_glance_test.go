package rotationtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// A drift check of a store that describes takes no secret, as long as nothing
// hangs on it.

// inDescribing plays with one store that describes and is checked each hour,
// and whose token has no end.
func inDescribing(t *testing.T, play func(t *testing.T, l *rotationtest.Lab)) {
	t.Helper()
	for name, options := range map[string]mem.Options{"vault": mem.LikeVault(), "aws": mem.LikeAWS()} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *rotationtest.Lab) {
				l.Slot.Policy.DriftCheck, l.Slot.Policy.Sweep = time.Hour, time.Hour
				l.Slot.Policy.Schedule.Lifetime, l.Slot.Policy.Schedule.Every = 0, 0
				settle(t, l, 1)
				play(t, l)
			}, tokenStore(options))
		})
	}
}

// asked counts the calls of a store while play runs.
func asked(l *rotationtest.Lab, play func()) (gets, describes int) {
	gets, describes = l.Script.Counted("get store1"), l.Script.Counted("describe store1")
	play()
	return l.Script.Counted("get store1") - gets, l.Script.Counted("describe store1") - describes
}

func TestRuleDriftIsSeenWithoutTheSecret(t *testing.T) {
	inDescribing(t, func(t *testing.T, l *rotationtest.Lab) {
		day := func() { l.Run(rotation.Day) }
		if gets, describes := asked(l, day); gets != 0 || describes != 24 {
			t.Errorf("a day at rest takes %d readings and %d descriptions, want 0 and 24", gets, describes)
		}
		l.Restart() // what was read is known to this process alone
		if gets, describes := asked(l, day); gets != 1 || describes != 24 {
			t.Errorf("a day after a restart takes %d readings and %d descriptions, want 1 and 24", gets, describes)
		}
		l.Slot.Edition++ // the shape may be another one
		if gets, _ := asked(l, day); gets != 1 {
			t.Errorf("a day after a load takes %d readings, want 1", gets)
		}
	})
}

// Found by a simulated world: another format was declared and the journal lost.
// What was read before there was a record had no shape to be compared with, and
// no later look took the value.
func TestRuleARebuiltSlotDeliversAnotherShape(t *testing.T) {
	inDescribing(t, func(t *testing.T, l *rotationtest.Lab) {
		format, err := payload.New(payload.Spec{Format: "bearer", BackendType: "mem", Path: rotationtest.LabPath})
		if err != nil {
			t.Fatal(err)
		}
		l.Slot.Targets[0].Format = format
		l.Slot.Edition++
		l.Journal.Restore(rotationtest.NewMemory())
		l.Restart()
		l.Run(10 * time.Minute)
		if _, err := format.Extract(l.Stores[0].Peek(rotationtest.LabPath)); err != nil {
			t.Errorf("g%d is served in another shape than is declared: %v", l.Record().Current, err)
		}
	})
}

// TestRuleDescribedVersionMustMatch: metadata that stayed behind says nothing of
// a value that was changed under it.
func TestRuleDescribedVersionMustMatch(t *testing.T) {
	changes := map[string]func(l *rotationtest.Lab){
		"another value under the same metadata": func(l *rotationtest.Lab) {
			_, theirs := somebodys(l)
			l.Stores[0].Slip(rotationtest.LabPath, theirs)
		},
		"another value without metadata": func(l *rotationtest.Lab) { overwrite(l, "somebody's password") },
		"as many versions in an entry that was made again": func(l *rotationtest.Lab) {
			l.Stores[0].Wipe()
			overwrite(l, "somebody's password")
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			inDescribing(t, func(t *testing.T, l *rotationtest.Lab) {
				l.Run(2 * time.Hour)
				change(l)
				l.Run(time.Hour + time.Second)
				if seen := l.Record().Targets[l.Slot.Targets[0].Key()]; seen.State != rotation.Foreign {
					t.Errorf("after a drift check the target is %s (%s)", seen.State, seen.Reason)
				}
			})
		})
	}
}

func TestRuleDeletedIsSeenWithoutTheSecret(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck = time.Hour
		settle(t, l, 1)
		l.Run(2 * time.Hour)
		l.Stores[0].Delete(rotationtest.LabPath)
		l.Run(time.Hour + time.Second)
		wantServed(t, l, 1)
	}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeVault()))
}

// TestRuleAGateReadsInFull: before a revocation nothing but the value itself
// counts, at every target.
func TestRuleAGateReadsInFull(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.DriftCheck = time.Hour
		settle(t, l, 1)
		rotate(t, l)
		revoked := false
		before(l, "revoke", func(string) {
			revoked = true
			for _, target := range l.Slot.Targets {
				if look := lastLook(l, target.Key()); !strings.HasPrefix(look, "get") {
					t.Errorf("the last look before a revocation is %q", look)
				}
			}
		})
		l.Run(4 * rotation.Day)
		if !revoked {
			t.Error("nothing was revoked")
		}
	}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeAWS()))
}

// lastLook is the last act that was a look at a target.
func lastLook(l *rotationtest.Lab, key string) string {
	last := ""
	for _, act := range l.Script.Names() {
		if act == "get "+key || act == "describe "+key {
			last = act
		}
	}
	return last
}

// TestRuleADescriptionThatFails: what the store can't say is read instead, and a
// store that can't be asked, or asks to wait, is not asked twice.
func TestRuleADescriptionThatFails(t *testing.T) {
	kinds := []struct {
		kind  error
		wait  time.Duration // asked for by the store
		reads int           // at once
	}{
		{backends.ErrDenied, 0, 1}, {backends.ErrNotFound, 0, 1}, {backends.ErrInvalid, 0, 1},
		{backends.ErrUnavailable, 0, 0}, {backends.ErrThrottled, 20 * time.Minute, 0},
	}
	for _, tt := range kinds {
		t.Run(fmt.Sprint(tt.kind), func(t *testing.T) {
			inDescribing(t, func(t *testing.T, l *rotationtest.Lab) {
				var failed time.Time
				l.Script.Fault = func(act string) error {
					if !strings.HasPrefix(act, "describe") {
						return nil
					}
					failed = time.Now()
					return &backends.Error{Op: "describe", Ref: l.Slot.Targets[0].Ref, Kind: tt.kind, RetryAfter: tt.wait}
				}
				reads, _ := asked(l, func() {
					for failed.IsZero() {
						l.Run(time.Second)
					}
				})
				if reads != tt.reads {
					t.Errorf("%d readings at once, want %d", reads, tt.reads)
				}
				if reads, _ := asked(l, func() { l.Run(tt.wait - time.Minute) }); reads != 0 {
					t.Errorf("%d readings before the store's time is over", reads)
				}
				if reads, _ := asked(l, func() { l.Run(3 * time.Minute) }); reads != 1-tt.reads {
					t.Errorf("%d readings after it", reads)
				}
				if seen := l.Record().Targets[l.Slot.Targets[0].Key()]; seen.State != rotation.InStep {
					t.Errorf("the target is %s (%s)", seen.State, seen.Reason)
				}
			})
		})
	}
}
