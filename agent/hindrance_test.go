package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

func TestExplain(t *testing.T) {
	cases := []struct {
		state           rotation.SlotState
		told, hindrance rotation.Reason
		want            rotation.Reason
	}{
		{rotation.SlotNew, rotation.NeverIssued, rotation.CredentialRefused, rotation.CredentialRefused},
		{rotation.SlotIssuing, rotation.NeverIssued, rotation.NoTargetReady, rotation.NoTargetReady},
		{rotation.SlotDelivering, rotation.TargetEmpty, rotation.APIUnavailable, rotation.APIUnavailable},
		{rotation.SlotCurrent, rotation.AtRest, rotation.TooManyLive, rotation.TooManyLive},
		{rotation.SlotCurrent, rotation.AtRest, "", rotation.AtRest},
		{rotation.SlotIssuing, rotation.RevokedByOthers, rotation.NoTargetReady, rotation.RevokedByOthers},
		{rotation.SlotBlocked, rotation.AccountGone, rotation.APIUnavailable, rotation.AccountGone},
	}
	for _, c := range cases {
		s := rotation.Status{State: c.state, Reason: c.told}
		if explain(&s, c.hindrance, nil); s.Reason != c.want {
			t.Errorf("%s, %s, hindered by %q: told as %s, want %s", c.state, c.told, c.hindrance, s.Reason, c.want)
		}
	}
}

// A target that can't be read says so, whatever it was last seen to serve; the
// others tell what the journal knows.
func TestExplainTellsOfUnreadTargets(t *testing.T) {
	again := time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)
	s := rotation.Status{Targets: []rotation.TargetStatus{
		{Backend: "vault", Path: "a/b", State: rotation.InStep, Reason: rotation.TargetServes},
		{Backend: "local", Path: "a/b", State: rotation.InStep, Reason: rotation.TargetServes},
	}}
	explain(&s, "", map[string]rotation.TargetSeen{"vault/a/b": {Failed: rotation.TargetUnreachable, RetryAt: again}})
	if got := s.Targets[0]; got.State != rotation.InStep || got.Reason != rotation.TargetUnreachable || got.RetryAt == nil || !got.RetryAt.Equal(again) {
		t.Errorf("the one that can't be read: %+v", got)
	}
	if got := s.Targets[1]; got.Reason != rotation.TargetServes || got.RetryAt != nil {
		t.Errorf("the other: %+v", got)
	}
}

func TestOnlyHindrancesAreRemembered(t *testing.T) {
	for _, why := range []rotation.Reason{rotation.AtRest, rotation.GraceRunning, rotation.Age, ""} {
		if hinders(why) {
			t.Errorf("%q hinders", why)
		}
	}
}

// What keeps a slot from going on shows in its status, and is gone from there
// when it is over.
func TestStatusTellsWhatHinders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		foreign := secret.New("somebody's password")
		w.stores["one"].Overwrite("gate", foreign)
		w.drive(a)
		later(time.Second)
		if s := w.status(a, gateSlot); s.Reason != rotation.NoTargetReady {
			t.Errorf("a slot whose only store holds a foreign value is %s (%s)", s.State, s.Reason)
		}
		if s := w.status(a, pipelineSlot); s.State != rotation.SlotCurrent || s.Reason != rotation.AtRest {
			t.Errorf("the other slot is %s (%s)", s.State, s.Reason)
		}
		w.stores["one"].Delete("gate")
		later(2 * time.Hour)
		if s := w.status(a, gateSlot); s.State != rotation.SlotCurrent || s.Reason != rotation.AtRest {
			t.Errorf("the slot is %s (%s) after the value was taken away", s.State, s.Reason)
		}
		fault := w.api.Inject(sim.Fault{Times: -1, Effect: sim.Answer(401, `{"detail":"no"}`)})
		later(time.Hour)
		doc, err := a.Status(t.Context())
		if err != nil || doc.Held == nil || doc.Held.Reason != rotation.CredentialRefused {
			t.Errorf("held: %+v (%v), the credential is refused", doc.Held, err)
		}
		for _, s := range doc.Slots {
			if s.State != rotation.SlotCurrent || s.Reason != rotation.CredentialRefused {
				t.Errorf("%s is %s (%s), the credential is refused", s.Slot, s.State, s.Reason)
			}
		}
		fault.Remove()
		later(time.Hour)
		if doc, err = a.Status(t.Context()); err != nil || doc.Held != nil || len(a.reasons) > 0 {
			t.Errorf("held: %+v, remembered: %v (%v) after the credential was taken again", doc.Held, a.reasons, err)
		}
	})
}
