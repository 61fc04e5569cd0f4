package agent

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/rotation/journal"
)

const threeStores = "backends:\n  one: {type: mem}\n  two: {type: mem, broken: true}\n  zero: {type: mem}\n"

// A New that fails half-way gives everything back: the stores that were open,
// each once, and the lease.
func TestNewRollsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, threeStores, oneSlot)
		_, err := New(t.Context(), w.options())
		if err == nil || !strings.Contains(err.Error(), "open backend two: the store's address is nonsense") {
			t.Fatalf("New = %v, the backend two can't be opened", err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("one fault gives several errors: %v", err)
		}
		if w.open() != 0 || len(w.lent) != 1 {
			t.Errorf("%d of %d backends were left open", w.open(), len(w.lent))
		}
		w.edit(", broken: true", "")
		w.agent()
		if w.open() != 3 {
			t.Errorf("%d backends are open, 3 are declared", w.open())
		}
	})
}

func TestNewRollsBackABadURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		opt := w.options()
		opt.Declaration.Qualytics.URL = "http://acme.example"
		if _, err := New(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "use https") {
			t.Fatalf("New = %v of plain http to another machine", err)
		}
		w.agent() // the lease is free
	})
}

func TestSecondAgentIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		first := w.agent()
		second, err := New(t.Context(), w.options())
		if second != nil || !errors.Is(err, journal.ErrLocked) {
			t.Fatalf("New = %v, another agent has the journal", err)
		}
		if w.open() != 1 {
			t.Errorf("%d backends are open, those of the first agent were expected", w.open())
		}
		if sum, err := first.Once(t.Context()); err != nil || sum.Settled != 1 {
			t.Errorf("the first agent was disturbed: %+v, %v", sum, err)
		}
		if err := errors.Join(first.Close(), first.Close()); err != nil {
			t.Errorf("Close, twice = %v", err)
		}
		w.agent()
	})
}

func TestEachRunHasAName(t *testing.T) {
	if a, b := newProcess(), newProcess(); a == b || len(a) != 16 {
		t.Errorf("two runs are named %q and %q", a, b)
	}
}
