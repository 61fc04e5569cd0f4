package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/internal/realtest"
)

const (
	// followers is how many follow one entry.
	followers = 3
	// steady is a rotation whose grace has room for a follower's look and a
	// reader that holds its token.
	steady  = "{lifetime: 1d, every: 6s, grace: 5s, hold: 0s, observe: 1s}"
	flowing = "pipeline_automation@service/pipeline"
)

// followed is a declaration of an agent that delivers one token into a Vault.
func followed(vault string) string {
	return `
backends:
  vault: ` + vault + `
accounts:
  - name: Pipeline Automation
    role: Editor
    owner: data-platform@acme.example
    purpose: DAGs start scans
    tokens:
      - name: pipeline
        deliver:
          - {backend: vault, path: connections/qualytics_default, format: airflow-connection}
`
}

// followerFile is the declaration of the n-th follower. Its token stands in
// follower-token.
func followerFile(n int, vault outside.Access, address string) string {
	return fmt.Sprintf(`version: 1
backends:
  vault: {type: vault, address: "%s", mount: %s, auth: {method: token, token: {file: follower-token}}}
  pod: {type: file, dir: pod%d}
follow:
  listen: 127.0.0.1:0
  every: 1s
  url: https://acme.qualytics.io
  entries:
    - account: Pipeline Automation
      from: {backend: vault, path: connections/qualytics_default, format: airflow-connection}
      to: {backend: pod, path: dbt.env, format: dotenv}
    - account: Pipeline Automation
      from: {backend: vault, path: connections/qualytics_default, format: airflow-connection}
      to: {backend: pod, path: cli/config.yaml, format: qualytics-cli, sink: directory}
`, address, vault.Mount, n)
}

// TestFollowers: three followers of one entry in a real Vault, under the smallest
// policy, keep their files alive through rotations, while they are killed in
// turn. Nobody but the agent issues, and no token shows up in what they say.
func TestFollowers(t *testing.T) {
	t.Parallel()
	program(t)
	vault := realtest.Vault(t)
	s := newSite(t)
	access := outside.NewAccess(t, vault)
	s.secret("secret-id", access.SecretID)
	s.secrets.add("Vault's root token", vault.Token)
	reading := fmt.Sprintf("path \"%[1]s/data/connections/qualytics_default\" { capabilities = [\"read\"] }\n"+
		"path \"%[1]s/metadata/connections/qualytics_default\" { capabilities = [\"read\"] }\n", access.Mount)
	s.secret("follower-token", vault.NewToken(t, "24h", vault.Policy(t, reading)))
	q, wire := s.startSim()
	s.declare(wire, steady, followed(access.Options(vault.Addr, "")))
	a := s.start()
	a.awaitStatus("the first token", allServed)

	var pods []*process
	var consumers []outside.Consumer
	for n := range followers {
		s.write(fmt.Sprintf("follow%d.yaml", n), followerFile(n, access, vault.Addr))
		pods = append(pods, s.follow(n))
		env, cli := fmt.Sprintf("pod%d/dbt.env", n), fmt.Sprintf("pod%d/cli/config.yaml", n)
		consumers = append(consumers,
			outside.FromFile(env, s.path(env), flowing, outside.Line("QUALYTICS_TOKEN=")),
			outside.FromFile(cli, s.path(cli), flowing, outside.Line("token: ")))
	}
	readers := startReaders(t, q, consumers...)
	for generation := uint64(2); generation <= 5; generation++ {
		a.awaitStatus(fmt.Sprintf("generation %d", generation), func(got status) bool {
			return all(got, func(one slotStatus) bool { return one.Generation >= generation })
		})
		n := int(generation) % followers
		pods[n].kill()
		pods[n] = s.follow(n)
	}
	await(t, patience, "30 more reads of each", readers.moreReads(30))
	readers.noneDead(t, len(consumers), 50)
	for _, listed := range q.tokens(t) {
		if listed.User.UserID == "pipeline_automation@service" && !strings.HasPrefix(listed.Name, "pipeline.e2e.g") {
			t.Errorf("somebody else issued %s", listed.Name)
		}
	}
	for n, pod := range pods {
		if code := pod.terminate(t, 10*time.Second); code != 0 {
			t.Errorf("SIGTERM ended follower %d with %d\n%s", n, code, outside.Tail(pod.err.String(), 10))
		}
		r := command(t, s.evidence, "follow", "--once", "-o", "json", "-c", s.path(fmt.Sprintf("follow%d.yaml", n)))
		if r.code != 0 || strings.Count(r.out, `"state": "in_step"`) != 2 {
			t.Errorf("follow --once exits with %d: %s%s", r.code, r.out, r.err)
		}
	}
	s.noTraces("stderr of agent 1", "stderr of follower 0", "arguments of follower 2", "output of handover follow")
}

// follow starts a follower and waits until its files hold a value.
func (s *site) follow(n int) *process {
	s.t.Helper()
	p := start(s.t, s.evidence, nil, fmt.Sprintf("follower %d", n), "follow", "-c", s.path(fmt.Sprintf("follow%d.yaml", n)),
		"--log-format", "json", "--log-level", "debug")
	s.started = append(s.started, p)
	await(s.t, patience, "follower to be in step", func() (bool, string) {
		return strings.Count(p.err.String(), "file in step with its store") >= 2, p.err.String()
	})
	return p
}
