package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/handover-agent/handover/internal/outside"
)

// unit is what the agent runs under as a service of systemd.
const unit = "../../deploy/systemd/handover.service"

// systemdVersion is that of the systemd-analyze that is installed. Where it is
// missing, the test is skipped; in CI it fails.
func systemdVersion(t *testing.T) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "--version").Output()
	if err != nil || runtime.GOOS != "linux" {
		if os.Getenv("HANDOVER_TEST_REAL") == "1" {
			t.Fatalf("systemd-analyze is needed: %v", err)
		}
		t.Skipf("systemd-analyze is missing: %v", err)
	}
	found := regexp.MustCompile(`^systemd (\d+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("systemd-analyze --version says %q", out)
	}
	version, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("systemd %d", version)
	return version
}

// TestUnit: systemd takes every line of the unit, and finds it tight enough.
func TestUnit(t *testing.T) {
	t.Parallel()
	version := systemdVersion(t)
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// The program has to be there.
	installed := strings.Replace(string(text), "ExecStart=/usr/local/bin/handover", "ExecStart="+program(t), 1)
	file := filepath.Join(t.TempDir(), "handover.service")
	if err := os.WriteFile(file, []byte(installed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", file}, {"security", "--offline=true", "--threshold=12", "--no-pager", file}} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
		for line := range strings.Lines(string(out)) {
			early := version < 253 && strings.Contains(line, "ignoring: notify-reload")
			if strings.Contains(line, file) && !early {
				t.Errorf("systemd-analyze %s: %s", args[0], line)
			}
		}
	}
}

// manager is systemd as a service sees it: a socket that is told how it stands.
type manager struct {
	conn *net.UnixConn
	all  sync.WaitGroup
	mu   sync.Mutex
	told []string
}

func newManager(t *testing.T, path string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{conn: conn}
	m.all.Go(func() {
		text := make([]byte, 4096)
		for {
			n, err := conn.Read(text)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, strings.Fields(string(text[:n]))...)
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() { _ = conn.Close(); m.all.Wait() })
	return m
}

// states are what was told so far, without the moment of a reload.
func (m *manager) states() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.told), func(s string) bool { return strings.HasPrefix(s, "MONOTONIC_USEC=") })
}

func (m *manager) await(t *testing.T, what string, holds func(states []string) bool) {
	t.Helper()
	await(t, patience, what, func() (bool, string) {
		states := m.states()
		return holds(states), fmt.Sprint(states)
	})
}

func count(states []string, state string) int {
	n := 0
	for _, s := range states {
		if s == state {
			n++
		}
	}
	return n
}

// TestServiceUnderItsUnit: under the unit's filter of system calls and without
// any capability the agent delivers, takes in a changed declaration, gives signs
// of life, and ends; and it tells systemd so.
func TestServiceUnderItsUnit(t *testing.T) {
	t.Parallel()
	systemdVersion(t)
	handover := program(t)
	s := newSite(t)
	_, q := s.serveSim()
	s.declare(q.Base, outside.Calm, oneToken)
	m := newManager(t, s.path("notify"))
	a := s.confined(buildConfined(t), "NOTIFY_SOCKET="+s.path("notify"), "WATCHDOG_USEC=2000000", handover)
	a.awaitReady()
	a.limited(t)
	a.awaitStatus("the first token", allServed)
	m.await(t, "signs of life", func(states []string) bool { return count(states, "WATCHDOG=1") >= 3 })
	if states := m.states(); count(states, "READY=1") != 1 {
		t.Errorf("before the reload it told %q", states)
	}
	s.declare(q.Base, outside.Calm, strings.Replace(oneToken, "}]}", "}, {backend: local, path: more.env, format: dotenv}]}", 1))
	a.awaitStatus("the new target", func(got status) bool { return len(got.slot(oneSlot).Targets) == 2 && allServed(got) })
	m.await(t, "the end of the reload", func(states []string) bool { return count(states, "READY=1") >= 2 })
	if states := m.states(); slices.Index(states, "RELOADING=1") < slices.Index(states, "READY=1") {
		t.Errorf("it told of the reload in the order %q", states)
	}
	if code := a.terminate(t, patience); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	m.await(t, "the end", func(states []string) bool { return count(states, "STOPPING=1") == 1 })
}

// buildConfined builds the command that puts a unit's limits on a program.
func buildConfined(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "confined")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, "../confined").CombinedOutput()
	if err != nil {
		t.Fatalf("build confined: %v\n%s", err, out)
	}
	return file
}

// confined starts an agent under the unit's limits, in an environment.
func (s *site) confined(confined string, environment ...string) *agent {
	s.t.Helper()
	args := append([]string{unit, "env"}, environment...)
	args = append(args, "run", "-c", s.path("agent.yaml"), "--log-format", "json", "--log-level", "debug")
	p := &process{name: "confined agent", out: &outside.Text{}, err: &outside.Text{}, evidence: s.evidence}
	var err error
	if p.Process, err = outside.Start(p.out, p.err, confined, args...); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.kill)
	s.started = append(s.started, p)
	return &agent{process: p, site: s}
}

// limited checks that the limits are on the process.
func (a *agent) limited(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`CapEff:\s0+\n`, `CapBnd:\s0+\n`, `NoNewPrivs:\s1\n`, `Seccomp:\s2\n`} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("the agent isn't limited: no %s in its status", want)
		}
	}
}
