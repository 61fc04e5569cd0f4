package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// shared reports whether anybody could put something else in place of what
// stands in a folder. In one with the sticky bit, as /tmp, only owners can.
func shared(info fs.FileInfo) bool {
	return info.IsDir() && info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0
}

func sharedError(folder, otherwise string) error {
	return invalid(fmt.Errorf("others can write to the folder %s, so they can replace the token: chmod o-w %[1]s%s", folder, otherwise))
}

// refuseShared refuses a folder in which anybody could replace our files.
func refuseShared(folder *os.Root) error {
	info, err := folder.Stat(".")
	if err == nil && shared(info) {
		return sharedError(filepath.Clean(folder.Name()), "")
	}
	return err
}

// refuseSharedAbove refuses a dir that anybody could replace as a whole. A link
// on the way to it is the operator's own, so the folders are those behind it.
// What can't be seen is left to the call that needs it.
func refuseSharedAbove(o Options) error {
	if o.TrustAbove {
		return nil
	}
	dir := o.Dir
	above := nearest(filepath.Dir(dir))
	if behind, err := filepath.EvalSymlinks(dir); err == nil {
		above = filepath.Dir(behind)
	} else if behind, err := filepath.EvalSymlinks(above); err == nil {
		above = behind
	}
	for {
		if info, err := os.Stat(above); err == nil && shared(info) {
			return sharedError(above, ", or if all who can are trusted, as in a pod, trust_above: true")
		}
		next := filepath.Dir(above)
		if next == above {
			return nil
		}
		above = next
	}
}
