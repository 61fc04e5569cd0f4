package control_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/handover-agent/handover/agent/control"
)

// TestAnotherUserIsRefusedByItsUID opens the socket's mode for all, as a person
// could by mistake, and calls as another user: the kernel's word decides.
func TestAnotherUserIsRefusedByItsUID(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	path := serve(t, &agent{}).path
	for name, mode := range map[string]os.FileMode{path: 0o666, filepath.Dir(path): 0o711, filepath.Dir(filepath.Dir(path)): 0o711} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	type outcome struct {
		answer string
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its other uid
		answer, err := askAs(65534, path)
		done <- outcome{answer, err}
	}()
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	if !strings.HasPrefix(got.answer, "HTTP/1.0 403") || !strings.Contains(got.answer, "uid 65534 may not steer this agent") {
		t.Errorf("answer = %q, want a refusal by uid", got.answer)
	}
	if _, err := control.Dial(path).Status(t.Context()); err != nil {
		t.Errorf("the agent's own user is refused: %v", err)
	}
}

// askAs takes another uid for the calling thread alone, and asks for the
// status on that thread.
func askAs(uid uintptr, path string) (string, error) {
	if _, _, failed := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); failed != 0 {
		return "", failed
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	conn := os.NewFile(uintptr(fd), "socket")
	defer func() { _ = conn.Close() }()
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return "", err
	}
	if _, err := conn.WriteString("GET /v1/status HTTP/1.0\r\nHost: agent\r\n\r\n"); err != nil {
		return "", err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	return string(answer[:n]), err
}
