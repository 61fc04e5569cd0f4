package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/handover-agent/handover/agent/hooks"
	"github.com/handover-agent/handover/backends/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ample = time.Minute

// script is a program with that text.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestArgumentsAreNotReadByAShell: they come as they are declared.
func TestArgumentsAreNotReadByAShell(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	odd := []string{"a b", "$HOME", "`id`", "x;y", "", "*"}
	hook := hooks.Exec{Argv: append([]string{script(t, `out=$1; shift; printf '<%s>' "$@" > "$out"`), out}, odd...), Timeout: ample}
	if err := hook.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, out), "<"+strings.Join(odd, "><")+">"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestEnvironmentHoldsNoCredential: facts, and what every program needs.
func TestEnvironmentHoldsNoCredential(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "hvs.not-for-hooks")
	t.Setenv("LANG", "C.UTF-8")
	out := filepath.Join(t.TempDir(), "out")
	hook := hooks.Exec{Argv: []string{script(t, `/usr/bin/env > "$1"`), out}, Timeout: ample}
	if err := hook.Run(t.Context(), map[string]string{"HANDOVER_FILE": "/run/x"}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(read(t, out)) {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	for _, want := range []string{"HANDOVER_FILE", "LANG", "PATH"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing in %q", want, names)
		}
	}
	allowed := []string{"HANDOVER_FILE", "PATH", "HOME", "TMPDIR", "LANG", "TZ", "PWD", "SHLVL", "_", "OLDPWD"} // the last are the shell's own
	for _, name := range names {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s reaches the hook", name)
		}
	}
}

func TestFailuresSayWhy(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(notExecutable, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, program, want string
		timeout             time.Duration
	}{
		{"exit", script(t, "echo no such unit; echo again >&2; exit 3"), "exit status 3: it said: no such unit again", ample},
		{"silent", script(t, "exit 1"), "exit status 1", ample},
		{"signal", script(t, "kill -9 $$"), "signal: killed", ample},
		{"missing", "/no/such/hook", "no such file or directory; the file must be there", ample},
		{"not executable", notExecutable, "permission denied; the file must be there, and executable", ample},
		{"too long", script(t, "echo begun; exec sleep 600"), "it took longer than 200ms and was killed", 200 * time.Millisecond},
		{"control characters", script(t, `printf 'a\033[2J\tb\n'; exit 1`), "it said: a [2J b", ample},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := hooks.Exec{Argv: []string{test.program}, Timeout: test.timeout}.Run(t.Context(), nil)
			if err == nil || !strings.HasPrefix(err.Error(), "run "+test.program+": ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestChildrenAreKilledToo: what a hook has started doesn't outlive its time.
func TestChildrenAreKilledToo(t *testing.T) {
	out := filepath.Join(t.TempDir(), "pid")
	hook := hooks.Exec{Argv: []string{script(t, `sleep 600 & echo $! > "$1"; wait`), out}, Timeout: 500 * time.Millisecond}
	if err := hook.Run(t.Context(), nil); err == nil {
		t.Fatal("it ended by itself")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(read(t, out)))
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(ample); time.Now().Before(limit); { // who collects it is the machine's init
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) || syscall.Kill(pid, 0) != nil || strings.Contains(string(state), ") Z ") {
			return
		}
	}
	t.Errorf("process %d lives on", pid)
}

// TestFlood: output without end is dropped, and the error has the first of it.
func TestFlood(t *testing.T) {
	hook := hooks.Exec{Argv: []string{script(t, "head -c 3000000 /dev/zero | tr '\\0' x; exit 1")}, Timeout: ample}
	err := hook.Run(t.Context(), nil)
	if err == nil || len(err.Error()) > 2000 || !strings.Contains(err.Error(), "xxxx") {
		t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
	}
}

// TestOutputHeldOpen: a daemon that a hook starts doesn't hold the follower up.
func TestOutputHeldOpen(t *testing.T) {
	out := filepath.Join(t.TempDir(), "pid")
	hook := hooks.Exec{Argv: []string{script(t, `sleep 600 & echo $! > "$1"`), out}, Timeout: ample}
	err := hook.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "holds its output open") {
		t.Errorf("got %v", err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(read(t, out))); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// TestNoTokenInTheError: a hook may print the very file that has changed.
func TestNoTokenInTheError(t *testing.T) {
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY2NvdW50LW9mLXRlc3RzIn0.c2lnbmF0dXJlLW9mLXRoZS10ZXN0cw"
	hook := hooks.Exec{Argv: []string{script(t, "echo TOKEN="+token+"; exit 1")}, Timeout: ample}
	err := hook.Run(t.Context(), nil, secret.New(token))
	if err == nil {
		t.Fatal("it failed not")
	}
	for i := range len(token) - 12 {
		if strings.Contains(err.Error(), token[i:i+12]) && token[i] != '.' {
			t.Fatalf("the error shows a part of the token")
		}
	}
}

// TestSilent: what it prints may be a secret that nobody here knows.
func TestSilent(t *testing.T) {
	program := script(t, "echo what it has read; exit 3")
	err := hooks.Exec{Argv: []string{program}, Timeout: ample, Silent: true}.Run(t.Context(), nil)
	if err == nil || err.Error() != "run "+program+": exit status 3" {
		t.Errorf("got %v", err)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun := filepath.Join(t.TempDir(), "begun")
	if err := syscall.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	hook := hooks.Exec{Argv: []string{script(t, `echo > "$1"; exec sleep 600`), begun}, Timeout: ample}
	go func() { done <- hook.Run(ctx, nil) }()
	read(t, begun) // waits until it runs
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
