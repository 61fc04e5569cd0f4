package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/handover-agent/handover/backends"
)

// TestClassify has one row for each error number that the table names, and some
// that it doesn't. Several can't be provoked here: this is the proof for them.
func TestClassify(t *testing.T) {
	tests := []struct {
		err    error
		kind   error
		remedy bool
	}{
		{syscall.EACCES, backends.ErrDenied, true},
		{syscall.EPERM, backends.ErrDenied, true},
		{syscall.EROFS, backends.ErrDenied, true},
		{syscall.ENOSPC, backends.ErrUnavailable, true},
		{syscall.EDQUOT, backends.ErrUnavailable, true},
		{syscall.EISDIR, backends.ErrInvalid, true},
		{syscall.ENOTDIR, backends.ErrInvalid, true},
		{syscall.ENAMETOOLONG, backends.ErrInvalid, true},
		{syscall.ELOOP, backends.ErrInvalid, true},
		{syscall.EINVAL, backends.ErrInvalid, true},
		{syscall.ENXIO, backends.ErrInvalid, true},
		{syscall.EIO, backends.ErrUnavailable, false},
		{syscall.EMFILE, backends.ErrUnavailable, false},
		{syscall.ESTALE, backends.ErrUnavailable, false},
		{io.ErrUnexpectedEOF, backends.ErrUnavailable, false},
		{context.Canceled, backends.ErrUnavailable, false},
		{context.DeadlineExceeded, backends.ErrUnavailable, false},
		{invalid(errors.New("x")), backends.ErrInvalid, false},
		{afterwards(syscall.ENOSPC), backends.ErrUnknownOutcome, false},
		{before(afterwards(syscall.ENOSPC)), backends.ErrUnavailable, true},
		{before(invalid(syscall.EACCES)), backends.ErrInvalid, false},
		{rootError(syscall.ENOTDIR), backends.ErrUnavailable, false},
		{rootError(syscall.EACCES), backends.ErrDenied, true},
	}
	for _, test := range tests {
		for _, err := range []error{
			test.err,
			&fs.PathError{Op: "open", Path: "a", Err: test.err},
			fmt.Errorf("x: %w", test.err),
			errors.Join(test.err, nil),
		} {
			var onPath *fs.PathError
			if errors.As(err, &onPath) && errors.Is(test.err, io.ErrUnexpectedEOF) {
				continue // with a path and without a number it is os.Root's own error
			}
			remedy, kind := classify(err)
			if !errors.Is(kind, test.kind) || (remedy != "") != test.remedy {
				t.Errorf("%T %v: kind %v with remedy %q, want %v", err, err, kind, remedy, test.kind)
			}
		}
	}
	if afterwards(nil) != nil || before(nil) != nil || rootError(nil) != nil {
		t.Error("no error became one")
	}
}

// TestLinkOutIsInvalid: os.Root has no name for its error, so this shows that
// it is still told from others.
func TestLinkOutIsInvalid(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer done(root)
	for _, name := range []string{"out", "out/passwd", "../x"} {
		_, err := root.Open(name)
		if remedy, kind := classify(err); !errors.Is(kind, backends.ErrInvalid) || remedy == "" {
			t.Errorf("open %s: %v is %v", name, err, kind)
		}
	}
	err = root.Rename("out/a", "out/b")
	if _, kind := classify(err); !errors.Is(kind, backends.ErrInvalid) {
		t.Errorf("rename: %v is %v", err, kind)
	}
}
