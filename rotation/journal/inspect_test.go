package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInspect(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "deep", "er", "state.db")
	want := func(what string, exists bool, holder string) {
		t.Helper()
		seen, err := Inspect(t.Context(), path)
		if err != nil || seen.Exists != exists || !strings.HasPrefix(seen.Holder, holder) || (seen.Holder == "") != (holder == "") {
			t.Errorf("%s: %+v, %v", what, seen, err)
		}
	}
	want("nothing there", false, "")
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("looking left %v behind, %v", left, err)
	}
	j, err := Open(t.Context(), path, Options{Process: "one"})
	if err != nil {
		t.Fatal(err)
	}
	want("an agent runs", true, "process ")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	want("an agent ran", true, "")
	again, err := Open(t.Context(), path, Options{Process: "two"})
	if err != nil {
		t.Fatalf("after looking it can't be opened: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("no database at all, and long enough to look at: "+strings.Repeat("x", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), path); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrForeign) {
		t.Errorf("what is no journal: %v", err)
	}
}

// TestInspectFindsWhatCannotBeWritten goes by the kernel's answer, which root
// gets differently: a folder that is a file is refused to everybody.
func TestInspectFindsWhatCannotBeWritten(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), filepath.Join(file, "state.db")); err == nil {
		t.Error("a file serves as the journal's folder")
	}
	if os.Getuid() == 0 {
		return
	}
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), filepath.Join(folder, "state.db")); !errors.Is(err, ErrDenied) {
		t.Errorf("a folder that can't be written: %v", err)
	}
}

func TestRefusedAccess(t *testing.T) {
	for cause, want := range map[error]error{unix.EROFS: ErrReadOnly, unix.EACCES: ErrDenied} {
		if err := refusedAccess("/a/state.db", "/a", cause); !errors.Is(err, want) {
			t.Errorf("%v is %v, want %v", cause, err, want)
		}
	}
}
