package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"github.com/handover-agent/handover/backends"
)

// access is who may read a file.
type access struct {
	mode fs.FileMode
	// uid and gid are the owner and the group to set; keep leaves one alone.
	uid, gid int
}

// keep leaves an owner or a group as it is.
const keep = -1

// private is the access to everything in .handover.
var private = access{mode: 0o600, uid: keep, gid: keep}

// accessOf joins the target's options and the backend's.
func accessOf(o Options, t TargetOptions) (access, error) {
	if t.Owner == "" {
		t.Owner = o.Owner
	}
	if t.Group == "" {
		t.Group = o.Group
	}
	if t.Mode == 0 {
		t.Mode = o.Mode
	}
	if t.Mode == 0 && t.Group != "" {
		t.Mode = ownerReads | groupReads
	}
	if t.Mode == 0 {
		t.Mode = 0o600
	}
	a := access{mode: fs.FileMode(t.Mode) & allowedBits, uid: keep, gid: keep} //nolint:gosec // checked below
	err := checkMode(t.Mode, t.Group)
	if err == nil && t.Owner != "" {
		a.uid, err = idOf("user", t.Owner, func() (string, error) {
			u, err := user.Lookup(t.Owner)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		})
	}
	if err == nil && t.Group != "" {
		a.gid, err = idOf("group", t.Group, func() (string, error) {
			g, err := user.LookupGroup(t.Group)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
	}
	return a, err
}

// maxID is the last number of a user or a group; the one behind it means "leave
// it as it is" to the system.
const maxID = 1<<32 - 2

// idOf is the number of a user or a group that is given by name or number.
func idOf(what, given string, lookup func() (string, error)) (int, error) {
	if id, err := strconv.ParseUint(given, 10, 64); err == nil {
		if id > maxID {
			return keep, fmt.Errorf("%s is %s; the largest number is %d", what, given, maxID)
		}
		return int(id), nil
	}
	id, err := lookup()
	if err != nil {
		return keep, fmt.Errorf("there is no %s %q on this machine; make it, or write another", what, given)
	}
	return strconv.Atoi(id)
}

// folder is the mode of folders that are made on the way: who may read the file
// may walk there. An owner who isn't the agent may walk, and not list or write.
func (a access) folder() fs.FileMode {
	mode := fs.FileMode(0o700)
	if a.uid != keep {
		mode |= 0o011
	}
	if a.mode&groupReads != 0 {
		mode |= 0o050
	}
	if a.mode&othersRead != 0 {
		mode |= 0o005
	}
	return mode
}

// ofFolder is the access to a folder that is made on the way. It stays the
// agent's: its owner could replace what stands in it.
func (a access) ofFolder() access { return access{mode: a.folder(), uid: keep, gid: a.gid} }

// fits reports whether a file has just this access.
func (a access) fits(info fs.FileInfo) bool {
	uid, gid := ownersOf(info)
	return info.Mode().Perm() == a.mode && (a.uid == keep || uid == a.uid) && (a.gid == keep || gid == a.gid)
}

// apply sets owner, group and mode, whatever the umask is. The mode comes
// first: after the owner it may not be ours to set. Until then the file is
// private, and a group that may read it is the right one.
func (a access) apply(f *os.File) error {
	if a.gid != keep {
		if err := f.Chown(keep, a.gid); err != nil {
			return grantError(err, "group", a.gid)
		}
	}
	if err := f.Chmod(a.mode); err != nil {
		return err
	}
	if a.uid == keep {
		return nil
	}
	return grantError(f.Chown(a.uid, keep), "user", a.uid)
}

// grantError says what it takes to give a file away.
func grantError(err error, what string, id int) error {
	if !errors.Is(err, syscall.EPERM) {
		return err
	}
	return problem{backends.ErrDenied, fmt.Errorf("give a file to %s %d: %w: %s", what, id, syscall.EPERM, grantRemedy[what])}
}

var grantRemedy = map[string]string{
	"user":  "only root and the capability CAP_CHOWN may (docs/backends/file.md); or leave owner out and give a group",
	"group": "the agent's user must be a member of the group (with systemd: SupplementaryGroups=)",
}

// grantable asks, without writing, whether the agent may give a file to whom
// the declaration says, and read it back then.
func (a access) grantable(may privilege) error {
	if a.gid != keep && !may.chown && !memberOf(a.gid) {
		return grantError(syscall.EPERM, "group", a.gid)
	}
	if a.uid == keep || a.uid == os.Geteuid() {
		return nil
	}
	if !may.chown {
		return grantError(syscall.EPERM, "user", a.uid)
	}
	readable := a.mode&othersRead != 0 || a.mode&groupReads != 0 && a.gid != keep && memberOf(a.gid)
	if !may.readAll && !readable {
		return problem{backends.ErrDenied, fmt.Errorf("the agent could not read back a file of user %d with the mode %#o: "+
			"give it the capability CAP_DAC_READ_SEARCH too, or a group that it is in and a mode of 0440", a.uid, a.mode)}
	}
	return nil
}

// privilege is what the process may do whatever a file's mode says.
type privilege struct{ chown, readAll bool }

func memberOf(gid int) bool {
	if gid == os.Getegid() {
		return true
	}
	groups, err := os.Getgroups()
	return err == nil && slices.Contains(groups, gid)
}

// ownersOf are the owner and the group of a file.
func ownersOf(info fs.FileInfo) (uid, gid int) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid), int(stat.Gid)
	}
	return keep, keep
}
