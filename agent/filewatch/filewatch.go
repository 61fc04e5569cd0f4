// Package filewatch tells when a file's content has changed, however it is changed:
// written in place, replaced by a rename, or, as Kubernetes does for a
// ConfigMap, by turning a link in its folder.
package filewatch

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long no more events have to come before the file is read: an
// editor writes in several steps.
const quiet = 100 * time.Millisecond

// File is a file under watch. Make it with New.
type File struct {
	path    string
	watcher *fsnotify.Watcher
	folders []string
	last    [sha256.Size]byte
}

// New begins to watch. The folder of path has to exist, the file need not. What
// it says now is the content that later ones are compared with.
func New(path string) (*File, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	f := &File{path: path, watcher: watcher}
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		_ = watcher.Close()
		return nil, fmt.Errorf("watch %s: %w", filepath.Dir(path), err)
	}
	f.folders = []string{filepath.Dir(path)}
	f.follow()
	f.last, _ = f.content()
	return f, nil
}

// Run calls changed after each change of the content, one call at a time, until
// ctx is done. A file that is away, or can't be read, is no change: it may come
// back. It fails when the system tells of no more changes. Call it once.
func (f *File) Run(ctx context.Context, changed func()) error {
	defer f.Close()
	settled := time.NewTimer(0) // what changed since New is a change too
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-f.watcher.Events:
			if !ok {
				return fmt.Errorf("watch %s: the system gives no more events", f.path)
			}
			settled.Reset(quiet)
		case _, ok := <-f.watcher.Errors: // events were lost: look at the file
			if !ok {
				return fmt.Errorf("watch %s: the system gives no more events", f.path)
			}
			settled.Reset(quiet)
		case <-settled.C:
			if f.look() {
				changed()
			}
		}
	}
}

// Close gives back what New took, and ends Run. A second call does nothing.
func (f *File) Close() { _ = f.watcher.Close() }

// look reports whether the content is another than the last time.
func (f *File) look() bool {
	f.follow()
	now, err := f.content()
	if err != nil || now == f.last {
		return false
	}
	f.last = now
	return true
}

func (f *File) content() ([sha256.Size]byte, error) {
	content, err := os.ReadFile(f.path)
	return sha256.Sum256(content), err
}

// follow watches the folders of what path is a link to, each step of it, and
// leaves those of an earlier target.
func (f *File) follow() {
	now := []string{filepath.Dir(f.path)}
	for at, steps := f.path, 0; steps < 16; steps++ {
		to, err := os.Readlink(at)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(at), to)
		}
		at = to
		if folder := filepath.Dir(at); !slices.Contains(now, folder) {
			now = append(now, folder)
		}
	}
	for _, folder := range f.folders {
		if !slices.Contains(now, folder) {
			_ = f.watcher.Remove(folder) // it may be gone, and its watch with it
		}
	}
	for _, folder := range now {
		// again too: a folder that was made anew has another watch
		_ = f.watcher.Add(folder) // it may be gone by now: the next event tells
	}
	f.folders = now
}
