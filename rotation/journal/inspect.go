package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inspection is how the place of a journal looks from outside.
type Inspection struct {
	// Exists: there is a journal that can be read.
	Exists bool
	// Holder is the note of the agent that has it open; "" is none.
	Holder string
}

// Inspect says whether this user's agent could open the journal at path and
// write it. It makes and changes nothing. Kinds: as [OpenReadOnly], and
// ErrReadOnly, ErrDenied of the file or of the folder that it is to be made in.
func Inspect(ctx context.Context, path string) (Inspection, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Inspection{}, fail(opOpen, path, nil, err)
	}
	var seen Inspection
	switch read, err := OpenReadOnly(ctx, path); {
	case err == nil:
		seen.Exists = true
		if err := read.Close(); err != nil {
			return seen, err
		}
	case !errors.Is(err, ErrNoJournal) && !errors.Is(err, ErrOlder): // the agent makes it, or brings it up to date
		return seen, err
	}
	if seen.Holder, err = heldBy(path); err != nil {
		return seen, fail(opOpen, path, nil, err)
	}
	if seen.Holder == "" { // the user who holds it can write it
		err = writable(path)
	}
	return seen, err
}

// heldBy asks the lock without taking it for longer than the question.
func heldBy(path string) (string, error) {
	file, err := os.Open(path + ".lock")
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		return "", nil
	}
	var held *heldError
	if err := holder(file, err); !errors.As(err, &held) {
		return "", err
	}
	return held.note, nil
}

// writable asks for the file, the files beside it, and the folder: the nearest
// one that exists.
func writable(path string) error {
	for _, file := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		if err := unix.Access(file, unix.W_OK); err != nil && !errors.Is(err, unix.ENOENT) {
			return refusedAccess(path, file, err)
		}
	}
	folder := filepath.Dir(path)
	for {
		err := unix.Access(folder, unix.W_OK|unix.X_OK)
		parent := filepath.Dir(folder)
		if errors.Is(err, unix.ENOENT) && parent != folder {
			folder = parent
			continue
		}
		if err != nil {
			return refusedAccess(path, folder, err)
		}
		return nil
	}
}

func refusedAccess(path, at string, err error) error {
	kind := ErrReadOnly
	if errors.Is(err, unix.EACCES) {
		kind = ErrDenied
	}
	return fail(opOpen, path, kind, &os.PathError{Op: "write", Path: at, Err: err})
}
