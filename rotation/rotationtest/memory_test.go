package rotationtest_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

func TestMemory(t *testing.T) {
	rotationtest.Journal(t, func(*testing.T) rotation.Journal { return rotationtest.NewMemory() })
}

func TestMemoryFence(t *testing.T) {
	rotationtest.Fence(t,
		func(*testing.T) *rotationtest.Memory { return rotationtest.NewMemory() },
		func(_ *testing.T, m *rotationtest.Memory) *rotationtest.Memory { return m.Takeover() })
}

const slot = "a@service/t"

func commit(t *testing.T, m *rotationtest.Memory, detail string) rotation.Record {
	t.Helper()
	rec, err := m.Slot(t.Context(), slot)
	if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
		t.Fatal(err)
	}
	rec.Slot = slot
	if rec, err = m.Commit(t.Context(), rec, rotation.Event{Slot: slot, Act: "act", Detail: detail}); err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestRestoreAnOldCopy(t *testing.T) {
	m := rotationtest.NewMemory()
	commit(t, m, "one")
	if _, err := m.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot}); err != nil {
		t.Fatal(err)
	}
	backup := m.Copy()
	newest := commit(t, m, "two")

	if rec, err := backup.Slot(t.Context(), slot); err != nil || rec.Revision != 1 {
		t.Fatalf("a commit went into the copy: revision %d, %v", rec.Revision, err)
	}
	m.Restore(backup)
	if rec, err := m.Slot(t.Context(), slot); err != nil || rec.Revision != 1 {
		t.Errorf("revision %d, %v after the restore; want 1", rec.Revision, err)
	}
	if events, err := m.History(t.Context(), rotation.HistoryFilter{}); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v after the restore; want 1", len(events), err)
	}
	if open, err := m.Requests(t.Context(), slot); err != nil || len(open) != 1 {
		t.Errorf("%d requests, %v after the restore; want 1", len(open), err)
	}
	if _, err := m.Commit(t.Context(), newest, rotation.Event{}); !errors.Is(err, rotation.ErrStale) {
		t.Errorf("commit on what was read before the restore: %v, want ErrStale", err)
	}
	commit(t, m, "three")
	if rec, err := backup.Slot(t.Context(), slot); err != nil || rec.Revision != 1 {
		t.Errorf("a commit after the restore went into the copy: revision %d, %v", rec.Revision, err)
	}
}

func TestLoseTheJournal(t *testing.T) {
	m := rotationtest.NewMemory()
	commit(t, m, "one")
	later := m.Takeover()
	m.Restore(rotationtest.NewMemory())
	for _, journal := range []*rotationtest.Memory{m, later} {
		if _, err := journal.Slot(t.Context(), slot); !errors.Is(err, rotation.ErrNoRecord) {
			t.Errorf("slot after the loss: %v, want ErrNoRecord", err)
		}
	}
	if rec := commit(t, later, "again"); rec.Revision != 1 {
		t.Errorf("revision %d in the new journal, want 1", rec.Revision)
	}
	if _, err := m.Commit(t.Context(), rotation.Record{Slot: slot}, rotation.Event{}); !errors.Is(err, rotation.ErrFenced) {
		t.Errorf("the loss gave the earlier process its lease back: %v", err)
	}
}

func TestDumpHoldsAll(t *testing.T) {
	m := rotationtest.NewMemory()
	commit(t, m, "the detail")
	if _, err := m.CommitAccount(t.Context(), rotation.AccountRecord{ID: "the-account"}, rotation.Event{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot, Reason: "the reason"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{slot, "the detail", "the-account", "the reason"} {
		if !bytes.Contains(m.Dump(), []byte(want)) {
			t.Errorf("%q isn't in the dump", want)
		}
	}
}

func TestMemoryUsesTheBubblesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := rotationtest.NewMemory()
		time.Sleep(time.Hour)
		q, err := m.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot})
		if err != nil || !q.At.Equal(time.Now()) {
			t.Errorf("asked at %v, %v; want %v", q.At, err, time.Now())
		}
	})
}
