package journal

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

func mustLook(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenReadOnly(t.Context(), path)
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

// folder is what stands in a folder: names, contents, times.
func folder(t *testing.T, path string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = info.ModTime().String() + string(content)
	}
	return all
}

// copyTo copies the files of a journal as they stand: what a machine that lost
// its power, or a backup, is left with.
func copyTo(t *testing.T, from string, suffixes ...string) string {
	t.Helper()
	to := newPath(t)
	for _, suffix := range suffixes {
		if err := copyFile(to+suffix, from+suffix); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestLookWithoutATrace(t *testing.T) {
	states := map[string]func(t *testing.T) string{
		"stopped": func(t *testing.T) string { return closedFile(t) },
		"killed": func(t *testing.T) string {
			j := mustOpen(t, newPath(t), Options{})
			commit(t, j, slot)
			return copyTo(t, j.path, "", "-wal", "-shm")
		},
		"backup with its log": func(t *testing.T) string {
			j := mustOpen(t, newPath(t), Options{})
			commit(t, j, slot)
			return copyTo(t, j.path, "", "-wal")
		},
		"looked at by others": func(t *testing.T) string {
			path := closedFile(t)
			for _, suffix := range []string{"-wal", "-shm"} {
				if err := os.WriteFile(path+suffix, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return path
		},
	}
	for name, prepare := range states {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			path := prepare(t)
			before := folder(t, path)
			j, err := OpenReadOnly(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			wantRevision(t, j, 1)
			if events, err := j.History(t.Context(), rotation.HistoryFilter{Slot: slot}); err != nil || len(events) != 1 {
				t.Errorf("%d events, %v; want 1", len(events), err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, folder(t, path)); diff != "" {
				t.Errorf("the look left a trace (-before +after):\n%s", diff)
			}
			if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
				t.Errorf("the look left a copy: %v, %v", left, err)
			}
			commit(t, mustOpen(t, path, Options{}), slot) // the agent starts after it
		})
	}
}

func TestLookBesideARunningAgent(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	commit(t, j, slot)
	look := mustLook(t, j.path)
	wantRevision(t, look, 1)
	commit(t, j, slot)
	wantRevision(t, look, 2)
	count := 0
	for _, err := range look.Slots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != 1 {
		t.Errorf("%d slots, want 1", count)
	}
}

func TestLookRefusesToWrite(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	rec := commit(t, j, slot)
	look := mustLook(t, j.path)
	_, err := look.Commit(t.Context(), rec, event(slot))
	wantKind(t, err, ErrReadOnly, j.path)
	_, err = look.CommitAccount(t.Context(), rotation.AccountRecord{ID: "a"}, event(slot))
	wantKind(t, err, ErrReadOnly, j.path)
	_, err = look.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot})
	wantKind(t, err, ErrReadOnly, j.path)
	wantKind(t, look.CloseRequest(t.Context(), 1, "done"), ErrReadOnly, j.path)
	wantRevision(t, j, 1)
}

func TestLookAtNothing(t *testing.T) {
	missing := newPath(t)
	_, err := OpenReadOnly(t.Context(), missing)
	wantKind(t, err, ErrNoJournal, missing)
	if left := folder(t, missing); len(left) != 0 {
		t.Errorf("the look made files: %v", left)
	}
	empty := newPath(t)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = OpenReadOnly(t.Context(), empty)
	wantKind(t, err, ErrNoJournal, empty)
}

func TestLookAtGarbage(t *testing.T) {
	path := newPath(t)
	if err := os.WriteFile(path, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenReadOnly(t.Context(), path)
	wantKind(t, err, ErrCorrupt, path)
}

func TestLookAtAnOlderRelease(t *testing.T) {
	path := closedFile(t)
	_, err := look(t.Context(), path, still, later("CREATE TABLE more (a)"))
	wantKind(t, fail(opOpen, path, nil, err), ErrOlder, path)
}

// TestPowerLoss copies the files after each commit has returned, as they would
// be found after a loss of power, and looks for the commit.
func TestPowerLoss(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	for want := int64(1); want <= 20; want++ {
		commit(t, j, slot)
		suffixes := []string{"", "-wal", "-shm"}[:2+want%2]
		again, err := Open(context.Background(), copyTo(t, j.path, suffixes...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		wantRevision(t, again, want)
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
