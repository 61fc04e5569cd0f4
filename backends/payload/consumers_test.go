package payload_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/backends/payload"
)

// These tests read the payloads as their consumers do.

func TestShellReadsDotenv(t *testing.T) {
	token := fakeJWT(t)
	for name, variable := range map[string]string{"dotenv": "QUALYTICS_TOKEN", "dotenv-variable": "DBT_ENV_SECRET_QUALYTICS_TOKEN"} {
		// every character that the format allows, and a real length
		for _, value := range []string{token, "Az09_.,:/@%+=[]-"} {
			dir := t.TempDir()
			text := mustRender(t, golden[name], issued(value))
			if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-c", `set -a; . ./file; exec env`)
			cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: the shell fails: %v", name, err)
			}
			lines := strings.Split(string(out), "\n")
			for _, want := range []string{variable + "=" + value, "QUALYTICS_URL=https://acme.qualytics.io"} {
				if !slices.Contains(lines, want) {
					t.Errorf("%s: the shell doesn't read back %s", name, strings.SplitN(want, "=", 2)[0])
				}
			}
		}
	}
}

func TestJSONIsStrict(t *testing.T) {
	token := fakeJWT(t)
	const uri, instance = "http://:T@acme.qualytics.io/https?Authorization=Bearer+T", "https://acme.qualytics.io"
	fields := map[string]any{
		"conn_type": "http", "host": "acme.qualytics.io", "schema": "https", "password": "T",
		"extra": map[string]any{"Authorization": "Bearer T"},
	}
	tests := map[string]map[string]any{
		"json":                         {"url": instance, "token": "T"},
		"json-vault":                   {"url": instance, "token": "T"},
		"airflow-connection-json":      fields,
		"airflow-connection-file-json": {"qualytics_default": fields},
		"airflow-connection-vault-uri": {"conn_uri": uri},
		"airflow-connection-vault-fields": {
			"conn_type": "http", "host": "acme.qualytics.io", "schema": "https", "password": "T",
			"extra": `{"Authorization":"Bearer T"}`,
		},
		"airflow-connection-vault-multi": {"conn_uri": uri, "token": "T", "url": instance, "value": "T"},
		"airflow-variable-vault":         {"value": "T"},
	}
	for name, want := range tests {
		text := mustRender(t, golden[name], issued(token))
		got := map[string]any{}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(text, token, "T")), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil || compact.String() != strings.TrimSuffix(text, "\n") {
			t.Errorf("%s is not compact", name)
		}
	}
}

// Vault gives an entry back with its names in alphabetical order, so a payload
// for it is written that way, of flat string values.
func TestVaultObjectsAreFlatAndSorted(t *testing.T) {
	token := issued(fakeJWT(t))
	token.URL += ":8443"
	for name, spec := range golden {
		if spec.BackendType != "vault" {
			continue
		}
		text := mustRender(t, spec, token)
		entry := map[string]string{}
		if err := json.Unmarshal([]byte(text), &entry); err != nil {
			t.Errorf("%s: not an object of strings: %v", name, err)
		}
		var sorted bytes.Buffer
		e := json.NewEncoder(&sorted)
		e.SetEscapeHTML(false)
		if err := e.Encode(entry); err != nil || strings.TrimSuffix(sorted.String(), "\n") != text {
			t.Errorf("%s changes when Vault gives it back", name)
		}
	}
}

// net/url reads a URI as Python's urlsplit, unquote and parse_qsl do.
func TestURIParses(t *testing.T) {
	for _, token := range []string{fakeJWT(t), "a b+c/d@e:f?g#h%i&j=k~l'm\"{}\\"} {
		u, err := url.Parse(mustRender(t, golden["airflow-connection-uri"], issued(token)))
		if err != nil {
			t.Fatal("the URI doesn't parse")
		}
		password, _ := u.User.Password()
		got := []string{u.Scheme, u.User.Username(), u.Host, u.Path}
		if diff := cmp.Diff([]string{"http", "", "acme.qualytics.io", "/https"}, got); diff != "" {
			t.Errorf("type, login, host, schema (-want +got):\n%s", diff)
		}
		query := u.Query()
		if password != token || query.Get("Authorization") != "Bearer "+token || len(query) != 1 {
			t.Error("password or extra is another one")
		}
	}
}

func TestManifestIsASecret(t *testing.T) {
	tokens := []string{fakeJWT(t), "null", "123", `a"b\c`, "- x: y #z", "~"}
	for _, token := range tokens {
		want := map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata":   map[string]any{"name": "123", "namespace": "true"},
			"stringData": map[string]any{"QUALYTICS_URL": "https://acme.qualytics.io", "QUALYTICS_TOKEN": token},
		}
		spec := payload.Spec{Format: "kubernetes-secret", Name: "123", Namespace: "true"}
		compareYAML(t, mustRender(t, spec, issued(token)), want)
	}
}

func TestManifestName(t *testing.T) {
	for path, want := range map[string]string{"k8s/qualytics.yaml": "qualytics", "a.b/c": "c", "q.prod.yml": "q.prod"} {
		text := mustRender(t, payload.Spec{Format: "kubernetes-secret", Path: path}, issued("token"))
		compareYAML(t, text, map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": want},
			"stringData": map[string]any{"QUALYTICS_URL": "https://acme.qualytics.io", "QUALYTICS_TOKEN": "token"},
		})
	}
}

func TestCLIReadsConfig(t *testing.T) {
	token := fakeJWT(t)
	compareYAML(t, mustRender(t, golden["qualytics-cli"], issued(token)), map[string]any{
		"url": "https://acme.qualytics.io/api/", "token": token, "ssl_verify": true,
	})
}

func compareYAML(t *testing.T, text string, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal("the payload is no YAML")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("YAML (-want +got):\n%s", diff)
	}
}
