package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxPath is the longest path of a socket that every system takes, in bytes:
// sun_path of unix(7) with its final zero is 108 on Linux, 104 on BSD.
const maxPath = 103

// probeTimeout bounds the question whether somebody answers at a socket.
const probeTimeout = 2 * time.Second

// bind makes the socket. Between bind and chmod the umask's mode holds; a
// caller of another user who slips in there is refused by its uid.
func bind(path string) (*net.UnixListener, os.FileInfo, error) {
	if len(path) > maxPath {
		return nil, nil, fmt.Errorf("control socket %s: the path has %d bytes, at most %d are possible: choose a shorter one",
			path, len(path), maxPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("control socket %s: make its folder: %w", path, err)
	}
	if err := removeStale(path); err != nil {
		return nil, nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, nil, fmt.Errorf("control socket: %w", err)
	}
	listener.SetUnlinkOnClose(false) // Server.remove looks first whose it is
	made, err := protect(path)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("control socket %s: %w", path, err), listener.Close(), os.Remove(path))
	}
	return listener, made, nil
}

func protect(path string) (os.FileInfo, error) {
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// removeStale removes a socket that a killed agent left behind, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("something that isn't a socket stands there: take it away, or choose another path")
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("another agent answers on %s: stop it, or choose another path", path), conn.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("find out whether an agent answers: %w", err)
}
