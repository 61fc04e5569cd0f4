package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/qualytics/sim"
)

// stream is an output that several goroutines write to. It tells when a text
// was written for the first time.
type stream struct {
	mu    sync.Mutex
	text  bytes.Buffer
	await string
	seen  chan struct{}
}

// awaiting makes a stream whose seen is closed when text was written.
func awaiting(text string) *stream { return &stream{await: text, seen: make(chan struct{})} }

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.text.Write(p)
	if s.await != "" && bytes.Contains(s.text.Bytes(), []byte(s.await)) {
		s.await = ""
		close(s.seen)
	}
	return n, err
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// program is the program as it runs in this process.
type program struct {
	ended chan int
	end   context.CancelFunc
}

// start runs the program until it ends by itself, is stopped, or the test ends.
func start(t *testing.T, out, errs io.Writer, args ...string) program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	p := program{ended: make(chan int, 1), end: cancel}
	go func() {
		p.ended <- run(ctx, args, streams{in: strings.NewReader(""), out: out, err: errs, env: os.LookupEnv})
	}()
	return p
}

// stop ends the program, waits for it, and returns its exit code.
func (p program) stop() int {
	p.end()
	return <-p.ended
}

// await waits until the stream's text was written.
func (p program) await(t *testing.T, s *stream) {
	t.Helper()
	select {
	case <-s.seen:
	case code := <-p.ended:
		t.Fatalf("exit %d before that was written; written was: %s", code, s)
	}
}

// dev runs development mode on the repository's own declaration.
func dev(t *testing.T, dir string, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr stream
	p := start(t, &stdout, &stderr, append([]string{"dev", "-c", "../../agent.yaml", "--dir", dir}, args...)...)
	code = <-p.ended
	return code, stdout.String(), stderr.String()
}

// summaryOf reads the one object that stdout is to have.
func summaryOf(t *testing.T, out string) (s summary, keys []string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		t.Fatalf("the summary: %v\n%s", err, out)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("something follows the summary: %s", out)
	}
	var raw map[string]any
	if err := json.Unmarshal([]byte(out), &raw); err != nil {
		t.Fatal(err)
	}
	for key := range raw {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return s, keys
}

// state opens what a run left behind.
func state(t *testing.T, dir string) *sim.Server {
	t.Helper()
	server, err := sim.New(sim.Options{StateFile: filepath.Join(dir, "qualytics.json")})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// Two runs on one folder: the second goes on where the first ended.
func TestDevKeepsItsPromises(t *testing.T) {
	dir := t.TempDir()
	began := time.Now()
	code, out, story := dev(t, dir, "--day", "5ms", "--for", "60d", "-o", "json")
	s, keys := summaryOf(t, out)
	if want := []string{"declared_days", "deletions", "max_live_tokens_per_slot", "promises_held", "reads",
		"refused_reads", "revocations", "rotations", "slots"}; !slices.Equal(keys, want) {
		t.Errorf("the summary has the keys %v, %v are the contract", keys, want)
	}
	if code != exitDone || !s.PromisesHeld || s.RefusedReads != 0 {
		t.Fatalf("exit %d: %+v\n%s", code, s, story)
	}
	if s.DeclaredDays < 60 || s.DeclaredDays > 62 || s.Slots != 3 || s.MaxLiveTokens != 2 ||
		s.Rotations < 2 || s.Revocations < 2 || s.Deletions < 1 || s.Reads < 4*4*55 {
		t.Errorf("sixty days of three slots with four targets: %+v", s)
	}
	for _, text := range []string{"account created       pipeline_automation@service", "token issued", "(never_issued)",
		"delivered", "at local/dbt/dbt.env", "old token revoked", "old token deleted", "Status page"} {
		if !strings.Contains(story, text) {
			t.Errorf("the story doesn't tell %q", text)
		}
	}
	first := state(t, dir)
	newest := time.Time{}
	for _, token := range first.Tokens() {
		if token.Created.After(newest) {
			newest = token.Created
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if newest.Sub(began) < 50*24*time.Hour {
		t.Errorf("the newest token was made %s after the start, sixty days went by", newest.Sub(began))
	}

	code, out, story = dev(t, dir, "--day", "5ms", "--for", "30d", "-o", "json")
	s, _ = summaryOf(t, out)
	if code != exitDone || !s.PromisesHeld || s.Rotations < 1 {
		t.Errorf("the second run: exit %d: %+v\n%s", code, s, story)
	}
	if strings.Contains(story, "(never_issued)") || strings.Contains(story, "account created") {
		t.Errorf("the second run began anew\n%s", story)
	}
}

func TestDevTellsPeople(t *testing.T) {
	code, out, errs := dev(t, t.TempDir(), "--day", "5ms", "--for", "3d")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, text := range []string{"A declared day takes 5ms", "token issued", "3 slots: 0 rotations", "Every promise held."} {
		if !strings.Contains(out, text) {
			t.Errorf("stdout doesn't tell %q\n%s", text, out)
		}
	}
	if errs != "" {
		t.Errorf("stderr of a run in which nothing went wrong: %s", errs)
	}
}

// sabotaged runs development mode twice. Between the runs, the world is changed
// behind the agent's back, so that a promise can't be held.
func sabotaged(t *testing.T, change func(t *testing.T, dir string)) (int, summary) {
	t.Helper()
	dir := t.TempDir()
	if code, _, errs := dev(t, dir, "--day", "5ms", "--for", "2d", "-o", "json"); code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	change(t, dir)
	code, out, _ := dev(t, dir, "--day", "5ms", "--for", "10d", "-o", "json")
	s, _ := summaryOf(t, out)
	return code, s
}

// The verdict can fail: a reader that is refused, and a target that holds no
// token, are seen.
func TestDevVerdictFails(t *testing.T) {
	cases := map[string]struct {
		change func(t *testing.T, dir string)
		broken string
	}{
		"a token is revoked whose slot waits for a person then": {func(t *testing.T, dir string) {
			server := state(t, dir)
			for _, token := range server.LiveTokens("orchestration_calls@service") {
				if err := server.RevokeToken(token.ID); err != nil {
					t.Fatal(err)
				}
			}
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
		}, "reads were refused"},
		"a target holds what isn't ours": {func(t *testing.T, dir string) {
			file := filepath.Join(dir, "secrets", "orchestration", "authorization")
			if err := os.WriteFile(file, []byte("somebody's value"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "local/orchestration/authorization holds no token at the end"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, s := sabotaged(t, c.change)
			if code != exitFailed || s.PromisesHeld {
				t.Errorf("exit %d: %+v", code, s)
			}
			if !strings.Contains(strings.Join(s.Broken, "\n"), c.broken) {
				t.Errorf("broken: %q, %q was expected", s.Broken, c.broken)
			}
		})
	}
}

// What wasn't seen to the end isn't proved; a run without an end may be ended
// at any time.
func TestDevEndedEarly(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"with an end":    {[]string{"--for", "36500d"}, exitFailed},
		"without an end": {nil, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs := awaiting("delivered"), awaiting("")
			args := append([]string{"dev", "-c", "../../agent.yaml", "--dir", t.TempDir(), "--day", "1s"}, c.args...)
			p := start(t, out, errs, args...)
			p.await(t, out)
			if code := p.stop(); code != c.code {
				t.Errorf("exit %d, want %d: %s%s", code, c.code, out, errs)
			}
			if !strings.Contains(out.String(), "Every promise held") {
				t.Errorf("it ends without a summary: %s", out)
			}
		})
	}
}

// Nobody outside is told of tokens that aren't real.
func TestDevTellsNobody(t *testing.T) {
	text, err := os.ReadFile("../../agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	touched := filepath.Join(dir, "touched")
	declaration := filepath.Join(dir, "told.yaml")
	hooked := strings.Replace(string(text), "\ndefaults:\n", "\ndefaults:\n  on_delivery: [{exec: [/usr/bin/touch, "+touched+"]}]\n", 1)
	if hooked == string(text) {
		t.Fatal("agent.yaml has no defaults")
	}
	if err := os.WriteFile(declaration, []byte(hooked), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := dev(t, dir, "-c", declaration, "--for", "1d", "--day", "100ms"); code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if _, err := os.Stat(touched); err == nil {
		t.Error("a hook was run")
	}
}

func TestDevTwiceInOneFolder(t *testing.T) {
	dir := t.TempDir()
	out := awaiting("delivered")
	p := start(t, out, io.Discard, "dev", "-c", "../../agent.yaml", "--dir", dir)
	p.await(t, out)
	code, _, errs := dev(t, dir, "--for", "1d", "--day", "5ms")
	if code != exitFailed || !strings.Contains(errs, "another simulator runs on") {
		t.Errorf("the second one: exit %d: %s", code, errs)
	}
	if code := p.stop(); code != exitDone {
		t.Errorf("the first one: exit %d: %s", code, out)
	}
}

func TestDevRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a day of nothing":      {[]string{"--dir", t.TempDir(), "--day", "0s"}, exitUsage, "a day must take some time"},
		"a day that is no time": {[]string{"--dir", t.TempDir(), "--day", "soon"}, exitUsage, "--day"},
		"no folder":             {[]string{"--dir", file}, exitFailed, "folder"},
		"no declaration":        {[]string{"--dir", t.TempDir(), "-c", "missing.yaml"}, exitDeclaration, "missing.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := dev(t, t.TempDir(), c.args...)
			if code != c.code || !strings.Contains(errs, c.says) || out != "" {
				t.Errorf("exit %d, want %d with %q: %s", code, c.code, c.says, errs)
			}
		})
	}
}

func TestListenNear(t *testing.T) {
	first, err := listenNear("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := first.Addr().String()
	second, err := listenNear(taken)
	if err != nil {
		t.Fatal(err)
	}
	host, _, err := net.SplitHostPort(second.Addr().String())
	if err != nil || host != "127.0.0.1" || second.Addr().String() == taken {
		t.Errorf("beside %s it listens at %s (%v)", taken, second.Addr(), err)
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	third, err := listenNear(taken)
	if err != nil || third.Addr().String() != taken {
		t.Fatalf("at a free address it listens at %v (%v)", third.Addr(), err)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
}
