package agent

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

const (
	ownSlot = "handover_agent@service/production"
	ownID   = "handover_agent@service"
	// ownAccount is the account of the agent's own credential; it leaves room
	// for others.
	ownAccount = `accounts:
  - name: Handover Agent
    role: Admin
    justification: only an Admin may manage service accounts
    owner: data@acme.example
    purpose: the agent's own access
    tokens:
      - {name: production, deliver: [{backend: one, path: admin, format: token}]}
`
)

// selfWorld is a world whose agent rotates its own credential, and looks at its
// place by itself only once a year.
func selfWorld(t *testing.T) *world {
	w := newWorld(t, oneStore, ownAccount+pipeline)
	w.edit("{file: admin.token}", "{backend: one, path: admin, every: 365d, self: true, bootstrap: {file: admin.token}}")
	w.edit(often, seldom)
	return w
}

// wire is the API as an agent reaches it: some tokens can be refused on it, and
// its refusals are counted.
type wire struct {
	w    *world
	next http.RoundTripper

	mu      sync.Mutex
	refused map[secret.Fingerprint]bool
	n401    int
}

func (w *world) wire() *wire {
	return &wire{w: w, next: w.api.Transport(), refused: map[secret.Fingerprint]bool{}}
}

func (x *wire) through(o *Options) { o.Transport = x }

func (x *wire) refuse(token secret.Value, yes bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.refused[token.Fingerprint()] = yes
}

func (x *wire) refusals() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.n401
}

// RoundTrip is a step of the world.
func (x *wire) RoundTrip(req *http.Request) (answer *http.Response, err error) {
	token := secret.New(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
	x.mu.Lock()
	no := x.refused[token.Fingerprint()]
	x.mu.Unlock()
	if no {
		req.Header.Set("Authorization", "Bearer "+"no.such.token")
	}
	err = x.w.stepped(func() (err error) {
		answer, err = x.next.RoundTrip(req) //nolint:bodyclose // the client closes it
		return err
	})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusUnauthorized {
		x.mu.Lock()
		x.n401++
		x.mu.Unlock()
	}
	return answer, nil
}

// live are the numbers of the own account's live tokens.
func (w *world) live() (ids []int64) {
	for _, t := range w.api.LiveTokens(ownID) {
		ids = append(ids, t.ID)
	}
	return ids
}

// worksWithStored checks that the agent works with what its place serves.
func (w *world) worksWithStored(a *Agent) {
	w.t.Helper()
	if got, want := a.client.Credential().Working, w.secretAt("admin").Fingerprint(); got != want || got == "" {
		w.t.Errorf("the agent works with %q, and %q stands at its place", got.Short(), want.Short())
	}
}

// revokeFirst revokes the token that a person made for the first run.
func (w *world) revokeFirst() {
	w.t.Helper()
	for _, t := range w.api.LiveTokens("handover_admin@service") {
		if err := w.api.RevokeToken(t.ID); err != nil {
			w.t.Fatal(err)
		}
	}
}

// settledOwn brings an agent up whose own credential is its slot's token, the
// person's first token being revoked.
func settledOwn(w *world, x *wire) running {
	w.t.Helper()
	a := w.agent(x.through)
	run := w.drive(a)
	later(time.Minute)
	if err := a.client.RenewCredential(w.t.Context()); err != nil {
		w.t.Fatalf("the agent didn't take its own token up: %v", err)
	}
	w.worksWithStored(a)
	w.revokeFirst()
	return run
}

// TestSelfBegins: the first run works with a person's token, makes the account
// and its token, and takes that up; from then on nobody needs the person's.
func TestSelfBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := selfWorld(t)
		w.edit("every: 365d, self", "every: 5m, self")
		x := w.wire()
		a := w.agent(x.through)
		ctx, cancel := context.WithCancel(t.Context())
		var keeping sync.WaitGroup
		keeping.Go(func() { a.keepCredentialAnd(ctx, nil) })
		w.drive(a)
		later(10 * time.Second)
		if from := a.client.Credential().From; !strings.HasPrefix(from, "bootstrap, file ") {
			t.Errorf("the first run works with %q", from)
		}
		later(6 * time.Minute)
		w.worksWithStored(a)
		w.revokeFirst()
		later(time.Hour)
		if n := x.refusals(); n != 0 {
			t.Errorf("%d calls were refused", n)
		}
		doc, err := a.Status(t.Context())
		if err != nil || doc.Credential.Slot != ownSlot || doc.Credential.From != "one/admin" || len(doc.Problems()) != 0 {
			t.Errorf("status tells %+v, %v; %v", doc.Credential, doc.Problems(), err)
		}
		cancel()
		keeping.Wait()
	})
}

// TestSelfWithoutAnyToken: the first run has nothing to work with, and says what
// to do.
func TestSelfWithoutAnyToken(t *testing.T) {
	w := selfWorld(t)
	w.edit(", bootstrap: {file: admin.token}", "")
	a := w.agent()
	want := "nothing stands at one/admin yet, and no bootstrap is declared: put a first token of an Admin there"
	if _, err := a.client.Tokens(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("err = %v, want %q", err, want)
	}
}

// TestSelfRotatesForYears: ten rotations of the agent's own credential, with the
// agent killed and started anew now and then. No call of the agent is ever
// refused, and an old token goes only when the agent works with the new one.
func TestSelfRotatesForYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, rotations := selfWorld(t), 10
		x := w.wire()
		run := settledOwn(w, x)
		for n := range rotations {
			later(20 * 24 * time.Hour)
			if live := len(w.live()); live < 1 || live > 2 {
				t.Errorf("after %d rotations %d tokens live", n, live)
			}
			w.worksWithStored(run.Agent)
			if n%3 == 1 {
				kill(run)
				run = w.drive(w.agent(x.through))
			}
		}
		later(5 * 24 * time.Hour)
		if got := len(w.acts(ownSlot, rotation.ActIssued)); got < rotations {
			t.Errorf("%d tokens were issued, want at least %d", got, rotations)
		}
		if revoked, deleted := len(w.acts(ownSlot, rotation.ActRevoked)), len(w.acts(ownSlot, rotation.ActDeleted)); revoked < rotations-1 || deleted < rotations-1 {
			t.Errorf("%d tokens were revoked and %d deleted", revoked, deleted)
		}
		if n := x.refusals(); n != 0 {
			t.Errorf("%d calls were refused", n)
		}
		if s := w.status(run.Agent, ownSlot); s.State != rotation.SlotCurrent || len(w.live()) != 1 {
			t.Errorf("at the end the slot is %s (%s), with the live tokens %v", s.State, s.Reason, w.live())
		}
	})
}

// kill ends an agent as a crash does: from now on nothing that it does reaches
// the journal.
func kill(run running) {
	_ = run.journal.Close()
	_ = run.stop()
	_ = run.Close()
}

// rotateOwn asks for a rotation of the agent's own credential.
func rotateOwn(t *testing.T, a *Agent) {
	t.Helper()
	if _, err := a.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestRotate, Slot: ownSlot}}); err != nil {
		t.Fatal(err)
	}
}

// TestSelfRefusedAtFirst: the new token is delivered, and Qualytics refuses it
// for days. The old one stays in use, and its grace begins only after that.
func TestSelfRefusedAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := selfWorld(t)
		x := w.wire()
		run := settledOwn(w, x)
		old := w.secretAt("admin")
		delivered := make(chan secret.Value, 1)
		w.delivered(func(token secret.Value) { // before the agent can take it up
			x.refuse(token, true)
			delivered <- token
		})
		rotateOwn(t, run.Agent)
		fresh := <-delivered
		later(4 * 24 * time.Hour) // twice the grace
		if got := run.client.Credential(); got.Working != old.Fingerprint() || got.Trouble == nil {
			t.Errorf("it works with %q, trouble %v", got.Working.Short(), got.Trouble)
		}
		if err := w.api.Check(old); err != nil {
			t.Errorf("the old token, which the agent works with: %v", err)
		}
		if s := w.status(run.Agent, ownSlot); len(s.Retired) != 1 || s.Retired[0].State != rotation.Waiting || s.Reason != rotation.NotTakenUp {
			t.Errorf("the slot says %s, its old token %+v", s.Reason, s.Retired)
		}
		if !strings.Contains(w.logged(), "is not in use") {
			t.Error("the log doesn't tell")
		}
		x.refuse(fresh, false)
		later(24 * time.Hour)
		w.worksWithStored(run.Agent)
		if err := w.api.Check(old); err != nil {
			t.Errorf("a day later, in its grace: %v", err)
		}
		later(3 * 24 * time.Hour)
		if err := w.api.Check(old); err == nil {
			t.Error("the old token is never revoked")
		}
	})
}

// delivered calls f with each token that is put at the credential's place.
func (w *world) delivered(f func(secret.Value)) {
	before := w.secretAt("admin")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step = func(do func() error) error {
		err := do()
		if now := w.secretAt("admin"); !now.Equal(before) {
			before = now
			f(now)
		}
		return err
	}
}

// TestSelfGoesBack: the new token was taken up, and is refused then. The agent
// works with the old one again, and its grace begins anew.
func TestSelfGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := selfWorld(t)
		x := w.wire()
		run := settledOwn(w, x)
		old := w.secretAt("admin")
		rotateOwn(t, run.Agent)
		later(24 * time.Hour)
		w.worksWithStored(run.Agent)
		fresh := w.secretAt("admin")
		if fresh.Equal(old) {
			t.Fatal("nothing was rotated")
		}
		x.refuse(fresh, true)
		later(3 * 24 * time.Hour) // the grace would be over
		if got := run.client.Credential(); got.Working != old.Fingerprint() {
			t.Errorf("it works with %q", got.Working.Short())
		}
		w.oldUntilTaken(run.Agent, old, func() { x.refuse(fresh, false) })
	})
}

// oldUntilTaken wants the old token to live while the agent works with it, and to
// end once Qualytics takes the new one.
func (w *world) oldUntilTaken(a *Agent, old secret.Value, take func()) {
	w.t.Helper()
	if err := w.api.Check(old); err != nil {
		w.t.Errorf("the old token, which the agent works with: %v", err)
	}
	take()
	later(5 * 24 * time.Hour)
	w.worksWithStored(a)
	if err := w.api.Check(old); err == nil {
		w.t.Error("the old token is never revoked")
	}
}

// TestSelfStartsOnTheVersionBefore: the new token is delivered, Qualytics refuses
// it, and the agent dies. The one that starts again works with the version
// before.
func TestSelfStartsOnTheVersionBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := selfWorld(t)
		x := w.wire()
		run := settledOwn(w, x)
		old := w.secretAt("admin")
		delivered := make(chan secret.Value, 1)
		w.delivered(func(token secret.Value) {
			x.refuse(token, true)
			delivered <- token
		})
		rotateOwn(t, run.Agent)
		fresh := <-delivered
		synctest.Wait()
		kill(run)
		run = w.drive(w.agent(x.through))
		later(4 * 24 * time.Hour)
		if got := run.client.Credential(); got.Working != old.Fingerprint() || got.From != "previous version of one/admin" || got.Trouble == nil {
			t.Errorf("it works with %q from %q, trouble %v", got.Working.Short(), got.From, got.Trouble)
		}
		w.oldUntilTaken(run.Agent, old, func() { x.refuse(fresh, false) })
	})
}

// TestSelfEmergency: the agent's own token leaked, and was to be revoked first.
// It is dead within seconds, and no moment earlier than the agent works with the
// next.
func TestSelfEmergency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := selfWorld(t)
		x := w.wire()
		run := settledOwn(w, x)
		old := w.secretAt("admin")
		if _, err := run.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestEmergency, Slot: ownSlot, RevokeFirst: true}}); err != nil {
			t.Fatal(err)
		}
		later(2 * time.Second)
		w.worksWithStored(run.Agent)
		if err := w.api.Check(old); err == nil {
			t.Error("what leaked lives")
		}
		if n := x.refusals(); n != 0 {
			t.Errorf("%d calls were refused", n)
		}
	})
}

// TestSelfEmergencyWithoutItsStore: the place is away, and the deadline passes.
// The leaked token lives until the agent has another one that a restart finds.
func TestSelfEmergencyWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := selfWorld(t)
		x := w.wire()
		run := settledOwn(w, x)
		old := w.secretAt("admin")
		away := &backends.Error{Op: "get", Ref: backends.Ref{Backend: "one", Path: "admin"}, Kind: backends.ErrUnavailable}
		w.setLook(func(context.Context, backends.Ref) error { return away })
		if _, err := run.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestEmergency, Slot: ownSlot}}); err != nil {
			t.Fatal(err)
		}
		later(10 * time.Minute)
		if err := w.api.Check(old); err != nil {
			t.Errorf("the agent's only credential: %v", err)
		}
		w.setLook(nil)
		later(10 * time.Minute)
		w.worksWithStored(run.Agent)
		if err := w.api.Check(old); err == nil {
			t.Error("what leaked lives")
		}
	})
}

func (w *world) setLook(look func(context.Context, backends.Ref) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look = look
}

// TestSelfDeclinesToLockItselfOut: a revocation without a replacement.
func TestSelfDeclinesToLockItselfOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := selfWorld(t)
		run := settledOwn(w, w.wire())
		if _, err := run.Submit(t.Context(), []rotation.Request{{Kind: rotation.RequestRevoke, Slot: ownSlot},
			{Kind: rotation.RequestDeactivate, Slot: ownSlot}}); err != nil {
			t.Fatal(err)
		}
		later(time.Hour)
		w.worksWithStored(run.Agent)
		if len(w.live()) != 1 || len(w.acts(ownSlot, rotation.ActDeclined)) != 2 {
			t.Errorf("live tokens %v, declined %v", w.live(), w.acts(ownSlot, rotation.ActDeclined))
		}
	})
}
