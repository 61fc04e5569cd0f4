package file

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// The names of the kubelet's AtomicWriter, and one of ours beside them:
//
//	config.yaml -> ..data/config.yaml
//	..data      -> ..2026_11_23_15_04_05.ABCDEFGH
//	..previous  -> ..2026_10_24_15_04_05.HGFEDCBA
const (
	hidden       = ".."
	dataName     = "..data"
	previousName = "..previous"
	stampFormat  = "2006_01_02_15_04_05"
)

// dataLink is what the visible name points to.
func dataLink(name string) string { return dataName + "/" + name }

// switchFolder writes payload into a new folder and switches ..data to it: the
// one step that a reader sees. The folder that it replaces stays as previous;
// older ones go.
func (b *backend) switchFolder(folder *os.Root, at spot, payload secret.Value) error {
	old, err := folder.Readlink(dataName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh := hidden + time.Now().UTC().Format(stampFormat) + "." + rand.Text()[:8]
	if err := fillFolder(folder, fresh, at, payload); err != nil {
		return err
	}
	if old != "" {
		if err := switchLink(folder, old, previousName); err != nil {
			return err
		}
	}
	if err := switchLink(folder, fresh, dataName); err != nil {
		return err
	}
	if link, err := folder.Readlink(at.name); err != nil || link != dataLink(at.name) {
		if err := switchLink(folder, dataLink(at.name), at.name); err != nil {
			return err
		}
	}
	if err := syncFolder(folder); err != nil {
		return afterwards(err)
	}
	b.prune(folder, fresh, old)
	return nil
}

// fillFolder makes the folder of one version.
func fillFolder(folder *os.Root, fresh string, at spot, payload secret.Value) error {
	version, err := newFolder(folder, fresh, at.access)
	if err != nil {
		return err
	}
	defer done(version)
	if err := createFile(version, at.name, payload.Reveal(), at.access); err != nil {
		return err
	}
	return syncFolder(version)
}

// switchLink makes name a symbolic link to target, in place of whatever file or
// link stands there.
func switchLink(folder *os.Root, target, name string) error {
	temp := tempName()
	if strings.HasPrefix(name, hidden) {
		temp = name + "_tmp" // as the kubelet does; nothing else is called so
	}
	if err := folder.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := folder.Symlink(target, temp); err != nil {
		return err
	}
	if err := folder.Rename(temp, name); err != nil {
		_ = folder.Remove(temp) // what is left is swept later
		return err
	}
	return nil
}

// prune removes every version but those to keep; with none to keep, the links
// too. The new value is in place by then, so what can't be removed is a warning.
func (b *backend) prune(folder *os.Root, keep ...string) {
	names, err := namesIn(folder)
	for _, n := range names {
		if strings.HasPrefix(n, hidden) && !kept(n, keep) {
			err = errors.Join(err, folder.RemoveAll(n))
		}
	}
	if err != nil {
		b.log.Warn("an old version could not be removed; it is tried again after the next delivery",
			"folder", folder.Name(), "error", err)
	}
}

func kept(name string, keep []string) bool {
	if len(keep) > 0 && (name == dataName || name == previousName) {
		return true
	}
	return slices.Contains(keep, name)
}

// previousPath is where the previous value of a directory sink stands, below
// root; fs.ErrNotExist when there is none. A crash between the two switches
// leaves both links on one version.
func previousPath(root *os.Root, at spot) (string, error) {
	if at.sink != SinkDirectory {
		return "", fs.ErrNotExist
	}
	current, err := root.Readlink(path.Join(at.folder, dataName))
	if err != nil {
		return "", err
	}
	previous, err := root.Readlink(path.Join(at.folder, previousName))
	if err != nil {
		return "", err
	}
	if previous == current {
		return "", fs.ErrNotExist
	}
	return path.Join(at.folder, previous, at.name), nil
}
