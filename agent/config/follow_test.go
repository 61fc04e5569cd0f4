package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const following = `
backends:
  vault: {type: vault, address: "https://vault:8200", auth: {method: token, token: {file: t}}}
  pod: {type: file, dir: secrets}
follow:
  url: https://acme.qualytics.io/api/
  entries:
    - account: Pipeline Automation
      environment: production
      from: {backend: vault, path: qualytics, format: airflow-connection, key: k}
      to: {backend: pod, path: dbt.env, format: dotenv, mode: "0640", on_foreign: take_over}
      on_change:
        - exec: [/bin/systemctl, reload, "dbt.service"]
        - {exec: [/bin/true], timeout: 2m}
    - from: {backend: vault, path: other, format: token}
      to: {backend: pod, path: other, format: token}
`

func parseFollowing(t *testing.T, text string) (*Following, error) {
	t.Helper()
	document, err := ParseDocument("follow.yaml", []byte(text), fakeRegistry(t), fakeEnv, Base("/etc"))
	return document.Follower, err
}

func TestFollowing(t *testing.T) {
	f, err := parseFollowing(t, following)
	if err != nil {
		t.Fatal(err)
	}
	if f.Listen != "127.0.0.1:9633" || f.Every != 30*time.Second || len(f.Backends) != 2 || len(f.Warnings) != 0 {
		t.Errorf("%+v", f)
	}
	first, second := f.Entries[0], f.Entries[1]
	got := []string{first.URL, first.Account, first.AccountID, first.Environment, first.From.Ref.String(), first.From.FormatName,
		first.From.Ref.Options.(*fakeVaultTarget).Key, first.To.Ref.String(), first.To.FormatName, first.To.Ref.Options.(*fakeFileTarget).Mode,
		f.Backends[0].Options.(*fakeFile).Dir}
	want := []string{"https://acme.qualytics.io", "Pipeline Automation", "pipeline_automation@service", "production", "vault/qualytics",
		"airflow-connection", "k", "pod/dbt.env", "dotenv", "0640", "/etc/secrets"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	hooks := []Hook{
		{Exec: []string{"/bin/systemctl", "reload", "dbt.service"}, Timeout: 30 * time.Second},
		{Exec: []string{"/bin/true"}, Timeout: 2 * time.Minute},
	}
	if diff := cmp.Diff(hooks, first.OnChange); diff != "" {
		t.Error(diff)
	}
	if !first.To.TakeOver || second.To.TakeOver || second.AccountID != "" || second.Account != "" {
		t.Errorf("%+v, %+v", first, second)
	}
}

// TestTwoKindsOfFiles: each command gets what it runs, or is told which does.
func TestTwoKindsOfFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	agents, followers := write("agent.yaml", small), write("follow.yaml", following)
	if d, err := LoadDocument(agents, fakeRegistry(t), fakeEnv); err != nil || d.Agent == nil || d.Follower != nil {
		t.Errorf("an agent's file: %+v, %v", d, err)
	}
	if d, err := LoadDocument(followers, fakeRegistry(t), fakeEnv); err != nil || d.Agent != nil || d.Follower == nil {
		t.Errorf("a follower's file: %+v, %v", d, err)
	}
	d, err := Load(followers, fakeRegistry(t), fakeEnv)
	if d != nil || err == nil || !strings.Contains(err.Error(), "follow.yaml:1:1: this file declares a follower") {
		t.Errorf("as an agent: %v, %v", d, err)
	}
	f, err := LoadFollowing(agents, fakeRegistry(t), fakeEnv)
	if f != nil || err == nil || !strings.Contains(err.Error(), "agent.yaml:1:1: this file declares an agent") {
		t.Errorf("as a follower: %v, %v", f, err)
	}
	if _, err := LoadFollowing(filepath.Join(dir, "none"), fakeRegistry(t), fakeEnv); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

// TestWhatAFollowerCanRender: a format that shows what nobody told is refused,
// and only then.
func TestWhatAFollowerCanRender(t *testing.T) {
	const head = `
backends:
  vault: {type: vault, address: "https://vault:8200", auth: {method: token, token: {file: t}}}
  pod: {type: file, dir: secrets}
follow:
`
	entry := func(url, keys, format string) string {
		return head + url + "  entries:\n    - from: {backend: vault, path: q, format: token}\n" + keys +
			"      to: {backend: pod, path: q.env, " + format + "}\n"
	}
	const url, account, environment = "  url: https://acme.qualytics.io\n", "      account: A b\n", "      environment: x\n"
	template := func(text string) string { return "format: template, template: '" + text + "'" }
	for _, test := range []struct{ name, url, keys, format, want string }{
		{"token", "", "", "format: token", ""},
		{"bearer", "", "", "format: bearer", ""},
		{"variable", "", "", "format: airflow-variable", ""},
		{"dotenv", "", "", "format: dotenv", "add follow.url"},
		{"json", "", "", "format: json", "add follow.url"},
		{"connection", "", "", "format: airflow-connection", "add follow.url"},
		{"cli", "", "", "format: qualytics-cli", "add follow.url"},
		{"secret", "", "", "format: kubernetes-secret", "add follow.url"},
		{"dotenv with url", url, "", "format: dotenv", ""},
		{"secret with url", url, "", "format: kubernetes-secret", ""},
		{"template", "", "", template("{{.Token}} {{.Expiration}}"), ""},
		{"template of the URL", "", "", template("{{.Token}} {{.APIURL}}"), "add follow.url"},
		{"template of the account", url, "", template("{{.Token}} {{.Account}}"), "add account"},
		{"template of the account's id", url, account, template("{{.Token}} {{.AccountID}}"), ""},
		{"template of the environment", url, account, template("{{.Token}} {{.Environment}}"), "add environment"},
		{"template with the environment", url, account + environment, template("{{.Token}} {{.Environment}}"), ""},
		{"template of the number", url, account, template("{{.Token}} {{.TokenID}}"), "take .TokenID and .TokenName out"},
		{"template of the name", url, account, template("{{.Token}} {{if .TokenName}}x{{end}}"), "take .TokenID and .TokenName out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseFollowing(t, entry(test.url, test.keys, test.format))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q in it", err, test.want)
			}
		})
	}
}
