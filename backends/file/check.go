package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/handover-agent/handover/backends"
)

// Check implements backends.Checker: the folders that exist must let the agent
// write, and what stands at the path must be a file. It can't tell whether
// there is room.
func (b *backend) Check(ctx context.Context, ref backends.Ref) error {
	at, err := b.spotOf(ref)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = b.check(at)
	}
	if err != nil {
		return b.fail("check", ref, err)
	}
	return nil
}

func (b *backend) check(at spot) error {
	if err := at.access.grantable(privileges()); err != nil {
		return err
	}
	if err := refuseSharedAbove(b.options); err != nil {
		return err
	}
	root, err := os.OpenRoot(b.options.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return checkAbove(b.options.Dir)
	}
	if err != nil {
		return rootError(err)
	}
	defer done(root)
	if err := refuseShared(root); err != nil {
		return err
	}
	for _, below := range []string{reserved, at.folder} {
		if err := checkBelow(root, below); err != nil {
			return err
		}
	}
	info, err := root.Stat(at.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return invalid(fmt.Errorf("%s is not a regular file", at.path))
	}
	return nil
}

// checkAbove asks the nearest folder that exists whether dir could be made.
func checkAbove(dir string) error {
	above := nearest(dir)
	root, err := os.OpenRoot(above)
	if err != nil {
		return rootError(err)
	}
	defer done(root)
	return writable(root)
}

// checkBelow asks the folders that exist on the way to below, and the nearest
// of them whether more can be made in it.
func checkBelow(root *os.Root, below string) error {
	last, err := root.OpenRoot(".")
	if err != nil {
		return err
	}
	for _, name := range onTheWay(below) {
		next, err := root.OpenRoot(name)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		done(last)
		if err != nil {
			return err
		}
		last = next
		if err := refuseShared(last); err != nil {
			return errors.Join(err, last.Close())
		}
	}
	defer done(last)
	return writable(last)
}

// writable asks the system, without writing. It answers for the user that the
// agent acts as, and knows of a file system that is mounted read-only.
func writable(folder *os.Root) error {
	f, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer done(f)
	err = unix.Faccessat(int(f.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err != nil {
		return &fs.PathError{Op: "write to", Path: filepath.Clean(folder.Name()), Err: err}
	}
	return nil
}

// nearest is dir, or the nearest folder above it that exists.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
