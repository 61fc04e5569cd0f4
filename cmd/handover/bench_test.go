package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

const (
	restSlots   = 10_000
	restPerUser = 10
	restSweep   = 20 * time.Second
	// restFor is how many sweeps are watched.
	restFor = 3
)

// BenchmarkAtRest runs the real binary on 10,000 slots of one file each that
// have nothing to do, beside a simulator in this process, and tells its resident
// memory and how often it lists the tokens. It takes some two minutes.
func BenchmarkAtRest(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		api, err := sim.New(sim.Options{})
		if err != nil {
			b.Fatal(err)
		}
		server := httptest.NewServer(api)
		atRest(b, dir, api, server.URL)
		program := buildProgram(b, dir)
		agent := exec.CommandContext(b.Context(), program, "run", "-c", filepath.Join(dir, "agent.yaml"), "--log-level", "warn")
		var log bytes.Buffer
		agent.Stdout, agent.Stderr = &log, &log
		if err := agent.Start(); err != nil {
			b.Fatal(err)
		}
		watchRest(b, api, agent.Process.Pid)
		if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
			b.Fatal(err)
		}
		if err := agent.Wait(); err != nil || log.Len() > 0 {
			b.Errorf("the agent ended with %v and said\n%s", err, log.String())
		}
		server.Close()
		if calls := api.Calls(); calls["POST /user-tokens"] > 0 {
			b.Errorf("it wasn't at rest: %v", calls)
		}
	}
}

// watchRest waits until every slot was looked at, then watches some sweeps.
func watchRest(b *testing.B, api *sim.Server, pid int) {
	b.Helper()
	const list = "GET /user-tokens/service"
	began := time.Now()
	for api.Calls()[list] < 3 { // two sweeps are over
		wait(b, 100*time.Millisecond)
		if time.Since(began) > 10*restSweep {
			b.Fatalf("after %s: %v", time.Since(began), api.Calls())
		}
	}
	api.ResetCalls()
	used, most := cpu(b, pid), 0
	for range restFor * 10 {
		wait(b, restSweep/10)
		most = max(most, memory(b, pid, "VmRSS"))
	}
	calls := api.Calls()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(most)/1024, "MiB-resident")
	b.ReportMetric(float64(memory(b, pid, "RssAnon"))/1024, "MiB-anonymous")
	b.ReportMetric(float64(memory(b, pid, "VmHWM"))/1024, "MiB-peak")
	b.ReportMetric(float64(calls[list])/restFor, "token-lists/sweep")
	b.ReportMetric(float64(cpu(b, pid)-used)/restFor, "cpu-ms/sweep")
}

func wait(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-b.Context().Done():
		b.Fatal(context.Cause(b.Context()))
	}
}

// memory reads a line of the process's status, in KiB.
func memory(b *testing.B, pid int, key string) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) {
		b.Skip("this system has no /proc")
	}
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + key + `:\s+(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		b.Fatalf("there is no %s in the status of process %d", key, pid)
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		b.Fatal(err)
	}
	return kib
}

// cpu is the time that the process has used, in milliseconds, as far as it is
// known to a hundredth of a second (proc(5): utime and stime).
func cpu(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(behind)
	total := 0
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		total += ticks * 10
	}
	return total
}

// buildProgram builds the program as it is released.
func buildProgram(b *testing.B, dir string) string {
	b.Helper()
	program := filepath.Join(dir, "handover")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		b.Skipf("the program can't be built: %v\n%s", err, said)
	}
	return program
}

// atRest writes a world in which everything is as declared: accounts and tokens
// at the simulator, a file for each slot, the declaration and the journal.
func atRest(b *testing.B, dir string, api *sim.Server, url string) {
	b.Helper()
	admin, err := api.AdminToken(adminAccount)
	if err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join(dir, "admin.token"), admin.Reveal())
	var text strings.Builder
	fmt.Fprintf(&text, `version: 1
agent: {id: acme, listen: "127.0.0.1:0", socket: c.sock, sweep: %s}
state: {sqlite: state.db}
qualytics: {url: %q, credential: {file: admin.token}, rate: 1000}
backends: {one: {type: file, dir: secrets}}
accounts:
`, restSweep, url)
	rows := journalOf(b, filepath.Join(dir, "state.db"))
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		b.Fatal(err)
	}
	for i := range restSlots {
		name := fmt.Sprintf("A%d", i/restPerUser)
		if i%restPerUser == 0 {
			fmt.Fprintf(&text, "  - name: %s\n    role: Member\n    owner: o@a.example\n    purpose: reads\n    tokens:\n", name)
			if _, err := api.CreateAccount(name, "Member"); err != nil {
				b.Fatal(err)
			}
		}
		fmt.Fprintf(&text, "      - {name: t%d, deliver: [{backend: one, path: p%d, format: token}]}\n", i, i)
		slotAtRest(b, dir, api, rows, name, i)
	}
	if err := rows.Commit(); err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join(dir, "agent.yaml"), text.String())
}

// journalOf makes an empty journal, and a transaction that fills it: ten
// thousand commits, each synced, would take minutes.
func journalOf(b *testing.B, path string) *sql.Tx {
	b.Helper()
	made, err := journal.Open(b.Context(), path, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := made.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	rows, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	return rows
}

func slotAtRest(b *testing.B, dir string, api *sim.Server, rows *sql.Tx, account string, i int) {
	b.Helper()
	token, id, now := fmt.Sprintf("t%d", i), rotation.AccountID(account), time.Now().UTC()
	label := rotation.Label(token, "acme", 1)
	number, value, err := api.CreateToken(id, label, 365)
	if err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join(dir, "secrets", fmt.Sprintf("p%d", i)), value.Reveal())
	rec := rotation.Record{Slot: rotation.Slot(id, token), High: 1, Current: 1, DueAt: now.Add(330 * rotation.Day),
		Generations: []rotation.Generation{{Number: 1, Label: label, TokenID: number, Fingerprint: value.Fingerprint(),
			State: rotation.Live, Claimed: true, Reason: rotation.NeverIssued, IssuedAt: now,
			Expires: now.Add(365 * rotation.Day), ProvedAt: now}},
		Targets: map[string]rotation.TargetRecord{fmt.Sprintf("one/p%d", i): {State: rotation.InStep,
			Reason: rotation.TargetServes, Since: now, Serves: 1, SeenAt: now,
			Payloads: []rotation.Payload{{Fingerprint: value.Fingerprint(), Generation: 1}}}}}
	body, err := json.Marshal(rec)
	if err != nil {
		b.Fatal(err)
	}
	const insert = "INSERT INTO slots (slot, revision, fence, body) VALUES ($1, 1, 1, $2)"
	if _, err := rows.ExecContext(b.Context(), insert, rec.Slot, string(body)); err != nil {
		b.Fatal(err)
	}
}

func write(b *testing.B, path, text string) {
	b.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}
