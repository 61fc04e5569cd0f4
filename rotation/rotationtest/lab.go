package rotationtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/rotation"
)

// Lab is a small world with one slot: an API, stores, a journal, an agent that
// can crash. It is made and used inside a bubble of testing/synctest, and
// checks the promises after every act.
type Lab struct {
	T       testing.TB
	API     *API
	Journal *Memory
	Script  *Script
	Slot    rotation.Declared
	Stores  []*mem.Store
	Engine  *rotation.Engine
	// Events are all committed events, of all processes.
	Events []rotation.Event
	// DeadAllowed: a target may serve a dead token for now, because a
	// person's or a clock's doing comes before the agent's.
	DeadAllowed bool

	// Passes counts the passes of all agents.
	Passes int
	// OnCrash is called between a crash and the restart; may be nil.
	OnCrash func()
	// Copies are backups of the journal, one for each event of the agent, if
	// KeepCopies asks for them.
	Copies     []*Memory
	KeepCopies bool

	process    int
	woken      chan struct{}
	inTurn     bool
	volatile   []*mem.Store
	others     []*other
	lastServed map[int64]time.Time
	// emergencies are those that were asked for.
	emergencies []rotation.Request
	mu          sync.Mutex
	broken      []string
	breaches    map[string]bool
}

// other is another agent, with a journal of its own and without faults.
type other struct {
	engine *rotation.Engine
	slot   rotation.Declared
}

// Account, token and path of every Lab.
const (
	LabAccount = "Pipeline Automation"
	LabToken   = "pipeline-production"
	LabPath    = "connections/qualytics"
)

// LabSchedule is short enough that ninety days see several rotations, and has
// every stage of a token's end in it.
var LabSchedule = rotation.Schedule{Lifetime: 30 * rotation.Day, Every: 20 * rotation.Day, Grace: 2 * rotation.Day,
	Hold: 2 * rotation.Day, Quiet: rotation.Day, Observe: 2 * rotation.Day}

// LabStore is a target of a Lab.
type LabStore struct {
	Options mem.Options
	Format  payload.Spec
}

// NewLab makes a world with one target in each store.
func NewLab(t testing.TB, plan map[int]FaultKind, stores ...LabStore) *Lab {
	l := &Lab{T: t, API: NewAPI(), Journal: NewMemory(), Script: NewScript(plan), lastServed: map[int64]time.Time{}, breaches: map[string]bool{}, woken: make(chan struct{}, 1)}
	t.Cleanup(func() { l.Engine.Close() })
	id := rotation.AccountID(LabAccount)
	l.Slot.Policy = rotation.Policy{Slot: rotation.Slot(id, LabToken), AgentID: "lab", AccountID: id, Token: LabToken,
		Account: rotation.AccountSpec{Name: LabAccount, Role: "Editor", Teams: []string{"Data Engineering"}},
		URL:     "https://acme.qualytics.io", Schedule: LabSchedule,
		DriftCheck: 4 * rotation.Day, Sweep: 2 * rotation.Day}
	for i, s := range stores {
		l.addTarget(fmt.Sprintf("store%d", i+1), s)
	}
	l.Script.After = l.look
	l.API.OnRevoke = l.revoking
	l.Restart()
	return l
}

func (l *Lab) addTarget(name string, s LabStore) {
	store := mem.New(s.Options)
	l.Stores = append(l.Stores, store)
	if s.Options.Volatile {
		l.volatile = append(l.volatile, store)
	}
	s.Format.BackendType, s.Format.Path = "mem", LabPath
	format, err := payload.New(s.Format)
	if err != nil {
		l.T.Fatal(err)
	}
	target := &backends.Target{Ref: backends.Ref{Backend: name, Path: s.Format.Path}, Format: format,
		Backend: faultyBackend{Backend: store.Backend(), s: l.Script}}
	l.Slot.Targets = append(l.Slot.Targets, target)
	l.Slot.Policy.Targets = append(l.Slot.Policy.Targets, rotation.TargetPolicy{Key: target.Key(), Lossy: format.Lossy()})
}

// Restart is a new process on the same journal.
func (l *Lab) Restart() {
	if l.Engine != nil {
		l.Engine.Close()
	}
	l.process++
	l.Journal = l.Journal.Takeover()
	l.Engine = rotation.New(rotation.Options{Issuer: faultyIssuer{l.API, l.Script},
		Journal: faultyJournal{l.Journal, l.Script}, Process: fmt.Sprintf("process-%d", l.process),
		InTurn: l.inTurn, OnEvent: l.told, OnHook: l.hookEnded})
}

// InTurn lets a new process do the actions of a set one after the other, so
// that a plan of faults strikes the same acts in each run.
func (l *Lab) InTurn() {
	l.inTurn = true
	l.Restart()
}

// crash ends the process, and the machine that it runs on: volatile stores are
// empty afterwards.
func (l *Lab) crash() {
	for _, s := range l.volatile {
		s.Wipe()
	}
	if l.OnCrash != nil {
		l.OnCrash()
	}
	l.Restart()
}

// Second starts another agent on the same API, stores and agent id, with that
// journal. Run drives it too.
func (l *Lab) Second(journal *Memory) {
	slot := rotation.Declared{Policy: l.Slot.Policy}
	for i, t := range l.Slot.Targets {
		slot.Targets = append(slot.Targets, &backends.Target{Ref: t.Ref, Format: t.Format, Backend: l.Stores[i].Backend()})
	}
	l.others = append(l.others, &other{slot: slot, engine: rotation.New(rotation.Options{
		Issuer: faultyIssuer{l.API, &Script{After: l.look}}, Journal: journal,
		Process: fmt.Sprintf("other-%d", len(l.others)), OnEvent: l.told})})
}

// Run lets the agents work for d of the bubble's time, starting the first one
// again after each crash.
func (l *Lab) Run(d time.Duration) {
	end := time.Now().Add(d)
	next := make([]time.Time, 1+len(l.others))
	for time.Now().Before(end) {
		soonest := end
		for i := range next {
			if !time.Now().Before(next[i]) {
				next[i] = l.turn(i)
			}
			if next[i].Before(soonest) {
				soonest = next[i]
			}
		}
		if l.sleep(soonest) {
			next[0] = time.Now()
		}
	}
	l.look()
}

// turn is one pass of agent i; it returns when the next one is due, by the
// bubble's clock.
func (l *Lab) turn(i int) time.Time {
	engine, slot := l.Engine, l.Slot
	if i > 0 {
		engine, slot = l.others[i-1].engine, l.others[i-1].slot
	}
	outcome, err := engine.Pass(context.Background(), slot)
	l.Passes++
	l.look()
	next := time.Now().Add(time.Second)
	wait := outcome.NextAt.Sub(l.API.Now())
	switch {
	case i == 0 && l.Script.Crashed():
		l.crash()
	case err == nil && wait > time.Second:
		next = time.Now().Add(wait)
	case err == nil && outcome.NextAt.IsZero():
		l.breach("the pass ends with %s and names no time for the next", outcome.Reason)
	}
	return next
}

func (l *Lab) told(e rotation.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Events = append(l.Events, e)
	if l.KeepCopies {
		l.Copies = append(l.Copies, l.Journal.Copy())
	}
}

// Told returns the events of an act, in order.
func (l *Lab) Told(act rotation.Act) []rotation.Event {
	var told []rotation.Event
	for _, e := range l.Events {
		if e.Act == act {
			told = append(told, e)
		}
	}
	return told
}

// Request puts an operator's request into the journal.
func (l *Lab) Request(kind rotation.RequestKind) rotation.Request {
	l.T.Helper()
	return l.Ask(rotation.Request{Kind: kind})
}

// Ask is Request with all that can be asked for.
func (l *Lab) Ask(q rotation.Request) rotation.Request {
	l.T.Helper()
	q.Slot, q.Actor, q.At = l.Slot.Policy.Slot, "uid 1000", l.API.Now()
	q, err := l.Journal.AddRequest(context.Background(), q)
	if err != nil {
		l.T.Fatal(err)
	}
	if q.Kind == rotation.RequestEmergency || q.Kind == rotation.RequestRevoke {
		l.emergencies = append(l.emergencies, q)
	}
	l.Engine.Asked(q)
	return q
}

// Record is the slot's record as the journal has it.
func (l *Lab) Record() rotation.Record {
	l.T.Helper()
	rec, err := l.Journal.Slot(context.Background(), l.Slot.Policy.Slot)
	if err != nil {
		l.T.Fatal(err)
	}
	return rec
}

// Quiesce lets the agent work on until one token of the slot is left, for
// twenty days at most.
func (l *Lab) Quiesce() {
	for range 20 {
		list, _ := l.API.Tokens(context.Background())
		if len(list) == 1 {
			return
		}
		l.Run(rotation.Day)
	}
}

// Pass runs one pass and fails the test if it fails.
func (l *Lab) Pass() rotation.Outcome {
	l.T.Helper()
	outcome, err := l.Engine.Pass(context.Background(), l.Slot)
	if err != nil {
		l.T.Fatal(err)
	}
	l.look()
	return outcome
}

// Serves returns the token that a reader of target i gets.
func (l *Lab) Serves(i int) (rotation.Token, bool) {
	return l.API.Within(l.Stores[i].Peek(l.Slot.Targets[i].Ref.Path))
}

// look checks promise 1, and remembers when each token was last served.
func (l *Lab) look() {
	for i := range l.Slot.Targets {
		token, ok := l.Serves(i)
		if !ok {
			continue
		}
		l.API.mu.Lock()
		l.lastServed[token.ID] = l.API.now()
		works := l.API.byID(token.ID) != nil && l.API.works(l.API.byID(token.ID))
		l.API.mu.Unlock()
		if !works && !l.DeadAllowed && !l.cutOff(token) {
			l.breach("promise 1: %s serves the dead token %s", l.Slot.Targets[i].Key(), token.Label)
		}
	}
}

// revoking checks promises 2 and 5 at the instant of a revocation. The API is
// locked.
func (l *Lab) revoking(victim rotation.Token) {
	if all := l.condemning(victim); len(all) > 0 {
		l.revokingNow(all, victim)
		return
	}
	if _, ours := rotation.ParseLabel(victim.Label, LabToken, "lab"); !ours {
		l.breach("promise 5: the token %s isn't ours and is revoked", victim.Label)
	}
	if served, ok := l.lastServed[victim.ID]; ok && l.API.now().Sub(served) < l.Slot.Policy.Schedule.Grace {
		l.breach("promise 2: %s is revoked %s after it was served", victim.Label, l.API.now().Sub(served))
	}
	for i, t := range l.Slot.Targets {
		serves := l.API.within(l.Stores[i].Peek(t.Ref.Path))
		if serves == nil || serves.ID == victim.ID || !l.API.works(serves) {
			l.breach("promise 2: %s is revoked while %s serves no other live token", victim.Label, t.Key())
		}
	}
}

// Settled checks promises 3 and 4: one live token, served by all targets, and
// nothing else of the slot is left.
func (l *Lab) Settled() {
	list, _ := l.API.Tokens(context.Background())
	var ours []rotation.Token
	for _, t := range list {
		if _, ok := rotation.ParseLabel(t.Label, LabToken, "lab"); ok {
			ours = append(ours, t)
		}
	}
	if len(ours) != 1 || !ours[0].Live(l.API.Now()) {
		l.breach("promise 3: %d tokens are left: %v", len(ours), ours)
		return
	}
	for i, t := range l.Slot.Targets {
		if token, ok := l.Serves(i); !ok || token.ID != ours[0].ID {
			l.breach("promise 3: %s doesn't serve the one token %s", t.Key(), ours[0].Label)
		}
	}
}

func (l *Lab) breach(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if !l.breaches[text] { // the first time is enough
		l.breaches[text] = true
		l.broken = append(l.broken, time.Now().UTC().Format("01-02 15:04:05 ")+text)
	}
}

// Broken tells which promises were broken, with the story; "" for none.
func (l *Lab) Broken() string {
	if len(l.broken) == 0 {
		return ""
	}
	var story strings.Builder
	for _, line := range l.broken {
		fmt.Fprintln(&story, line)
	}
	for _, e := range l.Events {
		fmt.Fprintf(&story, "%s %s %s g%d token %d %s %s %s\n", e.At.UTC().Format("01-02 15:04:05"),
			e.Act, e.Reason, e.Generation, e.TokenID, e.Target, e.Account, e.Detail)
	}
	return story.String()
}
