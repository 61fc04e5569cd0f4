package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/internal/realtest"
	"github.com/handover-agent/handover/internal/toxic"
)

// agentID is in every label.
const agentID = "soak"

// Logs in the run's folder: what happened, and what all agents said.
const (
	runLog   = "soak.log"
	agentLog = "agent.log"
)

// field is all that a run is made of: the agent, what it calls, and what lies
// between them.
type field struct {
	*host
	program string
	site    string // the folder of the declaration
	keeper  *keeper
	vault   *realtest.OwnVault
	access  outside.Access
	sim     simulator
	wires   map[string]*toxic.Wire
	disk    *disk // nil without small disks
	counts  map[kind]*atomic.Int64
	// launched is the place of the agent's log at which the last agent began.
	launched atomic.Int64
	// consumers are those of all targets.
	consumers []outside.Consumer
}

// newField starts everything but the agent.
func newField(h *host, o options) *field {
	f := &field{host: h, program: o.program, site: filepath.Join(h.dir, "site"), wires: map[string]*toxic.Wire{}, counts: map[kind]*atomic.Int64{}}
	h.must(os.Mkdir(f.site, 0o700))
	for _, l := range o.lanes() {
		for _, k := range l.kinds {
			f.counts[k] = &atomic.Int64{}
		}
	}
	if f.counts[diskFull] != nil {
		d, err := newDisk(filepath.Join(f.site, "state"))
		h.must(err)
		f.disk = d
	}
	f.vault = realtest.NewLastingVault(h)
	f.access = outside.NewAccess(h, &f.vault.VaultServer)
	h.must(f.write("secret-id", f.access.SecretID))
	f.sim = simulator{program: o.program, dir: h.dir, token: f.path("admin.token"), address: realtest.LastingAddress(h)}
	h.Cleanup(f.sim.kill)
	h.must(f.sim.start())
	for name, upstream := range map[string]string{apiWire: "http://" + f.sim.address, vaultWire: f.vault.Addr} {
		at, err := url.Parse(upstream)
		h.must(err)
		w, err := toxic.New(realtest.LastingAddress(h), at.Host)
		h.must(err)
		h.Cleanup(w.Cut)
		f.wires[name] = w
	}
	f.consumers = outside.JobConsumers(f.site, outside.ReaderStore(h, &f.vault.VaultServer, f.access.Mount))
	f.keeper = &keeper{launch: f.launch, excused: f.excused, complain: func(how string) { h.Errorf("the agent %s; it said:\n%s", how, f.lastWords()) }}
	h.Cleanup(f.keeper.close)
	return f
}

func (f *field) path(name string) string { return filepath.Join(f.site, name) }

func (f *field) write(name, content string) error {
	return os.WriteFile(f.path(name), []byte(content), 0o600)
}

// declare writes the declaration with this rotation. The time-outs are short:
// a fault of seconds has outcomes that nobody knows.
func (f *field) declare(rotation string) error {
	vault := f.access.Options("https://"+f.wires[vaultWire].Address(), fmt.Sprintf(`, ca_file: "%s", timeout: 2s`, f.vault.CA))
	return f.write("agent.yaml", outside.Declaration{
		ID: agentID, Looks: "drift_check: 1s, sweep: 1s", URL: "http://" + f.wires[apiWire].Address(), API: "timeout: 2s",
		Rotation: rotation, Rest: outside.Job(vault),
	}.String())
}

func (f *field) agentLog() string { return filepath.Join(f.dir, agentLog) }

func (f *field) launch() (*outside.Process, error) {
	if info, err := os.Stat(f.agentLog()); err == nil { // not before the first
		f.launched.Store(info.Size())
	}
	return startLogged(f.agentLog(), nil, f.program, "run", "-c", f.path("agent.yaml"), "--log-format", "json", "--log-level", "debug")
}

// terminate tells the agent to end, once it listens: a signal that comes before
// that ends any program.
func (f *field) terminate(ctx context.Context) {
	_ = outside.Await(ctx, startTimeout, "the agent", func() (bool, string) { // if it doesn't start, so be it
		return f.keeper.current() == nil || f.saidSince(f.launched.Load(), `"msg":"agent started"`), ""
	})
	f.keeper.terminate()
}

// excused reports whether an agent may end by itself: its journal has no space.
func (f *field) excused() bool { return f.disk != nil && f.disk.excuses() }

func (f *field) lastWords() string {
	text, err := os.ReadFile(f.agentLog())
	if err != nil {
		return err.Error()
	}
	return outside.Tail(string(text), 5)
}

// instance is Qualytics, asked without faults between.
func (f *field) instance() (outside.Instance, error) {
	admin, err := os.ReadFile(f.path("admin.token"))
	return outside.Instance{
		Base: "http://" + f.sim.address, Admin: strings.TrimSpace(string(admin)),
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}, err
}

// wait waits for so long, or until ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
