package file

import "golang.org/x/sys/unix"

// privileges asks for the capabilities in force: a process may have some
// without being root, and root may have lost some.
func privileges() privilege {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return privilege{}
	}
	has := func(capability uint) bool { return data[0].Effective&(1<<capability) != 0 }
	return privilege{
		chown:   has(unix.CAP_CHOWN),
		readAll: has(unix.CAP_DAC_OVERRIDE) || has(unix.CAP_DAC_READ_SEARCH),
	}
}
