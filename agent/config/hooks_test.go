package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

const hooked = `
agent: {id: acme-prod}
qualytics: {url: https://acme.qualytics.io, credential: {env: ADMIN}}
backends: {local: {type: file, dir: secrets}}
defaults:
  on_delivery:
    - {exec: [/bin/reload, all]}
    - {webhook: "https://ops.acme.example/hook?x=1", secret: {file: hook.secret}, ca_file: ca.pem, timeout: 1m, required: true}
    - {exec: [/bin/reload, again]}
  on_revocation: [{exec: [/bin/tell]}]
environments:
  production: {on_revocation: [{webhook: "http://127.0.0.1:8080/gone"}]}
accounts:
  - name: Pipeline Automation
    role: Editor
    owner: data-platform
    purpose: Airflow DAGs start scans
    tokens:
      - {name: defaults, deliver: [{backend: local, path: a, format: token}]}
      - {name: production, environment: production, deliver: [{backend: local, path: b, format: token}]}
      - {name: own, on_delivery: [], on_revocation: [{exec: [/bin/own]}], deliver: [{backend: local, path: c, format: token}]}
`

// TestHooksAreInherited: the token's own, else its environment's, else the
// defaults'; an empty list is none.
func TestHooksAreInherited(t *testing.T) {
	d := mustParse(t, hooked, Base("/etc/handover"))
	delivery := []TokenHook{
		{Name: "/bin/reload", Timeout: 30 * time.Second, Exec: []string{"/bin/reload", "all"}},
		{Name: "ops.acme.example", Required: true, Timeout: time.Minute, Webhook: "https://ops.acme.example/hook?x=1",
			Secret: secret.Source{File: "/etc/handover/hook.secret"}, CAFile: "/etc/handover/ca.pem"},
		{Name: "/bin/reload (2)", Timeout: 30 * time.Second, Exec: []string{"/bin/reload", "again"}},
	}
	program := func(path string) []TokenHook {
		return []TokenHook{{Name: path, Timeout: 30 * time.Second, Exec: []string{path}}}
	}
	want := []Token{
		{OnDelivery: delivery, OnRevocation: program("/bin/tell")},
		{OnDelivery: delivery, OnRevocation: []TokenHook{{Name: "127.0.0.1:8080", Timeout: 30 * time.Second, Webhook: "http://127.0.0.1:8080/gone"}}},
		{OnDelivery: []TokenHook{}, OnRevocation: program("/bin/own")},
	}
	tokens := d.Accounts[0].Tokens
	for i := range want {
		got := Token{OnDelivery: tokens[i].OnDelivery, OnRevocation: tokens[i].OnRevocation}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("%s: %s", tokens[i].Name, diff)
		}
	}
	if &tokens[0].OnDelivery[0] != &tokens[1].OnDelivery[0] {
		t.Error("two tokens have the same default twice")
	}
	policies := d.Policies()
	if diff := cmp.Diff([]rotation.HookPolicy{{Name: "/bin/reload", Timeout: 30 * time.Second},
		{Name: "ops.acme.example", Required: true, Timeout: time.Minute}, {Name: "/bin/reload (2)", Timeout: 30 * time.Second}}, policies[0].OnDelivery); diff != "" {
		t.Error(diff)
	}
	if policies[2].OnDelivery != nil || len(policies[2].OnRevocation) != 1 {
		t.Errorf("the policy of the third has %+v", policies[2])
	}
}

// TestNotify: names tell receivers apart, and defaults are filled in.
func TestNotify(t *testing.T) {
	d := mustParse(t, small+`
notify:
  - {url: "https://ops.acme.example/alerts"}
  - {url: "https://ops.acme.example/pages", events: [emergency], every: 1h, timeout: 5s, secret: {env: HOOK_SECRET}, ca_file: ca.pem}
  - {url_from: {file: slack-url}, format: slack}
`, Base("/etc/handover"))
	want := []Notify{
		{Name: "ops.acme.example", URL: "https://ops.acme.example/alerts", Timeout: 30 * time.Second, Every: 24 * time.Hour},
		{Name: "ops.acme.example (2)", URL: "https://ops.acme.example/pages", Timeout: 5 * time.Second, Every: time.Hour,
			Events: []string{"emergency"}, Secret: secret.Source{Env: "HOOK_SECRET"}, CAFile: "/etc/handover/ca.pem"},
		{Name: "file /etc/handover/slack-url", URLFrom: secret.Source{File: "/etc/handover/slack-url"}, Slack: true,
			Timeout: 30 * time.Second, Every: 24 * time.Hour},
	}
	if diff := cmp.Diff(want, d.Notify); diff != "" {
		t.Error(diff)
	}
}
