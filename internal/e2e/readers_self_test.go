package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestReadersNotice: a reader that meets a dead token, an empty place, another
// account's token, or a store that fails says so; a good one doesn't.
func TestReadersNotice(t *testing.T) {
	s := newSite(t)
	server, q := s.serveSim()
	token := func(account string) (int64, string) {
		if _, err := server.CreateAccount(account, "Member"); err != nil {
			t.Fatal(err)
		}
		id, value, err := server.CreateToken(strings.ToLower(account)+"@service", "x", 1)
		if err != nil {
			t.Fatal(err)
		}
		return id, value.Reveal()
	}
	_, good := token("Good")
	revoked, dead := token("Dead")
	if err := server.RevokeToken(revoked); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name                 string
		token                string
		err                  error
		delivered            bool
		reads, deads, others int
	}{
		{name: "good", token: good, reads: 1},
		{name: "good again", token: good, delivered: true, reads: 1},
		{name: "dead", token: dead, reads: 1, deads: 1},
		{name: "not a token", token: "x", reads: 1, deads: 1},
		{name: "not delivered yet", err: errAbsent},
		{name: "gone", err: errAbsent, delivered: true, reads: 1, deads: 1},
		{name: "store fails", err: errors.New("the store answers 500"), delivered: true, reads: 1, others: 1},
	} {
		r := &readers{qualytics: q, reads: map[string]int{}}
		c := consumer{name: "c", account: "good@service", read: func(context.Context) (string, error) { return test.token, test.err }}
		if got, want := r.read(t.Context(), c, 0, test.delivered), test.delivered || test.reads > 0; got != want {
			t.Errorf("%s: delivered is %t, want %t", test.name, got, want)
		}
		if r.reads["c"] != test.reads || len(r.dead) != test.deads || len(r.other) != test.others {
			t.Errorf("%s: %d reads, dead %q, other %q", test.name, r.reads["c"], r.dead, r.other)
		}
	}
	r := &readers{qualytics: q, reads: map[string]int{}}
	r.read(t.Context(), consumer{name: "c", account: "another@service", read: func(context.Context) (string, error) { return good, nil }}, 0, true)
	if len(r.dead) != 1 {
		t.Errorf("a token of another account passes: %q", r.dead)
	}
}

// TestReadersHold: a token that dies while it is held is noticed; one that was
// held for longer than is fair counts against nobody.
func TestReadersHold(t *testing.T) {
	s := newSite(t)
	server, q := s.serveSim()
	if _, err := server.CreateAccount("Good", "Member"); err != nil {
		t.Fatal(err)
	}
	id, value, err := server.CreateToken("good@service", "x", 1)
	if err != nil {
		t.Fatal(err)
	}
	r := &readers{qualytics: q, reads: map[string]int{}}
	c := consumer{name: "c", account: "good@service", read: func(context.Context) (string, error) { return value.Reveal(), nil }}
	if r.read(t.Context(), c, time.Millisecond, true); len(r.dead) != 0 || r.held != 1 {
		t.Errorf("a live token that was held: %d held, dead %q", r.held, r.dead)
	}
	if err := server.RevokeToken(id); err != nil {
		t.Fatal(err)
	}
	if r.read(t.Context(), c, time.Millisecond, true); len(r.dead) != 1 {
		t.Errorf("one that died meanwhile: dead %q", r.dead)
	}
	if r.read(t.Context(), c, fair+time.Millisecond, true); r.slow != 1 || len(r.dead) != 1 {
		t.Errorf("held for longer than %s: %d slow, dead %q", fair, r.slow, r.dead)
	}
}

// TestReadersGoOn: they read until they are ended.
func TestReadersGoOn(t *testing.T) {
	s := newSite(t)
	server, q := s.serveSim()
	if _, err := server.CreateAccount("Good", "Member"); err != nil {
		t.Fatal(err)
	}
	_, value, err := server.CreateToken("good@service", "x", 1)
	if err != nil {
		t.Fatal(err)
	}
	s.write("token", value.Reveal())
	r := startReaders(t, q, s.fromFile("token", "good@service", whole))
	await(t, time.Minute, "five reads", moreReads(r, 5))
	r.noneDead(t, 1, 5)
}
