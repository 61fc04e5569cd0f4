package agent

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

func rotate(slot string) []rotation.Request {
	return []rotation.Request{{Kind: rotation.RequestRotate, Slot: slot, Reason: "it leaked", Actor: "uid 1000"}}
}

func TestSubmitWakesTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		w.drive(a)
		later(time.Second)
		stored, err := a.Submit(t.Context(), rotate(pipelineSlot))
		if err != nil || len(stored) != 1 || stored[0].ID == 0 {
			t.Fatalf("Submit = %+v, %v", stored, err)
		}
		synctest.Wait() // no time goes by
		if s := w.status(a, pipelineSlot); s.Generation != 2 || s.State != rotation.SlotCurrent {
			t.Errorf("the slot is %s at generation %d, a rotation was asked for", s.State, s.Generation)
		}
		if s := w.status(a, gateSlot); s.Generation != 1 {
			t.Errorf("the other slot was rotated too")
		}
		closed, err := a.Request(t.Context(), stored[0].ID)
		if err != nil || closed.ClosedAt.IsZero() || !strings.HasPrefix(closed.Outcome, "issued") || closed.Actor != "uid 1000" {
			t.Errorf("the request stands as %+v, %v", closed, err)
		}
	})
}

// `rotate --all` is one commit, and wakes every slot.
func TestSubmitOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		w.drive(a)
		later(time.Second)
		stored, err := a.Submit(t.Context(), append(rotate(gateSlot), rotate(pipelineSlot)...))
		if err != nil || len(stored) != 2 || stored[0].Slot != gateSlot || stored[1].ID <= stored[0].ID {
			t.Fatalf("Submit = %+v, %v; want both in their order", stored, err)
		}
		synctest.Wait()
		for _, slot := range []string{pipelineSlot, gateSlot} {
			if s := w.status(a, slot); s.Generation != 2 || s.State != rotation.SlotCurrent {
				t.Errorf("%s is %s at generation %d, a rotation was asked for", slot, s.State, s.Generation)
			}
		}
	})
}

// A pause of an account or of all keeps just those slots from rotating, through a
// restart too; what ends it wakes them.
func TestSubmitPauses(t *testing.T) {
	for scope, paused := range map[string][]string{
		pipelineSlot: {pipelineSlot}, "pipeline@service": {pipelineSlot}, rotation.WholeAgent: {pipelineSlot, gateSlot},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, oneStore, twoSlots)
			a := w.agent()
			first := w.drive(a)
			later(time.Second)
			if _, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestPause, Slot: scope, Actor: "uid 7"}}); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(first.stop(), a.Close()); err != nil {
				t.Fatal(err)
			}
			a = w.agent()
			w.drive(a)
			later(time.Second)
			if got := strings.Count(w.logged(), "msg=paused scope="+scope+" "); got != 2 {
				t.Errorf("%s: the log tells of the pause %d times, want when it was made and at the start", scope, got)
			}
			if _, err := a.Submit(t.Context(), append(rotate(gateSlot), rotate(pipelineSlot)...)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, slot := range []string{pipelineSlot, gateSlot} {
				want := uint64(2)
				if slices.Contains(paused, slot) {
					want = 1
				}
				if s := w.status(a, slot); s.Generation != want || (s.State == rotation.SlotPaused) != (want == 1) {
					t.Errorf("%s: %s is %s at generation %d, want %d", scope, slot, s.State, s.Generation, want)
				}
			}
			if ended, err := a.EndPauses(t.Context(), scope, "uid 8"); err != nil || len(ended) != 1 {
				t.Fatalf("%d pauses ended, %v", len(ended), err)
			}
			synctest.Wait()
			for _, slot := range []string{pipelineSlot, gateSlot} {
				if s := w.status(a, slot); s.Generation != 2 || s.State != rotation.SlotCurrent {
					t.Errorf("%s: %s is %s at generation %d after the pause", scope, slot, s.State, s.Generation)
				}
			}
		})
	}
}

func TestSubmitOfAPauseOfNothing(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	a := w.agent()
	for _, scope := range []string{"nobody@service", "nobody@service/x", "pipeline@service/"} {
		_, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestPause, Slot: scope, Actor: "uid 7"}})
		if !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%q: %v", scope, err)
		}
	}
}

// An emergency is dealt with before its slot's next second.
func TestSubmitOfAnEmergency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		w.drive(a)
		later(time.Hour)
		asked := time.Now()
		stored, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestEmergency, Slot: pipelineSlot, Reason: "seen in a log", Actor: "uid 7"}})
		if err != nil {
			t.Fatal(err)
		}
		later(time.Second)
		closed, err := a.Request(t.Context(), stored[0].ID)
		if err != nil || closed.Outcome != "revoked 1 tokens, issued generation 2" || !closed.At.Equal(asked) {
			t.Errorf("the request stands as %+v, %v", closed, err)
		}
		rec, err := a.journal.Slot(t.Context(), pipelineSlot)
		if err != nil {
			t.Fatal(err)
		}
		policy, _ := a.current().slot(pipelineSlot)
		if r, ok := rotation.DescribeEmergency(rec, policy.Policy, time.Now()); !ok || !r.Over || r.Left() != 0 || r.RevokedAfter == nil || *r.RevokedAfter > 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		w.drive(a)
		later(35 * 24 * time.Hour) // one rotation, 20 days ago
		step, err := a.Prune(t.Context(), rotation.Pruning{Before: time.Now().Add(-time.Hour), Actor: "uid 7"})
		if err != nil || !step.Done || step.Deleted == 0 || step.Kept == 0 {
			t.Fatalf("%+v, %v; want the first token's acts deleted, and the second's kept", step, err)
		}
		events, err := a.journal.History(t.Context(), rotation.HistoryFilter{Slot: pipelineSlot})
		if err != nil || len(events) == 0 || events[0].Act != rotation.ActIntended || events[0].Generation != 2 {
			t.Errorf("the history begins with %+v, %v; want the intent of generation 2", events[:min(1, len(events))], err)
		}
	})
}

// A pass that is under way has read the requests already; one that comes now
// gets a pass of its own.
func TestSubmitDuringAPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		a := w.agent()
		w.drive(a)
		later(time.Second)
		w.mu.Lock()
		w.look = func(context.Context, backends.Ref) error {
			select {
			case entered <- struct{}{}:
				<-leave
			default: // only the first one waits
			}
			return nil
		}
		w.mu.Unlock()
		<-entered // the drift check, in an hour
		stored, err := a.Submit(t.Context(), rotate(pipelineSlot))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := w.status(a, pipelineSlot); s.Generation != 1 {
			t.Fatalf("generation %d while the pass before is under way", s.Generation)
		}
		close(leave)
		synctest.Wait()
		if s := w.status(a, pipelineSlot); s.Generation != 2 {
			t.Errorf("generation %d: the request was overlooked", s.Generation)
		}
		if closed, err := a.Request(t.Context(), stored[0].ID); err != nil || closed.ClosedAt.IsZero() {
			t.Errorf("the request stands as %+v, %v", closed, err)
		}
	})
}

func TestSubmitRefusesAnUnknownSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		_, err := a.Submit(t.Context(), append(rotate(pipelineSlot), rotate("nobody@service/x")...))
		if !errors.Is(err, control.ErrNotFound) {
			t.Errorf("Submit = %v, control.ErrNotFound was expected", err)
		}
		if open, err := a.journal.Requests(t.Context(), pipelineSlot); err != nil || len(open) > 0 {
			t.Errorf("%d requests were stored beside a refused one (%v)", len(open), err)
		}
		if _, err := a.Request(t.Context(), 1); !errors.Is(err, rotation.ErrNoRecord) {
			t.Errorf("Request of an id that was never given = %v", err)
		}
	})
}

// What was asked for before the agent ran is carried out when it runs.
func TestRequestsOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		a := w.agent()
		if _, err := a.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Submit(t.Context(), rotate(pipelineSlot)); err != nil {
			t.Fatal(err)
		}
		w.drive(a)
		synctest.Wait()
		if s := w.status(a, pipelineSlot); s.Generation != 2 {
			t.Errorf("generation %d, a rotation was asked for", s.Generation)
		}
	})
}

// A row that can't be read, which may be a pause, keeps no pause from its end.
func TestEndPausesBesideABadRow(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	a := w.agent()
	if _, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestPause, Slot: pipelineSlot, Actor: "uid 7"}}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.folder, "state.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("INSERT INTO requests (kind, slot, reason, actor, at, revoke_first, deadline, token_id, outcome) SELECT 'dance', slot, reason, actor, at, revoke_first, deadline, token_id, outcome FROM requests"); err != nil {
		t.Fatal(err)
	}
	if ended, err := a.EndPauses(t.Context(), pipelineSlot, "uid 8"); err != nil || len(ended) != 1 {
		t.Errorf("%d pauses ended, %v", len(ended), err)
	}
}
