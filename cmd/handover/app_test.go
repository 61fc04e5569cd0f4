package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
)

// call runs the program in this process, with an empty environment.
func call(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, streams{in: strings.NewReader(""), out: &stdout, err: &stderr,
		env: func(string) (string, bool) { return "", false }})
	return code, stdout.String(), stderr.String()
}

func TestReport(t *testing.T) {
	plain := errors.New("it broke")
	problems := &config.Errors{Problems: []config.Problem{{File: "a.yaml", Line: 1, Column: 2, Message: "no"}, {File: "a.yaml", Line: 3, Column: 4, Message: "no"}}}
	tests := map[string]struct {
		err  error
		code int
		says string
	}{
		"nothing":                      {nil, 0, ""},
		"any error":                    {plain, 1, "handover: it broke\n"},
		"a wrong call":                 {usage("give %s", "more"), 64, "handover: give more\n"},
		"a code alone":                 {&exit{code: 3}, 3, ""},
		"a code in another error":      {fmt.Errorf("later: %w", &exit{code: 3}), 3, ""},
		"a declaration":                {problems, 78, "a.yaml:1:2: no\na.yaml:3:4: no\n"},
		"a declaration within":         {fmt.Errorf("load: %w", problems), 78, "a.yaml:1:2: no\na.yaml:3:4: no\n"},
		"a code and then a failure":    {also(&exit{code: 3}, plain), 3, "handover: it broke\n"},
		"a failure and then another":   {also(plain, io.EOF), 1, "handover: it broke\nEOF\n"},
		"a code and then none":         {also(&exit{code: 2}, nil), 2, ""},
		"none and then a failure":      {also(nil, plain), 1, "handover: it broke\n"},
		"a wrong call, then a failure": {also(usage("give more"), plain), 64, "handover: give more\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			a := &app{streams: streams{err: &errs}}
			if code := a.report(test.err); code != test.code || errs.String() != test.says {
				t.Errorf("code %d, said %q; want %d, %q", code, errs.String(), test.code, test.says)
			}
		})
	}
}

// TestEveryCommandRefusesWhatItDoesNotKnow: 64, a hint, and nothing on stdout.
func TestEveryCommandRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, c := range commandsOf(new(app).root()) {
		for _, args := range [][]string{{"--no-such-flag"}, {"-o", "xml"}, {"a", "b", "c", "--log-level", "loud"}} {
			args = append(wordsOf(c), args...)
			code, out, errs := call(t, args...)
			if code != exitUsage || out != "" || !strings.HasPrefix(errs, "handover: ") {
				t.Errorf("%v: code %d, stdout %q, stderr %q", args, code, out, errs)
			}
		}
	}
}

func TestEveryCommandHelps(t *testing.T) {
	for _, c := range commandsOf(new(app).root()) {
		byFlag, out, errs := call(t, append(wordsOf(c), "--help")...)
		if byFlag != exitDone || errs != "" || !strings.Contains(out, "Examples:\n") {
			t.Errorf("%s --help: code %d, stderr %q, stdout %q", c.CommandPath(), byFlag, errs, out)
		}
		if _, again, _ := call(t, append([]string{"help"}, wordsOf(c)...)...); again != out {
			t.Errorf("help %v says %q, its --help says %q", wordsOf(c), again, out)
		}
	}
}

// wordsOf is how a command is called: "history", "prune".
func wordsOf(c *cobra.Command) []string { return strings.Fields(c.CommandPath())[1:] }

// TestPrintFailsAsItsStream: what can't be written is an error, in every form.
func TestPrintFailsAsItsStream(t *testing.T) {
	for _, output := range outputs {
		a := &app{streams: streams{out: full{}}, output: output}
		err := a.print(build{}, build{}.write)
		if !errors.Is(err, errFull) {
			t.Errorf("-o %s: %v", output, err)
		}
	}
}

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestEither(t *testing.T) {
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := either(words); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if pause(ctx, again) {
		t.Error("it waited")
	}
	if !pause(t.Context(), 0) {
		t.Error("it didn't wait to its end")
	}
}
