// Package world plays an agent's life in a simulated world, under
// testing/synctest and driven by one seed: an API, stores of each kind,
// readers, operators and other people, crashes and outages. The agent's own
// code runs: Next, Engine and Target. After each act the promises are checked.
package world

import (
	"context"
	"fmt"
	"maps"
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

// Options choose how a world is made.
type Options struct {
	// Disk is the first agent's, empty; nil is Memory.
	Disk Disk
	// Only are the IDs of the faults that take place, out of Result.Struck of
	// a run with all; nil is all.
	Only map[string]bool
	// Logged: the agents log, and what they log is searched too.
	Logged bool
}

// World is one simulated world.
type World struct {
	Seed   uint64
	Result Result

	only     map[string]bool
	dice     *dice
	api      *rotationtest.API
	shops    []*shop
	began    time.Time
	acting   sync.WaitGroup // agents, and writes that land late
	still    chan struct{}  // closed when nothing stands still any longer
	spawn    func(func(context.Context))
	stop     func()   // ends the world at once
	lying    bool     // stores show what isn't there
	operated bool     // there is an operator
	log      *written // nil: nothing is logged

	mu      sync.Mutex // one act, or one hand, at a time
	slots   []rotation.Declared
	edition int    // of slots
	hands   []hand // held out, and not struck yet
	calmed  bool
	gaveUp  bool // it was stopped before its end
	acts    [classes]map[rotation.SlotState]int
	agents  []*agent
	lists   []pastList
	notYet  map[int64]time.Time
	outage  time.Time // of the API, until
	// troubled is when the last trouble so far is over.
	troubled time.Time
	number   int // of faults so far
	tick     int // of moments so far
	check    checker
}

// Result is what a world tells at its end.
type Result struct {
	Acts, Checks int
	// Faults counts what was done, by kind and by the state of the slot.
	Faults Counts
	// Exposed counts the acts that could have met a fault of that kind, and
	// the hands that were held out for it, by the state of the slot.
	Exposed Counts
	// Struck are the faults in the order of time.
	Struck []Strike
	// Windows counts what no rule closes, by name.
	Windows map[string]int
	// Broken are the breaches; none is a world that held.
	Broken []string
	// Story is what happened, a line each.
	Story []string
}

// Counts are numbers by kind of fault and state of the slot.
type Counts map[Fault]map[rotation.SlotState]int

func (c Counts) add(f Fault, s rotation.SlotState, n int) {
	if c[f] == nil {
		c[f] = map[rotation.SlotState]int{}
	}
	c[f][s] += n
}

// Add adds others to c.
func (c Counts) Add(others Counts) {
	for f, byState := range others {
		for s, n := range byState {
			c.add(f, s, n)
		}
	}
}

// Strike is one fault that took place.
type Strike struct {
	// ID names it: the same in each run of the seed, whatever else is left out.
	ID    string
	Fault Fault
	On    string
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
	kind   mem.Options
	spec   payload.Spec
	down   time.Time // until
	denied time.Time // until
}

const path = "connections/qualytics"

// volatile is a store that a restart of its machine empties.
var volatile = mem.Options{Metadata: true, Checking: true, Volatile: true}

// kinds are the stores of every driver, as they describe themselves, and one
// more that forgets.
func kinds() []mem.Options {
	var all []mem.Options
	like := mem.Like()
	for _, driver := range slices.Sorted(maps.Keys(like)) {
		all = append(all, like[driver])
	}
	return append(all, volatile)
}

// New builds the world of a seed, in the bubble in which it will run.
func New(seed uint64, o Options) (*World, error) {
	w := &World{Seed: seed, only: o.Only, dice: newDice(seed), api: rotationtest.NewAPI(), began: time.Now(),
		still: make(chan struct{}), notYet: map[int64]time.Time{}}
	w.Result = Result{Faults: Counts{}, Exposed: Counts{}, Windows: map[string]int{}}
	for c := range w.acts {
		w.acts[c] = map[rotation.SlotState]int{}
	}
	w.check.init(w)
	if o.Logged {
		w.log = &written{}
	}
	if o.Disk == nil {
		o.Disk = Memory()
	}
	r := w.dice.next("stores")
	w.operated = r.IntN(2) == 0
	block := r.IntN(4) == 0
	kinds := kinds()
	formats := []string{"json", "token", "bearer", "dotenv", "airflow-connection", "template"}
	for i := range 1 + r.IntN(3) {
		spec := payload.Spec{Format: formats[r.IntN(len(formats))]}
		if spec.Format == "template" {
			spec.Template = "[{{.Token}}]"
		}
		kind := kinds[r.IntN(len(kinds))]
		w.shops = append(w.shops, &shop{name: fmt.Sprintf("store%d", i+1), spec: spec, kind: kind, store: mem.New(kind)})
	}
	for i := range 1 + r.IntN(2) {
		slot, err := w.declare(fmt.Sprintf("token%d", i+1))
		if err != nil {
			return nil, err
		}
		slot.Policy.BlockOnRevocation = block
		if most := len(slot.Targets); most > 1 && r.IntN(3) == 0 { // it comes later
			slot.Targets, slot.Policy.Targets = slot.Targets[:most-1], slot.Policy.Targets[:most-1]
		}
		w.slots = append(w.slots, slot)
	}
	w.edition = 1
	_, err := w.newAgent("first", o.Disk)
	return w, err
}

// declare makes a slot with a target in every store.
func (w *World) declare(token string) (rotation.Declared, error) {
	id := rotation.AccountID(accountName)
	d := rotation.Declared{Policy: rotation.Policy{Slot: rotation.Slot(id, token), AgentID: agentID, AccountID: id,
		Token: token, Account: rotation.AccountSpec{Name: accountName, Role: "Editor"},
		URL: "https://acme.qualytics.io", Schedule: schedule, DriftCheck: rotation.Day, Sweep: 12 * time.Hour}}
	for _, s := range w.shops {
		t, err := s.target(path + "/" + token)
		if err != nil {
			return d, err
		}
		d.Targets = append(d.Targets, t)
		d.Policy.Targets = append(d.Policy.Targets, rotation.TargetPolicy{Key: t.Key(), Lossy: t.Format.Lossy()})
	}
	return d, nil
}

func (s *shop) target(path string) (*backends.Target, error) {
	spec := s.spec
	spec.BackendType, spec.Path = "mem", path
	format, err := payload.New(spec)
	if err != nil {
		return nil, fmt.Errorf("format %s: %w", spec.Format, err)
	}
	return &backends.Target{Ref: backends.Ref{Backend: s.name, Path: path}, Format: format}, nil
}

// Sabotage makes every store take nothing and say that it did: a world in which
// promises break, for testing the checks.
func (w *World) Sabotage() { w.lying = true }

// Run plays the world to its end. It must be called in the bubble in which the
// world was made.
func (w *World) Run(ctx context.Context) {
	ctx, w.stop = context.WithCancel(ctx)
	first := w.agents[0]
	w.spawn = func(f func(context.Context)) { w.acting.Go(func() { f(ctx) }) }
	w.spawn(func(ctx context.Context) {
		sleep(ctx, time.Millisecond) // what strikes at the start comes first, so that a world replays
		first.live(ctx)
	})
	w.storm(ctx)
	w.settle(ctx, first)
	w.stop()
	w.acting.Wait()
	if !w.gaveUp {
		w.check.end(first)
	}
	w.expose()
	w.Result.Broken = w.check.broken
	w.Result.Checks = w.check.count
	w.Result.Story = w.check.story
}

// What the acts of all agents of a world may come to, and their passes: several
// times what the busiest of many thousand worlds took.
const (
	mostActs   = 10_000
	mostPasses = 10_000
)

// giveUp stops a world that would go on and on: it is broken. The world is
// locked.
func (w *World) giveUp(format string, args ...any) {
	if !w.gaveUp {
		w.gaveUp = true
		w.check.breach("runaway: more than "+format, args...)
		w.stop()
	}
}

// passed counts a pass.
func (w *World) passed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.check.calls.passes++; w.check.calls.passes > mostPasses {
		w.giveUp("%d passes", mostPasses)
	}
}

// settle ends all trouble, waits, and then until the slots are quiet.
func (w *World) settle(ctx context.Context, first *agent) {
	w.mu.Lock()
	w.calmDown(first)
	w.mu.Unlock()
	sleep(ctx, calm/5)
	w.mu.Lock()
	w.attend(first)
	w.mu.Unlock()
	sleep(ctx, calm*4/5)
	for range 10 * 24 {
		if ctx.Err() != nil {
			return
		}
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
	w.calmed, w.hands = true, nil
	w.troubled = time.Now()
	close(w.still)
	w.outage = time.Time{}
	w.accountBack()
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
	}
	for _, scope := range w.scopes() {
		w.endPauses(first, scope)
	}
	w.check.paused = 0
	w.note("faults stop")
}

// attend is what a person does who reads the status some time after the faults
// stopped: only what waits for a person is touched.
func (w *World) attend(first *agent) {
	for _, d := range w.slots {
		if rec := first.record(d.Policy.Slot); rec.Blocked != "" {
			w.request(first, rotation.Request{Kind: rotation.RequestResume, Slot: d.Policy.Slot})
		}
		w.removeUnknown(first, d)
	}
}

// engineSlots is the declaration as an agent with that name runs it: its
// targets act through that agent's troubles.
func (w *World) engineSlots(l *life) []rotation.Declared {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.loaded = w.moment()
	if l.edition == w.edition {
		return l.slots
	}
	all := slices.Clone(w.slots)
	for i := range all {
		all[i].Targets = slices.Clone(all[i].Targets)
		for j, t := range all[i].Targets {
			copied := *t
			copied.Backend = l.access(w.shop(t.Ref.Backend), all[i].Policy.Slot)
			all[i].Targets[j] = &copied
		}
	}
	l.slots, l.edition = all, w.edition
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

// States are all that a slot can be in when a fault strikes, as Result tells
// them.
func States() []rotation.SlotState {
	return []rotation.SlotState{rotation.SlotNew, rotation.SlotIssuing, rotation.SlotDelivering, rotation.SlotCurrent,
		retiring, rotation.SlotBlocked}
}

// retiring is a slot whose targets all serve the current token while an older
// one is on its way out.
const retiring rotation.SlotState = "retiring"

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
