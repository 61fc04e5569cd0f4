// Package world plays an agent's life in a simulated world, under
// testing/synctest and driven by one seed: an API, stores of each kind,
// readers, operators and other people, crashes and outages. The agent's own
// code runs: Next, Engine and Target. After each act the promises are checked.
package world

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The names in every world.
const (
	accountName = "Pipeline Automation"
	agentID     = "world"
)

// The length of a world: first with faults, then without, in which it has to
// settle. Settling is longer than a lifetime, so that what nobody claims
// expires in it.
const (
	stormy = 8 * rotation.Day
	calm   = 9 * rotation.Day
)

// schedule is short, so that a world sees several rotations.
var schedule = rotation.Schedule{Lifetime: 6 * rotation.Day, Every: 3 * rotation.Day, Grace: 12 * time.Hour,
	Hold: 12 * time.Hour, Quiet: 6 * time.Hour, Observe: 12 * time.Hour}

// World is one simulated world.
type World struct {
	Seed   uint64
	Result Result

	dice   *dice
	api    *rotationtest.API
	shops  []*shop
	began  time.Time
	acting sync.WaitGroup // agents, and writes that land late
	lying  bool           // stores show what isn't there

	mu     sync.Mutex // one act, or one hand, at a time
	slots  []rotation.Declared
	calmed bool
	agents []*agent
	lists  []pastList
	notYet map[int64]time.Time
	outage time.Time // of the API, until
	number int       // of faults drawn so far
	check  checker
}

// Result is what a world tells at its end.
type Result struct {
	Acts, Checks int
	// Faults counts what was done, by kind and by the state of the slot.
	Faults map[Fault]map[rotation.SlotState]int
	// Windows counts what no rule closes, by name.
	Windows map[string]int
	// Broken are the breaches; none is a world that held.
	Broken []string
	// Story is what happened, a line each.
	Story []string
}

// pastList is the API's list as it became at a time.
type pastList struct {
	at   time.Time
	list []rotation.Token
}

// shop is one store with its troubles.
type shop struct {
	name   string
	store  *mem.Store
	spec   payload.Spec
	down   time.Time // until
	denied time.Time // until
}

const path = "connections/qualytics"

// New builds the world of a seed, in the bubble in which it will run.
func New(seed uint64) (*World, error) {
	w := &World{Seed: seed, dice: newDice(seed), api: rotationtest.NewAPI(), began: time.Now(),
		notYet: map[int64]time.Time{}}
	w.Result = Result{Faults: map[Fault]map[rotation.SlotState]int{}, Windows: map[string]int{}}
	w.check.init(w)
	r := w.dice.next("stores")
	kinds := []mem.Options{mem.LikeVault(), mem.LikeAWS(), mem.LikeAzure(), mem.LikeFile()}
	formats := []string{"json", "token", "bearer", "dotenv", "airflow-connection", "template"}
	for i := range 1 + r.IntN(3) {
		spec := payload.Spec{Format: formats[r.IntN(len(formats))]}
		if spec.Format == "template" {
			spec.Template = "[{{.Token}}]"
		}
		w.shops = append(w.shops, &shop{name: fmt.Sprintf("store%d", i+1), spec: spec,
			store: mem.New(kinds[r.IntN(len(kinds))])})
	}
	for i := range 1 + r.IntN(2) {
		slot, err := w.declare(fmt.Sprintf("token%d", i+1))
		if err != nil {
			return nil, err
		}
		w.slots = append(w.slots, slot)
	}
	return w, nil
}

// declare makes a slot with a target in every store.
func (w *World) declare(token string) (rotation.Declared, error) {
	id := rotation.AccountID(accountName)
	d := rotation.Declared{Policy: rotation.Policy{Slot: rotation.Slot(id, token), AgentID: agentID, AccountID: id,
		Token: token, Account: rotation.AccountSpec{Name: accountName, Role: "Editor"},
		URL: "https://acme.qualytics.io", Schedule: schedule, DriftCheck: rotation.Day, Sweep: 12 * time.Hour}}
	for _, s := range w.shops {
		t, err := s.target(token)
		if err != nil {
			return d, err
		}
		d.Targets = append(d.Targets, t)
		d.Policy.Targets = append(d.Policy.Targets, rotation.TargetPolicy{Key: t.Key(), Lossy: t.Format.Lossy()})
	}
	return d, nil
}

func (s *shop) target(token string) (*backends.Target, error) {
	spec := s.spec
	spec.BackendType, spec.Path = "mem", path+"/"+token
	format, err := payload.New(spec)
	if err != nil {
		return nil, fmt.Errorf("format %s: %w", spec.Format, err)
	}
	return &backends.Target{Ref: backends.Ref{Backend: s.name, Path: spec.Path}, Format: format}, nil
}

// Sabotage makes every store take nothing and say that it did: a world in which
// promises break, for testing the checks.
func (w *World) Sabotage() { w.lying = true }

// Run plays the world to its end. It must be called in the bubble in which the
// world was made.
func (w *World) Run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	first := w.newAgent("first", rotationtest.NewMemory())
	w.acting.Go(func() { first.live(ctx) })
	w.hands(ctx)
	w.settle(ctx, first)
	stop()
	w.acting.Wait()
	w.check.end(first)
	w.Result.Broken = w.check.broken
	w.Result.Checks = w.check.count
	w.Result.Story = w.check.story
}

// settle ends all trouble, waits, and then until the slots are quiet.
func (w *World) settle(ctx context.Context, first *agent) {
	w.mu.Lock()
	w.calmDown(first)
	w.mu.Unlock()
	sleep(ctx, calm/5)
	w.mu.Lock()
	for _, d := range w.slots {
		w.removeUnknown(first, d)
	}
	w.mu.Unlock()
	sleep(ctx, calm*4/5)
	for range 10 * 24 {
		w.mu.Lock()
		quiet := w.check.quiet()
		w.mu.Unlock()
		if quiet {
			return
		}
		sleep(ctx, time.Hour)
	}
}

// calmDown puts right what only people can put right.
func (w *World) calmDown(first *agent) {
	w.calmed = true
	w.outage = time.Time{}
	w.api.SetAccount(rotation.AccountID(accountName), func(a *rotation.Account) { a.Deactivated, a.Deleted = false, false })
	for _, s := range w.shops {
		s.down, s.denied = time.Time{}, time.Time{}
	}
	for _, a := range w.agents {
		a.full, a.down = time.Time{}, time.Time{}
		if a != first {
			a.retired = true
			w.kill(a)
		}
	}
	for _, d := range w.slots {
		for i := range d.Targets {
			w.removeForeign(d, i)
		}
		w.request(first, d.Policy.Slot, rotation.RequestResume)
	}
	w.note("faults stop")
}

// engineSlots is the declaration as an agent with that name runs it: its
// targets act through that agent's troubles.
func (w *World) engineSlots(l *life) []rotation.Declared {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Clone(w.slots)
	for i := range all {
		all[i].Targets = slices.Clone(all[i].Targets)
		for j, t := range all[i].Targets {
			copied := *t
			copied.Backend = store{life: l, shop: w.shop(t.Ref.Backend), next: w.shop(t.Ref.Backend).store.Backend()}
			all[i].Targets[j] = &copied
		}
	}
	return all
}

func (w *World) shop(name string) *shop {
	for _, s := range w.shops {
		if s.name == name {
			return s
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
