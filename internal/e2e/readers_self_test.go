package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/qualytics/sim"
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
		if got, want := r.read(t.Context(), c, test.delivered), test.delivered || test.reads > 0; got != want {
			t.Errorf("%s: delivered is %t, want %t", test.name, got, want)
		}
		if r.reads["c"] != test.reads || len(r.dead) != test.deads || len(r.other) != test.others {
			t.Errorf("%s: %d reads, dead %q, other %q", test.name, r.reads["c"], r.dead, r.other)
		}
	}
	r := &readers{qualytics: q, reads: map[string]int{}}
	r.read(t.Context(), consumer{name: "c", account: "another@service", read: func(context.Context) (string, error) { return good, nil }}, true)
	if len(r.dead) != 1 {
		t.Errorf("a token of another account passes: %q", r.dead)
	}
}

// TestReadersNoticeSlowness: a refusal counts against the agent only when the
// reader used the token at once.
func TestReadersNoticeSlowness(t *testing.T) {
	s := newSite(t)
	server, q := s.serveSim()
	server.Inject(sim.Fault{Path: "/users/me", Times: -1, Effect: sim.Answer(401, `{"detail":"no"}`)})
	r := &readers{qualytics: q, reads: map[string]int{}}
	r.read(t.Context(), consumer{name: "c", read: func(ctx context.Context) (string, error) {
		held, cancel := context.WithTimeout(ctx, fair)
		defer cancel()
		<-held.Done()
		return "x", nil
	}}, true)
	if r.slow != 1 || len(r.dead) != 0 {
		t.Errorf("after %s: %d slow, dead %q", fair, r.slow, r.dead)
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
