package file_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
)

func TestOptionsAreChecked(t *testing.T) {
	type checked interface{ Validate() error }
	tests := []struct {
		name    string
		options checked
		want    string // a part of the error; "" for none
	}{
		{"folder alone", &file.Options{Dir: "/x"}, ""},
		{"private", &file.Options{Dir: "/x", Mode: 0o600}, ""},
		{"for a group", &file.Options{Dir: "/x", Mode: 0o440, Group: "dbt"}, ""},
		{"for all", &file.Options{Dir: "/x", Mode: 0o644}, ""},
		{"no folder", &file.Options{}, "dir is empty"},
		{"decimal 600", &file.Options{Dir: "/x", Mode: 600}, "leading zero"},
		{"decimal 640", &file.Options{Dir: "/x", Mode: 640}, "leading zero"},
		{"decimal 440", &file.Options{Dir: "/x", Mode: 440}, "leading zero"},
		{"decimal 644", &file.Options{Dir: "/x", Mode: 644}, "leading zero"},
		{"decimal 400", &file.Options{Dir: "/x", Mode: 400}, "leading zero"},
		{"executable", &file.Options{Dir: "/x", Mode: 0o700}, "mode is 0700"},
		{"group writes", &file.Options{Dir: "/x", Mode: 0o660}, "mode is 0660"},
		{"negative", &file.Options{Dir: "/x", Mode: -1}, "mode is"},
		{"owner can't read", &file.Options{Dir: "/x", Mode: 0o040}, "read back"},
		{"group can't read", &file.Options{Dir: "/x", Mode: 0o600, Group: "dbt"}, "the group dbt can't read"},
		{"target", &file.TargetOptions{}, ""},
		{"target with all", &file.TargetOptions{Mode: 0o440, Group: "dbt", Sink: "directory"}, ""},
		{"target with a bad mode", &file.TargetOptions{Mode: 600}, "leading zero"},
		{"target with a bad sink", &file.TargetOptions{Sink: "folder"}, `sink is "folder"; write file or directory`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.options.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestDriverMakesItsOptions(t *testing.T) {
	d := file.Driver()
	if _, ok := d.Options().(*file.Options); !ok || d.Type != "file" {
		t.Errorf("driver %q makes %T", d.Type, d.Options())
	}
	if _, ok := d.TargetOptions().(*file.TargetOptions); !ok {
		t.Errorf("target options are %T", d.TargetOptions())
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	env := backends.Env{Name: "local", Log: slog.New(slog.DiscardHandler)}
	for _, bad := range []any{nil, "dir", (*file.Options)(nil), &file.Options{}} {
		_, err := file.Driver().Open(context.Background(), env, bad)
		if err == nil || !strings.HasPrefix(err.Error(), "open backend local: ") {
			t.Errorf("options %v: %v", bad, err)
		}
	}
}

// TestOpenTouchesNothing: a folder that is missing is made by the first Put.
func TestOpenTouchesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	b := openIn(t, file.Options{Dir: dir})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder after open: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestVolatile: what stands in memory is told without being told, also of a
// folder that isn't made yet.
func TestVolatile(t *testing.T) {
	onDisk, inMemory := t.TempDir(), "/dev/shm"
	volatile := func(o file.Options) bool {
		declared, opened := file.Driver().Properties(&o).Volatile, openIn(t, o).Properties().Volatile
		if declared != opened {
			t.Errorf("%s: declared %v, opened %v", o.Dir, declared, opened)
		}
		return declared
	}
	if !volatile(file.Options{Dir: onDisk, Volatile: true}) {
		t.Error("the option is not heard")
	}
	if !isMemory(t, inMemory) {
		t.Skipf("%s is no tmpfs here", inMemory)
	}
	if !volatile(file.Options{Dir: filepath.Join(inMemory, "handover-never", "made")}) {
		t.Error("a tmpfs is not recognised")
	}
	if !isMemory(t, onDisk) && volatile(file.Options{Dir: onDisk}) {
		t.Error("a disk is taken for memory")
	}
	if file.Driver().Properties("no options").Volatile {
		t.Error("foreign options are volatile")
	}
}
