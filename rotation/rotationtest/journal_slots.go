package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/handover-agent/handover/rotation"
)

var slotsRules = []rule{
	{"SlotsAndAccountsDontMix", slotsAndAccountsDontMix},
	{"SlotsInOrder", slotsInOrder},
	{"SlotsOfNothing", slotsOfNothing},
	{"SlotsStopsEarly", slotsStopsEarly},
	{"SlotsLetsTheLoopCommit", slotsLetsTheLoopCommit},
	{"SlotsCancelled", slotsCancelled},
}

func slotsAndAccountsDontMix(t *testing.T, j rotation.Journal) {
	slots, accounts := slotDoor(j), accountDoor(j)
	accounts.mustCommit(t, accounts.empty("one"))
	if _, err := slots.read(t.Context(), "one"); !errors.Is(err, rotation.ErrNoRecord) {
		t.Errorf("an account is read as a slot: %v", err)
	}
	for range 2 {
		rec, _ := slots.read(t.Context(), "one")
		rec = slots.at(slots.empty("one"), slots.revision(rec))
		slots.mustCommit(t, rec)
	}
	if rec, err := accounts.read(t.Context(), "one"); err != nil || accounts.revision(rec) != 1 {
		t.Errorf("commits of a slot moved the account to revision %d, %v", accounts.revision(rec), err)
	}
}

// many is more than any page of a journal.
const many = 401

func fillSlots(t *testing.T, j rotation.Journal) {
	t.Helper()
	d := slotDoor(j)
	for i := range many {
		// Not in order, and in an order that isn't that of numbers.
		d.mustCommit(t, d.empty(fmt.Sprintf("account%d@service/t", i*7%many)))
	}
}

func slotsInOrder(t *testing.T, j rotation.Journal) {
	fillSlots(t, j)
	last, count := "", 0
	for rec, err := range j.Slots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Slot <= last {
			t.Fatalf("%q comes after %q", rec.Slot, last)
		}
		if rec.Revision != 1 {
			t.Fatalf("%q has revision %d, want 1", rec.Slot, rec.Revision)
		}
		last = rec.Slot
		count++
	}
	if count != many {
		t.Errorf("%d slots, want %d", count, many)
	}
}

func slotsOfNothing(t *testing.T, j rotation.Journal) {
	for rec, err := range j.Slots(t.Context()) {
		t.Errorf("an empty journal yields %q, %v", rec.Slot, err)
	}
}

func slotsStopsEarly(t *testing.T, j rotation.Journal) {
	fillSlots(t, j)
	count := 0
	for _, err := range j.Slots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == 3 {
			break
		}
	}
	d := slotDoor(j) // nothing is left open that this would wait for
	d.mustCommit(t, d.empty(slotA))
}

func slotsLetsTheLoopCommit(t *testing.T, j rotation.Journal) {
	fillSlots(t, j)
	for rec, err := range j.Slots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Commit(t.Context(), rec, event(rec.Slot)); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Slot(t.Context(), rec.Slot); err != nil {
			t.Fatal(err)
		}
	}
	for rec, err := range j.Slots(t.Context()) {
		if err != nil || rec.Revision != 2 {
			t.Fatalf("%q has revision %d, %v; want 2", rec.Slot, rec.Revision, err)
		}
	}
}

func slotsCancelled(t *testing.T, j rotation.Journal) {
	fillSlots(t, j)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	count := 0
	for _, err := range j.Slots(ctx) {
		cancel()
		last = err
		count++
	}
	if !errors.Is(last, context.Canceled) || count >= many {
		t.Errorf("the loop ends after %d of %d with %v, want context.Canceled", count, many, last)
	}
}
