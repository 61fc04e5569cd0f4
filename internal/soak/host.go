package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// errGaveUp ends a run in which something happened that nobody can mend.
var errGaveUp = errors.New("the run was given up")

// host is what realtest wants of a test (realtest.T), and the run's log.
type host struct {
	dir    string
	giveUp context.CancelCauseFunc

	mu       sync.Mutex
	log      *os.File
	failures []string
	cleanups []func()
}

func newHost(dir string, log *os.File, giveUp context.CancelCauseFunc) *host {
	return &host{dir: dir, log: log, giveUp: giveUp}
}

// do runs f and waits for its end, which may be Fatalf.
func (h *host) do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// Helper does nothing.
func (h *host) Helper() {}

// Logf writes a line of the run's log.
func (h *host) Logf(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(h.log, "%s %s\n", time.Now().Format(time.StampMilli), fmt.Sprintf(format, args...))
}

// Errorf notes a failure; the run goes on.
func (h *host) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	h.Logf("failure: %s", text)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = append(h.failures, text)
}

// Fatalf notes a failure, ends the run and the goroutine.
func (h *host) Fatalf(format string, args ...any) {
	h.Errorf(format, args...)
	h.giveUp(errGaveUp)
	runtime.Goexit()
}

// Skipf is Fatalf: nothing is left out unless that was asked for.
func (h *host) Skipf(format string, args ...any) { h.Fatalf(format, args...) }

// must ends the run if there is an error.
func (h *host) must(err error) {
	if err != nil {
		h.Fatalf("%v", err)
	}
}

// Cleanup notes what is to be done at the end.
func (h *host) Cleanup(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cleanups = append(h.cleanups, f)
}

// cleanup does it, the last first.
func (h *host) cleanup() {
	for {
		h.mu.Lock()
		n := len(h.cleanups)
		if n == 0 {
			h.mu.Unlock()
			return
		}
		last := h.cleanups[n-1]
		h.cleanups = h.cleanups[:n-1]
		h.mu.Unlock()
		h.do(last)
	}
}

// TempDir makes a folder in the run's.
func (h *host) TempDir() string {
	dir, err := os.MkdirTemp(h.dir, "part")
	h.must(err)
	return dir
}

// failed are the failures so far.
func (h *host) failed() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.failures...)
}
