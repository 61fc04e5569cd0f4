//go:build !linux

package file

import "os"

// privileges are root's alone here.
func privileges() privilege {
	root := os.Geteuid() == 0
	return privilege{chown: root, readAll: root}
}
