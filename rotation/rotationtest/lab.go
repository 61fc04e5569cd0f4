package rotationtest

import (
	"context"
	"fmt"
	"strings"
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

	process    int
	lastServed map[int64]time.Time
	broken     []string
}

// Account and token of every Lab.
const (
	LabAccount = "Pipeline Automation"
	LabToken   = "pipeline-production"
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
	l := &Lab{T: t, API: NewAPI(), Journal: NewMemory(), Script: NewScript(plan), lastServed: map[int64]time.Time{}}
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
	s.Format.BackendType, s.Format.Path = "mem", "connections/qualytics"
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
	l.process++
	l.Journal = l.Journal.Takeover()
	l.Engine = rotation.New(rotation.Options{Issuer: faultyIssuer{l.API, l.Script},
		Journal: faultyJournal{l.Journal, l.Script}, Process: fmt.Sprintf("process-%d", l.process),
		OnEvent: func(e rotation.Event) { l.Events = append(l.Events, e) }})
}

// Run lets the agent work for d of the bubble's time, starting it again after
// each crash.
func (l *Lab) Run(d time.Duration) {
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		outcome, err := l.Engine.Pass(context.Background(), l.Slot)
		l.look()
		next := time.Now().Add(time.Second)
		switch {
		case l.Script.Crashed():
			l.Restart()
		case err == nil && outcome.NextAt.After(next):
			next = outcome.NextAt
		}
		if next.After(end) {
			next = end
		}
		time.Sleep(time.Until(next))
	}
	l.look()
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
	t := l.Slot.Targets[i]
	value, err := t.Format.Extract(l.Stores[i].Peek(t.Ref.Path))
	if err != nil {
		return rotation.Token{}, false
	}
	return l.API.ByValue(value)
}

// look checks promise 1, and remembers when each token was last served.
func (l *Lab) look() {
	for i := range l.Slot.Targets {
		token, ok := l.Serves(i)
		if !ok {
			continue
		}
		l.API.mu.Lock()
		l.lastServed[token.ID] = time.Now()
		works := l.API.byID(token.ID) != nil && l.API.works(l.API.byID(token.ID))
		l.API.mu.Unlock()
		if !works && !l.DeadAllowed {
			l.breach("promise 1: %s serves the dead token %s", l.Slot.Targets[i].Key(), token.Label)
		}
	}
}

// revoking checks promises 2 and 5 at the instant of a revocation. The API is
// locked.
func (l *Lab) revoking(victim rotation.Token) {
	if _, ours := rotation.ParseLabel(victim.Label, LabToken, "lab"); !ours {
		l.breach("promise 5: the token %s isn't ours and is revoked", victim.Label)
	}
	if served, ok := l.lastServed[victim.ID]; ok && time.Since(served) < l.Slot.Policy.Schedule.Grace {
		l.breach("promise 2: %s is revoked %s after it was served", victim.Label, time.Since(served))
	}
	for i, t := range l.Slot.Targets {
		value, err := t.Format.Extract(l.Stores[i].Peek(t.Ref.Path))
		serves := l.API.byValue(value)
		if err != nil || serves == nil || serves.ID == victim.ID || !l.API.works(serves) {
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
	if len(ours) != 1 || !ours[0].Live(time.Now()) {
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
	l.broken = append(l.broken, time.Now().UTC().Format("01-02 15:04:05 ")+fmt.Sprintf(format, args...))
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
