package main

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The rules that no test of the core missed until their mutants were tried.

// inLab plays with one store, which has compare-and-set.
func inLab(t *testing.T, play func(t *testing.T, l *rotationtest.Lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := rotationtest.NewLab(t, nil, rotationtest.LabStore{Options: mem.LikeVault(), Format: payload.Spec{Format: "token"}})
		play(t, l)
		if broken := l.Broken(); broken != "" {
			t.Error(broken)
		}
	})
}

func wantServed(t *testing.T, l *rotationtest.Lab, generation uint64) {
	t.Helper()
	want := rotation.Label(rotationtest.LabToken, l.Slot.Policy.AgentID, generation)
	if served, _ := l.Serves(0); served.Label != want {
		t.Fatalf("%q is served, want %q", served.Label, want)
	}
}

// A ghost may have been served a moment ago: here lists lacked the token until
// it was called gone.
func TestRuleGraceForGhosts(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Slot.Policy.Sweep = time.Minute
		l.API.SetLag(rotation.Day)
		l.Run(10 * time.Minute)
		wantServed(t, l, 1)
		l.Request(rotation.RequestRotate)
		l.Run(10 * time.Minute)
		wantServed(t, l, 2)
		wantState(t, l, 1, rotation.Gone)
		l.API.SetLag(0)
		l.Run(10 * time.Minute)
		if told := l.Told(rotation.ActMoved); !slices.ContainsFunc(told, func(e rotation.Event) bool { return e.Reason == rotation.Ghost }) {
			t.Fatalf("no ghost was told of: %+v", told)
		}
		l.Run(rotationtest.LabSchedule.Grace - time.Hour)
		wantState(t, l, 1, rotation.Grace)
	})
}

func wantState(t *testing.T, l *rotationtest.Lab, number uint64, want rotation.State) {
	t.Helper()
	for _, g := range l.Record().Generations {
		if g.Number == number && g.State != want {
			t.Errorf("g%d is %s (%s), want %s", number, g.State, g.Reason, want)
		}
	}
}

func TestRuleAWriteReplacesWhatWasRead(t *testing.T) {
	inLab(t, func(t *testing.T, l *rotationtest.Lab) {
		l.Run(time.Minute)
		wantServed(t, l, 1)
		theirs := secret.New("somebody's password")
		written := false
		l.Script.Fault = func(act string) error {
			if !written && strings.HasPrefix(act, "commit sending") {
				written = true
				l.Stores[0].Overwrite(rotationtest.LabPath, theirs)
			}
			return nil
		}
		l.Request(rotation.RequestRotate)
		l.Run(10 * time.Minute)
		if !written {
			t.Fatal("nothing was put")
		}
		if !l.Stores[0].Peek(rotationtest.LabPath).Equal(theirs) {
			t.Error("what a person wrote between the last look and the write was overwritten")
		}
	})
}
