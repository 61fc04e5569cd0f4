package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/rotation"
)

// threeSteps is a pruner that deletes 500 acts in each of three steps. before
// is called at the start of each.
func threeSteps(t *testing.T, before func(step int64) error) pruner {
	return func(_ context.Context, p rotation.Pruning) (rotation.Pruned, error) {
		if p.Deleted != 500*p.From.ID {
			t.Errorf("step %d is told of %d deleted acts, want %d", p.From.ID, p.Deleted, 500*p.From.ID)
		}
		if err := before(p.From.ID); err != nil {
			return rotation.Pruned{}, err
		}
		next := rotation.Mark{ID: p.From.ID + 1}
		return rotation.Pruned{Deleted: 500, Kept: 10, Mark: next, Done: next.ID == 3}, nil
	}
}

func TestPruneDoesAllSteps(t *testing.T) {
	p := pruning{app: &app{}}
	if err := p.steps(t.Context(), threeSteps(t, func(int64) error { return nil })); err != nil || p.done.Deleted != 1500 || p.done.Kept != 30 {
		t.Errorf("%+v, %v; want 1500 deleted and 30 kept", p.done, err)
	}
}

func TestPruneThatIsToldToEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := pruning{app: &app{}}
	err := p.steps(ctx, threeSteps(t, func(step int64) error {
		if step == 2 {
			cancel()
		}
		return ctx.Err()
	}))
	if err == nil || err.Error() != "told to end; 1000 acts deleted by then, the others stay" {
		t.Errorf("error %q", err)
	}
}

// The lease may be free once the agent has ended; and yet the person is told,
// who asked the agent.
func TestPruneWhoseAgentEnds(t *testing.T) {
	p := pruning{app: &app{}}
	path := filepath.Join(t.TempDir(), "state.db")
	err := p.byAgent(t.Context(), &config.Declaration{State: config.State{SQLite: path}}, threeSteps(t, func(step int64) error {
		if step == 1 {
			return fmt.Errorf("POST: %w", control.ErrNoAgent)
		}
		return nil
	}))
	if !errors.Is(err, control.ErrNoAgent) || !strings.Contains(err.Error(), "500 acts deleted by then, run this again") {
		t.Errorf("error %q, want what became of it", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the command took the lease")
	}
}

func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := &bar{to: &out, total: 2000, what: "old acts"}
	b.show(500)
	b.show(1000) // too soon
	b.clear()
	if got := out.String(); got != "\r[#######                       ]  25% of 2000 old acts\r\033[K" {
		t.Errorf("%q", got)
	}
	out.Reset()
	(&bar{to: &out, total: 10, what: "old acts"}).show(30) // acts that grew old meanwhile
	if got := out.String(); got != "\r[##############################] 100% of 30 old acts" {
		t.Errorf("%q", got)
	}
	out.Reset()
	(&bar{to: &out, total: 10}).clear()
	if out.Len() > 0 {
		t.Errorf("%q is written where nothing was", out.String())
	}
}

func TestBarIsForTerminals(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, to := range []io.Writer{file, &bytes.Buffer{}} {
		b := newBar(to, 10, "acts")
		if b != nil {
			t.Errorf("%T gets a bar", to)
		}
		b.show(1)
		b.clear()
	}
	if terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0); err == nil {
		defer func() { _ = terminal.Close() }()
		if newBar(terminal, 10, "acts") == nil {
			t.Error("a terminal gets no bar")
		}
	}
}

func TestPrunedInWords(t *testing.T) {
	for want, p := range map[string]pruned{
		"deleted 1 act of before 0001-01-01T00:00:00Z\n":                                                      {Deleted: 1},
		"would delete 2 acts of before 0001-01-01T00:00:00Z; 7 as old stay: they are of the last rotations\n": {Deleted: 2, Kept: 7, DryRun: true},
	} {
		var out bytes.Buffer
		if err := p.write(&out); err != nil || out.String() != want {
			t.Errorf("%q, %v; want %q", out.String(), err, want)
		}
	}
}
