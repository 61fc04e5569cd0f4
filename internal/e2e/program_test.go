package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// patience is the limit of waiting. It is generous: a loaded machine makes a
// test slower, never red.
const patience = 90 * time.Second

// programDir gets the built program.
var programDir string

func TestMain(m *testing.M) {
	flag.Parse()
	wait := true
	flag.Visit(func(f *flag.Flag) { wait = wait && f.Name != "test.parallel" })
	if wait { // these tests wait more than they work
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var err error
	if programDir, err = os.MkdirTemp("", "handover-e2e"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(programDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// build builds the program once for all tests.
var build = sync.OnceValues(func() (string, error) {
	file := filepath.Join(programDir, "handover")
	return file, outside.Build(context.Background(), file)
})

// program is the path of the built program. Tests that need it take a while,
// and are left out with -short.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("not run with -short: it starts processes and waits for real time to pass")
	}
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// process is one run of the program that goes on until it is ended.
type process struct {
	*outside.Process
	name     string
	out, err *outside.Text
	evidence *evidence
}

// start starts the program, with more variables in its environment. What it
// says is kept as evidence, and shown when the test fails. It is killed at the
// end of the test, by its pid.
func start(t *testing.T, kept *evidence, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, out: &outside.Text{}, err: &outside.Text{}, evidence: kept}
	var err error
	if p.Process, err = outside.StartIn(env, p.out, p.err, program(t), args...); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	p.keepArguments()
	t.Cleanup(func() {
		recent := p.Running() // those that were ended before have no part in it
		p.kill()
		if t.Failed() && recent {
			t.Logf("last words of %s:\n%s", name, outside.Tail(p.err.String(), 40))
		}
	})
	return p
}

// keepArguments keeps what every user of the machine sees of a process.
func (p *process) keepArguments() {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Pid()))
	if err == nil { // not on every system
		p.evidence.keep("arguments of "+p.name, line)
	}
}

// kill ends the process as the machine's end would.
func (p *process) kill() {
	if !p.Running() {
		return
	}
	p.Kill()
	p.keepOutput()
}

func (p *process) keepOutput() {
	p.evidence.keep("stdout of "+p.name, []byte(p.out.String()))
	p.evidence.keep("stderr of "+p.name, []byte(p.err.String()))
}

// ended waits until the process has ended by itself and returns its exit code.
func (p *process) ended(t *testing.T, limit time.Duration) int {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.Exited:
		p.keepOutput()
		return p.ExitCode()
	case <-timer.C:
		t.Fatalf("%s did not end within %s:\n%s", p.name, limit, outside.Tail(p.err.String(), 20))
		return -1
	}
}

// terminate asks the process to end and returns its exit code.
func (p *process) terminate(t *testing.T, limit time.Duration) int {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	return p.ended(t, limit)
}

// signal sends the process a signal.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.Signal(s); err != nil {
		t.Fatalf("send %s to %s: %v", s, p.name, err)
	}
}

// result is what a run of the program left.
type result struct {
	out, err string
	code     int
}

// command runs the program to its end.
func command(t *testing.T, kept *evidence, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program(t), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, &out, &errs
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) || ctx.Err() != nil {
		t.Fatalf("handover %s: %v, %v", strings.Join(args, " "), err, ctx.Err())
	}
	kept.keep("output of handover "+args[0], out.Bytes())
	kept.keep("errors of handover "+args[0], errs.Bytes())
	return result{out: out.String(), err: errs.String(), code: cmd.ProcessState.ExitCode()}
}

// await looks again and again until the condition holds, and ends the test
// after the limit. The condition's text says how it stands.
func await(t *testing.T, limit time.Duration, what string, holds func() (bool, string)) {
	t.Helper()
	// Not the test's own context, for cleanups wait too.
	if err := outside.Await(context.Background(), limit, what, holds); err != nil {
		t.Fatal(err)
	}
}
