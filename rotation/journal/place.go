package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// place knows the files of an open journal by device and inode. SQLite would
// go on writing into files that have lost their names.
type place struct {
	path      string
	file, wal os.FileInfo
}

// placeOf remembers what stands at path and at its -wal file.
func placeOf(path string) (place, error) {
	file, err := os.Stat(path)
	if err != nil {
		return place{}, err
	}
	wal, err := os.Stat(path + "-wal")
	return place{path: path, file: file, wal: wal}, err
}

// check fails with ErrRemoved when other files, or none, stand there now.
func (p place) check() error {
	err := same(p.path, p.file)
	if err == nil {
		err = same(p.path+"-wal", p.wal)
	}
	if err != nil {
		return &Error{Kind: ErrRemoved, Err: err}
	}
	return nil
}

func same(path string, was os.FileInfo) error {
	is, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is gone", filepath.Base(path))
	}
	if err == nil && !os.SameFile(was, is) {
		return fmt.Errorf("another %s stands there", filepath.Base(path))
	}
	return err
}
