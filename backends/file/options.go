package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
)

// Options are one declared folder.
type Options struct {
	Dir      string `yaml:"dir" doc:"the folder below which all files stand; made by the first delivery if it is missing" required:"true" path:"true"`
	Mode     int    `yaml:"mode" doc:"the files' mode, octal with a leading zero; 0600, or 0440 with a group, when left out"`
	Group    string `yaml:"group" doc:"the group that may read, by name or number; the agent must be a member of it"`
	Volatile bool   `yaml:"volatile" doc:"a restart empties the folder; a tmpfs is recognised without this" default:"false"`
}

// Validate refuses what no file can have.
func (o *Options) Validate() error {
	if o.Dir == "" {
		return errors.New("dir is empty; name the folder for the files")
	}
	return checkMode(o.Mode, o.Group)
}

// The values of TargetOptions.Sink.
const (
	SinkFile      = "file"
	SinkDirectory = "directory"
)

// TargetOptions are one declared target.
type TargetOptions struct {
	Mode  int    `yaml:"mode" doc:"the file's mode, octal with a leading zero; the backend's when left out"`
	Group string `yaml:"group" doc:"the group that may read, by name or number; the backend's when left out"`
	Sink  string `yaml:"sink" doc:"a single file, or a folder whose ..data link is switched as the kubelet does it" enum:"file|directory" default:"file"`
}

// Validate refuses what no file can have.
func (o *TargetOptions) Validate() error {
	switch o.Sink {
	case "", SinkFile, SinkDirectory:
		return checkMode(o.Mode, o.Group)
	}
	return fmt.Errorf("sink is %q; write file or directory", o.Sink)
}

// The modes that are allowed: nobody but the owner writes, nobody executes. So
// a mode that was written in decimal by mistake (600) is noticed too.
const (
	allowedBits = 0o644
	ownerReads  = 0o400
	groupReads  = 0o040
	othersRead  = 0o004
)

func checkMode(mode int, group string) error {
	switch {
	case mode == 0:
		return nil
	case mode&^allowedBits != 0:
		return fmt.Errorf("mode is %#o; write it with a leading zero, without execution, "+
			"and without writing for group and others: 0600, 0440", mode)
	case mode&ownerReads == 0:
		return fmt.Errorf("mode is %#o; the agent has to read back what it wrote: 0600, 0440", mode)
	case group != "" && mode&groupReads == 0:
		return fmt.Errorf("mode is %#o; with it the group %s can't read: 0440", mode, group)
	}
	return nil
}

// access is who may read a file.
type access struct {
	mode fs.FileMode
	// gid is the group to set; -1 leaves it alone.
	gid int
}

// accessOf joins the target's options and the backend's.
func accessOf(o Options, t TargetOptions) (access, error) {
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
	a := access{mode: fs.FileMode(t.Mode) & allowedBits, gid: -1} //nolint:gosec // checked below
	if err := checkMode(t.Mode, t.Group); err != nil {
		return a, err
	}
	var err error
	if t.Group != "" {
		a.gid, err = groupID(t.Group)
	}
	return a, err
}

func groupID(name string) (int, error) {
	if gid, err := strconv.Atoi(name); err == nil && gid >= 0 {
		return gid, nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return -1, fmt.Errorf("there is no group %q on this machine; make it, or write another", name)
	}
	return strconv.Atoi(group.Gid)
}

// folder is the mode of folders that are made on the way: who may read the file
// may walk there.
func (a access) folder() fs.FileMode {
	mode := fs.FileMode(0o700)
	if a.mode&groupReads != 0 {
		mode |= 0o050
	}
	if a.mode&othersRead != 0 {
		mode |= 0o005
	}
	return mode
}

// fits reports whether a file has just this access.
func (a access) fits(info fs.FileInfo) bool {
	return info.Mode().Perm() == a.mode && (a.gid < 0 || groupOf(info) == a.gid)
}
