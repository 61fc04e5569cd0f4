package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/realtest"
)

const (
	// kills is how often the main job's agent is killed.
	kills = 30
	// rotations is how often each slot must have been rotated at least.
	rotations = 10
	// seedVariable repeats the instants of an earlier run.
	seedVariable = "HANDOVER_TEST_SEED"
)

// agentRules is the policy that an agent needs on a mount.
func agentRules(mount string) string {
	return fmt.Sprintf(`
path "%[1]s/data/*" { capabilities = ["create", "update", "read"] }
path "%[1]s/metadata/*" { capabilities = ["read", "patch"] }
`, mount)
}

// readerStore is the readers' own access to a mount.
func readerStore(t *testing.T, v *realtest.VaultServer, mount string) store {
	t.Helper()
	rules := fmt.Sprintf(`path "%s/data/*" { capabilities = ["read"] }`, mount)
	return store{server: v, mount: mount, token: v.NewToken(t, "1h", v.Policy(t, rules))}
}

// mainJob is the declaration of the main job: three accounts, four slots, nine
// targets in a real Vault and in files.
const mainJob = `
backends:
  vault:
    type: vault
    address: %[1]s
    mount: %[2]s
    auth: {method: approle, mount: %[3]s, role_id: %[4]s, secret_id: {file: secret-id}}
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

var mainSlots = []string{
	"pipeline_automation@service/pipeline", "quality_gate@service/gate",
	"orchestration_calls@service/web", "orchestration_calls@service/mounted",
}

func mainConsumers(s *site, v store) []consumer {
	const pipeline, gate, calls = "pipeline_automation@service", "quality_gate@service", "orchestration_calls@service"
	return []consumer{
		v.fromVault("connections/qualytics_default", pipeline, connection),
		v.fromVault("ci/pipeline", pipeline, field("token")),
		s.fromFile("delivered/airflow/connections.json", pipeline, localConnection),
		s.fromFile("delivered/gate/gate.env", gate, line("QUALYTICS_TOKEN=")),
		s.fromFile("delivered/cli/config.yaml", gate, line("token: ")),
		s.fromFile("delivered/web/authorization", calls, header),
		v.fromVault("web", calls, field("value")),
		s.fromFile("delivered/mounted/token", calls, whole),
		v.fromVault("mounted", calls, field("token")),
	}
}

// TestMainJob: the built agent does its main job against a real server with
// Vault's API and files, is killed at random instants again and again, and no
// reader ever meets a dead token. At the end each slot comes to rest.
func TestMainJob(t *testing.T) {
	t.Parallel()
	program(t)
	vault := realtest.Vault(t)
	s := newSite(t)
	mount, login := vault.MountKV(t, "2"), vault.MountAppRole(t)
	role, secretID := vault.NewRole(t, login, map[string]any{
		"token_policies": []string{vault.Policy(t, agentRules(mount))}, "token_ttl": "20s"})
	s.secret("secret-id", secretID)
	s.secrets.add("Vault's root token", vault.Token)
	q, wire := s.startSim()
	rest := fmt.Sprintf(mainJob, vault.Addr, mount, login, role)
	s.declare(wire, quick, rest)
	consumers := mainConsumers(s, readerStore(t, vault, mount))

	a := s.start()
	a.awaitStatus("the first tokens", allServed)
	handMade, byHand := q.mintByHand(t, "pipeline_automation@service", "made-by-hand")
	s.secrets.addToken("the token made by hand", byHand)
	reading := startReaders(t, q, consumers...)
	a = chaos(t, s, a)
	t.Logf("%s killed", time.Now().Format(time.TimeOnly))
	a.awaitStatus(fmt.Sprintf("%d rotations of each slot", rotations), func(got status) bool {
		return all(got, func(one slotStatus) bool { return one.Generation > rotations })
	})
	if code := a.terminate(t, 10*time.Second); code != 0 {
		t.Errorf("SIGTERM ended it with %d, want 0\n%s", code, tail(a.err.String(), 10))
	}
	s.declare(wire, calm, rest)
	a = s.start()
	t.Logf("%s slowed down", time.Now().Format(time.TimeOnly))
	a.awaitStatus("rest", func(got status) bool { return all(got, slotStatus.settled) })
	t.Logf("%s at rest", time.Now().Format(time.TimeOnly))
	await(t, patience, "30 more reads of each", moreReads(reading, 30))
	reading.noneDead(t, len(consumers), 200)
	checkRest(t, s, q, a, consumers)
	if _, code, err := q.whose(t.Context(), byHand); code != http.StatusOK || err != nil {
		t.Errorf("the token %d, made by hand, is answered with %d, %v", handMade, code, err)
	}
	a.keepPages()
	t.Logf("%d starts, %d tokens minted, %d labels burnt", s.starts, s.wire.minted.Load(), s.evidence.count(`"msg":"burnt"`))
	s.noTraces("stderr of agent 1", "stdout of simulator", "arguments of agent", "journal state.db", "journal state.db-wal",
		"page /metrics", "page /api/v1/status", "page /")
}

// chaos kills the agent at random instants and starts it again, and returns the
// last one. Every second instant is one at which the agent is changing
// something; others find it idle, or not ready yet.
func chaos(t *testing.T, s *site, a *agent) *agent {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("instants by %s=%d", seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	upTo := func(most time.Duration) time.Duration { return time.Duration(random.Int64N(int64(most))) }
	for i := range kills {
		life := upTo(2500 * time.Millisecond)
		if i%2 == 0 {
			awaitChange(t, s.wire)
			life = upTo([]time.Duration{3 * time.Millisecond, 25 * time.Millisecond}[random.IntN(2)])
		}
		timer := time.NewTimer(life)
		select {
		case <-timer.C:
		case <-a.exited:
			t.Fatalf("%s ended by itself:\n%s", a.name, tail(a.err.String(), 20))
		}
		a.kill()
		if a = s.launch(); random.IntN(4) == 0 {
			a.awaitReady()
			a.keepPages()
			s.keepJournal()
		}
	}
	a.awaitReady()
	return a
}

// awaitChange waits for a call that changes something.
func awaitChange(t *testing.T, wire *tap) {
	t.Helper()
	select {
	case <-wire.changing: // an old signal, perhaps
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-wire.changing:
	case <-timer.C:
		t.Fatalf("no call changed anything for %s", patience)
	}
}

// all reports whether there are slots and each one is as wanted.
func all(got status, want func(slotStatus) bool) bool {
	for _, one := range got.Slots {
		if !want(one) {
			return false
		}
	}
	return len(got.Slots) > 0
}

// allServed: every target of every slot serves something.
func allServed(got status) bool {
	return all(got, func(one slotStatus) bool {
		for _, t := range one.Targets {
			if t.Generation == 0 {
				return false
			}
		}
		return len(one.Targets) > 0
	})
}

// moreReads is the condition that each reader has read so many times more.
func moreReads(r *readers, more int) func() (bool, string) {
	least := max(0, r.count()) + more
	return func() (bool, string) {
		now := r.count()
		return now >= least, fmt.Sprintf("the slowest has %d of %d", now, least)
	}
}

// checkRest looks at the end from outside: the API lists one token for each
// slot, live, and every target of the slot holds just that one.
func checkRest(t *testing.T, s *site, q instance, a *agent, consumers []consumer) {
	t.Helper()
	got := s.statusCommand()
	if !got.Running {
		t.Error("handover status says that no agent is running")
	}
	live := q.tokens(t)
	for _, name := range mainSlots {
		one := got.slot(name)
		mine := of(live, name)
		if len(mine) != 1 || !mine[0].Active || mine[0].ID != one.TokenID ||
			!strings.HasSuffix(mine[0].Name, fmt.Sprintf(".g%d", one.Generation)) {
			t.Errorf("%s: the API lists %+v, status says generation %d, token %d", name, mine, one.Generation, one.TokenID)
		}
	}
	held := map[string]int{}
	for _, c := range consumers {
		token, err := c.read(t.Context())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		account, code, err := q.whose(t.Context(), token)
		if account != c.account || err != nil {
			t.Errorf("%s: the token is answered with %d, of %q, %v", c.name, code, account, err)
		}
		held[token]++
	}
	if len(held) != len(mainSlots) {
		t.Errorf("the targets of %d slots hold %d different tokens", len(mainSlots), len(held))
	}
	if code, _, err := a.ask("/livez"); code != http.StatusOK || err != nil {
		t.Errorf("/livez answers %d, %v", code, err)
	}
}
