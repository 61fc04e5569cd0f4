package outside

import (
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/handover-agent/handover/internal/realtest"
)

const (
	// Quick is a rotation that can be watched; see docs/declaration.md.
	Quick = "{lifetime: 1d, every: 3s, grace: 2s, hold: 0s, observe: 2s}"
	// Calm is Quick for a token that stays.
	Calm = "{lifetime: 2d, every: 1d, grace: 2s, hold: 0s, observe: 2s}"
)

// Declaration is a declaration's head, and the rest as YAML.
type Declaration struct {
	ID       string // of the agent
	Looks    string // how often the agent looks: more keys of agent
	URL      string // of Qualytics, whose credential stands in admin.token
	API      string // more keys of qualytics
	Rotation string
	Rest     string
}

// String is the declaration as YAML. The journal is state/state.db.
func (d Declaration) String() string {
	return fmt.Sprintf(`version: 1
agent: {id: %s, listen: "127.0.0.1:0", socket: control.sock, %s}
state: {sqlite: state/state.db}
qualytics: {url: "%s", credential: {file: admin.token}, rate: 200, %s}
defaults:
  rotation: %s
%s`, d.ID, d.Looks, d.URL, d.API, d.Rotation, d.Rest)
}

// Job is the rest of a declaration: three accounts, four slots, nine targets in
// a Vault, with these options, and in files below delivered.
func Job(vault string) string {
	return `
backends:
  vault: ` + vault + `
  local: {type: file, dir: delivered}
accounts:
  - name: Pipeline Automation
    role: Editor
    teams: [Data Engineering]
    owner: data-platform@acme.example
    purpose: DAGs start scans
    tokens:
      - name: pipeline
        deliver:
          - {backend: vault, path: connections/qualytics_default, format: airflow-connection}
          - {backend: vault, path: ci/pipeline, format: token, key: token}
          - {backend: local, path: airflow/connections.json, format: airflow-connection}
  - name: Quality Gate
    role: Member
    owner: release@acme.example
    purpose: Reads quality scores
    tokens:
      - name: gate
        deliver:
          - {backend: local, path: gate/gate.env, format: dotenv}
          - {backend: local, path: cli/config.yaml, format: qualytics-cli, sink: directory}
  - name: Orchestration Calls
    role: Member
    owner: integration@acme.example
    purpose: Web activities call the API
    tokens:
      - name: web
        deliver:
          - {backend: local, path: web/authorization, format: bearer}
          - {backend: vault, path: web, format: token}
      - name: mounted
        deliver:
          - {backend: local, path: mounted/token, format: token, sink: directory}
          - {backend: vault, path: mounted, format: json}
`
}

const (
	pipeline = "pipeline_automation@service/pipeline"
	gate     = "quality_gate@service/gate"
	web      = "orchestration_calls@service/web"
	mounted  = "orchestration_calls@service/mounted"
)

// JobSlots are the slots of Job.
func JobSlots() []string { return []string{pipeline, gate, web, mounted} }

// JobConsumers are the consumers of Job, one at each target. The declaration
// stands in dir.
func JobConsumers(dir string, v Store) []Consumer {
	file := func(path, slot string, parse func(string) (string, error)) Consumer {
		return FromFile(path, filepath.Join(dir, "delivered", filepath.FromSlash(path)), slot, parse)
	}
	return []Consumer{
		v.Consumer("connections/qualytics_default", pipeline, Connection),
		v.Consumer("ci/pipeline", pipeline, Field("token")),
		file("airflow/connections.json", pipeline, LocalConnection),
		file("gate/gate.env", gate, Line("QUALYTICS_TOKEN=")),
		file("cli/config.yaml", gate, Line("token: ")),
		file("web/authorization", web, Header),
		v.Consumer("web", web, Field("value")),
		file("mounted/token", mounted, Whole),
		v.Consumer("mounted", mounted, Field("token")),
	}
}

// AgentRules is the policy that an agent needs on a mount.
func AgentRules(mount string) string {
	return fmt.Sprintf(`
path "%[1]s/data/*" { capabilities = ["create", "update", "read"] }
path "%[1]s/metadata/*" { capabilities = ["read", "patch"] }
`, mount)
}

// ReaderStore is a mount with the readers' own access to it.
func ReaderStore(tb realtest.T, v *realtest.VaultServer, mount string) Store {
	tb.Helper()
	rules := fmt.Sprintf(`path "%s/data/*" { capabilities = ["read"] }`, mount)
	client := v.Client()
	if v.CA == "" {
		client = http.DefaultClient
	}
	return Store{Addr: v.Addr, Mount: mount, Token: v.NewToken(tb, "24h", v.Policy(tb, rules)), Client: client}
}

// Access is an agent's way to a new mount of a Vault: it logs in by AppRole,
// for 20 seconds at a time.
type Access struct {
	Mount, Login, Role string
	// SecretID is a secret.
	SecretID string
}

// NewAccess makes a mount and a login that may write it.
func NewAccess(tb realtest.T, v *realtest.VaultServer) Access {
	tb.Helper()
	a := Access{Mount: v.MountKV(tb, "2"), Login: v.MountAppRole(tb)}
	a.Role, a.SecretID = v.NewRole(tb, a.Login, map[string]any{
		"token_policies": []string{v.Policy(tb, AgentRules(a.Mount))}, "token_ttl": "20s"})
	return a
}

// Options are those of a backend with this access. The secret id stands in the
// file secret-id; more are further options.
func (a Access) Options(address, more string) string {
	return fmt.Sprintf(`{type: vault, address: "%s", mount: %s, auth: {method: approle, mount: %s, role_id: %s, secret_id: {file: secret-id}}%s}`,
		address, a.Mount, a.Login, a.Role, more)
}
