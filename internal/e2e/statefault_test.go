package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to write what another release would

	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/qualytics/sim"
)

// loseJournal removes the journal's files under whoever has them open.
func (s *site) loseJournal() {
	s.t.Helper()
	files, err := filepath.Glob(s.path("state/state.db*"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no journal to lose: %v", err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestLostJournal: the journal is deleted in the middle of a life. The agent
// says so and ends; the next one rebuilds what it needs, no reader notices, and
// the older tokens are left alone until a person says that they are ours.
func TestLostJournal(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, q := s.serveSim()
	s.declare(q.Base, "{lifetime: 1d, every: 3s, grace: 6s, hold: 0s, observe: 2s}", oneToken)
	a := s.start()
	a.awaitStatus("the first token", allServed)
	reading := startReaders(t, q, s.oneConsumer())
	a.awaitStatus("an old token in its grace", func(got status) bool {
		retired := got.slot(oneSlot).Retired
		return len(retired) > 0 && retired[len(retired)-1].State == "grace"
	})
	s.loseJournal()
	if code := a.ended(t, patience); code != 1 || !regexp.MustCompile(`state\.db: it was removed or replaced.*restart the agent`).MatchString(a.err.String()) {
		t.Errorf("without a journal it ended with %d and said %s", code, outside.Tail(a.err.String(), 3))
	}
	before := live(server)
	if len(before) < 2 {
		t.Fatalf("%d live tokens were left, the test wants an old one too", len(before))
	}

	s.declare(q.Base, outside.Calm, oneToken)
	a = s.start()
	found := a.awaitStatus("the rebuilt slot", func(got status) bool { return got.slot(oneSlot).State == "current" })
	if found.Unclaimed != len(before)-1 {
		t.Errorf("%d tokens are unclaimed, want the %d old ones", found.Unclaimed, len(before)-1)
	}
	// A token that this journal issued is retired to its end, those of the
	// lost one aren't touched meanwhile.
	for range 2 {
		s.rotated(oneSlot)
	}
	a.awaitStatus("the token of this journal to be retired", func(got status) bool {
		return len(got.slot(oneSlot).Retired) == got.Unclaimed
	})
	if after := live(server); len(after) != len(before)+1 || !contains(after, before) {
		t.Errorf("live are %v, want those of the lost journal, %v, and the current one", after, before)
	}
	if r := s.run("resume", "--adopt", oneSlot); r.code != 0 {
		t.Errorf("resume --adopt: exit %d, %s", r.code, r.err)
	}
	a.awaitStatus("rest", func(got status) bool { return got.slot(oneSlot).settled() && got.Unclaimed == 0 })
	if mine := of(q.tokens(t), oneSlot); len(mine) != 1 || mine[0].ID != a.awaitStatus("", always).slot(oneSlot).TokenID {
		t.Errorf("at rest the API lists %+v", mine)
	}
	reading.noneDead(t, 1, 100)
	s.noTraces("stderr of agent 1", "stderr of agent 2", "output of handover resume")
}

func always(status) bool { return true }

// live is the numbers of the live tokens of the one slot.
func live(server *sim.Server) []int64 {
	var ids []int64
	for _, token := range server.LiveTokens(oneAccount) {
		ids = append(ids, token.ID)
	}
	return ids
}

func contains(all, part []int64) bool {
	return !slices.ContainsFunc(part, func(id int64) bool { return !slices.Contains(all, id) })
}

// inJournal changes the journal of an agent that isn't running as another
// program would.
func (s *site) inJournal(statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.path("state/state.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		s.t.Fatal(err)
	}
}

// TestJournalRefused: an agent doesn't start on a journal that it can't trust
// or write. It says what to do, and leaves journal, target and token as they
// are.
func TestJournalRefused(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, q := s.serveSim()
	s.declare(q.Base, outside.Calm, oneToken)
	if r := s.run("run", "--once"); r.code != 0 {
		t.Fatalf("run --once: exit %d, %s", r.code, r.err)
	}
	token := s.delivered()
	whole, err := os.ReadFile(s.path("state/state.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		spoil func()
		says  string
	}{
		{"not a database", func() { s.write("state/state.db", strings.Repeat("no journal ", 1000)) }, `(?s)corrupted.*move the file`},
		{"pages overwritten", func() { s.write("state/state.db", garbled(whole)) }, `(?s)corrupted.*move the file`},
		{"cut", func() { s.write("state/state.db", string(whole[:len(whole)/2])) }, `(?s)corrupted.*move the file`},
		{"newer", func() {
			s.inJournal(`INSERT INTO schema_version (version, applied_at) VALUES (999, '2030-01-01T00:00:00Z')`)
		}, `newer release.*999.*install`},
		{"foreign", func() { s.write("state/state.db", ""); s.inJournal(`CREATE TABLE recipes (name TEXT)`) }, `another program.*name another file`},
	} {
		s.write("state/state.db", string(whole))
		test.spoil()
		spoilt, err := os.ReadFile(s.path("state/state.db"))
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{{"run"}, {"run", "--once"}} {
			r := s.run(command...)
			if r.code != 1 || !regexp.MustCompile(test.says).MatchString(r.err) || !strings.Contains(r.err, "state.db") {
				t.Errorf("%s: %v ends with %d and says %s", test.name, command, r.code, r.err)
			}
		}
		if now, err := os.ReadFile(s.path("state/state.db")); err != nil || !bytes.Equal(now, spoilt) {
			t.Errorf("%s: the file was changed: %v", test.name, err)
		}
	}
	if err := server.Check(token); err != nil || !s.delivered().Equal(token) || len(server.LiveTokens(oneAccount)) != 1 {
		t.Errorf("the token was touched: %v", err)
	}
	s.write("state/state.db", string(whole))
	if r := s.run("run", "--once"); r.code != 0 || !s.delivered().Equal(token) {
		t.Errorf("with its journal back: exit %d, %s", r.code, r.err)
	}
}

// garbled is a database whose pages after the first are noise.
func garbled(whole []byte) string {
	spoilt := bytes.Clone(whole)
	for i := 4096; i < len(spoilt); i++ {
		spoilt[i] ^= byte(i*7 + i>>8)
	}
	return string(spoilt)
}

// TestStateFolderRefused: where no journal can be written, the agent doesn't
// start, and nothing is issued.
func TestStateFolderRefused(t *testing.T) {
	t.Parallel()
	program(t)
	folders := map[string]func(*site){
		"a file": func(s *site) { s.write("state", "") },
		"read-only": func(s *site) {
			if err := os.Mkdir(s.path("state"), 0o500); err != nil {
				t.Fatal(err)
			}
		},
	}
	if os.Geteuid() == 0 {
		delete(folders, "read-only") // root writes there all the same
	}
	for name, spoil := range folders {
		s := newSite(t)
		server, q := s.serveSim()
		s.declare(q.Base, outside.Calm, oneToken)
		spoil(s)
		r := s.run("run")
		if r.code != 1 || !regexp.MustCompile(`state.*can't be written.*writable`).MatchString(r.err) {
			t.Errorf("%s: it ends with %d and says %s", name, r.code, r.err)
		}
		if len(server.LiveTokens(oneAccount)) != 0 {
			t.Errorf("%s: a token was issued without a journal", name)
		}
	}
}

// TestSecondAgent: a second agent on the same journal is refused at once, says
// who has it, and doesn't disturb the first. What both would write is for the
// agent's user alone.
func TestSecondAgent(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	_, q := s.serveSim()
	s.declare(q.Base, outside.Quick, oneToken)
	a := s.start()
	a.awaitStatus("the first token", allServed)
	for name, want := range map[string]fs.FileMode{
		"control.sock": 0o600 | fs.ModeSocket, "state": 0o700 | fs.ModeDir, "state/state.db": 0o600,
		"delivered/token": 0o600, "delivered": 0o700 | fs.ModeDir,
	} {
		if info, err := os.Stat(s.path(name)); err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v, want %v; %v", name, info.Mode(), want, err)
		}
	}
	for _, args := range [][]string{{"run"}, {"run", "--once"}} {
		r := s.run(args...)
		if r.code != 1 || !regexp.MustCompile(`state\.db: another agent holds it: process \d+.*stop that agent`).MatchString(r.err) {
			t.Errorf("handover %v beside a running agent: exit %d, %s", args, r.code, r.err)
		}
	}
	before := a.awaitStatus("", always).slot(oneSlot).Generation
	a.awaitStatus("the first agent to rotate on", func(got status) bool { return got.slot(oneSlot).Generation > before })
	a.kill()
	if r := s.run("run", "--once"); r.code != 0 {
		t.Errorf("after kill -9 of the first: exit %d, %s", r.code, r.err)
	}
}
