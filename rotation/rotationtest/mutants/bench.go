package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	worldPackage = "rotation/rotationtest/world"
	worldTest    = "TestWorlds"
	// testTime and worldTime bound one test and one play of worlds: a mutant
	// may loop for ever.
	testTime  = 2 * time.Minute
	worldTime = 30 * time.Minute
)

// bench is where mutants are built and run: a folder that is removed at the
// end.
type bench struct{ root, folder string }

// newBench makes a bench for the module around the working directory.
func newBench(ctx context.Context) (*bench, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return nil, errors.New("the working directory is in no Go module")
	}
	folder, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	return &bench{root: filepath.Dir(mod), folder: folder}, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.folder) }

// built is a folder with test binaries of one state of the core.
type built struct {
	root, folder string
}

// build makes the test binaries of packages, with the edits.
func (b *bench) build(ctx context.Context, name string, edits []edit, packages ...string) (built, error) {
	made := built{root: b.root, folder: filepath.Join(b.folder, name)}
	if err := os.MkdirAll(filepath.Join(made.folder, "tmp"), 0o700); err != nil {
		return made, err
	}
	list, err := overlay(b.root, made.folder, edits)
	if err != nil {
		return made, err
	}
	args := []string{"test", "-c", "-overlay", list, "-ldflags", "-s -w", "-o", made.folder + string(filepath.Separator)}
	for _, p := range packages {
		args = append(args, "./"+p)
	}
	cmd := command(ctx, b.root, "go", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return made, fmt.Errorf("it can't be built: %w\n%s", err, out)
	}
	return made, nil
}

func (b built) remove() { _ = os.RemoveAll(b.folder) }

// command is one that ends with ctx, and all that it started with it.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs a test binary where `go test` would. It uses one processor, so that
// worlds are played in the order of their seeds. It returns what was printed,
// and whether the test failed.
func (b built) run(ctx context.Context, pkg string, args ...string) (out string, failed bool, err error) {
	cmd := command(ctx, filepath.Join(b.root, filepath.FromSlash(pkg)), filepath.Join(b.folder, path.Base(pkg)+".test"), args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "TMPDIR="+filepath.Join(b.folder, "tmp"))
	var buffer bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buffer, &buffer
	err = cmd.Run()
	if exit := new(exec.ExitError); ctx.Err() == nil && errors.As(err, &exit) && exit.Exited() {
		return buffer.String(), true, nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return buffer.String(), false, err
}

// test runs one test and reports whether it failed.
func (b built) test(ctx context.Context, pkg, name string) (failed bool, err error) {
	out, failed, err := b.run(ctx, pkg, "-test.run", "^"+regexp.QuoteMeta(name)+"$", "-test.timeout", testTime.String())
	switch {
	case err != nil:
		return false, err
	case !failed && strings.Contains(out, "no tests to run"):
		return false, fmt.Errorf("%s has no test %s", pkg, name)
	}
	return failed, nil
}

// firstBroken is how the test of worlds tells of the first that broke, or that
// has no end.
var firstBroken = regexp.MustCompile(`first broken world: seed (\d+) after (\d+) worlds(: it spins)?`)

// played is what became of worlds.
type played struct {
	seed   uint64 // of the first that broke; 0 when all held
	worlds uint64 // how many were played
	spins  bool   // it had no end
}

// play plays worlds until one breaks, most of them at most.
func (b built) play(ctx context.Context, most uint64) (played, error) {
	out, failed, err := b.run(ctx, worldPackage, "-test.run", "^"+worldTest+"$", "-test.timeout", worldTime.String(),
		"-world-first", "-world-count", strconv.FormatUint(most, 10))
	if err != nil || !failed {
		return played{worlds: most}, err
	}
	return firstOf(out)
}

// firstOf reads which world broke.
func firstOf(out string) (p played, err error) {
	told := firstBroken.FindStringSubmatch(out)
	if told == nil {
		return p, fmt.Errorf("the worlds failed without naming one:\n%s", tail(out))
	}
	p.spins = told[3] != ""
	p.seed, err = strconv.ParseUint(told[1], 10, 64)
	if err == nil {
		p.worlds, err = strconv.ParseUint(told[2], 10, 64)
	}
	return p, err
}

// holds reports whether the world of that seed keeps all promises.
func (b built) holds(ctx context.Context, seed uint64) (bool, error) {
	_, failed, err := b.run(ctx, worldPackage, "-test.run", "^"+worldTest+"$", "-test.timeout", testTime.String(),
		"-world-seed", strconv.FormatUint(seed, 10))
	return !failed, err
}

// tail is the end of a long text.
func tail(text string) string {
	const most = 2000
	return text[max(0, len(text)-most):]
}
