package qualytics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

// instance is a simulated instance, and a client with an Admin's token on it.
func instance(t *testing.T, change func(*qualytics.Options, *sim.Server)) (*qualytics.Client, *sim.Server) {
	t.Helper()
	s, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the simulator: %v", err)
		}
	})
	admin, err := s.AdminToken("Handover")
	if err != nil {
		t.Fatal(err)
	}
	o := qualytics.Options{
		BaseURL: "http://127.0.0.1", Transport: s.Transport(), Rate: -1,
		Credential: qualytics.OnePlace("a variable", func() (secret.Value, error) { return admin, nil }),
	}
	if change != nil {
		change(&o, s)
	}
	c, err := qualytics.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, s
}

func pipelineSpec() rotation.AccountSpec {
	return rotation.AccountSpec{Name: "Pipeline Automation", Role: "Member", Teams: []string{"Data Engineering"}}
}

// pipeline makes an account with one token.
func pipeline(t *testing.T, c *qualytics.Client) (rotation.Account, rotation.Order, rotation.Issued) {
	t.Helper()
	account, err := c.CreateAccount(t.Context(), pipelineSpec())
	if err != nil {
		t.Fatalf("CreateAccount: %v", err)
	}
	order := rotation.Order{UserID: account.UserID, AccountID: account.ID, Label: "pipeline.acme.g1", Days: 30}
	issued, err := c.Issue(t.Context(), order)
	if err != nil {
		t.Fatalf("Issue: %v", err)
	}
	return account, order, issued
}

// want fails when err isn't of the kind.
func want(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: err = %v, want %v", what, err, kind)
	}
}

// A token's whole life, on a socket and without one.
func TestLifeOfAToken(t *testing.T) {
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := instance(t, nil)
			liveLife(t, c)
		})
	})
	t.Run("on a socket", func(t *testing.T) {
		c, _ := instance(t, func(o *qualytics.Options, s *sim.Server) {
			web := httptest.NewServer(s)
			t.Cleanup(web.Close)
			o.Transport, o.BaseURL = nil, web.URL
		})
		liveLife(t, c)
	})
}

func liveLife(t *testing.T, c *qualytics.Client) {
	t.Helper()
	ctx := t.Context()
	account, order, issued := pipeline(t, c)
	if account.ID != rotation.AccountID(account.Name) || !slices.Contains(account.Teams, "Public") {
		t.Errorf("the account is %+v", account)
	}
	_, err := c.CreateAccount(ctx, pipelineSpec())
	want(t, "CreateAccount again", err, rotation.ErrDuplicate)
	_, err = c.Issue(ctx, order)
	want(t, "Issue again", err, rotation.ErrDuplicate)
	who, err := c.Prove(ctx, issued.Value)
	if err != nil || who.AccountID != account.ID {
		t.Errorf("Prove: %v, %v", who, err)
	}
	want(t, "Delete, active", c.Delete(ctx, issued.ID), rotation.ErrRefused)
	for range 2 {
		want(t, "Revoke", c.Revoke(ctx, issued.ID), nil)
	}
	_, err = c.Prove(ctx, issued.Value)
	want(t, "Prove, revoked", err, rotation.ErrDead)
	want(t, "Restore", c.Restore(ctx, issued.ID), nil)
	_, err = c.Prove(ctx, issued.Value)
	want(t, "Prove, restored", err, nil)
	want(t, "Revoke", c.Revoke(ctx, issued.ID), nil)
	tokens, err := c.Tokens(ctx)
	at := slices.IndexFunc(tokens, func(token rotation.Token) bool { return token.ID == issued.ID })
	if err != nil || at < 0 {
		t.Fatalf("Tokens: %d of them, %v", len(tokens), err)
	}
	if got := tokens[at]; got.Label != order.Label || got.UserID != order.UserID || got.AccountID != account.ID ||
		got.Active || !got.Expires.Equal(issued.Expires) || got.LastUsed.IsZero() {
		t.Errorf("the token is listed as %+v", got)
	}
	want(t, "Delete", c.Delete(ctx, issued.ID), nil)
	want(t, "Delete again", c.Delete(ctx, issued.ID), rotation.ErrMissing)
	want(t, "Revoke, gone", c.Revoke(ctx, issued.ID), rotation.ErrMissing)
}

func TestOtherCallsOnTheSimulator(t *testing.T) {
	c, s := instance(t, nil)
	ctx := t.Context()
	account, _, issued := pipeline(t, c)
	want(t, "Status", c.Status(ctx), nil)
	want(t, "Health", c.Health(ctx), nil)
	if who, err := c.Me(ctx); err != nil || who.AccountID != "handover@service" {
		t.Errorf("Me: %v, %v", who, err)
	}
	if teams, err := c.Teams(ctx); err != nil || len(teams) != 1+len(sim.DefaultTeams) {
		t.Errorf("Teams: %v, %v", teams, err)
	}
	if own, err := c.PersonalTokens(ctx); err != nil || len(own) != 1 {
		t.Errorf("PersonalTokens: %d, %v", len(own), err)
	}
	if doc, err := c.OpenAPI(ctx); err != nil || doc.Missing() != nil {
		t.Errorf("OpenAPI: missing %v, %v", doc.Missing(), err)
	}
	want(t, "UpdateAccount", c.UpdateAccount(ctx, account.UserID, rotation.AccountSpec{Role: "Manager", Teams: []string{"Analytics"}}), nil)
	want(t, "UpdateAccount, no such team", c.UpdateAccount(ctx, account.UserID, rotation.AccountSpec{Role: "Manager", Teams: []string{"x"}}), rotation.ErrRefused)
	want(t, "UpdateAccount, no such account", c.UpdateAccount(ctx, 99999, rotation.AccountSpec{Role: "Manager"}), rotation.ErrMissing)
	want(t, "DeactivateAccount, no such account", c.DeactivateAccount(ctx, 99999), rotation.ErrMissing)
	account.Role, account.Teams = "Manager", []string{"Public", "Analytics"}
	got, err := c.Account(ctx, account.UserID)
	if diff := cmp.Diff(account, got); err != nil || diff != "" {
		t.Errorf("Account: %v, (-want +got):\n%s", err, diff)
	}
	if err := s.DeactivateAccount(account.ID); err != nil {
		t.Fatal(err)
	}
	_, err = c.Prove(ctx, issued.Value)
	want(t, "Prove, deactivated", err, rotation.ErrDead)
	if got, err := c.Account(ctx, account.UserID); err != nil || !got.Deactivated {
		t.Errorf("deactivated: %+v, %v", got, err)
	}
}

// More accounts than a page holds, people among them, and a deleted one; the
// older listing gives the same.
func TestAccountsOnTheSimulator(t *testing.T) {
	c, s := instance(t, nil)
	for i := range 230 {
		if _, err := s.CreateAccount(fmt.Sprintf("Account %d", i), "Member"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreatePerson("Somebody", "somebody@acme.example", "Member"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAccount("account_7@service"); err != nil {
		t.Fatal(err)
	}
	newer, err := c.Accounts(t.Context())
	if err != nil || len(newer) != 231 {
		t.Fatalf("%d accounts, %v", len(newer), err)
	}
	if got := s.Calls()["GET /users"]; got != 3 {
		t.Errorf("%d pages, want 3", got)
	}
	s.Inject(sim.Fault{Method: "GET", Path: "/users", Times: -1, Effect: sim.Answer(404, `{"detail": "Not Found"}`)})
	older, err := c.Accounts(t.Context())
	live := slices.DeleteFunc(newer, func(a rotation.Account) bool { return a.Deleted })
	if diff := cmp.Diff(live, older); err != nil || diff != "" || len(live) != 230 {
		t.Errorf("the older listing: %v, (-newer +older):\n%s", err, diff)
	}
	s.ClearFaults()
	s.Inject(sim.Fault{Method: "GET", Path: "/users", Times: -1, Effect: sim.CutList(60)})
	_, err = c.Accounts(t.Context())
	want(t, "a cut list", err, rotation.ErrInvalidAnswer)
}

// What the simulator can do wrong to a mint: it is posted once, and it is
// known whether it took place, or said that it isn't.
func TestFaultyMints(t *testing.T) {
	lost := sim.Answer(http.StatusInternalServerError, "")
	tests := map[string]struct {
		effect sim.Effect
		kind   error
		made   int // tokens at the end
	}{
		"committed, then 500":      {sim.CommitThen(lost), rotation.ErrUnknownOutcome, 1},
		"committed, then lost":     {sim.CommitThen(sim.Drop()), rotation.ErrUnknownOutcome, 1},
		"committed, then hangs":    {sim.CommitThen(sim.Hang()), rotation.ErrUnknownOutcome, 1},
		"committed, then a page":   {sim.CommitThen(sim.NotJSON()), rotation.ErrUnknownOutcome, 1},
		"committed, then no end":   {sim.CommitThen(sim.Flood(-1)), rotation.ErrUnknownOutcome, 1},
		"committed, then cut":      {sim.CutBody(), rotation.ErrUnknownOutcome, 1},
		"committed, then 429":      {sim.CommitThen(sim.Throttle(time.Second)), rotation.ErrThrottled, 1},
		"500, not done":            {lost, rotation.ErrUnknownOutcome, 0},
		"dropped":                  {sim.Drop(), rotation.ErrUnknownOutcome, 0},
		"throttled":                {sim.Throttle(time.Second), rotation.ErrThrottled, 0},
		"delivered two times":      {sim.Twice(), rotation.ErrDuplicate, 1},
		"valid after two refusals": {sim.FreshRefusals(2), nil, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := instance(t, nil)
				account, err := c.CreateAccount(t.Context(), pipelineSpec())
				if err != nil {
					t.Fatal(err)
				}
				s.Inject(sim.Fault{Method: "POST", Path: "/user-tokens", Effect: test.effect})
				order := rotation.Order{UserID: account.UserID, AccountID: account.ID, Label: "pipeline.acme.g1", Days: 1}
				_, err = c.Issue(t.Context(), order)
				want(t, "Issue", err, test.kind)
				if got := s.Calls()["POST /user-tokens"]; got != 1 {
					t.Errorf("posted %d times", got)
				}
				tokens, err := c.Tokens(t.Context())
				made := slices.DeleteFunc(tokens, func(token rotation.Token) bool { return token.Label != order.Label })
				if err != nil || len(made) != test.made {
					t.Errorf("%d tokens made, want %d; %v", len(made), test.made, err)
				}
			})
		})
	}
}

// The same faults to what can be repeated: it is, and all is well.
func TestFaultyRepeats(t *testing.T) {
	for name, effect := range map[string]sim.Effect{
		"500": sim.Answer(500, ""), "committed, then 500": sim.CommitThen(sim.Answer(500, "")),
		"lost": sim.CommitThen(sim.Drop()), "hangs": sim.Hang(), "throttled": sim.Throttle(3 * time.Second), "cut": sim.CutBody(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := instance(t, nil)
				_, _, issued := pipeline(t, c)
				calls := map[string]func(context.Context) error{
					"PUT":    func(ctx context.Context) error { return c.Revoke(ctx, issued.ID) },
					"GET":    func(ctx context.Context) error { _, err := c.Tokens(ctx); return err },
					"DELETE": func(ctx context.Context) error { return c.Delete(ctx, issued.ID) },
				}
				for _, method := range []string{"PUT", "GET", "DELETE"} {
					rule := s.Inject(sim.Fault{Method: method, Effect: effect})
					err := calls[method](t.Context())
					if method == "DELETE" && errors.Is(err, rotation.ErrMissing) {
						err = nil // gone, by the attempt that was lost
					}
					if err != nil || rule.Struck() != 1 {
						t.Errorf("%s: %v after %d faults", method, err, rule.Struck())
					}
				}
			})
		})
	}
}

// A local clock that is wrong by years: Now is the API's.
func TestNowIsTheAPIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const off = 3 * 365 * 24 * time.Hour
		c, _ := instance(t, func(o *qualytics.Options, _ *sim.Server) {
			o.Now = func() time.Time { return time.Now().Add(-off) }
		})
		want(t, "Status", c.Status(t.Context()), nil)
		if got := time.Until(c.Now()).Abs(); got > 2*time.Second {
			t.Errorf("off by %v", got)
		}
	})
}

// A token for SCIM alone is not dead, and not proved either.
func TestProveTokenForSCIM(t *testing.T) {
	c, s := instance(t, nil)
	s.Inject(sim.Fault{Method: "GET", Times: -1, Effect: sim.Answer(403, `{"detail": "This token is restricted to SCIM endpoints"}`)})
	_, err := c.Prove(t.Context(), secret.New("a.b.c"))
	want(t, "Prove", err, rotation.ErrRefused)
}
