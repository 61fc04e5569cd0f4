package filewatch_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/handover-agent/handover/agent/filewatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a file under watch: changes holds a signal for each change.
type watched struct {
	t       *testing.T
	changes chan struct{}
}

func begin(t *testing.T, path string) *watched {
	t.Helper()
	f, err := filewatch.New(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{t, make(chan struct{}, 16)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx, func() { w.changes <- struct{}{} }); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// changed waits for the change that was made.
func (w *watched) changed() {
	w.t.Helper()
	select {
	case <-w.changes:
	case <-time.After(30 * time.Second):
		w.t.Fatal("a change was not told")
	}
}

// none refuses a change more than was waited for.
func (w *watched) none() {
	w.t.Helper()
	select {
	case <-w.changes:
		w.t.Error("a change was told where there was none")
	default:
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestEachWayOfChanging(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "agent.yaml")
	write(t, path, "one")
	w := begin(t, path)

	write(t, path, "two")
	w.changed()

	write(t, path+".new", "three")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	w.changed()

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, "three") // the same again
	write(t, path, "four")
	w.changed()
	w.none()
}

// A ConfigMap's folder: agent.yaml links to ..data/agent.yaml, and ..data to the
// folder of a version, which is replaced as a whole.
func TestLinksAsOfAConfigMap(t *testing.T) {
	folder := t.TempDir()
	version := func(name, content string) {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name, "agent.yaml"), content)
	}
	version("..1", "one")
	link(t, "..1", filepath.Join(folder, "..data"))
	path := filepath.Join(folder, "agent.yaml")
	link(t, filepath.Join("..data", "agent.yaml"), path)
	w := begin(t, path)
	for i, content := range []string{"two", "three"} {
		next := "..next" + string(rune('0'+i))
		version(next, content)
		link(t, next, filepath.Join(folder, "..data"))
		w.changed()
	}
	w.none()
}

// A link to another folder: what stands there is watched, and what it leads to
// after it was turned.
func TestLinkToAnotherFolder(t *testing.T) {
	one, two, folder := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(one, "a.yaml"), "one")
	write(t, filepath.Join(two, "a.yaml"), "two")
	path := filepath.Join(folder, "agent.yaml")
	link(t, filepath.Join(one, "a.yaml"), path)
	w := begin(t, path)
	write(t, filepath.Join(one, "a.yaml"), "one, changed")
	w.changed()
	link(t, filepath.Join(two, "a.yaml"), path)
	w.changed()
	write(t, filepath.Join(two, "a.yaml"), "two, changed")
	w.changed()
	w.none()
}

// What changed between New and Run is told: the declaration is read in between.
func TestChangeBeforeRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	write(t, path, "one")
	f, err := filewatch.New(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "two")
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	if err := f.Run(ctx, func() { told++; cancel() }); err != nil || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := filewatch.New(filepath.Join(t.TempDir(), "missing", "agent.yaml")); err == nil {
		t.Error("a folder that doesn't exist is watched")
	}
}
