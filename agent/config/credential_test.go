package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// ownYAML declares a credential, an account of the agent's own, and another.
const ownYAML = `agent: {id: acme}
qualytics: {url: https://acme.qualytics.io, credential: CREDENTIAL}
backends:
  vault: {type: vault, address: https://vault.test, auth: {method: token, token: {env: VAULT}}}
accounts:
  - name: Handover Agent
    role: Admin
    justification: it manages the service accounts
    owner: o@acme.example
    purpose: the agent's own access
    tokens:
      - name: production
        deliver:
          - {backend: vault, path: handover/copy, format: json}
          - {backend: vault, path: handover/admin, format: bearer, key: token}
  - name: Pipeline
    role: Member
    owner: o@acme.example
    purpose: reads
    tokens:
      - {name: production, deliver: [{backend: vault, path: pipeline, format: token}]}
`

func TestCredential(t *testing.T) {
	const value = "Bearer the.own.token"
	for text, want := range map[string]Credential{
		"{file: /etc/admin}": {Source: secret.Source{File: "/etc/admin"}},
		"{env: ADMIN}":       {Source: secret.Source{Env: "ADMIN"}},
		"{backend: vault, path: elsewhere, format: bearer}": {Every: 5 * time.Minute,
			From: backends.Ref{Backend: "vault", Path: "elsewhere", Options: &fakeVaultTarget{Key: "value"}}},
		"{backend: vault, path: handover/admin, self: true, every: 1m, bootstrap: {env: FIRST}}": {Every: time.Minute,
			From: backends.Ref{Backend: "vault", Path: "handover/admin", Options: &fakeVaultTarget{Key: "token"}},
			Slot: "handover_agent@service/production", Bootstrap: secret.Source{Env: "FIRST"}},
	} {
		t.Run(text, func(t *testing.T) {
			d := mustParse(t, strings.Replace(ownYAML, "CREDENTIAL", text, 1))
			got := d.Qualytics.Credential
			if want.From.Backend != "" {
				if token, err := got.Format.Extract(secret.New(value)); err != nil || token.Reveal() != "the.own.token" {
					t.Errorf("the format gives %s back, %v", token.Fingerprint().Short(), err)
				}
				if options, ok := got.From.Options.(*fakeVaultTarget); ok {
					options.sample = secret.Value{}
				}
			}
			got.Format = nil
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(fakeVaultTarget{})); diff != "" {
				t.Error(diff)
			}
			for _, p := range d.Policies() {
				if p.Own != (p.Slot == want.Slot) {
					t.Errorf("slot %s is the agent's own: %v", p.Slot, p.Own)
				}
			}
			if got.IsZero() || got.String() == "no source" {
				t.Errorf("it names no place: %s", got)
			}
		})
	}
}
