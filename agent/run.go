package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// result is how a pass ended.
type result struct {
	entry   *entry
	outcome rotation.Outcome
	err     error
}

// loop runs the passes: one goroutine owns the queue, each pass has one of its
// own, and the loop waits for all of them before it ends.
type loop struct {
	a       *Agent
	queue   *queue
	ended   chan result
	running int
	passes  sync.WaitGroup
}

// drive runs passes until ctx is done, then waits for those under way. It
// fails when the journal can't be used any more.
func (a *Agent) drive(ctx context.Context) error {
	l := &loop{a: a, queue: newQueue(), ended: make(chan result, a.opt.Concurrency)}
	defer a.pace.Busy()()
	l.adopt()
	a.ready.Store(true)
	defer a.ready.Store(false)
	if a.opt.OnReady != nil {
		a.opt.OnReady()
	}
	for ctx.Err() == nil && a.failure() == nil {
		l.take()
		l.start(ctx)
		if !l.collect() {
			a.pace.Wait(ctx, l.local(l.queue.next()), a.wakeup)
		}
	}
	l.passes.Wait()
	l.collect()
	return a.failure()
}

// adopt brings the queue in line with the declaration in force. New slots are
// looked at now.
func (l *loop) adopt() {
	slots := l.a.current().slots
	for slot := range l.queue.bySlot {
		if _, ok := slots[slot]; !ok {
			l.queue.drop(slot)
		}
	}
	now := l.a.client.Now()
	for slot := range slots {
		l.queue.put(slot, now)
	}
}

// take brings in what others asked for.
func (l *loop) take() {
	l.a.mu.Lock()
	wanted, reload := l.a.wanted, l.a.reload
	l.a.wanted, l.a.reload = nil, false
	l.a.mu.Unlock()
	if reload {
		l.adopt()
	}
	now := l.a.client.Now()
	for _, slot := range wanted {
		if l.queue.bySlot[slot] != nil {
			l.queue.put(slot, now)
		}
	}
}

// start starts the passes that are due, as many as may run.
func (l *loop) start(ctx context.Context) {
	for l.running < l.a.opt.Concurrency {
		e := l.queue.take(l.a.client.Now())
		if e == nil {
			return
		}
		d := l.a.current()
		slot, ok := d.slots[e.slot]
		if !ok {
			continue
		}
		l.running++
		d.passes.Add(1)
		done := l.a.pace.Busy()
		l.passes.Go(func() {
			defer done()
			defer d.passes.Done()
			began := l.a.pace.Now()
			outcome, err := l.a.engine.Pass(ctx, slot)
			l.a.metrics.Pass(l.a.pace.Now().Sub(began), outcome.Reason)
			l.ended <- result{entry: e, outcome: outcome, err: err}
			l.a.wake()
		})
	}
}

// collect takes in the passes that have ended. It returns whether there were
// any.
func (l *loop) collect() bool {
	any := false
	for {
		select {
		case r := <-l.ended:
			l.running--
			l.settle(r)
			any = true
		default:
			return any
		}
	}
}

// settle schedules the slot of an ended pass.
func (l *loop) settle(r result) {
	now := l.a.client.Now()
	if r.err == nil {
		r.entry.failures = 0
		l.a.remember(r.entry.slot, r.outcome)
		l.queue.back(r.entry, r.outcome.NextAt, now)
		return
	}
	if errors.Is(r.err, context.Canceled) {
		return
	}
	if fatal(r.err) {
		l.a.fail(r.err)
		return
	}
	r.entry.failures++
	after := min(time.Second<<min(r.entry.failures-1, 8), 5*time.Minute)
	l.a.log.Error("pass failed", "slot", r.entry.slot, "retry_in", after, "error", r.err)
	l.queue.back(r.entry, now.Add(after), now)
}

// local turns the API's time into the machine's.
func (l *loop) local(at time.Time) time.Time {
	if at.IsZero() || l.running >= l.a.opt.Concurrency {
		return time.Time{}
	}
	return l.a.pace.Now().Add(at.Sub(l.a.client.Now()))
}

// fatal reports whether the journal can't be used any more by this process:
// going on would be acting without a memory.
func fatal(err error) bool {
	for _, kind := range []error{rotation.ErrFenced, journal.ErrRemoved, journal.ErrCorrupt, journal.ErrClosed} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func (a *Agent) remember(slot string, o rotation.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reasons[slot] = o.Reason
}

func (a *Agent) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fatal == nil {
		a.fatal = err
	}
}

func (a *Agent) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fatal
}

// Summary is how Once ended.
type Summary struct {
	// Slots is how many were looked at, Settled how many of them are served
	// as declared.
	Slots, Settled int
	// Waiting says of each other slot what it waits for.
	Waiting map[string]rotation.Reason
}

// patience bounds how long Once waits for what settles soon: a token that
// isn't valid yet, a store that asks to come back.
const (
	soon     = 30 * time.Second
	patience = 5 * time.Minute
)

// Once brings the named slots, or all, to rest: it repeats the pass of a slot
// that says it can go on within half a minute, for five minutes at most. It
// fails when ctx is done, and when a pass fails.
func (a *Agent) Once(ctx context.Context, slots ...string) (Summary, error) {
	d := a.current()
	if len(slots) == 0 {
		for _, p := range d.policies {
			slots = append(slots, p.Slot)
		}
	}
	sum := Summary{Slots: len(slots), Waiting: map[string]rotation.Reason{}}
	var mu sync.Mutex
	var failed []error
	turn := make(chan struct{}, a.opt.Concurrency)
	var all sync.WaitGroup
	for _, slot := range slots {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			outcome, err := a.settle(ctx, d.slots[slot])
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed = append(failed, fmt.Errorf("slot %s: %w", slot, err))
			case outcome.Settled():
				sum.Settled++
			default:
				sum.Waiting[slot] = outcome.Reason
			}
		})
	}
	all.Wait()
	return sum, errors.Join(failed...)
}

func (a *Agent) settle(ctx context.Context, slot rotation.Declared) (rotation.Outcome, error) {
	defer a.pace.Busy()()
	end := a.pace.Now().Add(patience)
	for {
		outcome, err := a.engine.Pass(ctx, slot)
		if err != nil || outcome.Settled() {
			return outcome, err
		}
		wait := outcome.NextAt.Sub(a.client.Now())
		until := a.pace.Now().Add(wait)
		if outcome.NextAt.IsZero() || wait > soon || until.After(end) {
			return outcome, nil
		}
		a.pace.Wait(ctx, until, nil)
	}
}
