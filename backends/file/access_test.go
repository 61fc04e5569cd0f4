package file

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
)

// TestGrantable has one row for each way to be refused: no test can lose
// single capabilities.
func TestGrantable(t *testing.T) {
	root, plain := privilege{chown: true, readAll: true}, privilege{}
	me, mine := os.Geteuid(), os.Getegid()
	other, foreign := me+1, foreignGroup(t)
	tests := []struct {
		name   string
		access access
		may    privilege
		want   string // a part of the error; "" for none
	}{
		{"nobody", access{0o600, keep, keep}, plain, ""},
		{"myself", access{0o600, me, keep}, plain, ""},
		{"my group", access{0o440, keep, mine}, plain, ""},
		{"a foreign group", access{0o440, keep, foreign}, plain, "must be a member of the group"},
		{"a foreign group as root", access{0o440, keep, foreign}, root, ""},
		{"another", access{0o600, other, keep}, plain, "CAP_CHOWN may"},
		{"another as root", access{0o600, other, foreign}, root, ""},
		{"another, not to be read back", access{0o600, other, keep}, privilege{chown: true}, "could not read back"},
		{"another, and a group that can't read", access{0o600, other, mine}, privilege{chown: true}, "could not read back"},
		{"another, and a group of mine", access{0o440, other, mine}, privilege{chown: true}, ""},
		{"another, and a foreign group", access{0o440, other, foreign}, privilege{chown: true}, "could not read back"},
		{"another, for all", access{0o444, other, keep}, privilege{chown: true}, ""},
	}
	for _, test := range tests {
		err := test.access.grantable(test.may)
		switch {
		case test.want == "":
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		case err == nil || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %q in it", test.name, err, test.want)
		}
		if _, kind := classify(err); !errors.Is(kind, backends.ErrDenied) {
			t.Errorf("%s: the kind is %v", test.name, kind)
		}
	}
}

// foreignGroup is one that this process isn't in.
func foreignGroup(t *testing.T) int {
	t.Helper()
	for gid := 50000; gid < 60000; gid++ {
		if !memberOf(gid) {
			return gid
		}
	}
	t.Fatal("this process is in every group")
	return 0
}

// TestFolderModes: who may read a file may walk to it, and do nothing else
// there.
func TestFolderModes(t *testing.T) {
	for _, test := range []struct {
		access access
		want   fs.FileMode
	}{
		{access{0o600, keep, keep}, 0o700},
		{access{0o440, keep, 5}, 0o750},
		{access{0o644, keep, keep}, 0o755},
		{access{0o600, 7, keep}, 0o711},
		{access{0o440, 7, 5}, 0o751},
	} {
		if got := test.access.folder(); got != test.want {
			t.Errorf("%+v: folder %v, want %v", test.access, got, test.want)
		}
		if of := test.access.ofFolder(); of.uid != keep || of.gid != test.access.gid {
			t.Errorf("%+v: the folder is given away: %+v", test.access, of)
		}
	}
}
