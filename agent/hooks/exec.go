// Package hooks tells others that a token has changed.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/handover-agent/handover/backends/secret"
)

// Exec is a program to run after a change. No shell reads its arguments.
type Exec struct {
	// Argv is the program's absolute path and its arguments.
	Argv []string
	// Timeout is the longest time that it may take, more than 0.
	Timeout time.Duration
	// Silent: what it prints isn't in the error. It may have read what nobody
	// here knows, in whatever form.
	Silent bool
}

const (
	// maxOutput is how much of a program's output is kept, in bytes. The rest
	// is read and dropped, so that a flood stops nothing.
	maxOutput = 1 << 10
	// afterEnd is how long the output of a program that has ended is waited
	// for: a child of it may hold the pipe.
	afterEnd = time.Second
)

// inherited are the variables that a program gets from this process. Any other
// could hold a credential.
var inherited = []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"}

// Run runs the program, and returns nil when it ended with 0 in time. facts are
// variables that it gets; they hold no secret. A program that takes too long,
// and what it has started, is killed, and so it is when ctx is done. The error
// has the first of its output, with every trace of the hidden values taken out:
// it may well print the file that has changed.
func (e Exec) Run(ctx context.Context, facts map[string]string, hidden ...secret.Value) error {
	bounded, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	cmd := exec.CommandContext(bounded, e.Argv[0], e.Argv[1:]...) //nolint:gosec // it is what the operator declared
	cmd.Dir = "/"
	cmd.Env = environment(facts)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = afterEnd
	var out head
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case bounded.Err() != nil:
		err = fmt.Errorf("it took longer than %s and was killed; give it a longer timeout, or look what it waits for", e.Timeout)
	case errors.Is(err, exec.ErrWaitDelay):
		err = errors.New("it has ended, and a program that it started holds its output open; start that with its output elsewhere")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; the file must be there, and executable for the user of this process", cause(err))
	}
	if said := out.line(); said != "" && !e.Silent {
		err = fmt.Errorf("%w: it said: %s", err, said)
	}
	return secret.Redact(fmt.Errorf("run %s: %w", e.Argv[0], err), hidden...)
}

// cause takes the path out of err: the message has it already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func environment(facts map[string]string) []string {
	env := make([]string, 0, len(inherited)+len(facts))
	for _, name := range inherited {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		env = append(env, name+"="+facts[name])
	}
	return env
}

// head keeps the first of what is written to it. One goroutine writes: stdout
// and stderr are the same to exec.Cmd.
type head struct{ text []byte }

// Write implements io.Writer; it takes everything.
func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), maxOutput-len(h.text))]...)
	return len(p), nil
}

// line is what was kept, in one line.
func (h *head) line() string {
	return strings.Join(strings.FieldsFunc(string(h.text), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}
