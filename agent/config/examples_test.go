package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/all"
)

func registry(t *testing.T) backends.Registry {
	t.Helper()
	r, err := all.Registry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hostEnv(name string) (string, bool) {
	value, ok := map[string]string{
		"HOSTNAME":              "host-1",
		"CREDENTIALS_DIRECTORY": "/run/credentials/handover.service",
	}[name]
	return value, ok
}

// declarations are the repository's own and the examples.
func declarations(t *testing.T) []string {
	t.Helper()
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) < 5 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	return append(examples, "../../agent.yaml")
}

// TestDeclarations loads agent.yaml and each example with the real drivers. Only
// short-rotations.yaml may give warnings.
func TestDeclarations(t *testing.T) {
	for _, path := range declarations(t) {
		d, err := config.LoadDocument(path, registry(t), hostEnv)
		if err != nil {
			t.Error(err)
			continue
		}
		if d.Agent != nil && len(d.Agent.Policies()) == 0 {
			t.Errorf("%s declares no slot", path)
		}
		short := filepath.Base(path) == "short-rotations.yaml"
		if short && len(d.Warnings()) == 0 {
			t.Errorf("%s gives no warning", path)
		}
		for _, w := range d.Warnings() {
			// A checkout can stand on a tmpfs.
			if !short && !strings.Contains(w.Message, "volatile") {
				t.Errorf("warning: %s", w)
			}
		}
	}
}

// TestOwnDeclarationStaysInItsFolder is what `handover dev` needs: all that
// agent.yaml keeps follows the base.
func TestOwnDeclarationStaysInItsFolder(t *testing.T) {
	d, err := config.Load("../../agent.yaml", registry(t), hostEnv, config.Base("/somewhere"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range d.Backends {
		if b.Driver.Type != "file" {
			t.Errorf("backend %s is of type %s; dev has files alone", b.Name, b.Driver.Type)
		}
		place := b.Driver.Place(b.Options, backends.Ref{Backend: b.Name, Path: "x"})
		if !strings.HasPrefix(place, "/somewhere/") {
			t.Errorf("backend %s stands at %s", b.Name, place)
		}
	}
	for _, path := range []string{d.State.SQLite, d.Agent.Socket} {
		if !strings.HasPrefix(path, "/somewhere/") {
			t.Errorf("%s is outside of the base", path)
		}
	}
}

// designExample is the declaration of the design document, less the backends
// of later versions.
const designExample = `
# yaml-language-server: $schema=./agent.schema.json
version: 1
agent:
  id: acme-prod
  listen: 127.0.0.1:9632
  socket: /run/handover/control.sock
state:
  sqlite: /var/lib/handover/state.db
qualytics:
  url: https://acme.qualytics.io
  credential: {file: /run/credentials/handover.service/qualytics-admin}
backends:
  vault: {type: vault, address: https://vault.internal:8200, mount: secret, auth: {method: approle, role_id: handover, secret_id: {file: /run/credentials/handover.service/vault}}}
  local: {type: file, dir: /var/lib/handover/secrets}
defaults:
  rotation: {lifetime: 365d, every: 335d, grace: 7d, hold: 7d, observe: 7d}
accounts:
  - name: Pipeline Automation
    role: Editor
    teams: [Data Engineering]
    owner: data-platform@acme.example
    purpose: Airflow DAGs start scans and profiles
    tokens:
      - name: pipeline-production
        environment: production
        deliver:
          - {backend: vault, path: connections/qualytics_default, format: airflow-connection}
          - {backend: local, path: dbt.env, format: dotenv, variable: DBT_ENV_SECRET_QUALYTICS_TOKEN, consumer: dbt}
`

func TestDesignExample(t *testing.T) {
	d, err := config.Parse("agent.yaml", []byte(designExample), registry(t), hostEnv)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Warnings) != 0 || len(d.Backends) != 2 || len(d.Accounts[0].Tokens[0].Deliver) != 2 {
		t.Errorf("%+v", d)
	}
	if err := validate(t, compiled(t), []byte(designExample)); err != nil {
		t.Error(err)
	}
}

// TestTargetKeysDontCollide: a target's mapping has keys from three places.
func TestTargetKeysDontCollide(t *testing.T) {
	text := strings.Replace(designExample, "consumer: dbt", "consumer: dbt, mode: 0640, sink: file", 1)
	text = strings.Replace(text, "format: airflow-connection", "format: airflow-connection, key: value", 1)
	if _, err := config.Parse("agent.yaml", []byte(text), registry(t), hostEnv); err != nil {
		t.Error(err)
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("agent.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("agent.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate asks the schema as an editor would.
func validate(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestSchemaAcceptsDeclarations(t *testing.T) {
	schema := compiled(t)
	for _, path := range declarations(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schema, text); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSchemaRefuses are mistakes that an editor must show, and that Parse must
// refuse as well.
func TestSchemaRefuses(t *testing.T) {
	schema := compiled(t)
	for name, change := range map[string][2]string{
		"version":         {"version: 1", "version: 2"},
		"unknown key":     {"teams:", "team:"},
		"agent id":        {"acme-prod", "Acme"},
		"missing key":     {"    owner: data-platform@acme.example\n", ""},
		"type":            {"teams: [Data Engineering]", "teams: Data Engineering"},
		"role":            {"role: Editor", "role: Owner"},
		"duration":        {"grace: 7d", "grace: 7"},
		"duration's unit": {"grace: 7d", "grace: 7y"},
		"word":            {"hold: 7d", "hold: never"},
		"literal secret":  {"{file: /run/credentials/handover.service/vault}", "0815"},
		"two sources":     {"{file: /run/credentials/handover.service/vault}", "{file: a, env: B}"},
		"no source":       {"{file: /run/credentials/handover.service/vault}", "{}"},
		"own credential":  {"{file: /run/credentials/handover.service/qualytics-admin}", "{backend: vault}"},
		"backend type":    {"type: vault", "type: volt"},
		"backend key":     {"mount: secret", "mounts: secret"},
		"other's key":     {"dir: /var/lib/handover/secrets", "dir: /x, address: https://vault:8200"},
		"format":          {"format: dotenv", "format: env"},
		"consumer":        {"consumer: dbt", "consumer: dtb"},
		"target key":      {"consumer: dbt", "consumers: dbt"},
		"no value":        {"purpose: Airflow DAGs start scans and profiles", "purpose:"},
		"token name":      {"name: pipeline-production", "name: pipeline production"},
	} {
		if !strings.Contains(designExample, change[0]) {
			t.Fatalf("%s: nothing to replace", name)
		}
		text := []byte(strings.Replace(designExample, change[0], change[1], 1))
		if validate(t, schema, text) == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
		if _, err := config.Parse("agent.yaml", text, registry(t), hostEnv); err == nil {
			t.Errorf("%s: Parse accepts it", name)
		}
	}
}

// TestSchemaFile: agent.schema.json is what editors of this repository use.
func TestSchemaFile(t *testing.T) {
	const path = "../../agent.schema.json"
	want, err := config.Schema(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("agent.schema.json is not what `handover schema` prints; run this test with -update")
	}
}
