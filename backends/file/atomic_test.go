package file_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/secret"
)

// wholePayload is a payload whose every line says which one it is, some pages
// long, so that a torn one is recognised.
func wholePayload(n int) secret.Value {
	return secret.New(strings.Repeat(fmt.Sprintf("payload %08d\n", n), 1000))
}

// torn says what is wrong with a text that should be a whole payload; "" for
// nothing.
func torn(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	switch {
	case text == "":
		return "it is empty"
	case text != strings.Repeat(first+"\n", 1000):
		return fmt.Sprintf("it has %d bytes and is not whole", len(text))
	}
	return ""
}

// TestReadersNeverMiss: while a target is replaced more than a thousand times,
// readers without any knowledge of the driver open and read it without pause.
func TestReadersNeverMiss(t *testing.T) {
	puts := int64(1500)
	if testing.Short() {
		puts = 150
	}
	for _, sink := range []string{file.SinkFile, file.SinkDirectory} {
		t.Run(sink, func(t *testing.T) {
			dir := fastDir(t)
			b, ref := openIn(t, file.Options{Dir: dir}), at("q/a.env", file.TargetOptions{Sink: sink})
			put(t, b, ref, wholePayload(0).Reveal())
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			r := reader{name: filepath.Join(dir, "q/a.env"), folder: sink == file.SinkDirectory}
			for range 2 {
				wg.Go(func() { r.spin(ctx, t) })
			}
			for n := range puts {
				r.begun.Store(n + 1)
				put(t, b, ref, wholePayload(int(n+1)).Reveal())
				r.done.Store(n + 1)
			}
			stop()
			wg.Wait()
			t.Logf("%d puts, %d reads, %d of them slept through two puts", puts, r.reads.Load(), r.slept.Load())
		})
	}
}

// reader reads while somebody else puts.
type reader struct {
	name         string
	folder       bool         // name leads through a link to a folder
	begun, done  atomic.Int64 // the number of the last put
	reads, slept atomic.Int64
}

// spin reads until ctx is done, at least once. A reader that has followed the
// link to a folder finds nothing there if it then sleeps until a second put
// comes to its end: that one removes the folder.
func (r *reader) spin(ctx context.Context, t *testing.T) {
	for {
		before := r.done.Load()
		text, err := os.ReadFile(r.name)
		r.reads.Add(1)
		switch {
		case errors.Is(err, fs.ErrNotExist) && r.folder && r.begun.Load()-before >= 2:
			r.slept.Add(1)
		case err != nil:
			t.Errorf("a reader: %v", err)
			return
		default:
			if wrong := torn(string(text)); wrong != "" {
				t.Errorf("a reader found a value, and %s", wrong)
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// writerDir tells a child process to write without end, and where.
const writerDir = "HANDOVER_TEST_FILE_WRITER"

// TestWriterProcess is the child of TestKilledWriter and nothing by itself.
func TestWriterProcess(t *testing.T) {
	dir, sink, _ := strings.Cut(os.Getenv(writerDir), "|")
	if dir == "" {
		t.Skip("only as a child of TestKilledWriter")
	}
	b := openIn(t, file.Options{Dir: dir})
	for n := 1; ; n++ {
		item := backends.Item{Payload: wholePayload(n), Meta: backends.Meta{Slot: "a/b", Generation: uint64(n)}}
		if _, err := b.Put(t.Context(), at("q/a.env", file.TargetOptions{Sink: sink}), item, backends.Absent); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(os.Stdout, "put", n); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledWriter kills a writing process with SIGKILL at no chosen instant.
// What stands there is whole and described, the lock is free, and the next Put
// leaves nothing of the dead one behind.
func TestKilledWriter(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	for _, sink := range []string{file.SinkFile, file.SinkDirectory} {
		t.Run(sink, func(t *testing.T) {
			dir := fastDir(t)
			leavings := 0
			for round := range rounds {
				killWriter(t, dir, sink, 1+round*7%13)
				leavings += checkKilled(t, dir, sink)
			}
			t.Logf("%d kills, %d of them left something to remove", rounds, leavings)
		})
	}
}

// killWriter starts a writer and kills it after some of its puts.
func killWriter(t *testing.T, dir, sink string, puts int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestWriterProcess$")
	child.Env = append(os.Environ(), writerDir+"="+dir+"|"+sink)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range puts {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "put ") {
			t.Errorf("the writer said %q, %v", lines.Text(), lines.Err())
			break
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
}

// checkKilled looks at what a killed writer left, and returns 1 if that was
// more than values.
func checkKilled(t *testing.T, dir, sink string) int {
	t.Helper()
	if wrong := torn(read(t, dir, "q/a.env")); wrong != "" {
		t.Errorf("after a kill a value stands there, and %s", wrong)
	}
	ref := at("q/a.env", file.TargetOptions{Sink: sink})
	b := openIn(t, file.Options{Dir: dir})
	item, _, err := b.Get(t.Context(), ref, backends.Current)
	if err != nil || item.Meta.Generation == 0 {
		t.Errorf("after a kill: generation %d, %v", item.Meta.Generation, err)
	}
	before := len(namesIn(t, dir, "q")) + len(namesIn(t, dir, ".handover"))
	put(t, b, ref, wholePayload(0).Reveal())
	put(t, b, ref, wholePayload(1).Reveal())
	names := append(namesIn(t, dir, "q"), namesIn(t, dir, ".handover")...)
	want := 3 // the file, the lock, the note
	if sink == file.SinkDirectory {
		want = 7 // and two links and two versions
	}
	if len(names) != want {
		t.Errorf("after the next puts stand %v", names)
	}
	if before > want {
		return 1
	}
	return 0
}

// TestWritersTakeTurns: two backends on one folder, as two processes have them,
// write the same targets at once.
func TestWritersTakeTurns(t *testing.T) {
	dir := fastDir(t)
	var wg sync.WaitGroup
	for range 3 {
		b, err := file.Driver().Open(t.Context(), backends.Env{Name: "local", Log: slog.New(slog.DiscardHandler)}, &file.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range []backends.Ref{at("one.env", file.TargetOptions{}), at("q/two.env", directory)} {
			wg.Go(func() {
				for n := range 30 {
					if _, err := b.Put(t.Context(), ref, backends.Item{Payload: wholePayload(n)}, backends.Absent); err != nil {
						t.Errorf("put: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, name := range []string{"one.env", "q/two.env"} {
		if wrong := torn(read(t, dir, name)); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}
