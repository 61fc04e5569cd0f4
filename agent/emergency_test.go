package agent

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

func leak(slots ...string) []rotation.Request {
	var all []rotation.Request
	for _, slot := range slots {
		all = append(all, rotation.Request{Kind: rotation.RequestEmergency, Slot: slot, Reason: "leaked", Actor: "uid 1000"})
	}
	return all
}

// emergencyOf is the report of one slot.
func (w *world) emergencyOf(a *Agent, slot string) rotation.EmergencyReport {
	w.t.Helper()
	found, err := a.Emergencies(w.t.Context(), []string{slot, "typo"})
	if err != nil || len(found.Emergencies) > 1 {
		w.t.Fatalf("Emergencies = %+v, %v", found, err)
	}
	if len(found.Emergencies) == 0 {
		return rotation.EmergencyReport{}
	}
	return found.Emergencies[0]
}

func scraped(a *Agent) string {
	answer := httptest.NewRecorder()
	a.metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return answer.Body.String()
}

// An emergency of a target that is away: status and report tell it while it is
// open, the report says why the target is left, and the metric how long it took.
func TestEmergencyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		w.drive(a)
		later(time.Second)
		if e := w.emergencyOf(a, pipelineSlot); e.Slot != "" {
			t.Errorf("there was none, and %+v is told", e)
		}
		w.mu.Lock()
		w.look = func(_ context.Context, ref backends.Ref) error {
			if ref.Path == "pipeline" {
				return &backends.Error{Kind: backends.ErrUnavailable, Err: errors.New("no route")}
			}
			return nil
		}
		w.mu.Unlock()
		stored, err := a.Submit(t.Context(), leak(pipelineSlot))
		if err != nil {
			t.Fatal(err)
		}
		later(10 * time.Second)
		if s := w.status(a, pipelineSlot); s.Emergency == nil || !s.Emergency.Carries(stored[0].ID) || len(s.Emergency.Alive) != 1 {
			t.Errorf("the status tells %+v of an emergency that is open", s.Emergency)
		}
		later(time.Minute)
		e := w.emergencyOf(a, pipelineSlot)
		if !e.Over || !e.Carries(stored[0].ID) || len(e.Revoked) != 1 || e.RevokedAfter == nil || *e.RevokedAfter != 30 {
			t.Errorf("%+v after the deadline", e)
		}
		if target := e.Targets[0]; e.Left() != 1 || target.Reason != rotation.TargetUnreachable || target.RetryAt == nil {
			t.Errorf("the target that is left: %+v", target)
		}
		if s := w.status(a, pipelineSlot); s.Emergency != nil {
			t.Errorf("the status tells an emergency that is over: %+v", s.Emergency)
		}
		if got := scraped(a); !strings.Contains(got, "handover_emergency_revoked_seconds_count 1\n") ||
			!strings.Contains(got, "handover_emergency_revoked_seconds_bucket{le=\"10\"} 0\n") ||
			!strings.Contains(got, "handover_emergency_revoked_seconds_bucket{le=\"30\"} 1\n") {
			t.Errorf("the metrics tell:\n%s", got)
		}
	})
}

// Work keeps to the slots that it was given.
func TestWorkAtSomeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		if _, err := a.Submit(t.Context(), leak(gateSlot)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Work(ctx, gateSlot) }()
		later(time.Minute)
		if got := w.serves("one", "gate"); got != "live" {
			t.Errorf("the slot that was named serves: %q", got)
		}
		if got := w.serves("one", "pipeline"); got != "" {
			t.Errorf("the slot that wasn't named serves: %q", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Work = %v after it was told to end", err)
		}
		if err := a.Work(t.Context(), gateSlot, "typo"); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("Work = %v for a slot that isn't declared", err)
		}
	})
}
