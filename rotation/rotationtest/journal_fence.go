package rotationtest

import (
	"errors"
	"testing"

	"github.com/handover-agent/handover/rotation"
)

// Fence runs one subtest per rule of the lease. takeover opens the content of
// j, which open returned, as a later process does whose lease has begun.
func Fence[J rotation.Journal](t *testing.T, open func(t *testing.T) J, takeover func(t *testing.T, j J) J) {
	for _, r := range []struct {
		name string
		test func(t *testing.T, earlier, later rotation.Journal)
	}{
		{"EarlierIsFenced", earlierIsFenced},
		{"EarlierReads", earlierReads},
		{"EarlierPassesRequestsOn", earlierPassesRequestsOn},
	} {
		t.Run(r.name, func(t *testing.T) {
			earlier := open(t)
			if _, err := earlier.Commit(t.Context(), rotation.Record{Slot: slotA}, event(slotA)); err != nil {
				t.Fatal(err)
			}
			r.test(t, earlier, takeover(t, earlier))
		})
	}
}

func earlierIsFenced(t *testing.T, earlier, later rotation.Journal) {
	mustAsk(t, earlier, slotA)
	rec, err := earlier.Slot(t.Context(), slotA)
	if err != nil {
		t.Fatal(err)
	}
	got, err := earlier.Commit(t.Context(), rec, event(slotA))
	if !errors.Is(err, rotation.ErrFenced) || got.Revision != rec.Revision {
		t.Errorf("commit at revision %d: %v, revision %d; want ErrFenced", rec.Revision, err, got.Revision)
	}
	// A fenced writer is told so, also where its revision is old.
	if _, err := earlier.Commit(t.Context(), rotation.Record{Slot: slotA}, event(slotA)); !errors.Is(err, rotation.ErrFenced) {
		t.Errorf("stale commit: %v, want ErrFenced", err)
	}
	if _, err := earlier.CommitAccount(t.Context(), rotation.AccountRecord{ID: "a@service"}, event("")); !errors.Is(err, rotation.ErrFenced) {
		t.Errorf("commit of an account: %v, want ErrFenced", err)
	}
	open := requests(t, later, slotA)
	if err := earlier.CloseRequest(t.Context(), open[0].ID, "done"); !errors.Is(err, rotation.ErrFenced) {
		t.Errorf("close of a request: %v, want ErrFenced", err)
	}
	if open := requests(t, later, slotA); len(open) != 1 {
		t.Errorf("%d requests are open, want the one that wasn't served", len(open))
	}
	wantEvents(t, later, 1)
	if _, err := later.Commit(t.Context(), rec, event(slotA)); err != nil {
		t.Errorf("the later one can't commit: %v", err)
	}
}

func earlierReads(t *testing.T, earlier, later rotation.Journal) {
	rec, err := later.Slot(t.Context(), slotA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := later.Commit(t.Context(), rec, event(slotA)); err != nil {
		t.Fatal(err)
	}
	if rec, err := earlier.Slot(t.Context(), slotA); err != nil || rec.Revision != 2 {
		t.Errorf("revision %d, %v; want the later one's, 2", rec.Revision, err)
	}
}

func earlierPassesRequestsOn(t *testing.T, earlier, later rotation.Journal) {
	q := mustAsk(t, earlier, slotA)
	if open := requests(t, later, slotA); len(open) != 1 || open[0].ID != q.ID {
		t.Errorf("the later one sees %+v, want request %d", open, q.ID)
	}
}
