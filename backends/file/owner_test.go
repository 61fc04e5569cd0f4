package file_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/secret"
)

// readingUser is a user to give files to: another one where the tests run as root,
// else the only one that is allowed.
func readingUser() int {
	if os.Geteuid() == 0 {
		return nobody
	}
	return os.Geteuid()
}

func ownerOf(t *testing.T, names ...string) int {
	t.Helper()
	info, err := os.Stat(filepath.Join(names...))
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// TestOwner: the file is the reader's, who can read it and can't replace it.
func TestOwner(t *testing.T) {
	for _, sink := range []string{file.SinkFile, file.SinkDirectory} {
		t.Run(sink, func(t *testing.T) {
			parent := publicDir(t)
			dir := filepath.Join(parent, "made")
			b := openIn(t, file.Options{Dir: dir, Owner: strconv.Itoa(readingUser())})
			ref := at("a/b.env", file.TargetOptions{Sink: sink})
			put(t, b, ref, "payload")
			if got := ownerOf(t, dir, "a/b.env"); got != readingUser() {
				t.Errorf("the file is user %d's, want %d", got, readingUser())
			}
			for _, folder := range []string{dir, filepath.Join(dir, "a")} {
				info, err := os.Stat(folder)
				if err != nil || info.Mode().Perm() != 0o711 || ownerOf(t, folder) != os.Geteuid() {
					t.Errorf("%s has mode %v and is user %d's, %v", folder, info.Mode(), ownerOf(t, folder), err)
				}
			}
			if info, err := os.Stat(filepath.Join(dir, "a/b.env")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			unprivileged(func() {
				if text, err := os.ReadFile(filepath.Join(dir, "a/b.env")); err != nil || string(text) != "payload" {
					t.Errorf("its reader finds %v", err)
				}
				err := os.Rename(filepath.Join(dir, "a/b.env"), filepath.Join(dir, "a/c.env"))
				if os.Geteuid() == 0 && !errors.Is(err, fs.ErrPermission) {
					t.Errorf("its reader moves it away: %v", err)
				}
			})
		})
	}
}

// TestOwnerByName: the target's goes before the backend's, and an unknown one is
// told before anything is written.
func TestOwnerByName(t *testing.T) {
	dir := fastDir(t)
	me, err := user.Current()
	if err != nil || me.Username == "" {
		t.Skipf("this user has no name: %v", err)
	}
	b := openIn(t, file.Options{Dir: dir, Owner: "no-such-user-here"})
	put(t, b, at("named", file.TargetOptions{Owner: me.Username}), "payload")
	if got := strconv.Itoa(ownerOf(t, dir, "named")); got != me.Uid {
		t.Errorf("the file is user %s's, want %s", got, me.Uid)
	}
	checker, _ := backends.As[backends.Checker](b)
	for _, test := range []struct {
		target file.TargetOptions
		want   string
	}{
		{file.TargetOptions{}, `there is no user "no-such-user-here" on this machine`},
		{file.TargetOptions{Owner: "4294967295"}, "user is 4294967295; the largest number is 4294967294"},
		{file.TargetOptions{Owner: me.Uid, Group: "4294967295"}, "group is 4294967295; the largest"},
	} {
		ref := at("unknown", test.target)
		_, err = b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, "")
		for what, err := range map[string]error{"put": err, "check": checker.Check(t.Context(), ref)} {
			wantKind(t, what, err, backends.ErrInvalid)
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %q in it", what, err, test.want)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "unknown")); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
}

// TestOwnerIsRestored: as the mode is.
func TestOwnerIsRestored(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away and take it back")
	}
	dir := fastDir(t)
	b, ref := openIn(t, file.Options{Dir: dir, Owner: strconv.Itoa(nobody)}), at("a", file.TargetOptions{})
	put(t, b, ref, "payload")
	if err := os.Chown(filepath.Join(dir, "a"), 0, -1); err != nil {
		t.Fatal(err)
	}
	put(t, b, ref, "payload")
	if got := ownerOf(t, dir, "a"); got != nobody {
		t.Errorf("the file is user %d's again", got)
	}
}

// TestGivingAwayIsDenied: without the right to, a preflight says so and what to
// do, and so does a Put, which leaves nothing behind.
func TestGivingAwayIsDenied(t *testing.T) {
	dir := publicDir(t)
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	b := asNobody(openIn(t, file.Options{Dir: dir, Owner: "1"}))
	ref := at("a", file.TargetOptions{})
	checker, _ := backends.As[backends.Checker](b)
	_, err := b.Put(t.Context(), ref, backends.Item{Payload: secret.New("x")}, backends.Absent)
	for what, err := range map[string]error{"put": err, "check": checker.Check(t.Context(), ref)} {
		wantKind(t, what, err, backends.ErrDenied)
		want := "give a file to user 1: operation not permitted: only root and the capability CAP_CHOWN may"
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", what, err, want)
		}
	}
	if names := namesIn(t, dir); len(names) != 1 || names[0] != ".handover" {
		t.Errorf("left behind: %v", names)
	}
}

// TestAccessIsLookedAt: a Get tells of a file that isn't as declared, and
// changes nothing.
func TestAccessIsLookedAt(t *testing.T) {
	dir := fastDir(t)
	var log bytes.Buffer
	env := backends.Env{Name: "local", Log: slog.New(slog.NewTextHandler(&log, nil))}
	b, err := file.Driver().Open(t.Context(), env, &file.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{file.SinkFile, file.SinkDirectory} {
		ref := at(sink+"/a", file.TargetOptions{Sink: sink})
		put(t, b, ref, "payload")
		log.Reset()
		if _, _, err := b.Get(t.Context(), ref, backends.Current); err != nil || log.Len() > 0 {
			t.Errorf("as declared: %v, %s", err, &log)
		}
		name := filepath.Join(dir, sink, "a")
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Get(t.Context(), ref, backends.Current); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"not as declared", "file=" + name, "mode=-rw-r--r--", "declared=-rw-------"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: no %q in %s", sink, want, &log)
			}
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("a Get changed the mode to %v, %v", info.Mode(), err)
		}
	}
}
