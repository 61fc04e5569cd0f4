package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

// world is what an agent under test lives in: a simulated Qualytics reached
// without a socket, stores in memory, a declaration in a file.
type world struct {
	t      testing.TB
	api    *sim.Server
	folder string
	stores map[string]*mem.Store // by the backend's name; they outlive reloads
	// opening is how long it takes to open a backend, in a bubble's time.
	opening time.Duration

	mu     sync.Mutex
	lent   []*lent
	events []rotation.Event
	log    bytes.Buffer
	// look is called at the start of every read of a store; nil does nothing.
	look func(ctx context.Context, ref backends.Ref) error
	// got is called at the start of every Get of a store; nil does nothing.
	got func(ref backends.Ref)
	// step does what an agent asks of a store, or doesn't; nil does it.
	step func(do func() error) error
	// wrote is signalled when something was logged; it holds one.
	wrote chan struct{}
}

// newWorld makes a world whose declaration has the given backends and accounts,
// as YAML.
func newWorld(t testing.TB, stores, accounts string) *world {
	t.Helper()
	folder := t.TempDir()
	api, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	w := &world{t: t, api: api, folder: folder, stores: map[string]*mem.Store{}, wrote: make(chan struct{}, 1)}
	token, err := api.AdminToken("Handover Admin")
	if err != nil {
		t.Fatal(err)
	}
	w.put("admin.token", token.Reveal())
	w.put("agent.yaml", head+stores+accounts)
	return w
}

// head is the start of every declaration here. Nobody listens at the URL: the
// API is reached through sim's transport.
const head = `version: 1
agent: {id: acme, listen: "127.0.0.1:0", socket: c.sock, drift_check: 1h, sweep: 5m}
state: {sqlite: state.db}
qualytics: {url: "http://127.0.0.1:9", credential: {file: admin.token}, rate: 1000}
defaults:
  rotation: {lifetime: 30d, every: 20d, grace: 2d, hold: 0s, observe: 2d}
`

// often is in head; tests of long times replace it by seldom.
const (
	often  = "drift_check: 1h, sweep: 5m"
	seldom = "drift_check: 12h, sweep: 6h"
)

// oneStore and twoSlots are what most tests need.
const (
	oneStore = "backends:\n  one: {type: mem}\n"
	oneSlot  = "accounts:\n" + pipeline
	twoSlots = oneSlot + gate
	pipeline = `  - name: Pipeline
    role: Editor
    owner: data@acme.example
    purpose: starts scans
    tokens:
      - {name: production, deliver: [{backend: one, path: pipeline, format: token}]}
`
	gate = `  - name: Gate
    role: Member
    owner: data@acme.example
    purpose: reads scores
    tokens:
      - {name: testing, deliver: [{backend: one, path: gate, format: token}]}
`
	pipelineSlot = "pipeline@service/production"
	gateSlot     = "gate@service/testing"
)

// adminToken is what the agent's file holds at first.
func (w *world) adminToken() secret.Value {
	w.t.Helper()
	token, err := w.api.AdminToken("Handover Admin")
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// put writes a file of the world's folder.
func (w *world) put(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.folder, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// edit replaces a part of the declaration, which must be there.
func (w *world) edit(old, next string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.folder, "agent.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		w.t.Fatalf("the declaration doesn't contain %q", old)
	}
	w.put("agent.yaml", strings.Replace(string(text), old, next, 1))
}

func (w *world) load() (*config.Declaration, error) {
	registry, err := backends.NewRegistry(w.driver())
	if err != nil {
		return nil, err
	}
	return config.Load(filepath.Join(w.folder, "agent.yaml"), registry, nil)
}

func (w *world) options() Options {
	w.t.Helper()
	d, err := w.load()
	if err != nil {
		w.t.Fatal(err)
	}
	return Options{Declaration: d, Load: w.load, Version: "v0.0.0-test", Transport: w.api.Transport(),
		Log: slog.New(slog.NewTextHandler(locked{w}, nil)), OnEvent: w.event}
}

// agent makes an agent of the world, closed when the test ends.
func (w *world) agent(changes ...func(*Options)) *Agent {
	w.t.Helper()
	opt := w.options()
	for _, change := range changes {
		change(&opt)
	}
	a, err := New(w.t.Context(), opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := a.Close(); err != nil {
			w.t.Errorf("Close = %v", err)
		}
	})
	return a
}

func (w *world) event(e rotation.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// acts are the events of a slot of those acts, in their order.
func (w *world) acts(slot string, acts ...rotation.Act) []rotation.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.events), func(e rotation.Event) bool {
		return e.Slot != slot || !slices.Contains(acts, e.Act)
	})
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// locked is the world's log as a writer.
type locked struct{ w *world }

func (l locked) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	select {
	case l.w.wrote <- struct{}{}:
	default:
	}
	return l.w.log.Write(p)
}

// serves reports the label of the live token that a store serves at path; ""
// for none.
func (w *world) serves(store, path string) string {
	w.t.Helper()
	w.mu.Lock()
	value := w.stores[store].Peek(path)
	w.mu.Unlock()
	if value.IsZero() {
		return ""
	}
	token, err := plainToken.Extract(value)
	if err != nil {
		return "another shape"
	}
	if err := w.api.Check(token); err != nil {
		return err.Error()
	}
	return "live"
}

var plainToken = func() backends.Format {
	format, err := payload.New(payload.Spec{Format: "token", BackendType: "mem", Path: "any"})
	if err != nil {
		return nil
	}
	return format
}()

// storeOptions are those of the driver of these tests.
type storeOptions struct {
	Broken bool `yaml:"broken" doc:"it can't be opened" default:"false"`
}

// driver lends the world's stores as backends of the type mem.
func (w *world) driver() backends.Driver {
	d := mem.Driver()
	d.Options = func() any { return &storeOptions{} }
	d.Properties = func(any) backends.Properties { return mem.New(mem.LikeVault()).Backend().Properties() }
	d.Open = func(_ context.Context, env backends.Env, options any) (backends.Backend, error) {
		if options.(*storeOptions).Broken {
			return nil, errors.New("the store's address is nonsense")
		}
		if w.opening > 0 {
			<-time.After(w.opening)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.stores[env.Name] == nil {
			w.stores[env.Name] = mem.New(mem.LikeVault())
		}
		l := &lent{Backend: w.stores[env.Name].Backend(), w: w, name: env.Name}
		w.lent = append(w.lent, l)
		return l, nil
	}
	return d
}

// lent is a store as an agent got it. Whoever uses it after Close, or closes it
// twice, fails the test.
type lent struct {
	backends.Backend
	w      *world
	name   string
	closed bool // guarded by w.mu
}

// Unwrap lets the store's own capabilities through.
func (l *lent) Unwrap() backends.Backend { return l.Backend }

// Put is a step of the world.
func (l *lent) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (version backends.Version, err error) {
	err = l.w.stepped(func() (err error) {
		version, err = l.Backend.Put(ctx, ref, item, prev)
		return err
	})
	return version, err
}

// Get is one too. It calls the world's look first.
func (l *lent) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (item backends.Item, version backends.Version, err error) {
	err = l.w.stepped(func() (err error) {
		item, version, err = l.get(ctx, ref, at)
		return err
	})
	return item, version, err
}

func (l *lent) get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	if l.w.got != nil {
		l.w.got(ref)
	}
	if err := l.looked(ctx, ref); err != nil {
		return backends.Item{}, backends.Absent, err
	}
	return l.Backend.Get(ctx, ref, at)
}

// Describe calls it too.
func (l *lent) Describe(ctx context.Context, ref backends.Ref) (backends.Meta, backends.Version, error) {
	if err := l.looked(ctx, ref); err != nil {
		return backends.Meta{}, backends.Absent, err
	}
	describer, _ := backends.As[backends.Describer](l.Backend)
	return describer.Describe(ctx, ref)
}

func (l *lent) looked(ctx context.Context, ref backends.Ref) error {
	l.w.mu.Lock()
	look := l.w.look
	if l.closed {
		l.w.t.Errorf("backend %s was read after it was closed", l.name)
	}
	l.w.mu.Unlock()
	if look == nil {
		return nil
	}
	return look(ctx, ref)
}

// Close takes note.
func (l *lent) Close() error {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.closed {
		l.w.t.Errorf("backend %s was closed twice", l.name)
	}
	l.closed = true
	return l.Backend.Close()
}

func (w *world) stepped(do func() error) error {
	w.mu.Lock()
	step := w.step
	w.mu.Unlock()
	if step == nil {
		return do()
	}
	return step(do)
}

// open counts the backends that are lent now.
func (w *world) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 0
	for _, l := range w.lent {
		if !l.closed {
			count++
		}
	}
	return count
}

// running is an agent whose passes run, without sockets.
type running struct {
	*Agent
	stop func() error // ends the passes and waits for them
}

// drive starts the passes of an agent and returns once they began; the test's
// end stops them.
func (w *world) drive(a *Agent) running {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.drive(ctx, nil) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	w.t.Cleanup(func() { _ = stop() })
	return running{a, stop}
}

// takesIn has a running agent take in the declaration as it is now: by a reload, or
// by a restart, of which it returns the agent.
func (w *world) takesIn(r running, restart bool) *Agent {
	w.t.Helper()
	if !restart {
		if err := r.Reload(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		return r.Agent
	}
	if err := errors.Join(r.stop(), r.Close()); err != nil {
		w.t.Fatal(err)
	}
	a := w.agent()
	w.drive(a)
	return a
}

// status is the slot's status as the agent tells it.
func (w *world) status(a *Agent, slot string) rotation.Status {
	w.t.Helper()
	doc, err := a.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range doc.Slots {
		if s.Slot == slot {
			return s
		}
	}
	w.t.Fatalf("there is no slot %s in the status", slot)
	return rotation.Status{}
}

// secretAt is what stands in the store "one".
func (w *world) secretAt(path string) secret.Value {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stores["one"].Peek(path)
}

// manySlots declares n slots of one target on accounts of at most each tokens.
func manySlots(n, each int) string {
	var text strings.Builder
	text.WriteString("accounts:\n")
	for i := range n {
		if i%each == 0 {
			fmt.Fprintf(&text, "  - name: A%d\n    role: Member\n    owner: o@acme.example\n    purpose: reads\n    tokens:\n", i/each)
		}
		fmt.Fprintf(&text, "      - {name: t%d, deliver: [{backend: one, path: p%d, format: token}]}\n", i, i)
	}
	return text.String()
}
