package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// site is a folder on which agents run, one after the other: declaration,
// credential, journal, socket and delivered files stand in it.
type site struct {
	t        *testing.T
	dir      string
	evidence *evidence
	secrets  *searcher
	starts   int
	started  []*process
	wire     *tap     // what the agent calls
	looks    string   // how often the agent looks, in the declaration
	api      string   // more keys of qualytics there
	env      []string // more of the agents' environment
	clients  []func() // each keeps what a client has said
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{t: t, dir: t.TempDir(), evidence: &evidence{}, secrets: newSearcher(), looks: "drift_check: 1s, sweep: 1s", api: "timeout: 5s"}
}

// path is a file of the site.
func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// write writes a file of the site, mode 0600.
func (s *site) write(name, content string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// secret writes a secret into a file of the site: from now on it must not show
// up anywhere else.
func (s *site) secret(name, value string) {
	s.t.Helper()
	s.write(name, value)
	if strings.Count(value, ".") == 2 {
		s.secrets.addToken(name, value)
	} else {
		s.secrets.add(name, value)
	}
}

// declare writes the declaration: the head that all of them have, for an API
// at the address, and the rest.
func (s *site) declare(address, rotation, rest string) {
	s.t.Helper()
	s.write("agent.yaml", outside.Declaration{
		ID: "e2e", Looks: s.looks, URL: address, API: s.api, Rotation: rotation, Rest: rest,
	}.String())
}

// run runs a command on the site's declaration to its end.
func (s *site) run(args ...string) result {
	s.t.Helper()
	return command(s.t, s.evidence, append(args, "-c", s.path("agent.yaml"))...)
}

// agent is a running agent.
type agent struct {
	*process
	site *site
	base string // URL of health, metrics and page
}

// launch starts an agent and doesn't wait for it.
func (s *site) launch() *agent {
	s.t.Helper()
	s.starts++
	p := start(s.t, s.evidence, s.env, fmt.Sprintf("agent %d", s.starts),
		"run", "-c", s.path("agent.yaml"), "--log-format", "json", "--log-level", "debug")
	s.started = append(s.started, p)
	return &agent{process: p, site: s}
}

// start starts an agent and waits until it is ready.
func (s *site) start() *agent {
	s.t.Helper()
	a := s.launch()
	a.awaitReady()
	return a
}

// startedAt finds the address in the record that a started agent logs.
var startedAt = regexp.MustCompile(`"agent started".*"listen":"([^"]+)"`)

func (a *agent) awaitReady() {
	a.site.t.Helper()
	await(a.site.t, patience, a.name+" to be ready", func() (bool, string) {
		if !a.Running() {
			a.site.t.Fatalf("%s ended with %d:\n%s", a.name, a.ExitCode(), outside.Tail(a.err.String(), 20))
		}
		if at := startedAt.FindStringSubmatch(a.err.String()); at != nil && a.base == "" {
			a.base = "http://" + at[1]
		}
		if a.base == "" {
			return false, "it doesn't serve yet"
		}
		code, body, err := a.ask("/readyz")
		return err == nil && code == http.StatusOK, fmt.Sprint(code, " ", body, err)
	})
}

// ask gets a page of the agent.
func (a *agent) ask(path string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return 0, "", err
	}
	code, text, err := outside.Fetch(nil, req)
	return code, string(text), err
}

// keepPages keeps what a visitor of the agent sees.
func (a *agent) keepPages() {
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/livez", "/readyz"} {
		if _, body, err := a.ask(path); err == nil { // it may be ending
			a.evidence.keep("page "+path, []byte(body))
		}
	}
}

// keepJournal keeps the journal's files as they stand.
func (s *site) keepJournal() {
	s.t.Helper()
	files, err := filepath.Glob(s.path("state/*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil { // SQLite may have removed it
			s.evidence.keep("journal "+filepath.Base(file), content)
		}
	}
}

// noTraces ends the site's processes and searches all evidence for the secrets.
// Nothing may be found, and the evidence must hold at least what is named.
func (s *site) noTraces(least ...string) {
	s.t.Helper()
	for _, p := range s.started {
		p.kill()
	}
	s.keepJournal()
	for _, keep := range s.clients {
		keep()
	}
	places, size := s.evidence.places()
	s.t.Logf("searched %d bytes of %d places for %d secrets", size, len(places), s.secrets.count())
	for _, place := range least {
		if !strings.Contains(strings.Join(places, "\n"), place) {
			s.t.Errorf("nothing was kept of %s; there is %q", place, places)
		}
	}
	for _, found := range s.evidence.search(s.secrets) {
		s.t.Error(found)
	}
}

// status is the part of `handover status -o json` that these tests rely on.
type status struct {
	Running bool `json:"running"`
	Held    *struct {
		Until  time.Time `json:"until"`
		Reason string    `json:"reason"`
	} `json:"held"`
	Unclaimed int          `json:"unclaimed"`
	Slots     []slotStatus `json:"slots"`
}

type slotStatus struct {
	Slot       string `json:"slot"`
	State      string `json:"state"`
	Reason     string `json:"reason"`
	Generation uint64 `json:"generation"`
	TokenID    int64  `json:"token_id"`
	Targets    []struct {
		Backend    string `json:"backend"`
		Path       string `json:"path"`
		Generation uint64 `json:"generation"`
		State      string `json:"state"`
		Reason     string `json:"reason"`
	} `json:"targets"`
	Retired []struct {
		Generation uint64 `json:"generation"`
		TokenID    int64  `json:"token_id"`
		State      string `json:"state"`
		Reason     string `json:"reason"`
	} `json:"retired"`
}

// status asks the running agent over HTTP.
func (a *agent) status() (status, error) {
	var s status
	code, body, err := a.ask("/api/v1/status")
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("/api/v1/status: %d %s", code, body)
	}
	if err == nil {
		err = json.Unmarshal([]byte(body), &s)
	}
	return s, err
}

// statusCommand runs `handover status -o json`.
func (s *site) statusCommand() status {
	s.t.Helper()
	r := s.run("status", "-o", "json")
	var got status
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != 0 {
		s.t.Fatalf("handover status -o json: exit %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	return got
}

// slot returns one slot's status; the zero value when it isn't there.
func (s status) slot(name string) slotStatus {
	for _, one := range s.Slots {
		if one.Slot == name {
			return one
		}
	}
	return slotStatus{}
}

// serves reports whether every target serves the current generation and no
// older token is left.
func (s slotStatus) settled() bool {
	for _, t := range s.Targets {
		if t.Generation != s.Generation || t.State != "current" {
			return false
		}
	}
	return s.State == "current" && s.Generation > 0 && len(s.Retired) == 0
}

// awaitStatus waits until a running agent's status is as wanted.
func (a *agent) awaitStatus(what string, want func(status) bool) status {
	a.site.t.Helper()
	var last status
	await(a.site.t, patience, what, func() (bool, string) {
		if !a.Running() {
			a.site.t.Fatalf("%s ended:\n%s", a.name, outside.Tail(a.err.String(), 20))
		}
		got, err := a.status()
		if err != nil {
			return false, err.Error()
		}
		last = got
		text, _ := json.Marshal(got) //nolint:errchkjson // it came from JSON
		return want(got), string(text)
	})
	return last
}

// awaitLog waits until the agent has logged a line that matches.
func (a *agent) awaitLog(pattern string) {
	a.site.t.Helper()
	re := regexp.MustCompile(pattern)
	await(a.site.t, patience, "a log line that matches "+pattern, func() (bool, string) {
		return re.MatchString(a.err.String()), "the log ends with\n" + outside.Tail(a.err.String(), 10)
	})
}
