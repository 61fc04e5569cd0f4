package rotationtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The rules of docs/decisions/hooks.md.

// hang waits for its time limit.
func hang(ctx context.Context, _ rotation.HookCall) error {
	<-ctx.Done()
	return ctx.Err()
}

// hears is a hook that succeeds; its calls come one at a time.
func hears(mu *sync.Mutex, call func(rotation.HookCall)) func(context.Context, rotation.HookCall) error {
	return func(_ context.Context, c rotation.HookCall) error {
		mu.Lock()
		defer mu.Unlock()
		call(c)
		return nil
	}
}

func sayNo(context.Context, rotation.HookCall) error { return errors.New("no") }

// hooked plays with a hook after deliveries from where g1 is served everywhere.
func hooked(t *testing.T, required bool, tell func(context.Context, rotation.HookCall) error, play func(t *testing.T, l *rotationtest.Lab)) {
	t.Helper()
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Hook(rotation.AfterDelivery, required, tell)
		settle(t, l, 1)
		play(t, l)
	})
}

// TestRuleRequiredHookHoldsTheOldToken: until it has succeeded at every target,
// the old token lives, through restarts, and nothing else waits.
func TestRuleRequiredHookHoldsTheOldToken(t *testing.T) {
	answer := errors.New("not now")
	hooked(t, true, func(_ context.Context, call rotation.HookCall) error {
		if call.Backend == "store2" {
			return answer
		}
		return nil
	}, func(t *testing.T, l *rotationtest.Lab) {
		rotate(t, l)
		wantServed(t, l, 2)
		l.Run(7 * rotation.Day)
		l.Restart()
		l.Run(rotation.Day)
		wantLive(t, l, 1)
		if why := reason(t, l); why != rotation.HookFailed && why != rotation.HookRequired {
			t.Errorf("the slot waits for %q", why)
		}
		if s := rotation.Describe(l.Record(), rotation.AccountRecord{}, l.Slot.Policy); len(s.Retired) != 1 || s.Retired[0].Reason != rotation.HookRequired {
			t.Errorf("on their way out: %+v", s.Retired)
		}
		if tried := l.Script.Counted("hook delivery store2 g2"); tried < 100 {
			t.Errorf("it was tried %d times in eight days", tried)
		}
		answer = nil
		l.Run(time.Hour)
		if at, _ := token(t, l, 1); at.Active {
			t.Error("g1 lives on")
		}
		l.Run(5 * rotation.Day)
		l.Settled()
	})
}

// TestRuleARequiredHookThatHangsStopsNothingElse: others are delivered to, the
// token is rotated again, and its own old token alone waits.
func TestRuleARequiredHookThatHangsStopsNothingElse(t *testing.T) {
	hooked(t, true, hang, func(t *testing.T, l *rotationtest.Lab) {
		for g := range uint64(2) {
			l.Request(rotation.RequestRotate)
			l.Run(5 * time.Second) // the hook before hangs on
			wantServed(t, l, g+2)
		}
		l.Run(3 * rotation.Day)
		wantLive(t, l, 1)
		wantLive(t, l, 2)
	})
}

// TestRuleAHookThatIsNotRequiredDelaysNothing: whether it hangs or fails.
func TestRuleAHookThatIsNotRequiredDelaysNothing(t *testing.T) {
	for name, tell := range map[string]func(context.Context, rotation.HookCall) error{"hangs": hang, "fails": sayNo} {
		t.Run(name, func(t *testing.T) {
			hooked(t, false, tell, func(t *testing.T, l *rotationtest.Lab) {
				l.Slot.Policy.Schedule.Grace, l.Slot.Policy.Schedule.Hold = 2*time.Minute, 0 // it still fails then
				rotate(t, l)
				l.Run(2 * time.Minute)
				if g := generation(t, l, 1); g.State != rotation.Observing || g.RevokedAt.Sub(g.RevokeAfter) > time.Second {
					t.Errorf("g1 is %s, revoked %s after its grace", g.State, g.RevokedAt.Sub(g.RevokeAfter))
				}
				l.Run(rotation.Day)
				if tried := l.Script.Counted("hook delivery store1 g2"); tried != 32 {
					t.Errorf("it was tried %d times", tried)
				}
				if told := l.Told(rotation.ActHookFailed); told[len(told)-1].Reason != rotation.HookGivenUp {
					t.Errorf("the last event is %+v", told[len(told)-1])
				}
			})
		})
	}
}

// TestRuleAnEmergencyDoesNotWaitForAHook: what leaked is dead at once; the hook is
// run all the same.
func TestRuleAnEmergencyDoesNotWaitForAHook(t *testing.T) {
	hooked(t, true, hang, func(t *testing.T, l *rotationtest.Lab) {
		began := l.API.Now()
		l.Request(rotation.RequestEmergency)
		l.Run(time.Minute)
		g := generation(t, l, 1)
		if g.RevokedAt.IsZero() || g.RevokedAt.Sub(began) > time.Second {
			t.Errorf("g1 is %s, revoked at %s", g.State, g.RevokedAt)
		}
		if tried := l.Script.Counted("hook delivery store1 g2"); tried == 0 {
			t.Error("nobody was told of g2")
		}
	})
}

// TestRuleHooksAreToldOnce: of each delivery and each revocation, with what they
// need to know; a heal is a delivery too.
func TestRuleHooksAreToldOnce(t *testing.T) {
	var mu sync.Mutex
	var calls []rotation.HookCall
	tell := hears(&mu, func(call rotation.HookCall) { calls = append(calls, call) })
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.Environment = "production"
		l.Hook(rotation.AfterDelivery, true, tell)
		l.Hook(rotation.AfterRevocation, false, tell)
		settle(t, l, 1)
		rotate(t, l)
		overwriteWithOld(t, l)
		l.Run(5 * rotation.Day)
		var told []string
		for _, c := range calls {
			told = append(told, string(c.After)+" "+c.Backend+" "+label(c.Generation))
		}
		want := []string{"delivery store1 " + label(1), "delivery store2 " + label(1), "delivery store1 " + label(2), "delivery store2 " + label(2),
			"delivery store1 " + label(2), "revocation  " + label(1)}
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("told %q\nwant %q", told, want)
		}
		last := calls[len(calls)-1]
		g := generation(t, l, 1)
		if last.Reason != rotation.Retired || last.TokenID != g.TokenID || last.Slot != l.Slot.Policy.Slot || last.Agent != "lab" ||
			last.Environment != "production" || last.TokenName != rotationtest.LabToken || !last.At.Equal(g.RevokedAt) || !last.Expires.Equal(g.Expires) {
			t.Errorf("told %+v of %+v", last, g)
		}
		if n := len(l.Told(rotation.ActHookDone)); n != len(want) {
			t.Errorf("%d events of hooks", n)
		}
	}, twoStores()[0], twoStores()[0])
}

// overwriteWithOld rolls the first store back, and waits until that is healed.
func overwriteWithOld(t *testing.T, l *rotationtest.Lab) {
	t.Helper()
	l.Slot.Policy.DriftCheck = time.Hour
	if !l.Stores[0].RollBack(rotationtest.LabPath) {
		t.Fatal("nothing to roll back to")
	}
	l.Restart()
	l.Run(2 * time.Hour)
	wantServed(t, l, 2)
}

// TestRuleHooksSurviveACrash: before and after each run, and each commit of one,
// the process ends; each change is told at least once all the same.
func TestRuleHooksSurviveACrash(t *testing.T) {
	for _, kind := range rotationtest.FaultKinds {
		for _, act := range []string{"hook delivery store1 g2", "hook delivery store2 g2", "hook revocation  g1", "commit hook_done", "commit delivered", "commit revoked", "put store1"} {
			t.Run(kind.String()+" "+act, func(t *testing.T) {
				h := &hearing{told: map[string]bool{}}
				inLab(t, func(t *testing.T, l *rotationtest.Lab) {
					l.Hook(rotation.AfterDelivery, true, h.hook())
					l.Hook(rotation.AfterRevocation, false, h.hook())
					settle(t, l, 1)
					l.Script.Once(act, kind)
					before(l, "revoke", h.gate(t, l))
					rotate(t, l)
					l.Run(6 * rotation.Day)
					h.all(t, l)
					l.Settled()
				})
			})
		}
	}
}

// TestRuleAHookOfAnotherDeclarationHoldsNothing: one that left the declaration is
// neither run nor waited for.
func TestRuleAHookOfAnotherDeclarationHoldsNothing(t *testing.T) {
	hooked(t, true, sayNo, func(t *testing.T, l *rotationtest.Lab) {
		rotate(t, l)
		l.Slot.Policy.OnDelivery, l.Slot.OnDelivery = nil, nil
		l.Slot.Edition++
		tried := l.Script.Counted("hook")
		l.Run(5 * rotation.Day)
		l.Settled()
		if n := l.Script.Counted("hook"); n != tried {
			t.Errorf("it was run %d times more", n-tried)
		}
	})
}

// TestRuleAPauseHoldsHooks: nothing is told while an operator says that nothing
// is to be done.
func TestRuleAPauseHoldsHooks(t *testing.T) {
	hooked(t, true, sayNo, func(t *testing.T, l *rotationtest.Lab) {
		rotate(t, l)
		l.Request(rotation.RequestPause)
		l.Run(time.Minute)
		tried := l.Script.Counted("hook")
		l.Run(rotation.Day)
		if n := l.Script.Counted("hook"); n != tried {
			t.Errorf("it was run %d times in the pause", n-tried)
		}
	})
}

// TestRuleDriftIsTold: of what somebody else changed, and not of what the agent
// or the declaration did.
func TestRuleDriftIsTold(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		drifts := func() (n int) {
			for _, e := range l.Told(rotation.ActSeen) {
				if e.Detail == rotation.DetailDrift {
					n++
				}
			}
			return n
		}
		settle(t, l, 1)
		l.Slot.Policy.DriftCheck = time.Hour
		rotate(t, l)
		l.Run(2 * time.Hour)
		if n := drifts(); n != 0 {
			t.Fatalf("%d drifts are told before there was one", n)
		}
		if !l.Stores[1].RollBack(rotationtest.LabPath) {
			t.Fatal("nothing to roll back to")
		}
		l.Run(2 * time.Hour)
		if n := drifts(); n != 1 {
			t.Errorf("%d drifts are told", n)
		}
		overwrite(l, "a person's") // is foreign, and told as that
		l.Run(2 * time.Hour)
		if n := drifts(); n != 1 {
			t.Errorf("%d drifts are told after a foreign value", n)
		}
	}, tokenStore(mem.LikeVault()), tokenStore(mem.LikeVault()))
}

// hearing notes what was told, and wants all of it told before a token dies.
type hearing struct {
	mu   sync.Mutex
	told map[string]bool
}

func (h *hearing) hook() func(context.Context, rotation.HookCall) error {
	return hears(&h.mu, func(c rotation.HookCall) { h.told[string(c.After)+c.Backend+label(c.Generation)] = true })
}

// gate is asked before each revocation: who reads at a target was told of what it
// serves. A value lost in a crash makes that another token than planned.
func (h *hearing) gate(t *testing.T, l *rotationtest.Lab) func(string) {
	return func(string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for i := range l.Stores {
			if serves, _ := l.Serves(i); !h.told[fmt.Sprintf("deliverystore%d%s", i+1, serves.Label)] {
				t.Errorf("a token is revoked before who reads store%d was told of %s", i+1, serves.Label)
			}
		}
	}
}

// all wants every token that was revoked to be told of.
func (h *hearing) all(t *testing.T, l *rotationtest.Lab) {
	t.Helper()
	for _, g := range l.Record().Generations {
		if !g.RevokedAt.IsZero() && !h.told["revocation"+g.Label] {
			t.Errorf("nobody was told that %s is revoked", g.Label)
		}
	}
}

// TestHooksUnderEveryFault: each act of one rotation meets each fault once, the
// runs of hooks among them.
func TestHooksUnderEveryFault(t *testing.T) {
	play := func(t *testing.T, faults plan) (acts int) {
		synctest.Test(t, func(t *testing.T) {
			l := rotationtest.NewLab(t, faults, twoStores()...)
			l.Slot.Policy.Sweep, l.Slot.Policy.DriftCheck = 60*rotation.Day, 60*rotation.Day
			h := &hearing{told: map[string]bool{}}
			l.Hook(rotation.AfterDelivery, true, h.hook())
			l.Hook(rotation.AfterRevocation, false, h.hook())
			before(l, "revoke", h.gate(t, l))
			l.Run(oneRotation * rotation.Day)
			l.Quiesce()
			l.Settled()
			l.Run(time.Hour)
			h.all(t, l)
			if broken := l.Broken(); broken != "" {
				t.Error(broken)
			}
			acts = l.Script.Count()
		})
		return acts
	}
	acts := play(t, nil)
	if acts < 20 {
		t.Fatalf("%d acts are no rotation", acts)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for _, kind := range rotationtest.FaultKinds {
		for act := 1; act <= acts; act += step {
			t.Run(fmt.Sprintf("%s act %d", kind, act), func(t *testing.T) { play(t, plan{act: kind}) })
		}
	}
}
