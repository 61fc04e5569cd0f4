package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/internal/realtest"
)

// What a client found at a place.
const (
	works = "ok"
	dead  = "dead"
	none  = "none"
)

// sight is what a client saw at a place. It holds no secret.
type sight struct {
	// Found is works, dead, none, or anything else that went wrong.
	Found   string `json:"found"`
	Account string `json:"account"`
	// Token is a fingerprint: of the token, or of all that stands there.
	Token   string `json:"token"`
	Version string `json:"version"`
	Why     string `json:"why"`
}

// client is somebody's own way to a store, without any of the agent's code. All
// of it fails by what the sight says.
type client interface {
	// look takes the token as a consumer does, and uses it.
	look(place string) sight
	// peek looks at whatever stands there.
	peek(place string) sight
	// plant writes what no agent wrote.
	plant(place string) sight
	// rollBack makes the value before the current one current.
	rollBack(place string) sight
	// remove takes the value away.
	remove(place string) sight
}

// used is what became of a token that was read.
func used(q instance, token string, err error) sight {
	switch {
	case errors.Is(err, outside.ErrAbsent):
		return sight{Found: none}
	case err != nil:
		return broken(err)
	}
	account, code, err := q.Whose(context.Background(), token)
	seen := sight{Found: works, Account: account, Token: outside.Fingerprint(token)}
	switch {
	case err != nil:
		return broken(err)
	case code == http.StatusUnauthorized:
		seen.Found = dead
	case code != http.StatusOK:
		return broken(fmt.Errorf("the token is answered with %d", code))
	}
	return seen
}

func broken(err error) sight { return sight{Found: "broken", Why: err.Error()} }

// done is the sight of an act.
func done(err error) sight {
	if err != nil {
		return broken(err)
	}
	return sight{Found: works}
}

// pythonClient is a process of testdata/client.py that goes on until the test
// ends.
type pythonClient struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Scanner
}

// startPython starts a client. What it says is kept as evidence: no token may
// be in it.
func (s *site) startPython(p realtest.Python, env []string, args ...string) *pythonClient {
	s.t.Helper()
	cmd := exec.CommandContext(context.Background(), p.Program, append([]string{"testdata/client.py"}, args...)...)
	cmd.Env = append(p.Env, env...)
	said := &outside.Text{}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	answers := &outside.Text{}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be in a call
		_ = cmd.Wait()
		if s.t.Failed() && said.String() != "" {
			s.t.Logf("the client of %s says:\n%s", args[0], outside.Tail(said.String(), 20))
		}
	})
	s.clients = append(s.clients, func() {
		s.evidence.keep("stdout of the client of "+args[0], []byte(answers.String()))
		s.evidence.keep("stderr of the client of "+args[0], []byte(said.String()))
	})
	return &pythonClient{in: in, out: bufio.NewScanner(io.TeeReader(out, answers))}
}

func (c *pythonClient) ask(what, place string) sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	question, _ := json.Marshal([]string{what, place}) //nolint:errchkjson // texts alone
	if _, err := c.in.Write(append(question, '\n')); err != nil {
		return broken(err)
	}
	if !c.out.Scan() {
		return broken(errors.Join(errors.New("the client has ended"), c.out.Err()))
	}
	var seen sight
	if err := json.Unmarshal(c.out.Bytes(), &seen); err != nil {
		return broken(err)
	}
	return seen
}

func (c *pythonClient) look(place string) sight     { return c.ask("look", place) }
func (c *pythonClient) peek(place string) sight     { return c.ask("peek", place) }
func (c *pythonClient) plant(place string) sight    { return c.ask("plant", place) }
func (c *pythonClient) rollBack(place string) sight { return c.ask("roll back", place) }
func (c *pythonClient) remove(place string) sight   { return c.ask("delete", place) }

// vaultCommand is Vault's command line.
type vaultCommand struct {
	program, mount string
	env            []string
	q              instance
}

func newVaultCommand(t *testing.T, v *realtest.VaultServer, mount string, q instance) vaultCommand {
	t.Helper()
	return vaultCommand{program: realtest.VaultCommand(t), mount: mount, q: q, env: append(os.Environ(),
		"BAO_ADDR="+v.Addr, "VAULT_ADDR="+v.Addr, "BAO_TOKEN="+v.Token, "VAULT_TOKEN="+v.Token)}
}

// kv runs `bao kv`. What it prints can hold a token.
func (c vaultCommand) kv(verb string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), c.program, append([]string{"kv", verb, "-mount=" + c.mount}, args...)...)
	cmd.Env = c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && failed.ExitCode() == 2 && strings.Contains(errs.String()+out.String(), "No value found"):
		return "", outside.ErrAbsent
	case err != nil:
		return "", fmt.Errorf("kv %s: %w: %s", verb, err, errs.String())
	}
	return out.String(), nil
}

// entry is what stands at a place, and the number of its version.
func (c vaultCommand) entry(place string) (fields map[string]string, version int, err error) {
	text, err := c.kv("get", "-format=json", place)
	if err != nil {
		return nil, 0, err
	}
	var answer struct {
		Data struct {
			Data     map[string]string `json:"data"`
			Metadata struct {
				Version int `json:"version"`
			} `json:"metadata"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, 0, errors.New("the entry isn't of strings")
	}
	if answer.Data.Data == nil {
		return nil, answer.Data.Metadata.Version, outside.ErrAbsent // it is deleted
	}
	return answer.Data.Data, answer.Data.Metadata.Version, nil
}

func (c vaultCommand) look(place string) sight {
	fields, version, err := c.entry(place)
	if err != nil {
		return used(c.q, "", err)
	}
	token, err := outside.Connection(fields)
	seen := used(c.q, token, err)
	seen.Version = strconv.Itoa(version)
	return seen
}

func (c vaultCommand) peek(place string) sight {
	fields, version, err := c.entry(place)
	if err != nil {
		return done(err)
	}
	return sight{Found: works, Token: outside.Fingerprint(fmt.Sprint(fields)), Version: strconv.Itoa(version)}
}

func (c vaultCommand) plant(place string) sight {
	_, err := c.kv("put", place, "planted=by somebody else: "+rand.Text())
	return done(err)
}

func (c vaultCommand) rollBack(place string) sight {
	_, now, err := c.entry(place)
	if err == nil {
		_, err = c.kv("rollback", "-version="+strconv.Itoa(now-1), place)
	}
	return done(err)
}

func (c vaultCommand) remove(place string) sight {
	_, err := c.kv("delete", place)
	return done(err)
}

// files is a folder, read by cat. A place is a file's name.
type files struct {
	dir string
	q   instance

	mu sync.Mutex
	// seen are, by place, the contents in the order in which they were read.
	seen map[string][]string
}

func (f *files) path(place string) string { return f.dir + "/" + place }

func (f *files) cat(place string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "cat", f.path(place))
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	text, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) && strings.Contains(string(failed.Stderr), "No such file or directory") {
		return "", outside.ErrAbsent // it alone knows: the file may be back by now
	}
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if of := f.seen[place]; len(of) == 0 || of[len(of)-1] != string(text) {
		f.seen[place] = append(of, string(text))
	}
	return string(text), nil
}

func (f *files) look(place string) sight {
	text, err := f.cat(place)
	if err != nil {
		return used(f.q, "", err)
	}
	token, err := outside.LocalConnection(text)
	return used(f.q, token, err)
}

func (f *files) peek(place string) sight {
	text, err := f.cat(place)
	if err != nil {
		return done(err)
	}
	info, err := os.Stat(f.path(place))
	if err != nil {
		return broken(err)
	}
	return sight{Found: works, Token: outside.Fingerprint(text), Version: info.ModTime().String()}
}

func (f *files) plant(place string) sight {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return broken(err)
	}
	return done(os.WriteFile(f.path(place), []byte("planted by somebody else: "+rand.Text()), 0o600))
}

func (f *files) rollBack(place string) sight {
	f.mu.Lock()
	of := f.seen[place]
	f.mu.Unlock()
	if len(of) < 2 {
		return broken(errors.New("no value before the current one was seen"))
	}
	beside := f.path(place) + ".new" // a reader finds one value or the other
	if err := os.WriteFile(beside, []byte(of[len(of)-2]), 0o600); err != nil {
		return broken(err)
	}
	return done(os.Rename(beside, f.path(place)))
}

func (f *files) remove(place string) sight { return done(os.Remove(f.path(place))) }
