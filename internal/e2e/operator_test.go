package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// rotated runs `handover rotate SLOT --wait` and returns the slot's generation
// after it.
func (s *site) rotated(slot string) uint64 {
	s.t.Helper()
	r := s.run("rotate", slot, "--wait", "--reason", "the test wants it", "-o", "json")
	var got struct {
		Requests []struct {
			Slot       string `json:"slot"`
			State      string `json:"state"`
			Generation uint64 `json:"generation"`
		} `json:"requests"`
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != 0 || len(got.Requests) != 1 || got.Requests[0].State != "settled" {
		s.t.Fatalf("handover rotate %s --wait: exit %d, %v\n%s%s", slot, r.code, err, r.out, r.err)
	}
	return got.Requests[0].Generation
}

// event is an entry of `handover history -o json`.
type event struct {
	At         time.Time `json:"at"`
	Act        string    `json:"act"`
	Reason     string    `json:"reason"`
	Actor      string    `json:"actor"`
	Generation uint64    `json:"generation"`
	Detail     string    `json:"detail"`
}

// history is what `handover history SLOT -o json` tells of one act of the one
// slot, by generation.
func (s *site) history(act string) map[uint64]event {
	s.t.Helper()
	r := s.run("history", oneSlot, "-o", "json")
	var got struct {
		Events []event `json:"events"`
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != 0 {
		s.t.Fatalf("handover history: exit %d, %v\n%s", r.code, err, r.err)
	}
	acts := map[uint64]event{}
	for _, e := range got.Events {
		if e.Act == act {
			acts[e.Generation] = e
		}
	}
	return acts
}

// TestRotateByOperator: `handover rotate` through the socket of a running
// agent, and with the lease when none runs. Either way the old token lives
// through its grace, and no reader notices.
func TestRotateByOperator(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	_, q := s.serveSim()
	s.declare(q.Base, outside.Calm, oneToken)
	a := s.start()
	a.awaitStatus("the first token", allServed)
	reading := startReaders(t, q, s.oneConsumer())

	first := s.delivered()
	if generation := s.rotated(oneSlot); generation != 2 || s.delivered().Equal(first) {
		t.Errorf("generation %d after the first rotate, and another token: %t", generation, !s.delivered().Equal(first))
	}
	a.awaitStatus("the old token to be retired", func(got status) bool { return got.slot(oneSlot).settled() })
	if code := a.terminate(t, patience); code != 0 {
		t.Errorf("SIGTERM ended it with %d", code)
	}

	second := s.delivered()
	if generation := s.rotated("API Faults/token"); generation != 3 || s.delivered().Equal(second) {
		t.Errorf("without an agent: generation %d, and another token: %t", generation, !s.delivered().Equal(second))
	}
	got := s.statusCommand()
	if one := got.slot(oneSlot); got.Running || one.Generation != 3 || one.State != "current" || len(one.Retired) != 1 {
		t.Errorf("status of a stopped agent: %+v", got)
	}
	await(t, patience, "`run --once` to retire the old token", func() (bool, string) {
		r := s.run("run", "--once")
		return r.code == 0 && s.statusCommand().slot(oneSlot).settled(), r.err
	})
	reading.noneDead(t, 1, 50)
	intended, delivered, revoked := s.history("intended"), s.history("delivered"), s.history("revoked")
	for g := uint64(2); g <= 3; g++ {
		one, me := intended[g], fmt.Sprintf("uid %d", os.Getuid())
		if one.Reason != "requested" || !strings.HasPrefix(one.Actor, me) || one.Detail != "the test wants it" {
			t.Errorf("the history tells of %+v, want that %s asked for it, and why", one, me)
		}
		if lived := revoked[g-1].At.Sub(delivered[g].At); lived < 2*time.Second {
			t.Errorf("generation %d was revoked %s after the next one was delivered, want its grace at least", g-1, lived)
		}
	}
	s.noTraces("output of handover rotate", "errors of handover rotate", "output of handover history", "stderr of agent 1")
}

// TestOnce: `run --once` brings every slot to rest and does nothing more when it
// is run again; a slot that waits makes it end with 3.
func TestOnce(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	s.looks = "drift_check: 1h, sweep: 5m" // else it would wait for what comes within seconds
	server, q := s.serveSim()
	s.declare(q.Base, outside.Calm, oneToken)
	for range 3 {
		if r := s.run("run", "--once"); r.code != 0 {
			t.Fatalf("run --once: exit %d, %s", r.code, r.err)
		}
	}
	if calls := server.Calls(); calls["POST /user-tokens"] != 1 || calls["POST /users"] != 1 {
		t.Errorf("three runs made the calls %v, want one account and one token", calls)
	}
	const theirs = "what a person has put there"
	s.write("delivered/other", theirs)
	s.declare(q.Base, outside.Calm, oneToken+"      - {name: other, deliver: [{backend: local, path: other, format: token}]}\n")
	r := s.run("run", "--once", "-o", "json")
	if r.code != 3 || !strings.Contains(r.out, "api_faults@service/other") {
		t.Errorf("with a target that isn't ours: exit %d\n%s%s", r.code, r.out, r.err)
	}
	if left, err := os.ReadFile(s.path("delivered/other")); err != nil || string(left) != theirs {
		t.Errorf("what stood there was changed: %v", err)
	}
	if err := server.Check(s.delivered()); err != nil {
		t.Error(err)
	}
}

// TestWrongUse: names that nobody declared and flags that nobody knows are
// refused as usage, before anything is done.
func TestWrongUse(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, q := s.serveSim()
	s.declare(q.Base, outside.Calm, oneToken)
	for _, args := range [][]string{
		{"rotate", "api_faults@service/tokn"}, {"rotate"}, {"rotate", "--all", oneSlot}, {"resume", "nobody"},
		{"run", "--onec"}, {"status", "-o", "xml"}, {"frobnicate"},
	} {
		if r := s.run(args...); r.code != 64 || r.out != "" || r.err == "" {
			t.Errorf("handover %v: exit %d, stdout %q, stderr %q", args, r.code, r.out, r.err)
		}
	}
	if len(server.Calls()) != 0 {
		t.Errorf("they made the calls %v", server.Calls())
	}
}

// TestReload: a changed declaration is put in force, also on SIGHUP; one with a
// mistake keeps the old one running, and status says so.
func TestReload(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, q := s.serveSim()
	s.declare(q.Base, outside.Calm, oneToken)
	a := s.start()
	a.awaitStatus("the first token", allServed)
	a.signal(t, syscall.SIGHUP)
	a.awaitLog(`"reload the declaration".*SIGHUP`)
	s.declare(q.Base, outside.Calm, strings.Replace(oneToken, "format: token", "fromat: token", 1))
	a.awaitLog(`"ERROR".*not reloaded.*agent\.yaml:\d+:\d+`)
	await(t, patience, "status to tell of the mistake", func() (bool, string) {
		_, body, err := a.ask("/api/v1/status")
		return regexp.MustCompile(`"error":\s*".*fromat`).MatchString(body), fmt.Sprint(body, err)
	})
	s.declare(q.Base, outside.Calm, strings.Replace(oneToken, "}]}", "}, {backend: local, path: more.env, format: dotenv}]}", 1))
	a.awaitStatus("the new target", func(got status) bool {
		one := got.slot(oneSlot)
		return len(one.Targets) == 2 && one.settled()
	})
	more, err := s.fromFile("delivered/more.env", oneSlot, outside.Line("QUALYTICS_TOKEN=")).Read(t.Context())
	if err != nil || more != s.delivered().Reveal() || len(server.LiveTokens(oneAccount)) != 1 {
		t.Errorf("the new target doesn't hold the one token: %v, %d live", err, len(server.LiveTokens(oneAccount)))
	}
	a.keepPages()
	s.noTraces("stderr of agent 1", "page /")
}

// TestBadDeclarations: a declaration that can't be used ends every command with
// 78 and says where it is wrong; nothing is done.
func TestBadDeclarations(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, q := s.serveSim()
	s.declare(q.Base, outside.Calm, oneToken)
	good, err := os.ReadFile(s.path("agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	bomb := "a: &a [0, 1, 2, 3, 4, 5, 6, 7, 8]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9))
	}
	for name, test := range map[string]struct{ text, says string }{
		"empty":         {"", `agent\.yaml`},
		"bytes":         {"\x00\x01\xff\xfe\x80", `agent\.yaml`},
		"bomb":          {bomb, `agent\.yaml:\d+:\d+`},
		"alias cycle":   {"version: 1\nagent: &a {id: x, more: *a}\n", `agent\.yaml:\d+:\d+`},
		"two documents": {string(good) + "---\nversion: 1\n", `agent\.yaml:\d+:\d+`},
		"20,000 levels": {"agent: " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000), `agent\.yaml`},
		"unknown key":   {strings.Replace(string(good), "role: Member", "rolle: Member", 1), `agent\.yaml:\d+:\d+: .*rolle.*role`},
		"duplicate key": {strings.Replace(string(good), "role: Member", "role: Member\n    role: Editor", 1), `agent\.yaml:\d+:\d+: .*role`},
		"wrong type":    {strings.Replace(string(good), "role: Member", "role: [Member]", 1), `agent\.yaml:\d+:\d+: .*role`},
	} {
		s.write("agent.yaml", test.text)
		for _, command := range []string{"run", "validate", "plan", "status"} {
			if r := s.run(command); r.code != 78 || !regexp.MustCompile(test.says).MatchString(r.err) {
				t.Errorf("%s, handover %s: exit %d, %s", name, command, r.code, outside.Tail(r.err, 3))
			}
		}
	}
	if err := os.Remove(s.path("agent.yaml")); err != nil {
		t.Fatal(err)
	}
	if r := s.run("run"); r.code != 78 || !strings.Contains(r.err, "agent.yaml") {
		t.Errorf("without a declaration: exit %d, %s", r.code, r.err)
	}
	if len(server.Calls()) != 0 {
		t.Errorf("they made the calls %v", server.Calls())
	}
}
