package file

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// A temporary file is named so that a crash's leavings are recognised.
const (
	tempPrefix = reserved + "-"
	tempSuffix = ".tmp"
)

func tempName() string { return tempPrefix + rand.Text() + tempSuffix }

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// writeFile replaces name in folder by a file with that content, so that a
// reader finds the old one or the new one, whole, and so does a machine that
// lost power. An error after the new file is in place is an unknown outcome.
func writeFile(folder *os.Root, name, content string, a access) (err error) {
	temp := tempName()
	defer func() {
		if err != nil {
			_ = folder.Remove(temp) // what is left is swept later
		}
	}()
	if err := createFile(folder, temp, content, a); err != nil {
		return err
	}
	if err := folder.Rename(temp, name); err != nil {
		return err
	}
	return afterwards(syncFolder(folder))
}

// createFile makes a new file and has it on the disk when it returns. Nobody
// else can open it before its owners are set.
func createFile(folder *os.Root, name, content string, a access) error {
	f, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err == nil {
		err = a.apply(f)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncFolder makes the names in folder survive a loss of power.
func syncFolder(folder *os.Root) error {
	f, err := folder.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// makeFolders opens the folder below root, and makes it and those on the way
// where they are missing. A folder that exists is left as it is; each on the way
// is asked whether others can write to it, for they could put another in place
// of what is below.
func makeFolders(root *os.Root, below string, a access) (*os.Root, error) {
	folder, err := root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for _, name := range onTheWay(below) {
		next, err := root.OpenRoot(name)
		if errors.Is(err, fs.ErrNotExist) {
			next, err = newFolder(folder, path.Base(name), a)
		}
		done(folder)
		if err != nil {
			return nil, err
		}
		folder = next
		if err := refuseShared(folder); err != nil {
			return nil, errors.Join(err, folder.Close())
		}
	}
	return folder, nil
}

// onTheWay lists the folders that lead to below, the nearest to the root first
// and below last: "a" and "a/b" for "a/b"; none for ".".
func onTheWay(below string) []string {
	var all []string
	for ; below != "."; below = path.Dir(below) {
		all = append(all, below)
	}
	slices.Reverse(all)
	return all
}

// newFolder makes one folder, or opens one that another was faster to make.
func newFolder(parent *os.Root, name string, a access) (*os.Root, error) {
	err := parent.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return parent.OpenRoot(name)
	}
	if err != nil {
		return nil, err
	}
	f, err := parent.Open(name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.ofFolder().apply(f), f.Close(), syncFolder(parent)); err != nil {
		return nil, err
	}
	return parent.OpenRoot(name)
}

// sweep removes what a crash left in a folder, once in the life of a backend:
// this process removes its own.
func (b *backend) sweep(name string, folder *os.Root) error {
	if b.swept[name] {
		return nil
	}
	names, err := namesIn(folder)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !isTemp(n) {
			continue
		}
		if err := folder.Remove(n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	b.swept[name] = true
	return nil
}

func namesIn(folder *os.Root) ([]string, error) {
	f, err := folder.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}
