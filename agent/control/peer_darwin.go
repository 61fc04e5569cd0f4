package control

import "golang.org/x/sys/unix"

// peerUID is the effective uid that the other end had when it connected
// (LOCAL_PEERCRED, unix(4)).
func peerUID(fd int) (int, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
