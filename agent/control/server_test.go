package control_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/handover-agent/handover/agent/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSocketIsForItsUserAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "c.sock")
	server, err := control.Listen(path, &agent{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeServer(t, server)
	for name, want := range map[string]fs.FileMode{
		path:               fs.ModeSocket | 0o600,
		filepath.Dir(path): fs.ModeDir | 0o700,
	} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("mode of %s = %v, want %v", name, info.Mode(), want)
		}
	}
}

func closeServer(t *testing.T, server *control.Server) {
	t.Helper()
	if err := server.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}

func TestListenLeavesAnExistingFolderAsItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	server, err := control.Listen(filepath.Join(dir, "c.sock"), &agent{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeServer(t, server)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("folder is %v, %v; want mode 0750 as before", info.Mode(), err)
	}
}

func TestListenRefusesALiveSocket(t *testing.T) {
	first := serve(t, &agent{})
	_, err := control.Listen(first.path, &agent{}, nil)
	if err == nil || !strings.Contains(err.Error(), "another agent answers on "+first.path) {
		t.Fatalf("error = %v, want that another agent answers", err)
	}
	if _, err := control.Dial(first.path).Status(t.Context()); err != nil {
		t.Errorf("the first agent doesn't answer any more: %v", err)
	}
}

func TestListenReplacesASocketThatAKilledAgentLeft(t *testing.T) {
	path := socketPath(t)
	leaveStale(t, path)
	server, err := control.Listen(path, &agent{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeServer(t, server)
}

// leaveStale makes a socket as kill -9 leaves it.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestListenRefusesWhatItCantUse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ path, want string }{
		"a file":                {file, "isn't a socket"},
		"a folder":              {dir, "isn't a socket"},
		"a folder under a file": {filepath.Join(file, "x", "c.sock"), "make its folder"},
		"a long path":           {filepath.Join(dir, strings.Repeat("x", 120)), "at most 103 are possible"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := control.Listen(test.path, &agent{}, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %q in it", err, test.want)
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file now holds %q, %v", text, err)
	}
}

func TestServeTakesItsSocketAway(t *testing.T) {
	server := serve(t, &agent{})
	if err := server.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(server.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestServeLeavesAnotherAgentsSocket(t *testing.T) {
	first := serve(t, &agent{})
	if err := os.Remove(first.path); err != nil {
		t.Fatal(err)
	}
	second, err := control.Listen(first.path, &agent{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeServer(t, second)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(first.path); err != nil {
		t.Errorf("the second agent's socket was removed: %v", err)
	}
}

func TestServeWaitsForACallUnderWay(t *testing.T) {
	handler := &agent{entered: make(chan struct{}), leave: make(chan struct{})}
	path := socketPath(t)
	server, err := control.Listen(path, handler, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served, answered := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	go func() {
		_, err := control.Dial(path).Status(t.Context())
		answered <- err
	}()
	<-handler.entered
	cancel()
	select {
	case err := <-served:
		t.Fatalf("Serve ended with a call under way: %v", err)
	default:
	}
	close(handler.leave)
	if err := <-answered; err != nil {
		t.Errorf("the call under way failed: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func TestServeTellsOfALostSocket(t *testing.T) {
	server, err := control.Listen(socketPath(t), &agent{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeServer(t, server)
	if err := server.Serve(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v, want net.ErrClosed", err)
	}
}

func TestCloseAfterServeDoesNothing(t *testing.T) {
	server, err := control.Listen(socketPath(t), &agent{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	closeServer(t, server)
}
