package journal

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/handover-agent/handover/rotation"
)

func countEvents(t *testing.T, j *Journal, where string) int {
	t.Helper()
	counts, err := column[int](t.Context(), j.readers, "SELECT count(*) FROM events WHERE "+where)
	if err != nil {
		t.Fatal(err)
	}
	return counts[0]
}

func TestPrune(t *testing.T) {
	const keep = 40
	j := mustOpen(t, newPath(t), Options{KeepEvents: keep})
	commit(t, j, "other")
	account := rotation.AccountRecord{ID: "a@service"}
	for i := range 4 * pruneEvery {
		commit(t, j, slot)
		var err error
		if account, err = j.CommitAccount(t.Context(), account, rotation.Event{Account: account.ID, Act: "act"}); err != nil {
			t.Fatal(err)
		}
		for _, where := range []string{"slot = '" + slot + "'", "account = 'a@service'"} {
			if got := countEvents(t, j, where); got < min(i+1, keep) || got > keep+pruneEvery {
				t.Fatalf("%d events of %s after %d commits, want %d to %d", got, where, i+1, keep, keep+pruneEvery)
			}
		}
	}
	if got := countEvents(t, j, "slot = 'other'"); got != 1 {
		t.Errorf("%d events of the other slot, want 1", got)
	}
	newest, err := j.History(t.Context(), rotation.HistoryFilter{Slot: slot, Limit: keep})
	if err != nil || len(newest) != keep {
		t.Fatalf("%d events, %v; want %d", len(newest), err, keep)
	}
	if got := newest[keep-1].ID - newest[0].ID; got != 2*(keep-1) { // each second one is the account's
		t.Errorf("the events kept span %d IDs, want the newest without a gap, %d", got, 2*(keep-1))
	}
}

func TestPruneCatchesUpInParts(t *testing.T) {
	path := newPath(t)
	j := mustOpen(t, path, Options{KeepEvents: -1})
	for range 400 {
		commit(t, j, slot)
	}
	if got := countEvents(t, j, "1 = 1"); got != 400 {
		t.Fatalf("%d events are kept of all 400", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, path, Options{KeepEvents: 10})
	before := 400
	for range 3 * pruneEvery {
		commit(t, j, slot)
		now := countEvents(t, j, "1 = 1")
		if before+1-now > pruneMost {
			t.Fatalf("one commit deleted %d events, want %d at most", before+1-now, pruneMost)
		}
		before = now
	}
	if before > 10+pruneEvery {
		t.Errorf("%d events are left, want %d at most", before, 10+pruneEvery)
	}
}

func TestErrorsOfTheSystem(t *testing.T) {
	for cause, want := range map[error]error{
		syscall.ENOSPC: ErrFull, syscall.EDQUOT: ErrFull, syscall.EROFS: ErrReadOnly, syscall.EACCES: ErrReadOnly,
		errors.New("other"): nil,
	} {
		err := fail("commit", "/x/state.db", nil, fmt.Errorf("wrapped: %w", cause))
		var got *Error
		if !errors.As(err, &got) || got.Kind != want || !errors.Is(err, cause) {
			t.Errorf("%v is of kind %v, want %v", err, got.Kind, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	for want, err := range map[string]*Error{
		"open journal /x: it is corrupted: why; " + advice[ErrCorrupt]: {Op: opOpen, Path: "/x", Kind: ErrCorrupt, Err: errors.New("why")},
		"open journal /x: why":           {Op: opOpen, Path: "/x", Err: errors.New("why")},
		"open journal /x: it was closed": {Op: opOpen, Path: "/x", Kind: ErrClosed},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
