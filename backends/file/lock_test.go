package file_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/secret"
)

// holdLock locks a folder as another process does, until the returned function
// is called.
func holdLock(t *testing.T, dir string) (release func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, ".handover/lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPutWaitsForTheLock: no longer than its context, and a reader never waits.
func TestPutWaitsForTheLock(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("a.env", file.TargetOptions{})
	put(t, b, ref, "one")
	release := holdLock(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := b.Put(ctx, ref, backends.Item{Payload: secret.New("two")}, backends.Absent)
	wantKind(t, "put while another holds the lock", err, backends.ErrUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not unwrap to the context's error", err)
	}
	if item, _, err := b.Get(t.Context(), ref, backends.Current); err != nil || item.Payload.Reveal() != "one" {
		t.Errorf("get while another holds the lock: %v", err)
	}

	done := make(chan error)
	go func() {
		_, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("three")}, backends.Absent)
		done <- err
	}()
	release()
	if err := <-done; err != nil {
		t.Errorf("put after the lock was released: %v", err)
	}
	if got := read(t, dir, "a.env"); got != "three" {
		t.Errorf("holds %q", got)
	}
}

// TestPutWaitsForItsTurn: inside one process, too, a context ends the wait.
func TestPutWaitsForItsTurn(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("a.env", file.TargetOptions{})
	put(t, b, ref, "one")
	release := holdLock(t, dir)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for range 2 { // one of them has the turn and waits for the lock
		go func() {
			_, err := b.Put(ctx, ref, backends.Item{Payload: secret.New("two")}, backends.Absent)
			errs <- err
		}()
	}
	cancel()
	for range 2 {
		err := <-errs
		wantKind(t, "put", err, backends.ErrUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v does not unwrap to the context's error", err)
		}
	}
}

// TestCheckAsksBeforeAnythingIsMade: Check of folders that are missing asks the
// nearest one that exists, and makes nothing.
func TestCheckAsksBeforeAnythingIsMade(t *testing.T) {
	public := publicDir(t)
	open := filepath.Join(public, "open")
	if err := os.Mkdir(open, 0o750); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(public, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(open, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		dir, path string
		kind      error
	}{
		"folder exists":         {open, "a.env", nil},
		"folder below missing":  {open, "x/y/a.env", nil},
		"dir missing":           {filepath.Join(open, "x/y"), "a.env", nil},
		"closed":                {closed, "a.env", backends.ErrDenied},
		"dir missing in closed": {filepath.Join(closed, "x"), "a.env", backends.ErrDenied},
		"dir missing, bad path": {filepath.Join(open, "x"), "../a.env", backends.ErrInvalid},
		"something else is dir": {"/dev/null", "a.env", backends.ErrUnavailable},
		"below something else":  {"/dev/null/x", "a.env", backends.ErrUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := asNobody(openIn(t, file.Options{Dir: test.dir}))
			checker, _ := backends.As[backends.Checker](b)
			err := checker.Check(t.Context(), at(test.path, file.TargetOptions{}))
			if test.kind == nil && err != nil {
				t.Errorf("check: %v", err)
			}
			if test.kind != nil {
				wantKind(t, "check", err, test.kind)
			}
		})
	}
	for _, dir := range []string{open, closed} {
		if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
			t.Errorf("%s holds %v, %v", dir, names, err)
		}
	}
}
