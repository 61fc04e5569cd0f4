package file_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/secret"
)

// TestConformance runs the suite with both sinks.
func TestConformance(t *testing.T) {
	t.Run("file", func(t *testing.T) { backendtest.Run(t, harness(t, file.SinkFile)) })
	t.Run("directory", func(t *testing.T) { backendtest.Run(t, harness(t, file.SinkDirectory)) })
}

// openIn opens a backend on dir.
func openIn(t *testing.T, o file.Options) backends.Backend {
	t.Helper()
	return openLogging(t, o, io.Discard)
}

func openLogging(t *testing.T, o file.Options, log io.Writer) backends.Backend {
	t.Helper()
	env := backends.Env{Name: "local", Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	b, err := file.Driver().Open(context.Background(), env, &o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func harness(t *testing.T, sink string) backendtest.Harness {
	dir, log := fastDir(t), &backendtest.Log{}
	open := func(t *testing.T, dir string) backends.Backend { return openLogging(t, file.Options{Dir: dir}, log) }
	var places atomic.Int64
	ref := func(*testing.T) backends.Ref {
		return backends.Ref{
			Backend: "local",
			Path:    fmt.Sprintf("place-%d/qualytics.env", places.Add(1)),
			Options: &file.TargetOptions{Sink: sink},
		}
	}
	return backendtest.Harness{
		Open: func(t *testing.T) backends.Backend { return open(t, dir) },
		Ref:  ref,
		Overwrite: func(t *testing.T, ref backends.Ref, payload secret.Value) {
			byHand(t, filepath.Join(dir, ref.Path), payload.Reveal())
		},
		Delete: func(t *testing.T, ref backends.Ref) {
			if err := os.Remove(filepath.Join(dir, ref.Path)); err != nil {
				t.Fatal(err)
			}
		},
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			closed := filepath.Join(publicDir(t), "closed")
			if err := os.Mkdir(closed, 0); err != nil {
				t.Fatal(err)
			}
			return asNobody(open(t, closed)), ref(t)
		},
		Unreachable: func(t *testing.T) backends.Backend {
			inTheWay := filepath.Join(t.TempDir(), "file")
			byHand(t, inTheWay, "not a folder")
			return open(t, filepath.Join(inTheWay, "dir"))
		},
		Names: func(t *testing.T) []string {
			return []string{ref(t).Path + "-with a space", ref(t).Path + ".é", "." + strings.ReplaceAll(ref(t).Path, "/", "-")}
		},
		Escapes: []string{
			"", "/", "/etc/passwd", "../outside", "a/../../outside", "..", ".", "a/", "a//b", "a/.", "a/..",
			".handover/lock", ".handover", "a/.handover-x.tmp", "..data/a", "a/..data", "a\nb", strings.Repeat("a/", 512) + "a",
		},
		Log: log,
	}
}

// byHand writes a file as a person does: in place, with folders.
func byHand(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fastDir is a folder in memory where the machine has one: these tests wait for
// the disk thousands of times.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "handover-test-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
