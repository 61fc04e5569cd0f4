package file_test

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// unprivileged runs act as a user whom permissions bind: as nobody when the
// tests run as root, for root is denied nothing. The kernel keeps this user for
// each thread, so the goroutine stays on one.
func unprivileged(act func()) {
	if os.Geteuid() != 0 {
		act()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The gid goes first and comes back last: it takes root to set it.
	_, _ = unix.SetfsgidRetGid(nobody)
	_, _ = unix.SetfsuidRetUid(nobody)
	defer func() {
		_, _ = unix.SetfsuidRetUid(0)
		_, _ = unix.SetfsgidRetGid(0)
	}()
	act()
}
