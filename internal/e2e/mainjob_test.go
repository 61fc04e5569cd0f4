package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/internal/outside"
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

// TestMainJob: the built agent does its main job against a real server with
// Vault's API and files, is killed at random instants again and again, and no
// reader ever meets a dead token. At the end each slot comes to rest.
func TestMainJob(t *testing.T) {
	t.Parallel()
	program(t)
	vault := realtest.Vault(t)
	s := newSite(t)
	access := outside.NewAccess(t, vault)
	s.secret("secret-id", access.SecretID)
	s.secrets.add("Vault's root token", vault.Token)
	q, wire := s.startSim()
	rest := outside.Job(access.Options(vault.Addr, ""))
	s.declare(wire, outside.Quick, rest)
	consumers := outside.JobConsumers(s.dir, outside.ReaderStore(t, vault, access.Mount))

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
		t.Errorf("SIGTERM ended it with %d, want 0\n%s", code, outside.Tail(a.err.String(), 10))
	}
	s.declare(wire, outside.Calm, rest)
	a = s.start()
	t.Logf("%s slowed down", time.Now().Format(time.TimeOnly))
	a.awaitStatus("rest", func(got status) bool { return all(got, slotStatus.settled) })
	t.Logf("%s at rest", time.Now().Format(time.TimeOnly))
	await(t, patience, "30 more reads of each", reading.moreReads(30))
	reading.noneDead(t, len(consumers), 200)
	checkRest(t, s, q, a, consumers)
	if _, code, err := q.Whose(t.Context(), byHand); code != http.StatusOK || err != nil {
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
		case <-a.Exited:
			t.Fatalf("%s ended by itself:\n%s", a.name, outside.Tail(a.err.String(), 20))
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

// checkRest looks at the end from outside: the API lists one token for each
// slot, live, and every target of the slot holds just that one.
func checkRest(t *testing.T, s *site, q instance, a *agent, consumers []outside.Consumer) {
	t.Helper()
	got := s.statusCommand()
	if !got.Running {
		t.Error("handover status says that no agent is running")
	}
	live := q.tokens(t)
	for _, name := range outside.JobSlots() {
		one := got.slot(name)
		mine := of(live, name)
		if len(mine) != 1 || mine[0].ID != one.TokenID || !strings.HasSuffix(mine[0].Name, fmt.Sprintf(".g%d", one.Generation)) {
			t.Errorf("%s: the API lists %+v, status says generation %d, token %d", name, mine, one.Generation, one.TokenID)
		}
		if wrong := outside.Unsettled(t.Context(), q.Instance, live, "e2e", name, consumers); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	for _, folder := range []string{"cli", "mounted"} {
		versions, err := filepath.Glob(s.path("delivered/" + folder + "/..2*"))
		if err != nil || len(versions) != 1 {
			t.Errorf("the folder %s keeps versions of revoked tokens: %v, %v", folder, versions, err)
		}
	}
	if code, _, err := a.ask("/livez"); code != http.StatusOK || err != nil {
		t.Errorf("/livez answers %d, %v", code, err)
	}
}
