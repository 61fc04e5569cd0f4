package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// A declaration that can't be put in force as a whole changes nothing, and
// everybody can see it, until a reload succeeds.
func TestReloadIsAllOrNothing(t *testing.T) {
	cases := map[string]struct{ old, next, says string }{
		"no YAML":           {"version: 1", "version: [", "agent.yaml:"},
		"an unknown key":    {"purpose: starts scans", "purpose: starts scans\n    onwer: x", `unknown key "onwer"`},
		"a broken backend":  {"one: {type: mem}", "one: {type: mem}\n  two: {type: mem, broken: true}", "open backend two"},
		"another address":   {`"127.0.0.1:0"`, `"127.0.0.1:1"`, "agent.listen changed; restart the agent"},
		"another socket":    {"c.sock", "d.sock", "agent.socket changed"},
		"another id":        {"id: acme", "id: other", "agent.id changed"},
		"another journal":   {"state.db", "other.db", "state changed"},
		"another API":       {"http://127.0.0.1:9", "http://127.0.0.1:8", "qualytics changed"},
		"another rate":      {"rate: 1000", "rate: 1", "qualytics changed"},
		"two at a time":     {`socket: c.sock`, "socket: d.sock, x: 1", `unknown key "x"`},
		"several that stay": {"id: acme, listen: \"127.0.0.1:0\"", "id: b, listen: \"127.0.0.1:1\"", "agent.id, agent.listen changed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, oneStore, twoSlots)
				a := w.agent()
				w.drive(a)
				later(time.Second)
				before := w.open()
				w.edit(c.old, c.next)
				w.edit("purpose: reads scores", "purpose: reads scores\n    teams: [Analytics]")
				err := a.Reload(t.Context())
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("Reload = %v, want %q in it", err, c.says)
				}
				doc, failed := a.Status(t.Context())
				if failed != nil || doc.Declaration.Error != err.Error() {
					t.Errorf("the status tells of %q (%v)", doc.Declaration.Error, failed)
				}
				if got := sample(t, a, "handover_reload_success"); got != "0" {
					t.Errorf("handover_reload_success is %s", got)
				}
				if w.open() != before {
					t.Errorf("%d backends are open, %d were", w.open(), before)
				}
				later(time.Hour)
				if got := w.acts("", rotation.ActUpdatedAccount); len(got) > 0 {
					t.Error("a part of the declaration was put in force")
				}
				w.edit(c.next, c.old)
				if err := a.Reload(t.Context()); err != nil {
					t.Fatal(err)
				}
				doc, failed = a.Status(t.Context())
				if failed != nil || doc.Declaration.Error != "" || !doc.Declaration.LoadedAt.Equal(time.Now()) {
					t.Errorf("after a reload that succeeded the status tells of %+v (%v)", doc.Declaration, failed)
				}
				if got := sample(t, a, "handover_reload_success"); got != "1" {
					t.Errorf("handover_reload_success is %s", got)
				}
			})
		})
	}
}

func TestReloadWithoutASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent(func(o *Options) { o.Load = nil })
		if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing to read again") {
			t.Errorf("Reload = %v", err)
		}
	})
}

func TestReloadTakesSlotsInAndOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		w.edit(often, seldom)
		a := w.agent()
		w.drive(a)
		later(time.Second)
		w.put("agent.yaml", head+oneStore+"accounts:\n"+gate)
		w.edit(often, seldom)
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // no time goes by
		if got := w.serves("one", "gate"); got != "live" {
			t.Errorf("the new slot's store serves: %s", got)
		}
		doc, err := a.Status(t.Context())
		if err != nil || len(doc.Slots) != 1 || doc.Slots[0].Slot != gateSlot {
			t.Errorf("the status tells of %+v (%v)", doc.Slots, err)
		}
		for _, line := range []string{"new slot " + gateSlot, "slot " + pipelineSlot + " left the declaration"} {
			if !strings.Contains(w.logged(), line) {
				t.Errorf("the log doesn't say %q", line)
			}
		}
		if _, err := a.Submit(t.Context(), rotate(pipelineSlot)); err == nil {
			t.Error("a request for the slot that left was taken")
		}
		issued := len(w.acts(pipelineSlot, rotation.ActIssued))
		later(25 * 24 * time.Hour)
		if got := len(w.acts(pipelineSlot, rotation.ActIssued)); got != issued {
			t.Errorf("the slot that left was rotated %d times", got-issued)
		}
		w.put("agent.yaml", head+oneStore+twoSlots)
		w.edit(often, seldom)
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		later(time.Minute)
		if s := w.status(a, pipelineSlot); s.State != rotation.SlotCurrent || s.Generation != 2 {
			t.Errorf("the slot that came back is %s at generation %d", s.State, s.Generation)
		}
	})
}

func TestReloadTakesTargetsInAndOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		w.drive(a)
		later(time.Second)
		w.edit("one: {type: mem}", "one: {type: mem}\n  two: {type: mem}")
		w.edit("deliver: [{backend: one,", "deliver: [{backend: two, path: second, format: token}, {backend: one,")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.serves("two", "second"); got != "live" {
			t.Errorf("the new target serves: %s", got)
		}
		w.edit(", {backend: one, path: pipeline, format: token}", "")
		w.edit("one: {type: mem}\n  ", "")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := w.status(a, pipelineSlot); len(s.Targets) != 1 || s.State != rotation.SlotCurrent || s.Generation != 1 {
			t.Errorf("the slot is %s at generation %d with targets %v", s.State, s.Generation, s.Targets)
		}
		if want := "target one/pipeline left " + pipelineSlot; !strings.Contains(w.logged(), want) {
			t.Errorf("the log doesn't say %q", want)
		}
	})
}

// A reload of another format delivers at once: nobody waits for the next time
// that the target would have been read. What can't be read out of the old shape
// is a lost value, so the slot rotates.
func TestReloadOfAnotherFormatDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		w.drive(a)
		later(time.Second)
		w.edit("path: pipeline, format: token", "path: pipeline, format: bearer")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.secretAt("pipeline").Reveal(); !strings.HasPrefix(got, "Bearer ") {
			t.Error("the store holds the old shape")
		}
		if s := w.status(a, pipelineSlot); s.State != rotation.SlotCurrent {
			t.Errorf("the slot is %s (%s)", s.State, s.Reason)
		}
	})
}

// Passes under way end with the backends that they began with, and only then
// are those closed. What the pass does meanwhile is not lost, and the slot's
// next pass is by the new declaration.
func TestReloadWaitsForPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		entered, leave := make(chan struct{}), make(chan struct{})
		first := true
		w.look = func(context.Context, backends.Ref) error {
			w.mu.Lock()
			waits := first
			first = false
			w.mu.Unlock()
			if waits {
				close(entered)
				<-leave
			}
			return nil
		}
		a := w.agent()
		w.drive(a)
		<-entered
		w.edit("path: pipeline, format: token", "path: pipeline, format: bearer")
		reloaded := make(chan error, 1)
		go func() { reloaded <- a.Reload(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-reloaded:
			t.Fatalf("Reload returned (%v) before the pass had ended", err)
		default:
		}
		if w.open() != 2 {
			t.Errorf("%d backends are open, the old and the new one were expected", w.open())
		}
		close(leave)
		if err := <-reloaded; err != nil {
			t.Errorf("Reload = %v", err)
		}
		later(time.Second)
		if w.open() != 1 {
			t.Errorf("%d backends are open after the reload", w.open())
		}
		if got := w.secretAt("pipeline").Reveal(); !strings.HasPrefix(got, "Bearer ") {
			t.Error("the store holds the old shape")
		}
	})
}

// Many reloads at once, while passes run: no backend is used after it was
// closed, none is left open.
func TestReloadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, manySlots(20, 5))
		a := w.agent(func(o *Options) { o.Concurrency = 4 })
		run := w.drive(a)
		w.opening = time.Second
		errs := make(chan error, 10)
		for range cap(errs) {
			go func() { errs <- a.Reload(t.Context()) }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Errorf("Reload = %v", err)
			}
		}
		later(time.Second)
		if w.open() != 1 {
			t.Errorf("%d backends are open, one is declared", w.open())
		}
		if err := run.stop(); err != nil {
			t.Errorf("drive = %v", err)
		}
		if doc, err := a.Status(t.Context()); err != nil || doc.Counts[rotation.SlotCurrent] != 20 {
			t.Errorf("%v (%v)", doc.Counts, err)
		}
	})
}
