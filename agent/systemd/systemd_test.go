package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/systemd"
)

// manager is systemd's end of the socket.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func listen(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return &manager{t, conn}
}

// told waits for the next message.
func (m *manager) told() string {
	m.t.Helper()
	_ = m.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	text := make([]byte, 4096)
	n, err := m.conn.Read(text)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text[:n])
}

func TestTellsHowTheAgentStands(t *testing.T) {
	m := listen(t)
	s := systemd.New(slog.New(slog.DiscardHandler))
	s.Ready()
	s.Reloading()
	s.Ready()
	s.Stopping()
	for _, want := range []string{`^READY=1$`, `^RELOADING=1\nMONOTONIC_USEC=[0-9]+\n$`, `^READY=1$`, `^STOPPING=1$`} {
		if got := m.told(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("told %q, want %s", got, want)
		}
	}
}

// A sign of life is given only when the agent gives one.
func TestWatchdog(t *testing.T) {
	m := listen(t)
	t.Setenv("WATCHDOG_USEC", "40000")
	var log bytes.Buffer
	s := systemd.New(slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	s.Watch(ctx, func(context.Context) error {
		asked++
		switch asked {
		case 2:
			return errors.New("stuck")
		case 4:
			cancel()
			return ctx.Err()
		}
		return nil
	})
	s.Stopping() // marks the end of what was told before
	var told []string
	for len(told) == 0 || told[len(told)-1] != "STOPPING=1" {
		told = append(told, m.told())
	}
	if got, want := strings.Join(told, " "), strings.Repeat("WATCHDOG=1 ", 2)+"STOPPING=1"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if n := strings.Count(log.String(), "no sign of life"); n != 1 {
		t.Errorf("logged %d times that there is no sign of life, want once:\n%s", n, &log)
	}
}

// An agent that doesn't answer is given half the interval.
func TestWatchdogBoundsTheAnswer(t *testing.T) {
	listen(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	s := systemd.New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	hung := make(chan error)
	all.Go(func() {
		s.Watch(ctx, func(bounded context.Context) error {
			<-bounded.Done()
			select {
			case hung <- bounded.Err():
			case <-ctx.Done():
			}
			return bounded.Err()
		})
	})
	if err := <-hung; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the wait for an answer ended with %v", err)
	}
	cancel()
	all.Wait()
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	var log bytes.Buffer
	s := systemd.New(slog.New(slog.NewTextHandler(&log, nil)))
	s.Ready()
	s.Reloading()
	s.Stopping()
	s.Watch(t.Context(), func(context.Context) error { t.Error("asked for a sign of life that nobody waits for"); return nil })
	if log.Len() > 0 {
		t.Errorf("logged without systemd: %s", &log)
	}
}

func TestWrongEnvironment(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "soon")
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	var log bytes.Buffer
	s := systemd.New(slog.New(slog.NewTextHandler(&log, nil)))
	s.Watch(t.Context(), func(context.Context) error { return nil })
	s.Ready()
	for _, want := range []string{"WATCHDOG_USEC", "systemd not told"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not logged:\n%s", want, &log)
		}
	}
}
