package rotation

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// spoilt is a journal of which a hand edited the row of one slot.
type spoilt struct{ Journal }

var badState = &BadRow{Table: "slots", Key: "a@service/t", Column: "body", Field: "generations[1].state", Err: errors.New("there is no state \"x\"")}

func (spoilt) Slot(context.Context, string) (Record, error) {
	return Record{}, fmt.Errorf("read slot: %w", badState)
}

func TestPassOverABadRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{Issuer: clockIssuer{}, Journal: spoilt{}, Process: "p"})
		for range 2 { // it isn't left locked
			outcome, err := e.Pass(t.Context(), Declared{Policy: Policy{Slot: "a@service/t"}})
			if err != nil || outcome.Reason != JournalUnreadable || outcome.BadRow != badState || outcome.Settled() {
				t.Fatalf("the pass ends with %+v, %v; want its row told, and no failure", outcome, err)
			}
			if wait := time.Until(outcome.NextAt); wait <= 0 || wait > longestBackOff {
				t.Errorf("the next look is in %s, the row may be mended", wait)
			}
		}
	})
}

func TestBadRowNamesItsPlaceOnce(t *testing.T) {
	want := `table slots, key "a@service/t", column body, field generations[1].state: there is no state "x"`
	if got := badState.Error(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	whole := &BadRow{Table: "requests", Key: "7", Column: "at", Err: errors.New("why")}
	if got := whole.Error(); got != `table requests, key "7", column at: why` {
		t.Errorf("%q", got)
	}
	if !errors.Is(badState, ErrBadRow) || !errors.Is(badState, badState.Err) {
		t.Error("it doesn't unwrap to its kind and cause")
	}
}

func TestDescribeBadRow(t *testing.T) {
	s := newScene()
	got := DescribeBadRow(badState, s.pol)
	if got.State != SlotBlocked || got.Reason != JournalUnreadable || got.Detail != badState.Error() || len(got.Targets) != len(s.pol.Targets) {
		t.Errorf("%+v, want a blocked slot that says which place", got)
	}
	for i, target := range got.Targets {
		if key := target.Backend + "/" + target.Path; key != s.pol.Targets[i].Key || target.State != TargetBlocked {
			t.Errorf("target %s is told as %+v", s.pol.Targets[i].Key, target)
		}
	}
}

// TestCheckTakesEveryState: whole lives are played in property_test.go; here is
// each state once.
func TestCheckTakesEveryState(t *testing.T) {
	s := newScene()
	for i, state := range states {
		number := uint64(i + 3)
		s.rec.add(Generation{Number: number, State: state})
	}
	for i, state := range targetStates {
		s.rec.Targets[fmt.Sprint("x/", i)] = TargetRecord{State: state}
	}
	s.rec.Current = 3 // the live one
	for i := range s.rec.Generations[:2] {
		s.rec.Generations[i].State = Gone
	}
	if field, err := s.rec.Check(); err != nil {
		t.Errorf("%s: %v", field, err)
	}
}
