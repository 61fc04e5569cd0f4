package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

func TestOnceBringsAllToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		sum, err := a.Once(t.Context())
		want := Summary{Slots: 2, Settled: 2, Waiting: map[string]rotation.Reason{}}
		if diff := cmp.Diff(want, sum); diff != "" || err != nil {
			t.Errorf("Once: %v\n%s", err, diff)
		}
		if w.serves("one", "pipeline") != "live" || w.serves("one", "gate") != "live" {
			t.Error("a store serves no live token")
		}
	})
}

func TestOnceOfSomeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		sum, err := a.Once(t.Context(), gateSlot)
		if err != nil || sum.Slots != 1 || sum.Settled != 1 {
			t.Errorf("Once = %+v, %v", sum, err)
		}
		if got := w.serves("one", "pipeline"); got != "" {
			t.Errorf("the slot that wasn't named serves: %s", got)
		}
		if _, err := a.Once(t.Context(), pipelineSlot, "typo"); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("Once = %v for a slot that isn't declared", err)
		}
		if got := w.serves("one", "pipeline"); got != "" {
			t.Errorf("beside a slot that isn't declared, something was done: %s", got)
		}
	})
}

// What settles soon is waited for: a token that isn't valid at once.
func TestOnceWaitsForWhatSettlesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, oneSlot)
		w.api.Inject(sim.Fault{Method: "POST", Path: "/user-tokens", Effect: sim.FreshRefusals(3)})
		a := w.agent()
		began := time.Now()
		sum, err := a.Once(t.Context())
		if err != nil || sum.Settled != 1 {
			t.Errorf("Once = %+v, %v", sum, err)
		}
		if took := time.Since(began); took < time.Second || took > patience {
			t.Errorf("it took %s for a token that was refused three times", took)
		}
	})
}

// What doesn't settle soon isn't waited for, and the reason is told.
func TestOnceTellsWhatItWaitsFor(t *testing.T) {
	cases := map[string]struct {
		arrange func(*world)
		served  bool // the slots were at rest before
		want    rotation.Reason
	}{
		"the API refuses the credential": {func(w *world) {
			w.api.Inject(sim.Fault{Times: -1, Effect: sim.Answer(401, `{"detail":"no"}`)})
		}, false, rotation.CredentialRefused},
		"and at rest": {func(w *world) {
			w.api.Inject(sim.Fault{Times: -1, Effect: sim.Answer(403, `{"detail":"no"}`)})
		}, true, rotation.CredentialRefused},
		"the API is down": {func(w *world) {
			w.api.Inject(sim.Fault{Times: -1, Effect: sim.Drop()})
		}, false, rotation.APIUnavailable},
		"the API wants us to wait": {func(w *world) {
			w.api.Inject(sim.Fault{Times: -1, Effect: sim.Throttle(10 * time.Minute)})
		}, false, rotation.APIThrottled},
		"the only store refuses":  {func(w *world) { w.stores["one"].Deny("pipeline") }, false, rotation.TargetDenied},
		"a store is down at rest": {func(w *world) { w.stores["one"].SetDown(true) }, true, rotation.TargetUnreachable},
		"the only store holds something else": {func(w *world) {
			w.stores["one"].Overwrite("pipeline", secret.New("somebody's password"))
		}, false, rotation.NoTargetReady},
		"the issue is refused": {func(w *world) {
			w.api.Inject(sim.Fault{Method: "POST", Path: "/user-tokens", Effect: sim.Answer(422, `{"detail":"no"}`)})
		}, false, rotation.IssueRefused},
		"the account is deactivated": {func(w *world) {
			if err := w.api.DeactivateAccount("pipeline@service"); err != nil {
				w.t.Fatal(err)
			}
		}, true, rotation.AccountDeactivated},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, oneStore, oneSlot)
				a := w.agent()
				if c.served {
					if sum, err := a.Once(t.Context()); err != nil || sum.Settled != 1 {
						t.Fatalf("Once = %+v, %v", sum, err)
					}
					later(2 * time.Hour) // until the lists have to be asked for again
				}
				c.arrange(w)
				began := time.Now()
				sum, err := a.Once(t.Context())
				want := Summary{Slots: 1, Waiting: map[string]rotation.Reason{pipelineSlot: c.want}}
				if diff := cmp.Diff(want, sum); diff != "" || err != nil {
					t.Errorf("Once: %v\n%s", err, diff)
				}
				if took := time.Since(began); took > 2*patience {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestOnceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, manySlots(40, 10))
		w.api.Inject(sim.Fault{Times: -1, Effect: sim.Hang()})
		a := w.agent()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		sum, err := a.Once(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || sum.Settled != 0 {
			t.Errorf("Once = %+v, %v", sum, err)
		}
		if got := err.Error(); len(got) > 200 {
			t.Errorf("the end of ctx is told %d bytes long: %s", len(got), got)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s after the end of ctx", took)
		}
	})
}

func TestOnceWithoutAJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, manySlots(40, 10))
		a := w.agent()
		if err := os.Remove(filepath.Join(w.folder, "state.db")); err != nil {
			t.Fatal(err)
		}
		sum, err := a.Once(t.Context())
		if !errors.Is(err, journal.ErrRemoved) || sum.Settled != 0 {
			t.Errorf("Once = %+v, %v, the journal was removed", sum, err)
		}
		if tokens := w.api.LiveTokens("a0@service"); len(tokens) > 0 {
			t.Errorf("%d tokens were issued without a journal", len(tokens))
		}
	})
}

// A thousand new accounts don't take a list of all accounts each: what the API
// said when it made one is enough.
func TestOnceListsAccountsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, manySlots(120, 1))
		a := w.agent()
		sum, err := a.Once(t.Context())
		if err != nil || sum.Settled != 120 {
			t.Fatalf("Once = %+v, %v", sum, err)
		}
		calls := w.api.Calls()
		if calls["POST /users"] != 120 || calls["POST /user-tokens"] != 120 || calls["GET /users/me"] != 120 {
			t.Errorf("120 accounts of one slot took %v", calls)
		}
		if calls["GET /users"] > 2 || calls["GET /user-tokens/service"] > 1 {
			t.Errorf("120 accounts of one slot took %d lists of accounts and %d of tokens",
				calls["GET /users"], calls["GET /user-tokens/service"])
		}
	})
}
