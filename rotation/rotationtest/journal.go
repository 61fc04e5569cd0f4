package rotationtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

// rule is one MUST of rotation.Journal, tried on an empty journal.
type rule struct {
	name string
	test func(t *testing.T, j rotation.Journal)
}

// Journal runs one subtest per rule of rotation.Journal. open returns an empty
// journal; it closes it by t.Cleanup where that is needed.
//
// Not asked here, because it takes more than one process: that a commit
// survives a crash. The lease is [Fence]'s.
func Journal(t *testing.T, open func(t *testing.T) rotation.Journal) {
	for _, rules := range [][]rule{recordRules, slotsRules, concurrencyRules, historyRules, requestRules} {
		for _, r := range rules {
			t.Run(r.name, func(t *testing.T) { r.test(t, open(t)) })
		}
	}
}

// recordRules are those that hold for slots and for accounts alike.
var recordRules = slices.Concat(
	each("NoRecord", noRecord),
	each("UnusableName", unusableName),
	each("EveryFieldComesBack", everyFieldComesBack),
	each("RevisionRises", revisionRises),
	each("StaleRevision", staleRevision),
	each("StoredRecordIsACopy", storedRecordIsACopy),
	each("CancelledCommit", cancelledCommit),
)

// each makes a rule of slots and one of accounts.
func each(name string, test func(t *testing.T, j rotation.Journal, d door)) []rule {
	return []rule{
		{name + "/Slot", func(t *testing.T, j rotation.Journal) { test(t, j, slotDoor(j)) }},
		{name + "/Account", func(t *testing.T, j rotation.Journal) { test(t, j, accountDoor(j)) }},
	}
}

const (
	slotA = "pipeline_automation@service/production"
	slotB = "reports@service/nightly"
)

func noRecord(t *testing.T, _ rotation.Journal, d door) {
	if _, err := d.read(t.Context(), slotA); !errors.Is(err, rotation.ErrNoRecord) {
		t.Errorf("read of nothing: %v, want ErrNoRecord", err)
	}
}

// unusableName: such a record could be stored and never read again.
func unusableName(t *testing.T, j rotation.Journal, d door) {
	for _, name := range []string{"", "a\xff", "a\x00b"} {
		if _, err := d.commit(t.Context(), d.empty(name), event(slotA)); err == nil {
			t.Errorf("a record named %q was taken", name)
		}
	}
	wantEvents(t, j, 0)
}

func everyFieldComesBack(t *testing.T, _ rotation.Journal, d door) {
	want := d.full(slotA)
	got, err := d.commit(t.Context(), want, event(slotA))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.at(want, 1), got); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
	got, err = d.read(t.Context(), slotA)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.at(want, 1), got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func revisionRises(t *testing.T, _ rotation.Journal, d door) {
	rec := d.empty(slotA)
	for want := int64(1); want <= 100; want++ {
		var err error
		if rec, err = d.commit(t.Context(), rec, event(slotA)); err != nil {
			t.Fatal(err)
		}
		if got := d.revision(rec); got != want {
			t.Fatalf("revision %d, want %d", got, want)
		}
	}
	stored, err := d.read(t.Context(), slotA)
	if err != nil || d.revision(stored) != 100 {
		t.Errorf("stored revision %d, %v; want 100", d.revision(stored), err)
	}
}

func staleRevision(t *testing.T, j rotation.Journal, d door) {
	rec := d.empty(slotA)
	for range 3 {
		rec = d.mustCommit(t, rec)
	}
	before, err := d.read(t.Context(), slotA)
	if err != nil {
		t.Fatal(err)
	}
	for _, revision := range []int64{-1, 0, 1, 2, 4, 1 << 40} {
		stale := d.at(d.full(slotA), revision)
		got, err := d.commit(t.Context(), stale, event(slotA))
		if !errors.Is(err, rotation.ErrStale) {
			t.Errorf("commit at revision %d of 3: %v, want ErrStale", revision, err)
		}
		if diff := cmp.Diff(stale, got); diff != "" {
			t.Errorf("a refused commit changed the caller's record (-want +got):\n%s", diff)
		}
	}
	if _, err := d.commit(t.Context(), d.at(d.empty(slotB), 1), event(slotB)); !errors.Is(err, rotation.ErrStale) {
		t.Errorf("first commit at revision 1: %v, want ErrStale", err)
	}
	after, err := d.read(t.Context(), slotA)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a refused commit changed what is stored (-want +got):\n%s", diff)
	}
	wantEvents(t, j, 3)
}

func storedRecordIsACopy(t *testing.T, _ rotation.Journal, d door) {
	want := d.at(d.full(slotA), 1)
	given := d.full(slotA)
	committed := d.mustCommit(t, given)
	d.wipe(given)
	d.wipe(committed)
	read, err := d.read(t.Context(), slotA)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Fatalf("the caller's record is the stored one (-want +got):\n%s", diff)
	}
	d.wipe(read)
	if again, err := d.read(t.Context(), slotA); err != nil || !cmp.Equal(want, again) {
		t.Errorf("a read record is the stored one (%v):\n%s", err, cmp.Diff(want, again))
	}
}

func cancelledCommit(t *testing.T, j rotation.Journal, d door) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := d.empty(slotA)
	got, err := d.commit(ctx, rec, event(slotA))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("commit with a done ctx: %v, want context.Canceled", err)
	}
	if d.revision(got) != 0 {
		t.Errorf("revision %d after a commit that failed", d.revision(got))
	}
	if _, err := d.read(t.Context(), slotA); !errors.Is(err, rotation.ErrNoRecord) {
		t.Errorf("a done ctx stored a record: %v", err)
	}
	wantEvents(t, j, 0)
}

// event is one that is right in every field that must be there.
func event(slot string) rotation.Event {
	return rotation.Event{At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Slot: slot, Act: "act", Actor: "agent"}
}

func wantEvents(t *testing.T, j rotation.Journal, want int) {
	t.Helper()
	events, err := j.History(t.Context(), rotation.HistoryFilter{})
	if err != nil || len(events) != want {
		t.Errorf("%d events, %v; want %d", len(events), err, want)
	}
}
