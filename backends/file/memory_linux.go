package file

import "golang.org/x/sys/unix"

// onMemory reports whether dir stands, or would stand, on a file system that a
// restart empties.
func onMemory(dir string) bool {
	var stat unix.Statfs_t
	if dir == "" || unix.Statfs(nearest(dir), &stat) != nil {
		return false
	}
	return stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC
}
