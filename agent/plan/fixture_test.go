package plan_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/plan"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

const (
	pipeline = "pipeline_automation@service"
	nightly  = pipeline + "/nightly"
	hourly   = pipeline + "/hourly"
	gate     = "quality_gate@service/gate"
)

// world is a simulated Qualytics, stores, a journal, and slots that an agent
// may have been at work on. It is used inside a bubble of testing/synctest.
type world struct {
	t       testing.TB
	api     *rotationtest.API
	journal *rotationtest.Memory
	stores  map[string]*mem.Store // by target
	slots   []rotation.Declared
	events  []rotation.Event
	engine  *rotation.Engine
}

var schedule = rotation.Schedule{Lifetime: 30 * rotation.Day, Every: 20 * rotation.Day, Grace: 2 * rotation.Day,
	Hold: 2 * rotation.Day, Quiet: rotation.Day, Observe: 2 * rotation.Day}

// newWorld has three slots of two accounts with four targets.
func newWorld(t testing.TB) *world {
	w := &world{t: t, api: rotationtest.NewAPI(), journal: rotationtest.NewMemory(), stores: map[string]*mem.Store{}}
	w.slot("Pipeline Automation", "nightly", "Editor", []string{"Data Engineering"},
		w.target("vault", mem.LikeVault(), "json"), w.target("aws", mem.LikeAWS(), "token"))
	w.slot("Pipeline Automation", "hourly", "Editor", []string{"Data Engineering"}, w.target("azure", mem.LikeAzure(), "bearer"))
	w.slot("Quality Gate", "gate", "Member", nil, w.target("file", mem.LikeFile(), "qualytics-cli"))
	w.restart()
	return w
}

func (w *world) restart() {
	w.engine = rotation.New(rotation.Options{Issuer: w.api, Journal: w.journal, Process: time.Now().String(),
		OnEvent: func(e rotation.Event) { w.events = append(w.events, e) }})
}

func (w *world) target(name string, options mem.Options, format string) *backends.Target {
	w.t.Helper()
	store := mem.New(options)
	shape, err := payload.New(payload.Spec{Format: format, BackendType: "mem", Path: "qualytics"})
	if err != nil {
		w.t.Fatal(err)
	}
	target := &backends.Target{Ref: backends.Ref{Backend: name, Path: "qualytics"}, Format: shape, Backend: store.Backend()}
	w.stores[target.Key()] = store
	return target
}

func (w *world) slot(account, token, role string, teams []string, targets ...*backends.Target) {
	id := rotation.AccountID(account)
	slot := rotation.Declared{Targets: targets, Policy: rotation.Policy{Slot: rotation.Slot(id, token), AgentID: "acme",
		AccountID: id, Token: token, Account: rotation.AccountSpec{Name: account, Role: role, Teams: teams},
		URL: "https://acme.qualytics.io", Schedule: schedule, DriftCheck: rotation.Day, Sweep: rotation.Day}}
	for _, t := range targets {
		slot.Policy.Targets = append(slot.Policy.Targets, rotation.TargetPolicy{Key: t.Key(), Lossy: t.Format.Lossy()})
	}
	w.slots = append(w.slots, slot)
}

// pass lets the agent look at every slot once, and returns what it committed.
func (w *world) pass() []rotation.Event {
	w.t.Helper()
	before := len(w.events)
	for _, s := range w.slots {
		if _, err := w.engine.Pass(context.Background(), s); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.events[before:]
}

// plan makes a plan, and fails the test if that has changed anything.
func (w *world) plan() plan.Plan {
	w.t.Helper()
	before := w.picture()
	made, err := plan.Make(context.Background(), plan.Source{API: w.api, Journal: w.journal, Slots: w.slots})
	if err != nil {
		w.t.Fatal(err)
	}
	if after := w.picture(); after != before {
		w.t.Errorf("the plan changed the world from\n%s\nto\n%s", before, after)
	}
	return made
}

// picture is all that a plan could change: accounts, tokens with their last
// use, the journal, and every store.
func (w *world) picture() string {
	accounts, _ := w.api.Accounts(context.Background())
	tokens, _ := w.api.Tokens(context.Background())
	lines := []string{sprint(accounts), sprint(tokens), string(w.journal.Dump())}
	for _, s := range w.slots {
		for _, t := range s.Targets {
			store := w.stores[t.Key()]
			pending := "nothing pending"
			if item, _, err := t.Backend.Get(context.Background(), t.Ref, backends.Pending); err == nil {
				pending = string(item.Payload.Fingerprint())
			}
			lines = append(lines, sprint(t.Key(), store.Written(t.Ref.Path), store.Peek(t.Ref.Path).Fingerprint(), pending))
		}
	}
	return strings.Join(lines, "\n")
}

// acts are the changes in short: "issue nightly g1 never_issued".
func acts(p plan.Plan) []string {
	var all []string
	for _, c := range p.Changes {
		_, token, _ := strings.Cut(c.Slot, "/")
		parts := []string{string(c.Act)}
		for _, part := range []string{token, c.Target, string(c.Reason)} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		if c.Slot == "" {
			parts = append(parts, c.Account)
		}
		all = append(all, strings.Join(parts, " "))
	}
	return all
}
