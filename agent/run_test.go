package agent

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// later lets time go by, and everything happen that it brings. It is for
// bubbles of synctest.
func later(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestDriveBringsEverySlotToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		if err := a.Ready(); err == nil {
			t.Error("Ready before the passes began")
		}
		run := w.drive(a)
		later(time.Second)
		for path, slot := range map[string]string{"pipeline": pipelineSlot, "gate": gateSlot} {
			if got := w.serves("one", path); got != "live" {
				t.Errorf("%s serves: %s", path, got)
			}
			if s := w.status(a, slot); s.State != rotation.SlotCurrent || s.Generation != 1 {
				t.Errorf("%s is %s at generation %d", slot, s.State, s.Generation)
			}
		}
		if err := a.Ready(); err != nil {
			t.Errorf("Ready = %v", err)
		}
		if err := run.stop(); err != nil {
			t.Errorf("drive = %v", err)
		}
		if err := a.Ready(); err == nil {
			t.Error("Ready after the end")
		}
		if err := a.Alive(); err != nil {
			t.Errorf("Alive = %v after an end that was asked for", err)
		}
	})
}

// Ninety days: five tokens of up to twenty days each, one after the other.
func TestDriveRotatesWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		w.edit(often, seldom)
		a := w.agent()
		w.drive(a)
		later(90 * 24 * time.Hour)
		if got := len(w.acts(pipelineSlot, rotation.ActIssued)); got != 5 {
			t.Errorf("%d tokens were issued in 90 days, one in 20 days was declared", got)
		}
		if got := len(w.acts(pipelineSlot, rotation.ActDeleted)); got != 4 {
			t.Errorf("%d tokens were deleted, 4 were replaced", got)
		}
		if got := w.serves("one", "pipeline"); got != "live" {
			t.Errorf("the store serves: %s", got)
		}
	})
}

func TestDriveRunsFewPassesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, manySlots(12, 3))
		gate := make(chan struct{})
		var mu sync.Mutex
		now, most := 0, 0
		w.look = func(ctx context.Context, _ backends.Ref) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			defer func() { mu.Lock(); now--; mu.Unlock() }()
			select {
			case <-gate:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		a := w.agent(func(o *Options) { o.Concurrency = 3 })
		w.drive(a)
		synctest.Wait()
		mu.Lock()
		if now != 3 {
			t.Errorf("%d passes are under way, 3 may be and 12 are due", now)
		}
		mu.Unlock()
		close(gate)
		later(time.Second)
		if most > 3 {
			t.Errorf("%d passes ran at the same time, 3 may", most)
		}
		doc, err := a.Status(t.Context())
		if err != nil || doc.Counts[rotation.SlotCurrent] != 12 {
			t.Errorf("%d of 12 slots are at rest (%v)", doc.Counts[rotation.SlotCurrent], err)
		}
	})
}

// A slot whose order is refused is tried again seldom, and a person's word wakes
// it.
func TestDriveTriesABlockedSlotSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		refusal := w.api.Inject(sim.Fault{Method: "POST", Path: "/user-tokens", Times: -1, Effect: sim.Answer(422, `{"detail":"no"}`)})
		a := w.agent()
		w.drive(a)
		later(time.Hour)
		if s := w.status(a, pipelineSlot); s.State != rotation.SlotBlocked || s.Reason != rotation.IssueRefused {
			t.Fatalf("the slot is %s (%s), its issue was refused", s.State, s.Reason)
		}
		w.api.ResetCalls()
		later(24 * time.Hour)
		if calls := w.api.Calls(); calls["POST /user-tokens"] > 24 || calls["GET /user-tokens/service"] > 24*12 {
			t.Errorf("calls in a day of a blocked slot: %v", calls)
		}
		refusal.Remove()
		if _, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestResume, Slot: pipelineSlot}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := w.status(a, pipelineSlot); s.State != rotation.SlotCurrent {
			t.Errorf("after resume the slot is %s (%s)", s.State, s.Reason)
		}
	})
}

// refuse makes the journal's file refuse commits of slots, as a fault that may
// pass, until allow is called.
func refuse(t *testing.T, w *world) (allow func()) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.folder, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(text string) {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TRIGGER refuse BEFORE INSERT ON slots BEGIN SELECT RAISE(ABORT, 'no commits today'); END")
	return func() {
		run("DROP TRIGGER refuse")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDriveBacksOffAFailingPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		allow := refuse(t, w)
		run := w.drive(a)
		later(62 * time.Second) // at 0, 1, 3, 7, 15, 31 s, and next at 63 s
		if got := strings.Count(w.logged(), "pass failed"); got != 6 {
			t.Errorf("%d passes failed in a minute, 6 were expected\n%s", got, w.logged())
		}
		if err := a.Alive(); err != nil {
			t.Errorf("Alive = %v: a fault that may pass is no reason to start anew", err)
		}
		allow()
		later(2 * time.Second)
		if s := w.status(a, pipelineSlot); s.State != rotation.SlotCurrent {
			t.Errorf("the slot is %s after the journal took commits again", s.State)
		}
		if err := run.stop(); err != nil {
			t.Errorf("drive = %v", err)
		}
	})
}

func TestBackOffIsBoundedAndEndsWithASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		l := newLoop(w.agent())
		l.queue.put(pipelineSlot, l.a.client.Now())
		fail := func() time.Duration {
			e := l.queue.take(l.queue.next())
			l.settle(t.Context(), result{entry: e, err: errors.New("the disk is slow")})
			return l.queue.next().Sub(l.a.client.Now())
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256} {
			if got := fail(); got != want*time.Second {
				t.Errorf("after failure %d it waits %s, %s was expected", i+1, got, want*time.Second)
			}
		}
		e := l.queue.take(l.queue.next())
		l.settle(t.Context(), result{entry: e, outcome: rotation.Outcome{NextAt: l.a.client.Now()}})
		if got := fail(); got != time.Second {
			t.Errorf("the first failure after a success waits %s", got)
		}
	})
}

// A pass that ends with somebody else's cancellation is a failed pass: the slot
// must not be forgotten.
func TestCancelledElsewhereIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		l := newLoop(w.agent())
		l.queue.put(pipelineSlot, l.a.client.Now())
		l.settle(t.Context(), result{entry: l.queue.take(l.a.client.Now()), err: context.Canceled})
		if l.queue.next().IsZero() {
			t.Error("nobody looks at the slot any more")
		}
	})
}

// Without a journal the agent would act without a memory: it ends, and takes
// the passes with it that wait for a store.
func TestDriveEndsWithItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		ended := make(chan error, 1)
		go func() { ended <- a.drive(t.Context(), nil) }()
		later(time.Second)
		hangs := make(chan struct{})
		once := sync.OnceFunc(func() { close(hangs) })
		w.mu.Lock()
		w.look = func(ctx context.Context, ref backends.Ref) error {
			if ref.Path == "pipeline" {
				<-hangs
				return os.RemoveAll(filepath.Join(w.folder, "state.db"))
			}
			once()
			<-ctx.Done()
			return ctx.Err()
		}
		w.mu.Unlock()
		if _, err := a.Submit(t.Context(), append(rotate(gateSlot), rotate(pipelineSlot)...)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := <-ended; !errors.Is(err, journal.ErrRemoved) {
			t.Fatalf("drive = %v, the journal was removed", err)
		}
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("it ended after %s, an act under way may go on for 15s", took)
		}
		if a.Alive() == nil || a.Ready() == nil {
			t.Errorf("Alive = %v, Ready = %v, of an agent without a journal", a.Alive(), a.Ready())
		}
		if got := len(w.api.LiveTokens("pipeline@service")); got != 1 {
			t.Errorf("%d live tokens: one was issued without a journal", got)
		}
	})
}

func TestFatalErrors(t *testing.T) {
	for _, kind := range []error{rotation.ErrFenced, journal.ErrRemoved, journal.ErrCorrupt, journal.ErrClosed} {
		if !fatal(&journal.Error{Op: "commit", Kind: kind}) {
			t.Errorf("%v isn't fatal", kind)
		}
	}
	for _, kind := range []error{nil, rotation.ErrStale, journal.ErrFull, journal.ErrBusy, context.Canceled} {
		if fatal(kind) {
			t.Errorf("%v is fatal, and may pass", kind)
		}
	}
}

// An emergency waits for no planned work: not for a place, and not for its turn
// among the slots that are due.
func TestAnEmergencyHasAPlaceOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent(func(o *Options) { o.Concurrency = 1 })
		w.drive(a)
		later(time.Second)
		stuck, mended := make(chan struct{}), make(chan struct{})
		w.mu.Lock()
		w.look = func(_ context.Context, ref backends.Ref) error {
			if ref.Path != "gate" {
				return nil
			}
			select {
			case <-mended:
			case stuck <- struct{}{}:
				<-mended
			}
			return nil
		}
		w.mu.Unlock()
		if _, err := a.Submit(t.Context(), rotate(gateSlot)); err != nil {
			t.Fatal(err)
		}
		<-stuck // the one place is taken
		if _, err := a.Submit(t.Context(), rotate(pipelineSlot)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := w.status(a, pipelineSlot); s.Generation != 1 {
			t.Fatal("a planned rotation found a place")
		}
		if _, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestEmergency, Slot: pipelineSlot, Actor: "uid 0"}}); err != nil {
			t.Fatal(err)
		}
		later(time.Second)
		if n := len(w.acts(pipelineSlot, rotation.ActRevoked)); n != 1 {
			t.Errorf("%d tokens were revoked", n)
		}
		close(mended)
		later(time.Minute)
		if s := w.status(a, gateSlot); s.Generation != 2 || s.State != rotation.SlotCurrent {
			t.Errorf("the planned rotation is %s at generation %d", s.State, s.Generation)
		}
		if l := w.status(a, pipelineSlot); l.State != rotation.SlotCurrent {
			t.Errorf("the slot of the emergency is %s", l.State)
		}
		later(25 * 24 * time.Hour) // it is scheduled as ever
		if s := w.status(a, pipelineSlot); s.Generation < 3 {
			t.Errorf("the slot stays at generation %d", s.Generation)
		}
	})
}

// TestStatusTellsTheLastUse: as the last list of tokens has it.
func TestStatusTellsTheLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		run := w.drive(a)
		later(10 * time.Minute) // the list after the first proof
		used := w.status(a, pipelineSlot).LastUsedAt
		if used == nil || time.Since(*used) < 9*time.Minute {
			t.Errorf("the token was last used at %v, it was proved ten minutes ago", used)
		}
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}
