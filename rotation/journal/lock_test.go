package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handover-agent/handover/rotation"
)

// holderEnv makes this test binary a second process, which opens the journal
// that the variable names and commits to it until it is killed.
const holderEnv = "HANDOVER_TEST_JOURNAL_HOLDER"

// holdLock is the second process. It prints the revision of each commit that
// returned.
func holdLock(path string) {
	ctx := context.Background()
	j, err := Open(ctx, path, Options{Process: "the holder"})
	if err != nil {
		fmt.Println(err)
		return
	}
	rec, err := j.Slot(ctx, slot)
	if errors.Is(err, rotation.ErrNoRecord) {
		rec.Slot, err = slot, nil
	}
	for err == nil {
		if rec, err = j.Commit(ctx, rec, event(slot)); err == nil {
			fmt.Println(rec.Revision)
		}
	}
	fmt.Println(err)
}

// startHolder starts the second process and returns once it has committed.
// kill ends it as kill -9 does and returns the last revision that it printed.
func startHolder(t *testing.T, path string) (pid int, kill func() int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	var last int64
	if _, scan := fmt.Sscan(first, &last); err != nil || scan != nil {
		t.Fatalf("the holder says %q, %v", first, errors.Join(err, scan))
	}
	return cmd.Process.Pid, func() int64 {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		for line := range strings.Lines(string(rest)) {
			if strings.HasSuffix(line, "\n") { // else cut by the kill
				if _, err := fmt.Sscan(line, &last); err != nil {
					t.Fatalf("the holder says %q", line)
				}
			}
		}
		return last
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := newPath(t)
	pid, kill := startHolder(t, path)
	defer kill()
	_, err := Open(t.Context(), path, Options{})
	wantKind(t, err, ErrLocked, path)
	for _, want := range []string{fmt.Sprintf("process %d ", pid), "the holder"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q doesn't say %q", err, want)
		}
	}
}

// TestKilledProcess kills a writer in mid-act, again and again: each commit
// that it reported is there, and the lock is free.
func TestKilledProcess(t *testing.T) {
	path := newPath(t)
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		_, kill := startHolder(t, path)
		reported := kill()
		j, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := j.Slot(t.Context(), slot)
		// One more may be stored that there was no time to report.
		if err != nil || rec.Revision < reported || rec.Revision > reported+1 {
			t.Errorf("revision %d, %v; the writer reported %d", rec.Revision, err, reported)
		}
		events, err := j.History(t.Context(), rotation.HistoryFilter{Limit: 1 << 30})
		if n := int64(len(events)); err != nil || n < min(rec.Revision, defaultKeep) || n > rec.Revision {
			t.Errorf("%d events, %v at revision %d: half a commit is stored", n, err, rec.Revision)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondOpenInOneProcess(t *testing.T) {
	path := newPath(t)
	j := mustOpen(t, path, Options{Process: "run 7"})
	_, err := Open(t.Context(), path, Options{Process: "run 8"})
	wantKind(t, err, ErrLocked, path)
	if !strings.Contains(err.Error(), "run 7") {
		t.Errorf("%q doesn't name the holder", err)
	}
	commit(t, j, slot) // unharmed
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wantRevision(t, mustOpen(t, path, Options{}), 1)
}

func TestTwoRoadsToOneLock(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "state.db")
	mustOpen(t, path, Options{})
	link, side := filepath.Join(folder, "link.db"), filepath.Join(folder, "side")
	for to, from := range map[string]string{link: path, side: folder} {
		if err := os.Symlink(from, to); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(folder)
	for _, road := range []string{link, filepath.Join(side, "state.db"), "state.db", "./side/../state.db"} {
		_, err := Open(t.Context(), road, Options{})
		wantKind(t, err, ErrLocked, path)
	}
}

func TestLockWithoutNote(t *testing.T) {
	path := newPath(t)
	held, err := lockedFile(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	_, err = Open(t.Context(), path, Options{})
	wantKind(t, err, ErrLocked, path)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused agent made the file: %v", err)
	}
}

func TestLockFileKeepsOneNote(t *testing.T) {
	path := newPath(t)
	for _, process := range []string{strings.Repeat("long", 50), "short"} {
		l, err := acquire(path, note(process))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path + ".lock")
		if err != nil || string(text) != note(process)+"\n" {
			t.Errorf("the lock file holds %q, %v", text, err)
		}
		l.release()
	}
}
