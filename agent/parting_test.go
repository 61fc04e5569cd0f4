package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// A slot that is taken out of the declaration with on_remove: retire comes to its
// end, by a reload and by a restart, and is told of for as long; one with keep
// lives on, with a warning.
func TestOnRemove(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, oneStore, twoSlots)
			w.edit("{name: testing,", "{name: testing, on_remove: retire,")
			a := w.agent()
			first := w.drive(a)
			later(time.Minute)
			w.edit(strings.Replace(gate, "{name: testing,", "{name: testing, on_remove: retire,", 1), "")
			a = w.takesIn(first, restart)
			later(rotation.Day)
			if s := w.status(a, gateSlot); s.State != rotation.SlotRemoved || len(s.Retired) != 1 || s.Retired[0].State != rotation.Grace {
				t.Errorf("restart %v: in its grace it is told as %+v", restart, s)
			}
			if live := w.api.LiveTokens("gate@service"); len(live) != 1 {
				t.Errorf("restart %v: %d tokens live in the grace", restart, len(live))
			}
			later(6 * rotation.Day)
			if tokens := w.api.LiveTokens("gate@service"); len(tokens) != 0 {
				t.Errorf("restart %v: after the grace live %+v", restart, tokens)
			}
			if left := a.leavingSlots(); len(left) != 0 || !strings.Contains(w.logged(), "none of its tokens is left") {
				t.Errorf("restart %v: %q are still worked at\n%s", restart, left, w.logged())
			}
			w.edit("accounts:\n"+pipeline, "accounts: []")
			if err := a.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			later(10 * rotation.Day)
			if live := w.api.LiveTokens("pipeline@service"); len(live) != 1 {
				t.Errorf("restart %v: %d tokens live of a slot that is to be kept", restart, len(live))
			}
			if !strings.Contains(w.logged(), "handover revoke "+pipelineSlot) {
				t.Error("nobody is warned of it")
			}
		})
	}
}

// A run for cron takes a step of it, too, and doesn't count it.
func TestOnRemoveOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		w.edit("defaults:", "defaults:\n  on_remove: retire")
		a := w.agent()
		if _, err := a.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.edit(gate, "")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			sum, err := a.Once(t.Context())
			if err != nil || sum.Slots != 1 || sum.Settled != 1 || len(sum.Waiting) != 0 {
				t.Errorf("%+v, %v; want one slot", sum, err)
			}
			time.Sleep(rotation.Day)
		}
		if live := w.api.LiveTokens("gate@service"); len(live) != 0 {
			t.Errorf("%d tokens live after its grace", len(live))
		}
	})
}

// A place that a renamed slot has now keeps the old token alive until the new one
// is served there.
func TestOnRemoveOfARenamedSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		w.edit("defaults:", "defaults:\n  on_remove: retire")
		a := w.agent()
		w.drive(a)
		later(time.Minute)
		w.edit("{name: testing,", "{name: renamed,")
		away := func(look func(context.Context, backends.Ref) error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.look = look
		}
		away(func(context.Context, backends.Ref) error {
			return &backends.Error{Kind: backends.ErrUnavailable, Err: errors.New("no route")}
		})
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		later(8 * rotation.Day)
		if got := w.serves("one", "gate"); got != "live" {
			t.Errorf("what stands at the place is %q; %+v", got, w.status(a, "gate@service/renamed"))
		}
		away(nil)
		later(8 * rotation.Day)
		if live := w.api.LiveTokens("gate@service"); len(live) != 1 || !strings.HasPrefix(live[0].Label, "renamed.") {
			t.Errorf("live are %+v, want the renamed slot's", live)
		}
		if got := w.serves("one", "gate"); got != "live" {
			t.Errorf("then it is %q", got)
		}
	})
}

// What a look at an older declaration found doesn't count once another is in force:
// the slot may be declared again.
func TestPartingByTheDeclarationInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		w.edit("defaults:", "defaults:\n  on_remove: retire")
		a := w.agent()
		if _, err := a.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.edit("accounts:\n"+pipeline+gate, "accounts:\n"+pipeline)
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		without := a.current()
		w.edit("accounts:\n"+pipeline, "accounts:\n"+pipeline+gate)
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.findPartingFrom(t.Context(), without); err != nil {
			t.Fatal(err)
		}
		if left := a.leavingSlots(); len(left) != 0 {
			t.Errorf("%q are retired, and they are declared", left)
		}
	})
}
