package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/internal/realtest"
)

// diskCheck is set for a run of the test program that checks a disk, in the
// folder that it names.
const diskCheck = "HANDOVER_SOAK_CHECK_DISK"

// TestMain lets the test program be the command too, which runs itself.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(inside) != "":
		main()
	case os.Getenv(diskCheck) != "":
		if err := checkDisk(os.Getenv(diskCheck)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// built is the built program. Tests that need it are left out with -short.
func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("not run with -short: it starts processes and waits for real time to pass")
	}
	file := filepath.Join(t.TempDir(), "handover")
	if err := outside.Build(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	return file
}

func awaitFile(t *testing.T, file string) {
	t.Helper()
	if err := outside.Await(t.Context(), time.Minute, file, func() (bool, string) {
		_, err := os.Stat(file)
		return err == nil, "it isn't there"
	}); err != nil {
		t.Fatal(err)
	}
}

// TestUsage: what can't be understood is refused before anything is done.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-seed", "x"}, {"-seed", "-1"}, {"-duration", "0s"}, {"-duration", "long"}, {"-without", "rain"}, {"-frobnicate"}, {"more"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != exitUsage || out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", args, code, out.String(), errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, &out, &errs); code != exitDone || !strings.Contains(errs.String(), "-without") {
		t.Errorf("-h: exit %d, stderr %q", code, errs.String())
	}
}

// TestOptions: the command that repeats a run names all that it was told, and a
// seed that isn't told is drawn.
func TestOptions(t *testing.T) {
	o, err := parse([]string{"-seed", "17", "-duration", "90s", "-without", "pause, disk_full"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "make soak DURATION=1m30s SEED=17 WITHOUT=pause,disk_full"; o.again() != want {
		t.Errorf("again: %s, want %s", o.again(), want)
	}
	if left := o.lanes()[0].kinds; len(left) != 2 || left[0] != kill || left[1] != killWait {
		t.Errorf("left are %v", left)
	}
	one, _ := parse([]string{"-seed", ""}, nil)
	two, _ := parse(nil, nil)
	if one.seed == two.seed {
		t.Errorf("the seed %d was drawn twice", one.seed)
	}
}

// checkDisk runs apart, in a process of its own.
func checkDisk(dir string) error {
	d, err := newDisk(filepath.Join(dir, "disk"))
	if err != nil {
		return err
	}
	small := filepath.Join(d.dir, "small")
	for range 2 {
		if d.full {
			return errors.New("the disk is full at first")
		}
		if err := d.fill(); err != nil {
			return err
		}
		if err := os.WriteFile(small, []byte("x"), 0o600); !errors.Is(err, syscall.ENOSPC) || !d.excuses() {
			return fmt.Errorf("a byte on a full disk is answered with %v", err)
		}
		if err := d.free(); err != nil {
			return err
		}
		if err := os.WriteFile(small, make([]byte, diskSize/2), 0o600); err != nil || !d.excuses() {
			return fmt.Errorf("half of a freed disk is answered with %v", err)
		}
		if err := os.Remove(small); err != nil {
			return err
		}
	}
	return nil
}

// mounts runs the check of a disk, in a process of its own. Where nobody may
// mount the test ends; where everything must be real that is a failure.
func mounts(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), diskCheck+"="+dir)
	err := apart(cmd)
	var out []byte
	if err == nil {
		out, err = cmd.CombinedOutput()
	}
	if denied := errors.Is(err, fs.ErrPermission) || strings.Contains(string(out), mountFailed); denied && os.Getenv("HANDOVER_TEST_REAL") != "1" {
		t.Skipf("not run: nobody can mount here: %v %s", err, out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestDisk: a disk can be filled to the last byte and freed, and is gone with
// the process that mounted it.
func TestDisk(t *testing.T) {
	dir := mounts(t)
	if left, err := os.ReadDir(filepath.Join(dir, "disk")); err != nil || len(left) > 0 {
		t.Errorf("outside the namespace there are %v, %v", left, err)
	}
	if err := (&disk{dir: dir}).fill(); err == nil || !strings.Contains(err.Error(), "no small disk") {
		t.Errorf("filling another disk: %v", err)
	}
}

// TestSoak: a short run of the command, as a user starts it.
func TestSoak(t *testing.T) {
	file := built(t)
	mounts(t)
	realtest.NewLastingVault(t) // or skip
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"-duration", "8s", "-seed", "5", "-program", file}, &out, &errs)
	if code != exitDone {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	if !regexp.MustCompile(`^seed 5; again: make soak DURATION=8s SEED=5\n(?s).*\ndead reads: 0 of [1-9]\d+\n$`).MatchString(out.String()) {
		t.Errorf("it said\n%s", out.String())
	}
}

// TestSoakNotices: tokens that somebody else revokes are dead where they stand,
// and the readers find them; the run fails, and its last line says how many.
func TestSoakNotices(t *testing.T) {
	o := options{duration: 4 * time.Second, seed: 5, program: built(t), dir: t.TempDir(), without: kinds{diskFull}}
	realtest.NewLastingVault(t) // or skip
	var revoked sync.WaitGroup
	revoked.Go(func() { revokeAll(t, o.dir) })
	var out bytes.Buffer
	well, err := soak(t.Context(), o, &out)
	revoked.Wait()
	if err != nil || well {
		t.Errorf("it went well: %t, %v", well, err)
	}
	if !regexp.MustCompile(`(?s)failed: \d+ reads were dead\n.*dead: .* the token [0-9a-f]{32} was refused with 401.*\ndead reads: [1-9]\d* of \d+\n$`).MatchString(out.String()) {
		t.Errorf("it said\n%s", out.String())
	}
}

// revokeAll revokes all tokens of the agent as soon as there are some.
func revokeAll(t *testing.T, dir string) {
	site := filepath.Join(dir, "site")
	awaitFile(t, filepath.Join(site, "delivered", "web", "authorization"))
	declared, err := os.ReadFile(filepath.Join(site, "agent.yaml"))
	if err != nil {
		t.Error(err)
		return
	}
	admin, err := os.ReadFile(filepath.Join(site, "admin.token"))
	if err != nil {
		t.Error(err)
		return
	}
	// Over the agent's wire, which is whole at first.
	q := outside.Instance{Base: regexp.MustCompile(`qualytics: {url: "([^"]+)"`).FindStringSubmatch(string(declared))[1], Admin: string(admin)}
	if err := outside.Await(t.Context(), time.Minute, "a token to revoke", func() (bool, string) {
		all, err := q.Tokens(t.Context())
		done := false
		for _, token := range outside.Of(all, agentID, "orchestration_calls@service/web") {
			code, err := q.Ask(t.Context(), http.MethodPut, fmt.Sprintf("/user-tokens/%d", token.ID), q.Admin, map[string]any{"revoke": true}, nil)
			done = done || err == nil && code < 300
		}
		return done, fmt.Sprint(err)
	}); err != nil {
		t.Error(err)
	}
}

// TestSoakGivesUp: without a server there is no run, and the reason is said.
func TestSoakGivesUp(t *testing.T) {
	t.Setenv("HANDOVER_TEST_VAULT_BIN", "/nonexistent/bao")
	var out bytes.Buffer
	well, err := soak(t.Context(), options{duration: time.Second, program: "/nonexistent", dir: t.TempDir(), without: kinds{diskFull}}, &out)
	if err != nil || well || !strings.Contains(out.String(), "failed: start /nonexistent/bao") || !strings.HasSuffix(out.String(), "dead reads: 0 of 0\n") {
		t.Errorf("it went well: %t, %v; it said\n%s", well, err, out.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := soak(ctx, options{duration: time.Second, program: "/nonexistent", dir: t.TempDir(), without: kinds{diskFull}}, &out); err == nil {
		t.Error("a run that was ended told of an outcome")
	}
}
