package plan_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/plan"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// waitTests has a row for each thing that keeps the agent from acting now.
var waitTests = []struct {
	name  string
	setup func(*world)
	slot  int
	want  []plan.Wait
}{
	{
		name:  "a store that is down, before the first issue",
		setup: func(w *world) { w.stores["azure/qualytics"].SetDown(true) },
		slot:  1,
		want:  []plan.Wait{{Slot: hourly, Reason: rotation.TargetUnreachable}},
	},
	{
		name:  "a store that denies, before the first issue",
		setup: func(w *world) { w.stores["file/qualytics"].Deny("qualytics") },
		slot:  2,
		want:  []plan.Wait{{Slot: gate, Reason: rotation.TargetDenied}},
	},
	{
		name: "a store that is down, at rest",
		setup: func(w *world) {
			w.pass()
			w.stores["azure/qualytics"].SetDown(true)
		},
		slot: 1,
		want: []plan.Wait{{Slot: hourly, Reason: rotation.TargetUnreachable}},
	},
	{
		name: "a value that isn't ours",
		setup: func(w *world) {
			w.stores["vault/qualytics"].Overwrite("qualytics", secret.New("by hand"))
			w.pass()
		},
		want: []plan.Wait{{Slot: nightly, Act: plan.Deliver, Target: "vault/qualytics", Reason: rotation.TargetHoldsForeign}},
	},
	{
		name: "an account that others deleted",
		setup: func(w *world) {
			w.pass()
			w.api.SetAccount("quality_gate@service", func(a *rotation.Account) { a.Deleted = true })
			w.pass()
			for range 3 {
				time.Sleep(2 * rotation.Day)
				w.pass()
			}
			if _, err := w.journal.AddRequest(w.t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: gate}); err != nil {
				w.t.Fatal(err)
			}
			w.pass()
		},
		slot: 2,
		want: []plan.Wait{{Slot: gate, Reason: rotation.AccountGone}},
	},
	{
		name: "the grace, then the observation of an old token",
		setup: func(w *world) {
			w.pass()
			for range 23 {
				time.Sleep(rotation.Day)
				w.pass()
			}
		},
		slot: 1,
		want: []plan.Wait{{Slot: hourly, Act: plan.Delete, Generation: 1, Reason: rotation.ObserveRunning}},
	},
}

func TestWaits(t *testing.T) {
	for _, test := range waitTests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				test.setup(w)
				w.slots = w.slots[test.slot : test.slot+1]
				p := w.plan()
				for i := range p.Waits {
					p.Waits[i].Until, p.Waits[i].TokenID = nil, 0
				}
				if diff := cmp.Diff(test.want, p.Waits); diff != "" {
					t.Errorf("waits (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestGraceSaysUntilWhen: the old token of a rotation that is planned now dies
// after its grace, and the one of a rotation that took place at its time.
func TestGraceSaysUntilWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		w.slots = w.slots[1:2]
		tokens, _ := w.api.Tokens(t.Context())
		time.Sleep(20 * rotation.Day)
		ends := time.Now().UTC().Add(schedule.Grace)
		want := plan.Wait{Slot: hourly, Act: plan.Revoke, Generation: 1, TokenID: tokens[1].ID, Reason: rotation.GraceRunning, Until: &ends}
		for _, when := range []string{"planned", "done"} {
			p := w.plan()
			if diff := cmp.Diff([]plan.Wait{want}, p.Waits); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
			w.pass()
			time.Sleep(time.Hour)
		}
	})
}

// TestServedTokenHasNoEnd: while a target still serves the old token, no time
// ends the wait.
func TestServedTokenHasNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		time.Sleep(20 * rotation.Day)
		w.stores["vault/qualytics"].SetDown(true)
		w.slots = w.slots[:1]
		w.pass()
		for _, wait := range w.plan().Waits {
			if wait.Act == plan.Revoke && wait.Reason == rotation.StillServed && wait.Until == nil {
				return
			}
		}
		t.Errorf("waits %+v", w.plan().Waits)
	})
}

// deaf is a hook that nobody may run.
type deaf struct{ t *testing.T }

func (d deaf) Run(context.Context, rotation.HookCall) error {
	d.t.Error("a plan told others")
	return nil
}

// TestPlanTellsNobody: neither of what is owed nor of what it would deliver.
func TestPlanTellsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := &w.slots[1]
		s.Policy.OnDelivery = []rotation.HookPolicy{{Name: "hook", Required: true, Timeout: time.Second}}
		w.pass() // by an agent that can run none
		s.OnDelivery = []rotation.Hook{deaf{t}}
		w.plan()
		synctest.Wait()
		w.stores["azure/qualytics"].RollBack("qualytics")
		w.plan()
		synctest.Wait()
		if rec, err := w.journal.Slot(t.Context(), hourly); err != nil || len(rec.Targets["azure/qualytics"].Hooks) != 1 {
			t.Errorf("owed: %+v, %v", rec.Targets, err)
		}
	})
}
