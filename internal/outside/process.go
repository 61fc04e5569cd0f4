package outside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// glance is the pause between two looks at a condition.
const glance = 20 * time.Millisecond

// Text collects what a process writes. It is safe for concurrent use.
type Text struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Text) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is all that was written so far.
func (o *Text) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Tail is the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Build builds the program into a file, wherever in the module's tree it is
// called.
func Build(ctx context.Context, file string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", file, "github.com/handover-agent/handover/cmd/handover")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}

// Process is one run of a program that goes on until it is ended.
type Process struct {
	// Exited is closed when the process has ended.
	Exited <-chan struct{}

	cmd *exec.Cmd
}

// Start starts a program. Whoever starts it ends it, by Kill at the latest.
func Start(stdout, stderr io.Writer, program string, args ...string) (*Process, error) {
	return StartIn(nil, stdout, stderr, program, args...)
}

// StartIn is Start with more variables, as NAME=value, in the environment.
func StartIn(env []string, stdout, stderr io.Writer, program string, args ...string) (*Process, error) {
	exited := make(chan struct{})
	p := &Process{Exited: exited, cmd: exec.CommandContext(context.Background(), program, args...)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(exited)
		_ = p.cmd.Wait() // ExitCode tells
	}()
	return p, nil
}

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Running reports whether the process hasn't ended.
func (p *Process) Running() bool {
	select {
	case <-p.Exited:
		return false
	default:
		return true
	}
}

// ExitCode is the status of a process that has ended; -1 after a signal.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Signal sends a signal. That the process has ended already is no error.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends the process as the machine's end would, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.Exited
}

// Await looks again and again until the condition holds, whose text says how it
// stands. After the limit, or when ctx is done, it says what it waited for.
func Await(ctx context.Context, limit time.Duration, what string, holds func() (bool, string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for began := time.Now(); ; {
		done, stands := holds()
		if done {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w; %s", time.Since(began).Round(time.Millisecond), what, ctx.Err(), stands)
		}
	}
}
