package journal

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
)

// maxNote bounds what is read of a lock file's note, in bytes.
const maxNote = 512

// lock is the agent's lease on a journal file: a flock on a file beside it.
// The kernel frees it when the process ends, however it ends. It doesn't
// follow a file over NFS to hosts that don't share locks.
type lock struct{ file *os.File }

// acquire takes the lock of the journal at path at once, or fails with
// ErrLocked and the note of its holder; it leaves note in the lock file. That
// file is never removed: who locks a removed file holds what nobody else sees.
func acquire(path, note string) (*lock, error) {
	file, err := lockedFile(path + ".lock")
	if held := new(heldError); errors.As(err, &held) {
		return nil, fail(opOpen, path, ErrLocked, held)
	}
	if err != nil {
		return nil, fail(opOpen, path, nil, err)
	}
	l := &lock{file: file}
	if err := l.write(note); err != nil {
		l.release()
		return nil, fail(opOpen, path, nil, err)
	}
	return l, nil
}

// heldError is the note of the process that has the lock.
type heldError struct{ note string }

func (e *heldError) Error() string { return e.note }

// lockedFile opens path and locks it. Someone may remove the file between the
// two; then it tries again with the one that is there.
func lockedFile(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			held := holder(file, err)
			_ = file.Close()
			return nil, held
		}
		same, err := stands(path, file)
		if err == nil && same {
			return file, nil
		}
		_ = file.Close()
		if err != nil {
			return nil, err
		}
	}
}

// stands reports whether file is what stands at path now.
func stands(path string, file *os.File) (bool, error) {
	mine, err := file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// holder turns a refused flock into an error that says who holds it.
func holder(file *os.File, cause error) error {
	if !errors.Is(cause, syscall.EWOULDBLOCK) {
		return &os.PathError{Op: "lock", Path: file.Name(), Err: cause}
	}
	note, err := io.ReadAll(io.LimitReader(file, maxNote))
	who := strings.TrimSpace(string(note))
	if err != nil || who == "" {
		who = "a process that left no note"
	}
	return &heldError{note: who}
}

func (l *lock) write(note string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(note+"\n"), 0)
	return err
}

// release frees the lock. The note stays; it means nothing without the lock.
func (l *lock) release() { _ = l.file.Close() }
