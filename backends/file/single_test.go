package file_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/secret"
)

// at is a target of a test.
func at(path string, o file.TargetOptions) backends.Ref {
	return backends.Ref{Backend: "local", Path: path, Options: &o}
}

func put(t *testing.T, b backends.Backend, ref backends.Ref, text string) backends.Version {
	t.Helper()
	v, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New(text)}, backends.Absent)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// read is what a consumer finds, without the driver.
func read(t *testing.T, names ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(names...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	var e *backends.Error
	if !errors.As(err, &e) || !errors.Is(e.Kind, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

// TestModes: the declared mode holds whatever the umask is, folders on the way
// let in who may read, and an existing folder is left alone.
func TestModes(t *testing.T) {
	tests := []struct {
		name         string
		backend      file.Options
		target       file.TargetOptions
		mode, folder fs.FileMode
	}{
		{"private", file.Options{}, file.TargetOptions{}, 0o600, 0o700},
		{"backend's", file.Options{Mode: 0o400}, file.TargetOptions{}, 0o400, 0o700},
		{"target's", file.Options{Mode: 0o400}, file.TargetOptions{Mode: 0o644}, 0o644, 0o755},
		{"a group", file.Options{}, file.TargetOptions{Group: strconv.Itoa(os.Getgid())}, 0o440, 0o750},
		{"backend's group", file.Options{Mode: 0o640, Group: strconv.Itoa(os.Getgid())}, file.TargetOptions{}, 0o640, 0o750},
	}
	for _, umask := range []int{0, 0o077} {
		for _, sink := range []string{file.SinkFile, file.SinkDirectory} {
			for _, test := range tests {
				t.Run(test.name+" "+sink+" "+strconv.FormatInt(int64(umask), 8), func(t *testing.T) {
					old := syscall.Umask(umask)
					defer syscall.Umask(old)
					test.backend.Dir = filepath.Join(fastDir(t), "made", "dir")
					test.target.Sink = sink
					put(t, openIn(t, test.backend), at("a/b/c.env", test.target), "payload")
					for name, want := range map[string]fs.FileMode{
						"": test.folder, "a": test.folder, "a/b": test.folder, "a/b/c.env": test.mode,
						".handover": 0o700, ".handover/lock": 0o600,
					} {
						info, err := os.Stat(filepath.Join(test.backend.Dir, name))
						if err != nil {
							t.Fatal(err)
						}
						if got := info.Mode().Perm(); got != want {
							t.Errorf("%q has mode %#o, want %#o", name, got, want)
						}
					}
				})
			}
		}
	}
}

// TestAccessIsRestored: the same payload again puts mode right.
func TestAccessIsRestored(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("a", file.TargetOptions{})
	v := put(t, b, ref, "payload")
	if err := os.Chmod(filepath.Join(dir, "a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again := put(t, b, ref, "payload"); again != v {
		t.Errorf("version %q after %q", again, v)
	}
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestSamePayloadIsNotWritten: the file keeps its inode.
func TestSamePayloadIsNotWritten(t *testing.T) {
	for _, sink := range []string{file.SinkFile, file.SinkDirectory} {
		dir := fastDir(t)
		group := strconv.Itoa(os.Getgid())
		b, ref := openIn(t, file.Options{Dir: dir}), at("f/a", file.TargetOptions{Sink: sink, Group: group})
		put(t, b, ref, "payload")
		before, err := os.Stat(filepath.Join(dir, "f/a"))
		if err != nil {
			t.Fatal(err)
		}
		put(t, b, ref, "payload")
		after, err := os.Stat(filepath.Join(dir, "f/a"))
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the file was replaced, %v", sink, err)
		}
		put(t, b, ref, "another")
		if after, err = os.Stat(filepath.Join(dir, "f/a")); err != nil || os.SameFile(before, after) {
			t.Errorf("%s: the file was changed in place, %v", sink, err)
		}
	}
}

func TestGroups(t *testing.T) {
	dir := fastDir(t)
	b := openIn(t, file.Options{Dir: dir})
	group, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Skipf("this user's group has no name: %v", err)
	}
	put(t, b, at("named", file.TargetOptions{Group: group.Name}), "payload")
	info, err := os.Stat(filepath.Join(dir, "named"))
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Gid) != os.Getgid() {
		t.Errorf("the file is %+v", info.Sys())
	}
	unknown := at("unknown", file.TargetOptions{Group: "no-such-group-here"})
	_, err = b.Put(t.Context(), unknown, backends.Item{Payload: secret.New("x")}, "")
	wantKind(t, "put for an unknown group", err, backends.ErrInvalid)
	checker, _ := backends.As[backends.Checker](b)
	wantKind(t, "check for an unknown group", checker.Check(t.Context(), unknown), backends.ErrInvalid)
}

// TestInTheWay: what isn't a file of ours to replace is left as it is.
func TestInTheWay(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	byHand(t, outside, "not yours")
	tests := []struct {
		name  string
		setup func(name string) error
		kind  error
	}{
		{"a folder", func(name string) error { return os.Mkdir(name, 0o750) }, backends.ErrInvalid},
		{"a pipe", func(name string) error { return syscall.Mkfifo(name, 0o600) }, backends.ErrInvalid},
		{"a link out", func(name string) error { return os.Symlink(outside, name) }, backends.ErrInvalid},
		{"a relative link out", func(name string) error { return os.Symlink("../../../../etc/passwd", name) }, backends.ErrInvalid},
		{"a link to itself", func(name string) error { return os.Symlink("a", name) }, backends.ErrInvalid},
		{"a huge file", func(name string) error { return os.WriteFile(name, make([]byte, 1<<20+1), 0o600) }, backends.ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := fastDir(t)
			b, ref := openIn(t, file.Options{Dir: dir}), at("a", file.TargetOptions{})
			if err := test.setup(filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
			_, _, err := b.Get(t.Context(), ref, backends.Current)
			wantKind(t, "get", err, test.kind)
			_, err = b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
			wantKind(t, "put", err, test.kind)
			if checker, _ := backends.As[backends.Checker](b); test.name != "a huge file" {
				wantKind(t, "check", checker.Check(t.Context(), ref), test.kind)
			}
			if got := read(t, outside); got != "not yours" {
				t.Errorf("the file outside holds %q", got)
			}
			if _, err := os.Lstat(filepath.Join(dir, "a")); err != nil {
				t.Errorf("what stood in the way: %v", err)
			}
		})
	}
}

// TestFolderInTheWay: a file, or a link out of the folder, where a folder has to
// be.
func TestFolderInTheWay(t *testing.T) {
	dir, outside := fastDir(t), t.TempDir()
	b := openIn(t, file.Options{Dir: dir})
	byHand(t, filepath.Join(dir, "file"), "x")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	checker, _ := backends.As[backends.Checker](b)
	for _, path := range []string{"file/a", "file/b/a", "link/a", "link/b/a"} {
		ref := at(path, file.TargetOptions{})
		_, _, err := b.Get(t.Context(), ref, backends.Current)
		wantKind(t, "get "+path, err, backends.ErrInvalid)
		_, err = b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
		wantKind(t, "put "+path, err, backends.ErrInvalid)
		wantKind(t, "check "+path, checker.Check(t.Context(), ref), backends.ErrInvalid)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("outside stand %v, %v", left, err)
	}
}

// TestLinkInside: a link that stays below dir is followed by Get as a reader
// follows it, and replaced by Put, not written through.
func TestLinkInside(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("link", file.TargetOptions{})
	byHand(t, filepath.Join(dir, "other"), "theirs")
	if err := os.Symlink("other", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	item, _, err := b.Get(t.Context(), ref, backends.Current)
	if err != nil || item.Payload.Reveal() != "theirs" {
		t.Errorf("get: %v", err)
	}
	put(t, b, ref, "ours")
	if read(t, dir, "link") != "ours" || read(t, dir, "other") != "theirs" {
		t.Errorf("link holds %q, other %q", read(t, dir, "link"), read(t, dir, "other"))
	}
}

// TestSharedFolderIsRefused: who can write to a folder can replace the token.
func TestSharedFolderIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		shared string
		mode   fs.FileMode
		kind   error
	}{
		"dir":        {".", 0o777, backends.ErrInvalid},
		"below":      {"a", 0o777, backends.ErrInvalid},
		"sticky dir": {".", 0o777 | fs.ModeSticky, nil},
		"group":      {"a", 0o770, nil},
		"on the way": {"a", 0o777, backends.ErrInvalid},
		"above":      {"..", 0o777, backends.ErrInvalid},
		"far above":  {"../..", 0o777, backends.ErrInvalid},
		"sticky":     {"..", 0o777 | fs.ModeSticky, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(fastDir(t), "x", "dir")
			if err := os.MkdirAll(filepath.Join(dir, "a/below"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, test.shared), test.mode); err != nil {
				t.Fatal(err)
			}
			path := "a/b"
			if name == "on the way" {
				path = "a/below/b"
			}
			b, ref := openIn(t, file.Options{Dir: dir}), at(path, file.TargetOptions{})
			checker, _ := backends.As[backends.Checker](b)
			check := checker.Check(t.Context(), ref)
			_, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
			if test.kind == nil {
				if err != nil || check != nil {
					t.Errorf("put %v, check %v", err, check)
				}
				return
			}
			wantKind(t, "put", err, test.kind)
			wantKind(t, "check", check, test.kind)
		})
	}
}

// TestSharedAboveNothing: dir isn't made where others could replace it; a link on
// the way is followed to where it leads.
func TestSharedAboveNothing(t *testing.T) {
	top := fastDir(t)
	open, closed := filepath.Join(top, "open"), filepath.Join(top, "closed")
	for folder, mode := range map[string]fs.FileMode{open: 0o777, closed: 0o700} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(closed, filepath.Join(open, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(open, filepath.Join(closed, "link")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir   string
		trust bool
		kind  error
	}{
		{filepath.Join(open, "not/yet"), false, backends.ErrInvalid},
		{filepath.Join(closed, "link/not/yet"), false, backends.ErrInvalid},
		{filepath.Join(open, "link/not/yet"), false, nil},
		{filepath.Join(open, "trusted/yet"), true, nil},
		{open, true, backends.ErrInvalid}, // dir itself never is
	} {
		b, ref := openIn(t, file.Options{Dir: test.dir, TrustAbove: test.trust}), at("a", file.TargetOptions{})
		checker, _ := backends.As[backends.Checker](b)
		check := checker.Check(t.Context(), ref)
		_, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
		if test.kind == nil && (check != nil || err != nil) {
			t.Errorf("%s: check %v, put %v", test.dir, check, err)
		}
		if test.kind != nil {
			wantKind(t, "check "+test.dir, check, test.kind)
			wantKind(t, "put "+test.dir, err, test.kind)
		}
	}
}

func TestEmptyFileIsNothing(t *testing.T) {
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir}), at("a", file.TargetOptions{})
	byHand(t, filepath.Join(dir, "a"), "")
	_, v, err := b.Get(t.Context(), ref, backends.Current)
	wantKind(t, "get", err, backends.ErrNotFound)
	if v != backends.Absent {
		t.Errorf("version %q", v)
	}
	put(t, b, ref, "payload")
	if got := read(t, dir, "a"); got != "payload" {
		t.Errorf("holds %q", got)
	}
	_, err = b.Put(t.Context(), ref, backends.Item{}, v)
	wantKind(t, "put of nothing", err, backends.ErrInvalid)
}

// TestErrorsSayWhatToDo: an error names operation, place, reason and remedy.
func TestErrorsSayWhatToDo(t *testing.T) {
	dir := publicDir(t)
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	b, ref := asNobody(openIn(t, file.Options{Dir: dir})), at("dbt.env", file.TargetOptions{})
	remedy := "the agent's user must be able to write to the folder, and be a member of the group"
	_, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
	want := "put local/dbt.env: permission denied: in " + dir + ": mkdirat .handover: permission denied: " + remedy
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	checker, _ := backends.As[backends.Checker](b)
	err = checker.Check(context.Background(), ref)
	want = "check local/dbt.env: permission denied: in " + dir + ": write to " + dir + ": permission denied: " + remedy
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestForeignGroupIsDenied: a group that the agent isn't in can't be given a
// file.
func TestForeignGroupIsDenied(t *testing.T) {
	dir := publicDir(t)
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	b := asNobody(openIn(t, file.Options{Dir: dir}))
	ref := at("a", file.TargetOptions{Group: "0"})
	_, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
	wantKind(t, "put", err, backends.ErrDenied)
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != ".handover" {
		t.Errorf("left behind: %v, %v", names, err)
	}
}
