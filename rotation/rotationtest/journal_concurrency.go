package rotationtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/handover-agent/handover/rotation"
)

var concurrencyRules = []rule{
	{"OneWriterWins", oneWriterWins},
	{"WritersOfManySlots", writersOfManySlots},
}

const writers = 4

// together runs act in several goroutines and waits for all.
func together(act func(writer int) error) error {
	errs := make([]error, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() { errs[i] = act(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// oneWriterWins: each of the writers adds one to a number again and again. A
// lost update would show in the sum.
func oneWriterWins(t *testing.T, j rotation.Journal) {
	if _, err := j.Commit(t.Context(), rotation.Record{Slot: slotA}, event(slotA)); err != nil {
		t.Fatal(err)
	}
	const rounds = 25
	err := together(func(int) error {
		for done := 0; done < rounds; {
			rec, err := j.Slot(t.Context(), slotA)
			if err != nil {
				return err
			}
			rec.High++
			_, err = j.Commit(t.Context(), rec, event(slotA))
			if err == nil {
				done++
			} else if !errors.Is(err, rotation.ErrStale) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := j.Slot(t.Context(), slotA)
	if err != nil || rec.High != writers*rounds || rec.Revision != writers*rounds+1 {
		t.Errorf("number %d at revision %d, %v; want %d at %d", rec.High, rec.Revision, err, writers*rounds, writers*rounds+1)
	}
	if got := history(t, j, rotation.HistoryFilter{Limit: 1000}); len(got) != writers*rounds+1 {
		t.Errorf("%d events, want one of each commit that succeeded, %d", len(got), writers*rounds+1)
	}
}

func writersOfManySlots(t *testing.T, j rotation.Journal) {
	const rounds = 20
	err := together(func(writer int) error {
		rec := rotation.Record{Slot: fmt.Sprintf("account%d@service/t", writer)}
		for range rounds {
			var err error
			if rec, err = j.Commit(t.Context(), rec, event(rec.Slot)); err != nil {
				return err
			}
			if _, err := j.AddRequest(t.Context(), ask(rec.Slot)); err != nil {
				return err
			}
			if _, err := j.History(t.Context(), rotation.HistoryFilter{Slot: rec.Slot}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for rec, err := range j.Slots(t.Context()) {
		if err != nil || rec.Revision != rounds {
			t.Errorf("%s: revision %d, %v; want %d", rec.Slot, rec.Revision, err, rounds)
		}
		for _, q := range requests(t, j, rec.Slot) {
			if seen[q.ID] {
				t.Errorf("request ID %d was given twice", q.ID)
			}
			seen[q.ID] = true
		}
	}
	if len(seen) != writers*rounds {
		t.Errorf("%d requests, want %d", len(seen), writers*rounds)
	}
}
