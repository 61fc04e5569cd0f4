package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

// policyOf is a slot of that account with those targets.
func policyOf(account string, targets ...string) rotation.Policy {
	p := rotation.Policy{Slot: account + "@service/production", AccountID: account + "@service",
		Account:  rotation.AccountSpec{Name: account, Role: "Editor", Teams: []string{"Public"}},
		Schedule: rotation.Schedule{Every: time.Hour}}
	for _, key := range targets {
		p.Targets = append(p.Targets, rotation.TargetPolicy{Key: key})
	}
	return p
}

func TestChanges(t *testing.T) {
	rotates, role := policyOf("a", "vault/x"), policyOf("a", "vault/x")
	rotates.Schedule.Every = 2 * time.Hour
	role.Account.Role = "Member"
	retired, own := policyOf("a"), policyOf("b")
	retired.RetireRemoved, own.RetireRemoved, own.Own = true, true, true
	hook := policyOf("a", "vault/x")
	hook.OnDelivery = []rotation.HookPolicy{{Name: "ops.acme.example", Required: true}}
	cases := map[string]struct {
		old, next []rotation.Policy
		want      []string
	}{
		"nothing": {[]rotation.Policy{policyOf("a", "vault/x")}, []rotation.Policy{policyOf("a", "vault/x")}, nil},
		"another order": {
			[]rotation.Policy{policyOf("a", "vault/x"), policyOf("b", "vault/y")},
			[]rotation.Policy{policyOf("b", "vault/y"), policyOf("a", "vault/x")}, nil,
		},
		"slots": {
			[]rotation.Policy{policyOf("a"), policyOf("b")}, []rotation.Policy{policyOf("b"), policyOf("c")},
			[]string{"new slot c@service/production",
				"slot a@service/production left the declaration: its tokens live on, nobody rotates them"},
		},
		"a slot to retire": {
			[]rotation.Policy{retired, own}, nil,
			[]string{"slot a@service/production left the declaration: its tokens have their grace, then they are revoked and deleted",
				"slot b@service/production left the declaration: its tokens live on, nobody rotates them"},
		},
		"targets": {
			[]rotation.Policy{policyOf("a", "vault/x", "file/y")}, []rotation.Policy{policyOf("a", "file/y", "aws/z")},
			[]string{"new target aws/z of a@service/production",
				"target vault/x left a@service/production: the token there dies with the next rotation"},
		},
		"settings": {
			[]rotation.Policy{policyOf("a", "vault/x")}, []rotation.Policy{rotates},
			[]string{"new rotation settings for a@service/production"},
		},
		"hooks": {
			[]rotation.Policy{policyOf("a", "vault/x")}, []rotation.Policy{hook},
			[]string{"new hooks for a@service/production"},
		},
		"account": {
			[]rotation.Policy{policyOf("a", "vault/x")}, []rotation.Policy{role},
			[]string{"new role or teams for a@service"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Changes(c.old, c.next)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
