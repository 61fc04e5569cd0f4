package follow_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/agent/follow"
	"github.com/handover-agent/handover/agent/hooks"
)

// program is a hook with that text.
func program(t *testing.T, text string, arguments ...string) hooks.Exec {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return hooks.Exec{Argv: append([]string{file}, arguments...), Timeout: time.Hour}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// settle waits for the hooks of a scene, which are real processes: a bubble
// doesn't know of them.
func settle(s *scene, runs int) {
	s.t.Helper()
	for s.hookRuns() < runs {
		synctest.Wait()
	}
	synctest.Wait()
}

// TestHooksRunAfterEachChange: in their order, once after the start, and not
// while nothing changes.
func TestHooksRunAfterEachChange(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	inScene(t, func(t *testing.T, s *scene) {
		s.entry.Hooks = []hooks.Exec{
			program(t, `echo "first:$HANDOVER_BACKEND:$HANDOVER_PATH" >> "$1"`, out),
			program(t, `echo second >> "$1"`, out),
		}
		s.start()
		s.wait(every) // nothing stands there yet
		if got := lines(t, out); len(got) != 0 {
			t.Errorf("hooks ran before there was a value: %v", got)
		}
		for n := 1; n <= 2; n++ {
			token := jwtOf(t, accountID, n)
			s.deliver(token, metaOf(accountID, token, n))
			s.wait(every)
			settle(s, 2*n)
		}
		s.wait(10 * every)
		if got, want := strings.Join(lines(t, out), " "), "first:pod:dbt.env second first:pod:dbt.env second"; got != want {
			t.Errorf("the hooks wrote %q, want %q", got, want)
		}
		s.stop()
		s.start() // nobody knows whether the last ones ran
		settle(s, 2)
		if got := lines(t, out); len(got) != 6 {
			t.Errorf("after a restart stand %v", got)
		}
	})
}

// TestAHookThatFailsIsRunAgain: with those behind it, and it takes nothing from
// the file or from readiness.
func TestAHookThatFailsIsRunAgain(t *testing.T) {
	dir := t.TempDir()
	out, works := filepath.Join(dir, "out"), filepath.Join(dir, "works")
	inScene(t, func(t *testing.T, s *scene) {
		s.entry.Hooks = []hooks.Exec{
			program(t, `test -e "$1" || { echo no unit; exit 1; }`, works),
			program(t, `echo second >> "$1"`, out),
		}
		token := jwtOf(t, accountID, 1)
		s.deliver(token, metaOf(accountID, token, 1))
		s.start()
		settle(s, 1)
		s.wait(2 * every)
		settle(s, 3)
		s.wantFile(token)
		if got := s.Status().Entries[0]; got.State != follow.InStep || !strings.Contains(got.HookError, "no unit") || s.Ready() != nil || len(s.Doubts()) != 1 {
			t.Errorf("%+v, ready %v, doubts %q", got, s.Ready(), s.Doubts())
		}
		if got := lines(t, out); len(got) != 0 {
			t.Errorf("the hook behind it ran: %v", got)
		}
		if n := strings.Count(s.log.String(), "hook failed"); n != 1 {
			t.Errorf("the log tells %d times of it, want once", n)
		}
		if err := os.WriteFile(works, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.wait(every)
		settle(s, 5)
		if got := lines(t, out); len(got) != 1 || s.Status().Entries[0].HookError != "" || len(s.Doubts()) != 0 {
			t.Errorf("after it works: %v, %q", got, s.Doubts())
		}
	})
}

// TestAHookThatHangsStopsNothing: a new value is copied meanwhile, and the end
// of the follower ends the hook. Real time passes here.
func TestAHookThatHangsStopsNothing(t *testing.T) {
	begun := filepath.Join(t.TempDir(), "begun")
	if err := syscall.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newScene(t)
	s.entry.From.Backend, s.entry.To.Backend = s.store.Backend(), s.file.Backend()
	s.entry.Hooks = []hooks.Exec{program(t, `echo > "$1"; exec sleep 600`, begun)}
	one, two := jwtOf(t, accountID, 1), jwtOf(t, accountID, 2)
	s.deliver(one, metaOf(accountID, one, 1))
	f := follow.New(follow.Options{Entries: []follow.Entry{s.entry}, Every: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	if _, err := os.ReadFile(begun); err != nil { // waits until the hook runs
		t.Fatal(err)
	}
	s.deliver(two, metaOf(accountID, two, 2))
	for limit := time.Now().Add(time.Minute); f.Status().Entries[0].Generation != 2 && time.Now().Before(limit); {
		select {
		case <-done:
		case <-time.After(time.Millisecond):
		}
	}
	s.wantFile(two)
	cancel()
	<-done
	if got := f.Status().Entries[0].HookError; got != "" {
		t.Errorf("the end of the follower is told as a failure: %s", got)
	}
}
