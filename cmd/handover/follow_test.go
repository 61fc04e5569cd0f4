package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

func slotWith(state rotation.SlotState, targets ...rotation.TargetState) rotation.Status {
	s := rotation.Status{Slot: "etl@service/prod", State: state, Reason: rotation.TargetHoldsForeign, Generation: 3}
	for _, t := range targets {
		s.Targets = append(s.Targets, rotation.TargetStatus{State: t})
	}
	return s
}

func TestNeedsPerson(t *testing.T) {
	tests := map[string]struct {
		status       rotation.Status
		needs, stuck bool
	}{
		"served":                   {slotWith(rotation.SlotCurrent, rotation.InStep), false, false},
		"new":                      {slotWith(rotation.SlotNew, rotation.Behind), false, true},
		"issuing":                  {slotWith(rotation.SlotIssuing, rotation.InStep), false, false},
		"blocked":                  {slotWith(rotation.SlotBlocked, rotation.InStep), true, true},
		"on its way":               {slotWith(rotation.SlotDelivering, rotation.Behind, rotation.Foreign), false, true},
		"one foreign":              {slotWith(rotation.SlotDelivering, rotation.InStep, rotation.Foreign), true, false},
		"all foreign":              {slotWith(rotation.SlotDelivering, rotation.Foreign, rotation.TargetBlocked), true, true},
		"one blocked, one current": {slotWith(rotation.SlotDelivering, rotation.TargetBlocked, rotation.InStep), true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if needsPerson(test.status) != test.needs || stuck(test.status) != test.stuck {
				t.Errorf("needs a person: %v, stuck: %v", needsPerson(test.status), stuck(test.status))
			}
		})
	}
}

func TestProgress(t *testing.T) {
	for want, s := range map[string]rotation.Status{
		"etl@service/prod: current, generation 3 at 1 of 1 target":                                  slotWith(rotation.SlotCurrent, rotation.InStep),
		"etl@service/prod: delivering, generation 3 at 1 of 2 targets (target_holds_foreign_value)": slotWith(rotation.SlotDelivering, rotation.InStep, rotation.Foreign),
	} {
		if got := progress(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAreIn(t *testing.T) {
	three := []rotation.Request{{ID: 3}, {ID: 4}, {ID: 5}}
	if got := areIn(three); got != "requests 3 to 5 are" {
		t.Errorf("%q", got)
	}
	if got := areIn(three[:1]); got != "request 3 is" {
		t.Errorf("%q", got)
	}
}

// TestWaiting: the reason told is why the current token isn't served, not what
// becomes of an old one.
func TestWaiting(t *testing.T) {
	sum := agent.Summary{Slots: 3, Settled: 1, Waiting: map[string]rotation.Reason{
		"b": rotation.APIThrottled, "a": rotation.StillServed}}
	doc := report.Document{Slots: []rotation.Status{{Slot: "a", Reason: rotation.TargetHoldsForeign},
		{Slot: "b", Reason: rotation.NeverIssued}, {Slot: "c", Reason: rotation.AtRest}}}
	want := []waitingSlot{{"a", rotation.TargetHoldsForeign}, {"b", rotation.APIThrottled}}
	if diff := cmp.Diff(want, waiting(sum, doc)); diff != "" {
		t.Error(diff)
	}
}

func TestVerdict(t *testing.T) {
	tests := map[string]struct {
		held    rotation.Reason
		waiting int
		code    int
	}{
		"all settled":            {"", 0, exitDone},
		"some wait":              {"", 2, exitPartly},
		"throttled, some wait":   {rotation.APIThrottled, 2, exitPartly},
		"refused, some wait":     {rotation.CredentialRefused, 2, exitFailed},
		"refused, none waits":    {rotation.CredentialRefused, 0, exitFailed},
		"not there, none waits":  {rotation.APIUnavailable, 0, exitFailed},
		"throttled, all settled": {rotation.APIThrottled, 0, exitDone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			doc := report.Document{}
			if test.held != "" {
				doc.Held = &report.Held{Reason: test.held}
			}
			a := &app{streams: streams{err: t.Output()}}
			if code := a.report(verdict(doc, test.waiting)); code != test.code {
				t.Errorf("code %d, want %d", code, test.code)
			}
		})
	}
}
