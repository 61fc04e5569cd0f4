package outside

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/qualytics/sim"
)

// simulator serves an instance with an account, and a token of it.
func simulator(t *testing.T) (server *sim.Server, q Instance, id int64, token string) {
	t.Helper()
	server, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	admin, err := server.AdminToken("Admin")
	if err != nil {
		t.Fatal(err)
	}
	id, token = mint(t, server, "Good")
	return server, Instance{Base: listening.URL, Admin: admin.Reveal()}, id, token
}

func mint(t *testing.T, server *sim.Server, account string) (id int64, token string) {
	t.Helper()
	if _, err := server.CreateAccount(account, "Member"); err != nil {
		t.Fatal(err)
	}
	id, value, err := server.CreateToken(strings.ToLower(account)+"@service", "x.me.g1", 1)
	if err != nil {
		t.Fatal(err)
	}
	return id, value.Reveal()
}

// holds is a consumer at a target that holds this.
func holds(token string, err error) Consumer {
	return Consumer{Name: "c", Slot: "good@service/x", Read: func(context.Context) (string, error) { return token, err }}
}

// TestReadersNotice: a reader that meets a dead token, an empty place, what is
// no token, or another account's token says so; a good one doesn't. What can't
// be reached is no read.
func TestReadersNotice(t *testing.T) {
	server, q, _, good := simulator(t)
	revoked, dead := mint(t, server, "Dead")
	if err := server.RevokeToken(revoked); err != nil {
		t.Fatal(err)
	}
	_, another := mint(t, server, "Another")
	for _, test := range []struct {
		name                      string
		token                     string
		err                       error
		delivered                 bool
		reads, deads, unreachable int
	}{
		{name: "good", token: good, reads: 1},
		{name: "good again", token: good, delivered: true, reads: 1},
		{name: "dead", token: dead, reads: 1, deads: 1},
		{name: "not a token", token: "x", reads: 1, deads: 1},
		{name: "of another account", token: another, reads: 1, deads: 1},
		{name: "not delivered yet", err: ErrAbsent},
		{name: "gone", err: ErrAbsent, delivered: true, reads: 1, deads: 1},
		{name: "garbled", err: fmt.Errorf("there is no field token"), reads: 1, deads: 1},
		{name: "store fails", err: fmt.Errorf("%w: it says 500", ErrUnreachable), delivered: true, unreachable: 1},
		{name: "store fails at first", err: fmt.Errorf("%w: it says 500", ErrUnreachable), unreachable: 1},
	} {
		r := newReaders(q)
		if got, want := r.read(t.Context(), holds(test.token, test.err), 0, test.delivered), test.delivered || test.reads > 0; got != want {
			t.Errorf("%s: delivered is %t, want %t", test.name, got, want)
		}
		met := r.Tally()
		if met.Sum() != test.reads || met.Dead != test.deads || len(met.Deaths) != test.deads || met.Unreachable != test.unreachable {
			t.Errorf("%s: %+v", test.name, met)
		}
	}
	r := newReaders(Instance{Base: "http://127.0.0.1:1"})
	if r.read(t.Context(), holds(good, nil), 0, true); r.Tally().Unreachable != 1 || r.Tally().Sum() != 0 {
		t.Errorf("without an instance: %+v", r.Tally())
	}
}

// TestReadersHold: a token that dies while it is held is noticed; one that was
// held for longer than is fair counts against nobody.
func TestReadersHold(t *testing.T) {
	server, q, id, token := simulator(t)
	r, c := newReaders(q), holds(token, nil)
	if r.read(t.Context(), c, time.Millisecond, true); r.Tally().Dead != 0 || r.Tally().Held != 1 {
		t.Errorf("a live token that was held: %+v", r.Tally())
	}
	if err := server.RevokeToken(id); err != nil {
		t.Fatal(err)
	}
	if r.read(t.Context(), c, time.Millisecond, true); r.Tally().Dead != 1 {
		t.Errorf("one that died meanwhile: %+v", r.Tally())
	}
	if r.read(t.Context(), c, fair+time.Millisecond, true); r.Tally().Slow != 1 || r.Tally().Dead != 1 {
		t.Errorf("held for longer than %s: %+v", fair, r.Tally())
	}
}

// TestReadersGoOn: they read until they are ended, and tell how many tokens
// they saw.
func TestReadersGoOn(t *testing.T) {
	server, q, _, token := simulator(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(token)
	r := StartReaders(q, time.Millisecond, FromFile("token", file, "good@service/x", Whole))
	more := func() {
		t.Helper()
		least := r.Tally().Least() + 5
		if err := Await(t.Context(), time.Minute, "five reads", func() (bool, string) {
			return r.Tally().Least() >= least, fmt.Sprint(r.Tally())
		}); err != nil {
			t.Fatal(err)
		}
	}
	more()
	_, next, err := server.CreateToken("good@service", "x.me.g2", 1)
	if err != nil {
		t.Fatal(err)
	}
	write(next.Reveal())
	more()
	met := r.End()
	if met.Dead != 0 || met.Unreachable != 0 || met.Tokens["file token"] != 2 {
		t.Errorf("they met %+v", met)
	}
	if again := r.End(); again.Sum() != met.Sum() {
		t.Error("they read on after their end")
	}
}
