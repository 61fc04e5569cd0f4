package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The limits of waiting. They are generous: a loaded machine makes a test
// slower, never red.
const (
	patience = 90 * time.Second
	glance   = 20 * time.Millisecond // between two looks at a condition
)

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
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", file, "../../cmd/handover")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return file, nil
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

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is one run of the program that goes on until it is ended.
type process struct {
	name     string
	cmd      *exec.Cmd
	out, err *output
	exited   chan struct{}
	evidence *evidence
}

// start starts the program. What it says is kept as evidence, and shown when
// the test fails. It is killed at the end of the test, by its pid.
func start(t *testing.T, kept *evidence, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, out: &output{}, err: &output{}, exited: make(chan struct{}), evidence: kept}
	p.cmd = exec.CommandContext(context.Background(), program(t), args...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState tells
	}()
	p.keepArguments()
	t.Cleanup(func() {
		recent := p.running() // those that were ended before have no part in it
		p.kill()
		if t.Failed() && recent {
			t.Logf("last words of %s:\n%s", name, tail(p.err.String(), 40))
		}
	})
	return p
}

// keepArguments keeps what every user of the machine sees of a process.
func (p *process) keepArguments() {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	if err == nil { // not on every system
		p.evidence.keep("arguments of "+p.name, line)
	}
}

// kill ends the process as the machine's end would.
func (p *process) kill() {
	select {
	case <-p.exited:
		return
	default:
	}
	_ = p.cmd.Process.Kill() // it may have ended just now
	<-p.exited
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
	case <-p.exited:
		p.keepOutput()
		return p.cmd.ProcessState.ExitCode()
	case <-timer.C:
		t.Fatalf("%s did not end within %s:\n%s", p.name, limit, tail(p.err.String(), 20))
		return -1
	}
}

// terminate asks the process to end and returns its exit code.
func (p *process) terminate(t *testing.T, limit time.Duration) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("ask %s to end: %v", p.name, err)
	}
	return p.ended(t, limit)
}

// running reports whether the process hasn't ended.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
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
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		done, stands := holds()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("waited %s for %s; %s", limit, what, stands)
		}
	}
}

// tail is the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// fetch does one request and reads its answer whole.
func fetch(req *http.Request) (status int, body []byte, err error) {
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	body, err = io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	return answer.StatusCode, body, err
}
