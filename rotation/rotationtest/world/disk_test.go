package world_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
	"github.com/handover-agent/handover/rotation/rotationtest/world"
)

// file is a disk with a journal in SQLite. The hold before the last one is
// closed as the end of its process closes it.
type file struct {
	t    *testing.T
	path string
	last *journal.Journal
}

func newFile(t *testing.T) *file {
	t.Helper()
	return &file{t: t, path: filepath.Join(folder(t), "state.db")}
}

// folder is one of the test's own, in memory where the system has that: what a
// sync of the disk takes isn't what is tested.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "world-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Open closes the hold before and takes a new one.
func (f *file) Open() (rotation.Journal, error) {
	if f.last == nil {
		f.t.Cleanup(func() {
			if f.last != nil {
				_ = f.last.Close()
			}
		})
	} else if err := f.last.Close(); err != nil {
		return nil, err
	}
	var err error
	f.last, err = journal.Open(context.Background(), f.path, journal.Options{})
	return f.last, err
}

// Copy copies the file and its log. Nobody writes meanwhile.
func (f *file) Copy() (world.Disk, error) {
	other := newFile(f.t)
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(other.path+suffix, f.path+suffix); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	return other, nil
}

// Empty is a file that isn't there yet.
func (f *file) Empty() (world.Disk, error) { return newFile(f.t), nil }

// Dump is the file and its log.
func (f *file) Dump() ([]byte, error) {
	all, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	log, err := os.ReadFile(f.path + "-wal")
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return append(all, log...), nil
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
