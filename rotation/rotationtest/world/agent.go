package world

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// agent is one agent: a journal, and one process after the other on it.
type agent struct {
	w       *World
	name    string
	runs    int
	journal *rotationtest.Memory
	copy    *rotationtest.Memory // an old copy of the journal
	full    time.Time            // the disk is full until
	down    time.Time            // nobody starts it before
	retired bool                 // it is never started again
	current *life
}

// life is one process. What it started dies with it.
type life struct {
	agent  *agent
	engine *rotation.Engine
	dead   atomic.Bool
	// looked is when this process last read each target, proved is when it
	// last proved each token.
	looked map[string]time.Time
	proved map[int64]time.Time
}

var errCrashed = errors.New("this process has ended")

func (w *World) newAgent(name string, journal *rotationtest.Memory) *agent {
	a := &agent{w: w, name: name, journal: journal}
	w.agents = append(w.agents, a)
	return a
}

// start begins a new process on the journal as it is now.
func (a *agent) start() *life {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.runs++
	a.journal = a.journal.Takeover()
	l := &life{agent: a, looked: map[string]time.Time{}, proved: map[int64]time.Time{}}
	l.engine = rotation.New(rotation.Options{Issuer: issuer{l}, Journal: journal{a.journal, l},
		Process: fmt.Sprintf("%s-%d", a.name, a.runs), InTurn: true, OnEvent: func(e rotation.Event) { a.w.check.event(a, e) }})
	a.current = l
	return l
}

// live runs one process after the other until ctx is done.
func (a *agent) live(ctx context.Context) {
	for ctx.Err() == nil {
		a.w.mu.Lock()
		retired, down := a.retired, a.down
		a.w.mu.Unlock()
		if retired {
			return
		}
		if wait := time.Until(down); wait > 0 {
			sleep(ctx, min(wait, 6*time.Hour))
			continue
		}
		a.start().run(ctx)
		r := a.w.dice.next("restart " + a.name)
		sleep(ctx, between(r, time.Second, 10*time.Minute))
	}
}

// run passes over the slots as the agent's queue would, until the process dies.
func (l *life) run(ctx context.Context) {
	next := map[string]time.Time{}
	for ctx.Err() == nil && !l.dead.Load() {
		soonest := time.Now().Add(6 * time.Hour) // looks for a changed declaration
		for _, d := range l.agent.w.engineSlots(l) {
			slot := d.Policy.Slot
			if at, known := next[slot]; known && at.After(time.Now()) && !l.agent.w.wanted(slot) {
				if at.Before(soonest) {
					soonest = at
				}
				continue
			}
			outcome, err := l.engine.Pass(ctx, d)
			if l.dead.Load() || ctx.Err() != nil {
				return
			}
			next[slot] = outcome.NextAt
			if err != nil || outcome.NextAt.IsZero() {
				next[slot] = time.Now().Add(time.Minute)
			}
			if errors.Is(err, rotation.ErrFenced) {
				l.dead.Store(true)
				return
			}
			if next[slot].Before(soonest) {
				soonest = next[slot]
			}
		}
		// Two agents never wake at one instant, so that a world replays.
		sleep(ctx, max(time.Second, time.Until(soonest))+time.Duration(len(l.agent.name))*time.Microsecond)
	}
}

// wanted reports whether an operator asked for the slot.
func (w *World) wanted(slot string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.check.wanted[slot]
	delete(w.check.wanted, slot)
	return was
}
