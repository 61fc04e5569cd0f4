package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

func FuzzRow(f *testing.F) {
	good, err := json.Marshal(rotation.Record{Slot: slot, High: 3, Current: 3})
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{string(good), "", "{}", "null", "[]", `{"slot":1}`, `{"slot":"` + slot + `","high":-1}`, string(good) + "x", string(good[:9])} {
		f.Add(slot, int64(1), body)
	}
	f.Add(slot, int64(0), string(good))
	f.Fuzz(func(t *testing.T, key string, revision int64, body string) {
		r := row{key: key, revision: revision, body: []byte(body)}
		rec, err := decodeSlot(r)
		if err != nil {
			if diff := cmp.Diff(rotation.Record{Slot: key}, rec); diff != "" {
				t.Errorf("an error comes with half a record:\n%s", diff)
			}
			var row *Error
			if !errors.As(err, &row) || row.Kind != ErrCorrupt {
				t.Errorf("%v, want ErrCorrupt", err)
			}
			return
		}
		if rec.Slot != key || rec.Revision != revision {
			t.Errorf("slot %q at %d read as %q at %d", key, revision, rec.Slot, rec.Revision)
		}
		again, err := json.Marshal(rec)
		if err != nil {
			t.Fatalf("what was read can't be stored: %v", err)
		}
		if twice, err := decodeSlot(row{key: key, revision: revision, body: again}); err != nil || !cmp.Equal(rec, twice) {
			t.Errorf("read twice (%v):\n%s", err, cmp.Diff(rec, twice))
		}
	})
}

func TestBadRows(t *testing.T) {
	for name, statement := range map[string]string{
		"no JSON":      "UPDATE slots SET body = 'garbage' WHERE slot = $1",
		"cut":          "UPDATE slots SET body = substr(body, 1, 10) WHERE slot = $1",
		"blob":         "UPDATE slots SET body = x'ff00ff' WHERE slot = $1",
		"other slot":   `UPDATE slots SET body = '{"slot":"other"}' WHERE slot = $1`,
		"two records":  "UPDATE slots SET body = body || body WHERE slot = $1",
		"bad revision": "UPDATE slots SET revision = 0 WHERE slot = $1",
	} {
		t.Run(name, func(t *testing.T) {
			j := mustOpen(t, newPath(t), Options{})
			for _, s := range []string{"a", slot, "z"} {
				commit(t, j, s)
			}
			if _, err := j.writer.Exec(statement, slot); err != nil {
				t.Fatal(err)
			}
			_, err := j.Slot(t.Context(), slot)
			wantKind(t, err, ErrCorrupt, j.path)
			var read []string
			for rec, err := range j.Slots(t.Context()) {
				if (err != nil) != (rec.Slot == slot) {
					t.Errorf("%s: %v", rec.Slot, err)
				}
				read = append(read, rec.Slot)
			}
			if diff := cmp.Diff([]string{"a", slot, "z"}, read); diff != "" {
				t.Errorf("slots (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadRowsOfOtherTables(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	commit(t, j, slot)
	q, err := j.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.CommitAccount(t.Context(), rotation.AccountRecord{ID: "a"}, event("")); err != nil {
		t.Fatal(err)
	}
	if _, err := j.writer.Exec(`UPDATE events SET at = 'x'; UPDATE accounts SET body = '{"id":"b"}'; UPDATE requests SET at = 'x'`); err != nil {
		t.Fatal(err)
	}
	_, err = j.History(t.Context(), rotation.HistoryFilter{})
	wantKind(t, err, ErrCorrupt, j.path)
	_, err = j.Account(t.Context(), "a")
	wantKind(t, err, ErrCorrupt, j.path)
	_, err = j.Request(t.Context(), q.ID)
	wantKind(t, err, ErrCorrupt, j.path)
	_, err = j.Requests(t.Context(), slot)
	wantKind(t, err, ErrCorrupt, j.path)
}

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
