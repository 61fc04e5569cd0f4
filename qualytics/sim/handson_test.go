package sim_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
)

func TestAPersonsActs(t *testing.T) {
	i := start(t)
	a, err := i.CreateAccount("Pipeline Automation", "Editor", "Analytics")
	if err != nil {
		t.Fatal(err)
	}
	id, value, err := i.CreateToken(a.ID, "by-hand", 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what  string
		act   func() error
		state string
	}{
		{"nothing", func() error { return nil }, "live"},
		{"deactivate", func() error { return i.DeactivateAccount(a.ID) }, "of a deactivated account"},
		{"reactivate", func() error { return i.ReactivateAccount(a.ID) }, "live"},
		{"set role", func() error { return i.SetRole(a.ID, "Member") }, "live"},
		{"expire", func() error { return i.ExpireToken(id, i.clock.now()) }, "expired"},
		{"never expire", func() error { return i.ExpireToken(id, time.Time{}) }, "live"},
		{"revoke", func() error { return i.RevokeToken(id) }, "revoked"},
		{"restore", func() error { return i.RestoreToken(id) }, "live"},
		{"delete account", func() error { return i.DeleteAccount(a.ID) }, "of a deleted account"},
		{"revoke an orphan", func() error { return i.RevokeToken(id) }, "revoked"},
		{"delete", func() error { return i.DeleteToken(id) }, "deleted"},
	} {
		if err := step.act(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		live := step.state == "live"
		var got sim.Token
		for _, token := range i.Tokens() {
			if token.ID == id {
				got = token
			}
		}
		if got.State != step.state || got.Live() != live {
			t.Errorf("after %s: state %q, want %q", step.what, got.State, step.state)
		}
		if n := len(i.LiveTokens(a.ID)); n != map[bool]int{true: 1}[live] {
			t.Errorf("after %s: %d live tokens", step.what, n)
		}
		if err := i.Check(value); (err == nil) != live || err != nil && !strings.Contains(err.Error(), fmt.Sprint(id)) {
			t.Errorf("after %s: Check says %v", step.what, err)
		}
		if status := i.proves(value); status != map[bool]int{true: 200, false: 401}[live] {
			t.Errorf("after %s: its proof got %d", step.what, status)
		}
	}
}

func TestRefusedActs(t *testing.T) {
	i := start(t)
	a, err := i.CreateAccount("Pipeline Automation", "Editor")
	if err != nil {
		t.Fatal(err)
	}
	id, _, err := i.CreateToken(a.ID, "one", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, again := i.CreateAccount("pipeline automation", "Editor")
	_, nowhere := i.CreateAccount("Other", "Editor", "Nowhere")
	_, _, taken := i.CreateToken(a.ID, "one", 0)
	_, _, nobody := i.CreateToken("nobody@service", "one", 0)
	_, person := i.CreatePerson("Twice", "owner@example.com", "Member")
	for want, err := range map[string]error{
		"409: User 'pipeline_automation@service' already exists":        again,
		"422: [{value_error [body teams 0] Value error, team 'Nowhere'": nowhere,
		"409: Token with name 'one' already exists for this user":       taken,
		"404: User 'nobody@service' not found":                          nobody,
		"409: User 'owner@example.com' already exists":                  person,
		"409: Team 'Public' already exists":                             i.CreateTeam("Public"),
		"409: Only revoked tokens can be deleted":                       i.DeleteToken(id),
		"404: Token not found":                                          i.RevokeToken(1),
		"404: User 'nobody' not found":                                  i.DeactivateAccount("nobody"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, err := range []error{i.RestoreToken(1), i.DeleteToken(1), i.ExpireToken(1, begin)} {
		if err == nil {
			t.Error("an act on no token was taken")
		}
	}
}

func TestAdminToken(t *testing.T) {
	i := start(t)
	again, err := i.AdminToken("Handover Admin")
	if err != nil || !again.Equal(i.admin) {
		t.Errorf("asked again: another token (error %v)", err)
	}
	for _, end := range []func(int64) error{
		i.RevokeToken,
		func(id int64) error { return i.ExpireToken(id, begin) },
		func(id int64) error { _ = i.RevokeToken(id); return i.DeleteToken(id) },
	} {
		old := i.LiveTokens("handover_admin@service")
		if len(old) != 1 {
			t.Fatalf("%d live admin tokens, want 1", len(old))
		}
		if err := end(old[0].ID); err != nil {
			t.Fatal(err)
		}
		fresh, err := i.AdminToken("Handover Admin")
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Check(fresh); err != nil {
			t.Errorf("after the old one died: %v", err)
		}
	}
	if err := i.SetRole("handover_admin@service", "Member"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.AdminToken("Handover Admin"); err == nil || !strings.Contains(err.Error(), "handover_admin@service") {
		t.Errorf("of a Member: got %v, want an error that names it", err)
	}
	if _, err := i.AdminToken("!"); err == nil {
		t.Error("a name without an id was taken")
	}
}

func TestCheckOfUnknownValues(t *testing.T) {
	i := start(t)
	for _, value := range []secret.Value{{}, secret.New("eyJ.not.ours")} {
		if err := i.Check(value); err == nil || err.Error() != "no such token" {
			t.Errorf("got %v, want: no such token", err)
		}
	}
	if i.Tokens()[0].LastUsed != (time.Time{}) {
		t.Error("Check counted as a use")
	}
}

func TestTheLogHoldsNoToken(t *testing.T) {
	var log bytes.Buffer
	i := start(t, func(o *sim.Options) {
		o.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	minted := i.mint(i.account("API Access", "Member"), "one", 1)
	i.proves(minted.value())
	if err := i.RevokeToken(minted.ID); err != nil {
		t.Fatal(err)
	}
	i.proves(minted.value())
	if !strings.Contains(log.String(), fmt.Sprintf("token %d is revoked", minted.ID)) {
		t.Errorf("the log doesn't say why a token was refused: %s", log.String())
	}
	for _, part := range append(strings.Split(minted.BearerToken, "."), strings.Split(i.admin.Reveal(), ".")...) {
		if strings.Contains(log.String(), part) {
			t.Error("the log holds a part of a token")
		}
	}
}
