package plan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/plan"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

func sprint(parts ...any) string { return fmt.Sprintf("%+v", parts) }

func wantActs(t *testing.T, p plan.Plan, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, acts(p)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestFirstRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorld(t).plan()
		wantActs(t, p,
			"create_account "+pipeline,
			"issue nightly never_issued",
			"deliver nightly aws/qualytics target_new",
			"deliver nightly vault/qualytics target_new",
			"issue hourly never_issued",
			"deliver hourly azure/qualytics target_new",
			"create_account quality_gate@service",
			"issue gate never_issued",
			"deliver gate file/qualytics target_new")
		want := plan.Summary{CreateAccounts: 2, Issues: 3, Deliveries: 4}
		if p.Summary != want || len(p.Waits) != 0 {
			t.Errorf("summary %+v, waits %v", p.Summary, p.Waits)
		}
	})
}

func TestAtRestNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		p := w.plan()
		wantActs(t, p)
		if len(p.Waits) != 0 || p.Changes == nil || p.Waits == nil {
			t.Errorf("plan %+v", p)
		}
	})
}

func TestNoSlotsAskNobody(t *testing.T) {
	p, err := plan.Make(t.Context(), plan.Source{})
	if err != nil || p.Summary != (plan.Summary{}) {
		t.Errorf("plan %+v, %v", p, err)
	}
}

// TestPlanIsWhatTheAgentDoes plans and then lets the agent work, twice a day for
// three rotations, with disturbances: what was planned is what an agent that has
// just started does.
func TestPlanIsWhatTheAgentDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		total := plan.Summary{}
		disturb := map[int]func(){
			11: func() { w.stores["vault/qualytics"].Delete("qualytics") },
			21: func() { w.stores["aws/qualytics"].RollBack("qualytics") },
			31: func() { w.journal.Restore(newWorld(t).journal) },
			51: func() { w.stores["azure/qualytics"].SetDown(true) },
			55: func() { w.stores["azure/qualytics"].SetDown(false) },
			71: func() { w.slots[0].Policy.Account.Role = "Member"; w.slots[1].Policy.Account.Role = "Member" },
			81: func() { revokeNewest(w) },
		}
		for half := range 130 {
			if act := disturb[half]; act != nil {
				act()
			}
			planned := w.plan().Summary
			w.restart()
			if done := summaryOf(w.pass()); done != planned {
				t.Fatalf("after %d half days: planned %+v, done %+v", half, planned, done)
			}
			total = add(total, planned)
			time.Sleep(rotation.Day / 2)
			synctest.Wait()
		}
		if total.Issues < 9 || total.Revocations < 6 || total.Deletions < 6 || total.UpdateAccounts != 1 {
			t.Errorf("too little happened to tell: %+v", total)
		}
	})
}

// revokeNewest is what a person does in Qualytics' pages.
func revokeNewest(w *world) {
	list, _ := w.api.Tokens(context.Background())
	if err := w.api.Revoke(context.Background(), list[len(list)-1].ID); err != nil {
		w.t.Fatal(err)
	}
}

func summaryOf(events []rotation.Event) plan.Summary {
	var s plan.Summary
	for _, e := range events {
		switch e.Act {
		case rotation.ActCreatedAccount:
			s.CreateAccounts++
		case rotation.ActUpdatedAccount:
			if e.Reason == rotation.DeclarationChanged { // else it was as declared
				s.UpdateAccounts++
			}
		case rotation.ActIssued:
			s.Issues++
		case rotation.ActDelivered:
			s.Deliveries++
		case rotation.ActRevoked:
			s.Revocations++
		case rotation.ActDeleted:
			s.Deletions++
		case rotation.ActForgotTarget:
			s.DroppedTargets++
		}
	}
	return s
}

func add(a, b plan.Summary) plan.Summary {
	return plan.Summary{CreateAccounts: a.CreateAccounts + b.CreateAccounts, UpdateAccounts: a.UpdateAccounts + b.UpdateAccounts,
		Issues: a.Issues + b.Issues, Deliveries: a.Deliveries + b.Deliveries, Revocations: a.Revocations + b.Revocations,
		Deletions: a.Deletions + b.Deletions, DroppedTargets: a.DroppedTargets + b.DroppedTargets}
}

func TestHealTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		w.stores["vault/qualytics"].Delete("qualytics")
		wantActs(t, w.plan(), "deliver nightly vault/qualytics target_empty")
	})
}

func TestRequestIsPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		if _, err := w.journal.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: hourly}); err != nil {
			t.Fatal(err)
		}
		wantActs(t, w.plan(), "issue hourly requested", "deliver hourly azure/qualytics")
	})
}

func TestDroppedTargetNamesItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		w.slots[0].Targets, w.slots[0].Policy.Targets = w.slots[0].Targets[1:], w.slots[0].Policy.Targets[1:]
		p := w.plan()
		wantActs(t, p, "drop_target nightly vault/qualytics declaration_changed")
		tokens, _ := w.api.Tokens(t.Context())
		drop := p.Changes[0]
		want := fmt.Sprintf("token %d stands there, and dies there once it is replaced", tokens[0].ID)
		if drop.TokenID != tokens[0].ID || drop.Generation != 1 || drop.Detail != want {
			t.Errorf("change %+v, want %q", drop, want)
		}
	})
}

func TestDroppedTargetThatServesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.stores["vault/qualytics"].Overwrite("qualytics", secret.New("by hand"))
		w.pass()
		w.slots[0].Targets, w.slots[0].Policy.Targets = w.slots[0].Targets[1:], w.slots[0].Policy.Targets[1:]
		p := w.plan()
		if len(p.Changes) == 0 || p.Changes[0].Detail != "no token of this slot stands there" {
			t.Errorf("changes %+v", p.Changes)
		}
	})
}

// TestLostJournal: without a journal what metadata proves is taken in, and all
// of it is told as it would be done.
func TestLostJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		p, err := plan.Make(t.Context(), plan.Source{API: w.api, Slots: w.slots})
		if err != nil {
			t.Fatal(err)
		}
		wantActs(t, p)
	})
}

func TestUnclaimedTokenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		accounts, _ := w.api.Accounts(t.Context())
		i := slices.IndexFunc(accounts, func(a rotation.Account) bool { return a.ID == pipeline })
		if _, err := w.api.Issue(t.Context(), rotation.Order{UserID: accounts[i].UserID, AccountID: pipeline,
			Label: rotation.Label("hourly", "acme", 7), Days: 30}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * rotation.Day)
		p := w.plan()
		if len(p.Waits) != 1 || p.Waits[0].Reason != rotation.FoundUnclaimed || p.Waits[0].Generation != 7 {
			t.Errorf("waits %+v", p.Waits)
		}
	})
}

// TestOtherTokenIsNotUsed: a token of the account that isn't the agent's is
// left alone, and not sent anywhere to find out.
func TestOtherTokenIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pass()
		accounts, _ := w.api.Accounts(t.Context())
		other, err := w.api.Issue(t.Context(), rotation.Order{UserID: accounts[0].UserID, AccountID: accounts[0].ID, Label: "by-hand"})
		if err != nil {
			t.Fatal(err)
		}
		w.stores["aws/qualytics"].Overwrite("qualytics", other.Value)
		time.Sleep(2 * rotation.Day)
		p := w.plan()
		wantActs(t, p)
		if len(p.Waits) != 1 || p.Waits[0].Reason != rotation.TargetHoldsOther || p.Waits[0].Target != "aws/qualytics" {
			t.Errorf("waits %+v", p.Waits)
		}
	})
}

type brokenAPI struct {
	plan.API
	accounts, tokens error
}

func (b brokenAPI) Accounts(ctx context.Context) ([]rotation.Account, error) {
	if b.accounts != nil {
		return nil, b.accounts
	}
	return b.API.Accounts(ctx)
}

func (b brokenAPI) Tokens(ctx context.Context) ([]rotation.Token, error) {
	if b.tokens != nil {
		return nil, b.tokens
	}
	return b.API.Tokens(ctx)
}

func TestQualyticsThatCannotBeAskedFailsThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		refused := &rotation.APIError{Call: "GET /users", Status: 401, Kind: rotation.ErrUnauthorized}
		for name, api := range map[string]plan.API{
			"accounts": brokenAPI{API: w.api, accounts: refused},
			"tokens":   brokenAPI{API: w.api, tokens: refused},
		} {
			_, err := plan.Make(t.Context(), plan.Source{API: api, Slots: w.slots})
			if !errors.Is(err, rotation.ErrUnauthorized) || !strings.Contains(err.Error(), "list the "+name+": GET /users: 401") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

type brokenJournal struct{ plan.Journal }

var errDisk = errors.New("disk I/O error")

func (brokenJournal) Slot(context.Context, string) (rotation.Record, error) {
	return rotation.Record{}, errDisk
}

func TestJournalThatCannotBeReadFailsThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, err := plan.Make(t.Context(), plan.Source{API: w.api, Journal: brokenJournal{w.journal}, Slots: w.slots[:1]})
		if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), nightly) {
			t.Errorf("error %v", err)
		}
	})
}

func TestPlanEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := plan.Make(ctx, plan.Source{API: w.api, Journal: w.journal, Slots: w.slots}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
