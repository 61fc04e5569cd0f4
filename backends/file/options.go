package file

import (
	"errors"
	"fmt"
)

// Options are one declared folder.
type Options struct {
	Dir        string `yaml:"dir" doc:"the folder below which all files stand; made by the first delivery if it is missing" required:"true" path:"true"`
	Mode       int    `yaml:"mode" doc:"the files' mode, octal with a leading zero; 0600, or 0440 with a group, when left out"`
	Owner      string `yaml:"owner" doc:"the user to whom the files are given, by name or number; takes root or the capability CAP_CHOWN; the agent's own user when left out"`
	Group      string `yaml:"group" doc:"the group that may read, by name or number; the agent must be a member of it"`
	TrustAbove bool   `yaml:"trust_above" doc:"accept a folder above dir that others can write to, as a Kubernetes emptyDir is; whoever can write there can replace the tokens" default:"false"`
	Volatile   bool   `yaml:"volatile" doc:"a restart empties the folder; a tmpfs is recognised without this" default:"false"`
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
	Owner string `yaml:"owner" doc:"the user to whom the file is given, by name or number; the backend's when left out"`
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
