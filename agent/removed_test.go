package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

func (w *world) ask(a *Agent, kind rotation.RequestKind, slot string) rotation.Request {
	w.t.Helper()
	stored, err := a.Submit(w.t.Context(), []rotation.Request{{Kind: kind, Slot: slot, Reason: "leaked", Actor: "uid 7"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return stored[0]
}

func (w *world) outcome(a *Agent, r rotation.Request) string {
	w.t.Helper()
	now, err := a.Request(w.t.Context(), r.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return now.Outcome
}

// A slot that left the declaration takes an emergency, a revocation and a
// restoration at once; when they are over, nothing more is done there.
func TestOrdersOnARemovedSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		w.drive(a)
		later(time.Second)
		w.edit(gate, "")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []rotation.RequestKind{rotation.RequestRotate, rotation.RequestResume, rotation.RequestPause} {
			_, err := a.Submit(t.Context(), []rotation.Request{{Kind: kind, Slot: gateSlot, Actor: "uid 7"}})
			if !errors.Is(err, control.ErrNotFound) {
				t.Errorf("%s: %v; the slot isn't declared", kind, err)
			}
		}
		if _, err := a.Submit(t.Context(), leak("gate@service/typo")); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%v of a slot that never was", err)
		}
		emergency := w.ask(a, rotation.RequestEmergency, gateSlot)
		later(time.Second)
		if got := w.serves("one", "gate"); got == "live" || w.outcome(a, emergency) != "revoked 1 tokens" {
			t.Errorf("what leaked is %q; %q", got, w.outcome(a, emergency))
		}
		if e := w.emergencyOf(a, gateSlot); !e.Removed || len(e.Targets) != 1 || e.Targets[0].Reason != rotation.NotDeclared {
			t.Errorf("it is told as %+v", e)
		}
		restore := w.ask(a, rotation.RequestRestore, gateSlot)
		later(time.Second)
		if got := w.serves("one", "gate"); got != "live" {
			t.Errorf("it is %q after it was restored; %q", got, w.outcome(a, restore))
		}
		if left := a.leavingSlots(); len(left) != 0 {
			t.Errorf("%q are looked at although nothing is asked for", left)
		}
		w.edit("accounts:\n"+pipeline, "accounts:\n"+pipeline+gate)
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		later(time.Minute)
		if s := w.status(a, gateSlot); s.State != rotation.SlotCurrent {
			t.Errorf("declared again it is %s: %s", s.State, s.Reason)
		}
	})
}

// An order that is open survives that its slot leaves the declaration, by a reload
// and by a restart.
func TestAnOpenOrderSurvivesTheRemoval(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, oneStore, twoSlots)
			a := w.agent()
			first := w.drive(a)
			later(time.Second)
			w.mu.Lock()
			w.look = func(_ context.Context, _ backends.Ref) error {
				return &backends.Error{Kind: backends.ErrUnavailable, Err: errors.New("no route")}
			}
			w.mu.Unlock()
			stored, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestEmergency, Slot: gateSlot, Reason: "leaked",
				Actor: "uid 7", Deadline: time.Hour}})
			if err != nil {
				t.Fatal(err)
			}
			later(10 * time.Second)
			if e := w.emergencyOf(a, gateSlot); e.Over || len(e.Alive) != 1 {
				t.Fatalf("the emergency doesn't wait for its target: %+v", e)
			}
			w.edit(gate, "")
			a = w.takesIn(first, restart)
			later(time.Second)
			if got := w.outcome(a, stored[0]); got == "" {
				t.Errorf("restart %v: it is open; %+v", restart, w.emergencyOf(a, gateSlot))
			}
			if live := w.api.LiveTokens("gate@service"); len(live) != 1 {
				t.Errorf("restart %v: %d tokens live; the new one isn't condemned", restart, len(live))
			}
		})
	}
}

// Work takes a removed slot that an order is open for, and no other.
func TestWorkAtARemovedSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		if _, err := a.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		w.edit(gate, "")
		a = w.agent()
		if err := a.Work(t.Context(), gateSlot); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("Work = %v; nothing is asked for", err)
		}
		revoke := w.ask(a, rotation.RequestRevoke, gateSlot)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Work(ctx, gateSlot) }()
		later(time.Second)
		cancel()
		if err := <-ended; err != nil || w.outcome(a, revoke) != "revoked 1 tokens" {
			t.Errorf("%q, %v", w.outcome(a, revoke), err)
		}
	})
}
