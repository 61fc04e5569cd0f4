package agent

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/handover-agent/handover/agent/config"
)

func declaredIn(t *testing.T, w *world) *config.Declaration {
	t.Helper()
	d, err := w.load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRehearsal(t *testing.T) {
	w := newWorld(t, oneStore, twoSlots)
	w.edit("path: pipeline", "on_foreign: take_over, path: pipeline")
	w.edit("{name: production,", "{name: production, on_delivery: [{exec: [/bin/true]}],")
	w.edit("accounts:", "notify: [{url: https://acme.example}]\naccounts:")
	d := declaredIn(t, w)
	scratch, err := Rehearsal(d, pipelineSlot)
	if err != nil {
		t.Fatal(err)
	}
	p := scratch.Policies()
	if len(p) != 1 || len(p[0].Targets) != 1 {
		t.Fatalf("it has the slots %+v", p)
	}
	got := p[0]
	if got.Slot == pipelineSlot || got.Account.Name == "Pipeline" {
		t.Errorf("it touches the declared slot: %s of %s", got.Slot, got.Account.Name)
	}
	if got.Account.Role != "Member" || len(got.Account.Teams) > 0 {
		t.Errorf("the scratch account has the role %s and the teams %v", got.Account.Role, got.Account.Teams)
	}
	if got.Targets[0].Key != "one/pipeline-rehearsal" || got.Targets[0].TakeOver {
		t.Errorf("its target is %+v", got.Targets[0])
	}
	if len(got.OnDelivery) > 0 || len(scratch.Notify) > 0 {
		t.Errorf("others are told of it: %+v, %+v", got.OnDelivery, scratch.Notify)
	}
	if here := filepath.Dir(d.State.SQLite); scratch.State == d.State || filepath.Dir(scratch.State.SQLite) != here {
		t.Errorf("its journal is %s, want another one than %s beside it", scratch.State.SQLite, d.State.SQLite)
	}
	if d.Policies()[0].Targets[0].Key != "one/pipeline" {
		t.Error("the declaration was changed")
	}
}

func TestRehearsalRefuses(t *testing.T) {
	w := newWorld(t, oneStore, oneSlot)
	if _, err := Rehearsal(declaredIn(t, w), gateSlot); err == nil || !strings.Contains(err.Error(), gateSlot+" is not declared") {
		t.Errorf("a slot that isn't declared: %v", err)
	}
	w.edit("path: pipeline", "path: "+strings.Repeat("x", 510))
	if _, err := Rehearsal(declaredIn(t, w), pipelineSlot); err == nil || !strings.Contains(err.Error(), "rehearse beside one/xx") {
		t.Errorf("a path that is too long with what is put behind it: %v", err)
	}
}
