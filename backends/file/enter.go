package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// openNonblock keeps an open from waiting for the other end of a pipe.
const openNonblock = syscall.O_NONBLOCK

// lockName is the file in .handover that a writer locks.
const lockName = "lock"

// lockPoll is how often a lock that another process holds is tried again. A Put
// holds it for a few writes to the disk.
const lockPoll = 5 * time.Millisecond

// enter begins a change: it waits for its turn in this process and among
// processes, and opens the folder, which it makes if need be. leave ends it.
func (b *backend) enter(ctx context.Context, a access) (root *os.Root, leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	root, unlock, err := b.openLocked(ctx, a)
	if err != nil {
		<-b.turn
		return nil, nil, err
	}
	return root, func() {
		unlock()
		<-b.turn
	}, nil
}

func (b *backend) openLocked(ctx context.Context, a access) (*os.Root, func(), error) {
	root, err := b.makeRoot(a)
	if err != nil {
		return nil, nil, err
	}
	lock, err := takeLock(ctx, root)
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	return root, func() {
		_ = lock.Close() // ends the lock
		_ = root.Close()
	}, nil
}

// makeRoot opens dir. Missing folders above it get the usual mode; dir itself
// admits who may read the file.
func (b *backend) makeRoot(a access) (*os.Root, error) {
	dir := b.options.Dir
	if err := refuseSharedAbove(b.options); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // folders above dir are not the agent's own
			return nil, rootError(err)
		}
		parent, err := os.OpenRoot(filepath.Dir(dir))
		if err != nil {
			return nil, rootError(err)
		}
		defer done(parent)
		made, err := newFolder(parent, filepath.Base(dir), a)
		if err != nil {
			return nil, rootError(err)
		}
		if err := made.Close(); err != nil {
			return nil, err
		}
		root, err = os.OpenRoot(dir) // by its own name, for the messages
		return root, rootError(err)
	}
	if err != nil {
		return nil, rootError(err)
	}
	if err := refuseShared(root); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// takeLock locks the folder against other processes until the file is closed.
func takeLock(ctx context.Context, root *os.Root) (*os.File, error) {
	notes, err := makeFolders(root, reserved, private)
	if err != nil {
		return nil, err
	}
	defer done(notes)
	f, err := notes.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: lockName, Err: err}, f.Close())
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		}
	}
}

// done closes what was only read, or was on the disk before: nothing is lost
// when it fails.
func done(c io.Closer) { _ = c.Close() }
