package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

const small = `
agent: {id: acme-prod}
qualytics: {url: https://acme.qualytics.io/api/, credential: {env: ADMIN}}
backends: {local: {type: file, dir: secrets}}
accounts:
  - name: Pipeline Automation
    role: Editor
    owner: data-platform
    purpose: Airflow DAGs start scans
    tokens:
      - {name: pipeline, deliver: [{backend: local, path: token, format: token}]}
`

func parse(t testing.TB, text string, options ...Option) (*Declaration, error) {
	t.Helper()
	return Parse("agent.yaml", []byte(text), fakeRegistry(t), fakeEnv, options...)
}

func mustParse(t testing.TB, text string, options ...Option) *Declaration {
	t.Helper()
	declaration, err := parse(t, text, options...)
	if err != nil {
		t.Fatal(err)
	}
	return declaration
}

func TestDefaults(t *testing.T) {
	d := mustParse(t, small)
	want := Agent{
		ID: "acme-prod", Listen: "127.0.0.1:9632", Socket: "/run/handover/control.sock",
		DriftCheck: time.Hour, Sweep: 5 * time.Minute,
	}
	if diff := cmp.Diff(want, d.Agent); diff != "" {
		t.Error(diff)
	}
	if d.State.SQLite != "/var/lib/handover/state.db" {
		t.Error(d.State)
	}
	wantQ := Qualytics{URL: "https://acme.qualytics.io", Credential: Credential{Source: secret.Source{Env: "ADMIN"}}, Rate: 10, Timeout: 30 * time.Second}
	if diff := cmp.Diff(wantQ, d.Qualytics); diff != "" {
		t.Error(diff)
	}
	schedule := rotation.Schedule{
		Lifetime: 365 * day, Every: 335 * day, Grace: 7 * day, Hold: 7 * day, Quiet: day, Observe: 7 * day,
	}
	token := d.Accounts[0].Tokens[0]
	if diff := cmp.Diff(schedule, token.Schedule); diff != "" {
		t.Error(diff)
	}
	target := token.Deliver[0]
	if target.TakeOver || token.BlockOnRevocation || target.Consumer != "" || target.FormatName != "token" {
		t.Errorf("%+v", token)
	}
	if options := target.Ref.Options.(*fakeFileTarget); options.Mode != "0600" {
		t.Errorf("%+v", options)
	}
	if len(d.Warnings) != 0 {
		t.Error(d.Warnings)
	}
}

func TestPolicies(t *testing.T) {
	d := mustParse(t, strings.Replace(small, "format: token}", "format: airflow-connection, on_foreign: take_over}", 1))
	want := []rotation.Policy{{
		Slot: "pipeline_automation@service/pipeline", AgentID: "acme-prod",
		Account:   rotation.AccountSpec{Name: "Pipeline Automation", Role: "Editor"},
		AccountID: "pipeline_automation@service", Token: "pipeline",
		URL: "https://acme.qualytics.io", Schedule: d.Accounts[0].Tokens[0].Schedule,
		Targets:    []rotation.TargetPolicy{{Key: "local/token", TakeOver: true}},
		DriftCheck: time.Hour, Sweep: 5 * time.Minute,
	}}
	if diff := cmp.Diff(want, d.Policies()); diff != "" {
		t.Error(diff)
	}
	if got := d.Accounts[0].Tokens[0].Deliver[0].Consumer; got != "airflow" {
		t.Errorf("the format implies the consumer airflow, got %q", got)
	}
}

func TestBase(t *testing.T) {
	text := small + "state: {sqlite: state/db}\n"
	text = strings.Replace(text, "{id: acme-prod}", "{id: acme-prod, socket: /run/x.sock}", 1)
	text = strings.Replace(text, "{env: ADMIN}", "{file: admin}", 1)
	for base, want := range map[string][]string{
		"":     {"/run/x.sock", "state/db", "admin", "secrets"},
		"/etc": {"/run/x.sock", "/etc/state/db", "/etc/admin", "/etc/secrets"},
		".":    {"/run/x.sock", "state/db", "admin", "secrets"},
	} {
		d := mustParse(t, text, Base(base))
		got := []string{d.Agent.Socket, d.State.SQLite, d.Qualytics.Credential.File, d.Backends[0].Options.(*fakeFile).Dir}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("base %q: %s", base, diff)
		}
	}
}

func TestLoadTakesTheFileFolderAsBase(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "agent.yaml")
	if err := os.WriteFile(path, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, options := range map[string][]Option{
		filepath.Join(folder, "secrets"): nil,
		"/dev-dir/secrets":               {Base("/dev-dir")},
	} {
		d, err := Load(path, fakeRegistry(t), fakeEnv, options...)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Backends[0].Options.(*fakeFile).Dir; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLoadWithoutFile(t *testing.T) {
	folder := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(folder, "none.yaml"): "none.yaml: can't read the declaration: there is no such file; name yours with -c, or begin with one of examples/",
		folder:                             ": can't read the declaration: is a directory",
	} {
		_, err := Load(path, fakeRegistry(t), fakeEnv)
		var failed *Errors
		if !errors.As(err, &failed) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want …%s", err, want)
		}
	}
}

// TestLayouts are texts that mean the same as small.
func TestLayouts(t *testing.T) {
	want := mustParse(t, small).Policies()
	for name, text := range map[string]string{
		"byte order mark": byteOrderMark + small,
		"CRLF":            strings.ReplaceAll(small, "\n", "\r\n"),
		"document marks":  "---" + small + "...\n",
		"comments":        "# a\n" + strings.ReplaceAll(small, "\n", " # b\n"),
		"aliases":         strings.Replace(small, "{backend: local,", "{<<: &l {backend: local},", 1),
		"merged list": strings.Replace(small, "{backend: local, path: token, format: token}",
			"{<<: [{path: token}, {path: other, format: token, backend: local}]}", 1),
		"merged key is nearer": strings.Replace(small, "{backend: local, path: token", "{<<: {path: other}, backend: local, path: token", 1),
		"quoted":               strings.Replace(small, "role: Editor", `"role": !!str 'Editor'`, 1),
		"environment":          strings.Replace(small, "acme.qualytics.io", `"${env:HOST}"`, 1),
	} {
		if name == "environment" {
			text = strings.Replace(small, "https://acme.qualytics.io/api/", `"https://${env:HOST}"`, 1)
		}
		d, err := parse(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, d.Policies()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAliasMayRepeat(t *testing.T) {
	d := mustParse(t, `
agent: {id: acme}
qualytics: {url: https://acme.qualytics.io, credential: {env: ADMIN}}
backends: {local: {type: file, dir: secrets}}
accounts:
  - &account
    name: Loader of prices
    role: Member
    owner: &team data
    purpose: *team
  - <<: *account
    name: Loader of stocks
`)
	if len(d.Accounts) != 2 || d.Accounts[1].Purpose != "data" || d.Accounts[1].Name != "Loader of stocks" {
		t.Errorf("%+v", d.Accounts)
	}
}

func TestInterpolation(t *testing.T) {
	text := strings.NewReplacer(
		"https://acme.qualytics.io/api/", `"https://${env:HOST}/"`,
		"owner: data-platform", `owner: "${env:TEAM}@acme.example ${env:EMPTY}$HOME ${OTHER}"`,
		"{env: ADMIN}", `{file: "/run/${env:TEAM}/admin"}`,
		"{name: pipeline,", `{name: pipeline, rotation: {grace: "${env:GRACE}"},`,
	).Replace(small)
	d := mustParse(t, text)
	got := []string{d.Qualytics.URL, d.Accounts[0].Owner, d.Qualytics.Credential.File, FormatDuration(d.Accounts[0].Tokens[0].Schedule.Grace)}
	want := []string{"https://acme.qualytics.io", "data-platform@acme.example $HOME ${OTHER}", "/run/data-platform/admin", "8d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoEnvironment(t *testing.T) {
	text := strings.Replace(small, "owner: data-platform", `owner: "${env:TEAM}"`, 1)
	_, err := Parse("agent.yaml", []byte(text), fakeRegistry(t), nil)
	if err == nil || !strings.Contains(err.Error(), "TEAM is not set") {
		t.Errorf("got %v", err)
	}
}

func TestDriverOptions(t *testing.T) {
	text := strings.Replace(small, "backends: {", `backends:
  v:
    type: vault
    address: https://vault.internal:8200
    retries: 0x10
    burst: 1_0.5
    headers: {a: b}
    proxies: [p, q]
    auth: {method: token, token: {file: t}}
  `, 1)
	text = strings.Replace(text, "dir: secrets}}", "dir: secrets, volatile: true}", 1)
	text = strings.Replace(text, "  local: {", "  local: {", 1)
	text = strings.Replace(text, "deliver: [", "deliver: [{backend: v, path: qualytics, format: token, key: t}, ", 1)
	d := mustParse(t, text, Base("/etc"))
	want := &fakeVault{
		Address: "https://vault.internal:8200", Timeout: 10 * time.Second, Retries: 16, Burst: 10.5,
		Headers: map[string]string{"a": "b"}, Proxies: []string{"p", "q"},
		Auth: &fakeAuth{Method: "token", Token: secret.Source{File: "/etc/t"}, Mount: "approle"},
	}
	if diff := cmp.Diff(want, d.Backends[1].Options); diff != "" {
		t.Error(diff)
	}
	if !d.Backends[0].Properties.Volatile || d.Backends[1].Properties.Volatile {
		t.Error("the properties are not those of the options")
	}
	if got := d.Accounts[0].Tokens[0].Deliver[0].Ref.Options.(*fakeVaultTarget).Key; got != "t" {
		t.Errorf("key: %s", got)
	}
}

// A driver that wants to know sees how the payloads of its target look: with the
// declared URL, and in the style for its type.
func TestShape(t *testing.T) {
	for entry, want := range map[string]string{
		"path: a, format: token":            "sample",
		"path: a, format: json":             `{"token":"sample","url":"https://acme.qualytics.io"}`,
		"path: a, format: airflow-variable": `{"value":"sample"}`,
	} {
		text := strings.Replace(small, "backends: {", "backends: {v: {type: vault, address: 'https://v', auth: {method: token}}, ", 1)
		text = strings.Replace(text, "deliver: [", "deliver: [{backend: v, "+entry+"}, ", 1)
		d := mustParse(t, text)
		got := d.Accounts[0].Tokens[0].Deliver[0].Ref.Options.(*fakeVaultTarget).sample.Reveal()
		if got = strings.ReplaceAll(got, usualToken.Reveal(), "sample"); got != want {
			t.Errorf("%s looks like %s, want %s", entry, got, want)
		}
	}
}

func TestBackendsAreInOrder(t *testing.T) {
	text := strings.Replace(small, "backends: {", "backends: {z: {type: file, dir: z}, a: {type: file, dir: a}, ", 1)
	d := mustParse(t, text)
	var names []string
	for _, b := range d.Backends {
		names = append(names, b.Name)
	}
	if diff := cmp.Diff([]string{"a", "local", "z"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestHugeInputs(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"too large":       {strings.Repeat("#", maxText+1), "agent.yaml:1:1: the declaration is larger than 1048576 bytes"},
		"levels of flow":  {"a:\n " + strings.Repeat("[", 20_000), "agent.yaml:2:"},
		"levels of block": {strings.Repeat("- ", 20_000) + "x", "agent.yaml:1:"},
		"levels of maps":  {strings.Repeat("{a: ", 20_000), "agent.yaml:1:"},
		"many problems":   {"accounts: [" + strings.Repeat("x,", maxText/2-10) + "]", "agent.yaml:1:1:"},
		"many keys":       {manyKeys(), "agent.yaml:1:1:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.text)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("got %.200v, want %s…", err, c.want)
			}
			if n := len(err.(*Errors).Problems); n > maxProblems+1 {
				t.Errorf("%d problems", n)
			}
		})
	}
}

func manyKeys() string {
	var text bytes.Buffer
	for i := 0; text.Len() < maxText-20; i++ {
		fmt.Fprintf(&text, "k%d: {}\n", i)
	}
	return text.String()
}

// BenchmarkParse reads a declaration of 1,000 accounts, a part of the time from
// start to ready.
func BenchmarkParse(b *testing.B) {
	head, account, _ := strings.Cut(small, "accounts:\n")
	var text strings.Builder
	text.WriteString(head + "accounts:\n")
	for i := range 1000 {
		number := fmt.Sprint(i)
		text.WriteString(strings.NewReplacer("Pipeline", "Pipeline "+number, "path: token", "path: token"+number).Replace(account))
	}
	registry := fakeRegistry(b)
	for b.Loop() {
		if _, err := Parse("agent.yaml", []byte(text.String()), registry, fakeEnv); err != nil {
			b.Fatal(err)
		}
	}
}
