package world

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// act is one act of a process, and what may befall it.
type act struct {
	class class
	name  string
	slot  string // whose it is; "" is all slots'
	// do changes the world; it is called with the world locked, and may be
	// called twice or late.
	do func() error
	// fails makes the errors of the place; one that throttles asks to wait.
	fails func(why failure, wait time.Duration) error
	// cause says who acts, for the checker.
	cause cause
}

// failure is what a process is told of an act that fails.
type failure int

const (
	unreached failure = iota
	unsure
	refused
	throttled
)

// perform does an act under the world's faults.
func (l *life) perform(ctx context.Context, a act) (Fault, error) {
	w := l.agent.w
	switch {
	case l.dead.Load():
		return "", errCrashed
	case ctx.Err() != nil:
		return "", a.fails(unreached, 0)
	}
	a.cause.life = l
	fault, r := w.draw(l.agent, a)
	switch fault {
	case CrashBefore:
		l.dead.Store(true)
		return fault, errCrashed
	case Refused:
		return fault, a.fails(refused, 0)
	case LostBefore, CommitFails:
		return fault, a.fails(unreached, 0)
	case Throttled:
		return fault, a.fails(throttled, between(r, time.Second, 10*time.Minute))
	case Slow:
		sleep(ctx, between(r, time.Second, 50*time.Second))
		if ctx.Err() != nil {
			return fault, a.fails(unreached, 0)
		}
	case Stopped:
		l.standStill(spell(r, 8*rotation.Day))
		a.cause.held = true
	case LandsLate:
		w.acting.Go(func() {
			time.Sleep(between(r, time.Minute, schedule.Grace/3))
			a.cause.late = true
			_ = w.take(a)
		})
		return fault, a.fails(unsure, 0)
	}
	if l.dead.Load() {
		return fault, errCrashed
	}
	err := w.take(a)
	if fault == Twice {
		err = w.take(a)
	}
	switch {
	case fault == CrashAfter:
		l.dead.Store(true)
		return fault, errCrashed
	case (fault == LostAfter || fault == CommitUnsure) && err == nil:
		return fault, a.fails(unsure, 0)
	}
	return fault, err
}

// standStill: nothing of the process runs for a while, and it goes on where it
// was, with the act that it was about to do.
func (l *life) standStill(d time.Duration) {
	w := l.agent.w
	w.mu.Lock()
	w.check.hindered += d
	w.trouble(d)
	w.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.still:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l.stood = time.Now()
}

// take lets an act change the world, and checks the promises.
func (w *World) take(a act) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := a.cause.life
	by.late, by.landing = a.cause.held, a.cause.late
	if a.slot != "" && (a.class == apiMint || a.class == apiDeed || a.class == put) {
		w.check.stopped(by, a.slot, a.name)
	}
	err := a.do()
	by.late, by.landing = false, false
	if a.class == commit { // the world outside is as it was
		a.cause.life.agent.look(a.slot)
	} else {
		w.acted(a.cause)
	}
	w.reach()
	return err
}

// draw says what befalls an act; "" is nothing. What else of a fault is left to
// chance comes from r.
func (w *World) draw(a *agent, do act) (f Fault, r *rand.Rand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Result.Acts++; w.Result.Acts > mostActs {
		w.giveUp("%d acts", mostActs)
	}
	if w.calmed {
		return "", nil
	}
	name := a.name + " " + do.name
	r, n := w.dice.draw(name)
	state := a.stateOf(do.slot)
	w.acts[do.class][state]++
	if r.Float64() >= chanceOf(do.class, state) {
		return "", r
	}
	f = pick(r, ofAct[do.class])
	if !w.strike(Strike{ID: id(name, n), Fault: f, On: name}, state) {
		return "", r
	}
	return f, r
}

// strike lets a fault take place: it is numbered and counted by the state of
// the slot that it befalls. It returns false for one that is left out.
func (w *World) strike(s Strike, state rotation.SlotState) bool {
	if w.only != nil && !w.only[s.ID] {
		return false
	}
	w.number++
	w.trouble(schedule.Grace / 2) // what lands late, and what is throttled, is over by then
	w.Result.Struck = append(w.Result.Struck, s)
	w.Result.Faults.add(s.Fault, state, 1)
	w.note("fault %d: %s: %s", w.number, s.Fault, s.On)
	return true
}

// stateOf is the state of a slot; of an act for all slots, that of the first.
func (a *agent) stateOf(slot string) rotation.SlotState {
	if slot == "" {
		slot = a.w.slots[0].Policy.Slot
	}
	if s, known := a.states[slot]; known {
		return s
	}
	return rotation.SlotNew
}

// look brings the state of a slot, or of all with "", up to date with the
// agent's journal.
func (a *agent) look(slot string) {
	for _, d := range a.w.slots {
		if slot == "" || slot == d.Policy.Slot {
			a.states[d.Policy.Slot] = a.w.check.stateOf(a, d.Policy)
		}
	}
}

// expose tells how often a kind could have struck.
func (w *World) expose() {
	for class, list := range ofAct {
		for _, f := range list {
			for state, n := range w.acts[class] {
				w.Result.Exposed.add(f.fault, state, n)
			}
		}
	}
}

// acted remembers the API's list as it became, and checks the promises.
func (w *World) acted(c cause) {
	if c.api {
		w.lists = append(w.lists, pastList{at: time.Now(), list: w.current()})
	}
	w.check.after(c)
}
