package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(holderEnv); path != "" {
		holdLock(path)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

const slot = "pipeline_automation@service/production"

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "state.db") }

// mustOpen opens the journal at path until the end of the test, and spares the
// disk: only a loss of power could tell.
func mustOpen(t testing.TB, path string, opt Options) *Journal {
	t.Helper()
	j := mustOpenSynced(t, path, opt)
	if _, err := j.writer.Exec("PRAGMA synchronous = OFF"); err != nil {
		t.Fatal(err)
	}
	return j
}

// mustOpenSynced is mustOpen with the settings of every day.
func mustOpenSynced(t testing.TB, path string, opt Options) *Journal {
	t.Helper()
	j, err := Open(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// commit adds a revision to slot.
func commit(t testing.TB, j *Journal, slot string) rotation.Record {
	t.Helper()
	rec, err := j.Slot(context.Background(), slot)
	if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
		t.Fatal(err)
	}
	rec.Slot = slot
	rec, err = j.Commit(context.Background(), rec, event(slot))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func event(slot string) rotation.Event {
	return rotation.Event{Slot: slot, Act: "act", Actor: "agent"}
}

func wantRevision(t *testing.T, j *Journal, want int64) {
	t.Helper()
	if rec, err := j.Slot(t.Context(), slot); err != nil || rec.Revision != want {
		t.Errorf("revision %d, %v; want %d", rec.Revision, err, want)
	}
}

// wantKind checks the kind of err, and that it names the file and what to do.
func wantKind(t *testing.T, err, kind error, path string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%v, want %v", err, kind)
	}
	for _, part := range []string{path, kind.Error(), "; " + advice[kind]} {
		if bytes.Count([]byte(err.Error()), []byte(part)) != 1 {
			t.Errorf("%q says %q not exactly once", err, part)
		}
	}
}

func TestConformance(t *testing.T) {
	rotationtest.Journal(t, func(t *testing.T) rotation.Journal { return mustOpen(t, newPath(t), Options{}) })
}

func TestFence(t *testing.T) {
	rotationtest.Fence(t, func(t *testing.T) *Journal { return mustOpen(t, newPath(t), Options{Process: "one"}) }, takeover)
}

// takeover plays a lock that doesn't hold: two names of one file in two lock
// files.
func takeover(t *testing.T, j *Journal) *Journal {
	if err := os.Remove(j.path + ".lock"); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, j.path, Options{Process: "two"})
}

func TestLinear(t *testing.T) {
	histories := uint64(20)
	if testing.Short() {
		histories = 4
	}
	rotationtest.Linear(t, histories, func(t *testing.T) *Journal { return mustOpen(t, newPath(t), Options{}) }, takeover)
}

func TestReopen(t *testing.T) {
	path := newPath(t)
	for want := int64(1); want <= 3; want++ {
		j := mustOpen(t, path, Options{Process: fmt.Sprint("run ", want)})
		if j.Fence() != want {
			t.Errorf("fence %d in run %d", j.Fence(), want)
		}
		if rec := commit(t, j, slot); rec.Revision != want {
			t.Errorf("revision %d in run %d", rec.Revision, want)
		}
		var fence int64
		var holder string
		err := j.readers.QueryRow("SELECT slots.fence, holder FROM slots, fence").Scan(&fence, &holder)
		if err != nil || fence != want || holder != fmt.Sprint("run ", want) {
			t.Errorf("slot under fence %d of %q, %v", fence, holder, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRequestIDsAreNeverUsedAgain(t *testing.T) {
	path := newPath(t)
	j := mustOpen(t, path, Options{})
	q := rotation.Request{Kind: rotation.RequestRotate, Slot: slot}
	first, err := j.AddRequest(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.writer.Exec("DELETE FROM requests"); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := mustOpen(t, path, Options{}).AddRequest(t.Context(), q)
	if err != nil || second.ID <= first.ID {
		t.Errorf("ID %d, %v after a deleted %d", second.ID, err, first.ID)
	}
}

func TestFilesArePrivate(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(folder, "state.db")
	commit(t, mustOpen(t, path, Options{}), slot)
	for name, want := range map[string]os.FileMode{
		folder: os.ModeDir | 0o700, filepath.Dir(folder): os.ModeDir | 0o700,
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestAwkwardPaths(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory.db", "a#b%20c.db", "päth.db", ":memory:", "file:x", "-.db"} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			j := mustOpen(t, name, Options{})
			commit(t, j, slot)
			if _, err := os.Stat(name); err != nil {
				t.Error(err)
			}
			look, err := OpenReadOnly(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = look.Close() }()
			wantRevision(t, look, 1)
		})
	}
}

func TestSettings(t *testing.T) {
	j := mustOpenSynced(t, newPath(t), Options{})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "application_id": "1212239425",
	} {
		var got string
		if err := j.writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
	if _, err := j.readers.Exec("DELETE FROM slots"); err == nil {
		t.Error("a reader may write")
	}
}

func TestTimesOfTheJournal(t *testing.T) {
	now := time.Date(2031, 2, 3, 4, 5, 6, 7, time.UTC)
	j := mustOpen(t, newPath(t), Options{Now: func() time.Time { return now }})
	commit(t, j, slot)
	q, err := j.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot})
	if err != nil || !q.At.Equal(now) {
		t.Errorf("asked at %v, %v; want %v", q.At, err, now)
	}
	if err := j.CloseRequest(t.Context(), q.ID, "done"); err != nil {
		t.Fatal(err)
	}
	if q, err = j.Request(t.Context(), q.ID); err != nil || !q.ClosedAt.Equal(now) {
		t.Errorf("closed at %v, %v; want %v", q.ClosedAt, err, now)
	}
	events, err := j.History(t.Context(), rotation.HistoryFilter{})
	if err != nil || len(events) != 1 || !events[0].At.Equal(now) {
		t.Errorf("events %+v, %v; want one at %v", events, err, now)
	}
}

func TestYearThatDoesntSort(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	e := event(slot)
	e.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if rec, err := j.Commit(t.Context(), rotation.Record{Slot: slot}, e); err == nil || rec.Revision != 0 {
		t.Errorf("revision %d, %v; want an error", rec.Revision, err)
	}
	if _, err := j.History(t.Context(), rotation.HistoryFilter{Since: e.At}); err == nil {
		t.Error("a search from the year 10000 is no error")
	}
	if _, err := j.Slot(t.Context(), slot); !errors.Is(err, rotation.ErrNoRecord) {
		t.Errorf("the refused commit is stored: %v", err)
	}
}

func TestClose(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	commit(t, j, slot)
	for range 2 {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Slot(t.Context(), slot); !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v, want ErrClosed", err)
	}
	if _, err := j.Commit(t.Context(), rotation.Record{Slot: slot}, event(slot)); !errors.Is(err, ErrClosed) {
		t.Errorf("commit: %v, want ErrClosed", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(j.path + suffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", suffix, err)
		}
	}
}

// TestCtxEndsInMidAct ends the ctx of commits at any moment: a commit that
// failed is not there, one that succeeded is, and the journal goes on.
func TestCtxEndsInMidAct(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	rec := commit(t, j, slot)
	var failed int
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*3*time.Microsecond)
		got, err := j.Commit(ctx, rec, event(slot))
		cancel()
		want := rec.Revision
		if err == nil {
			want++
		} else if failed++; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want that the ctx is done", err)
		}
		wantRevision(t, j, want)
		if got.Revision != want {
			t.Fatalf("revision %d, %v; want %d", got.Revision, err, want)
		}
		rec = got
	}
	if failed == 0 {
		t.Error("no ctx ended before its commit")
	}
	commit(t, j, slot)
}

func TestOpenTellsTheLog(t *testing.T) {
	var out bytes.Buffer
	j := mustOpen(t, newPath(t), Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	names, _ := sqliteDialect.files()
	for _, want := range []string{"path=" + j.Path(), "fence=1", fmt.Sprintf("migrations=%d", len(names))} {
		if !bytes.Contains(out.Bytes(), []byte(want)) {
			t.Errorf("%q isn't in the log: %s", want, &out)
		}
	}
}

// TestInABubble: what testing/synctest needs is that nothing outlives Close,
// and that a wait for time ends though the journal is open.
func TestInABubble(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		for revision := int64(1); revision <= 2; revision++ {
			j, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			commit(t, j, slot)
			before := time.Now()
			time.Sleep(24 * time.Hour) // the bubble's: no time
			q, err := j.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot})
			if err != nil || !q.At.Equal(before.Add(24*time.Hour)) {
				t.Errorf("asked at %v, %v; want a day after %v", q.At, err, before)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			for rec, err := range j.Slots(ctx) {
				if err != nil || rec.Revision != revision {
					t.Errorf("revision %d, %v; want %d", rec.Revision, err, revision)
				}
			}
			cancel()
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
