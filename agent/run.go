package agent

import (
	"context"
	"errors"
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
	a     *Agent
	queue *queue
	ended chan result
	// only are the slots that it works at; nil is all.
	only    []string
	running int
	passes  sync.WaitGroup
}

// Work does what Run does for the named slots alone, without serving anything,
// until ctx is done.
func (a *Agent) Work(ctx context.Context, slots ...string) error {
	d := a.current()
	for _, slot := range slots {
		if err := d.declares(slot); err != nil {
			return err
		}
	}
	return a.drive(ctx, slots)
}

// drive runs passes until ctx is done, then waits for those under way: the act
// that each is at is finished. only nil is all slots. It fails when the journal can't be used any
// more.
func (a *Agent) drive(ctx context.Context, only []string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l := &loop{a: a, queue: newQueue(), only: only, ended: make(chan result, a.opt.Concurrency)}
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
		if !l.collect(ctx) {
			a.pace.Wait(ctx, l.local(l.queue.next()), a.wakeup)
		}
	}
	stop() // without a journal, the passes under way have to end too
	l.passes.Wait()
	l.collect(ctx)
	return a.failure()
}

// adopt brings the queue in line with the declaration in force. New slots are
// looked at now.
func (l *loop) adopt() {
	slots := l.a.current().slots
	for slot := range l.queue.bySlot {
		if _, ok := slots[slot]; !ok {
			l.queue.drop(slot)
			l.a.remember(slot, rotation.Outcome{})
		}
	}
	now := l.a.client.Now()
	if l.only == nil {
		for slot := range slots {
			l.queue.put(slot, now)
		}
	}
	for _, slot := range l.only {
		if _, ok := slots[slot]; ok {
			l.queue.put(slot, now)
		}
	}
}

// take brings in what others asked for.
func (l *loop) take() {
	l.a.mu.Lock()
	wanted, reload, pulses := l.a.wanted, l.a.reload, l.a.pulses
	l.a.wanted, l.a.reload, l.a.pulses = nil, false, nil
	l.a.mu.Unlock()
	for _, felt := range pulses {
		close(felt)
	}
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
		slot, release, ok := l.a.borrow(e.slot)
		if !ok { // a reload took it out just now
			l.queue.drop(e.slot)
			continue
		}
		if outcome, still := l.a.engine.Still(slot); still {
			release()
			l.a.metrics.Pass(0, outcome.Reason)
			l.settle(ctx, result{entry: e, outcome: outcome})
			continue
		}
		l.running++
		done := l.a.pace.Busy()
		l.passes.Go(func() {
			defer done()
			defer release()
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
func (l *loop) collect(ctx context.Context) bool {
	some := false
	for {
		select {
		case r := <-l.ended:
			l.running--
			l.settle(ctx, r)
			some = true
		default:
			return some
		}
	}
}

// settle schedules the slot of an ended pass.
func (l *loop) settle(ctx context.Context, r result) {
	now := l.a.client.Now()
	switch {
	case r.err == nil:
		r.entry.failures = 0
		l.a.remember(r.entry.slot, r.outcome)
		l.queue.back(r.entry, r.outcome.NextAt, now)
		return
	case fatal(r.err):
		l.a.fail(r.err)
		return
	case ctx.Err() != nil: // the end of a process is not a failure
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

// remember keeps what hinders a slot and which of its targets can't be read,
// for Status; a reason that the journal tells as well is forgotten.
func (a *Agent) remember(slot string, o rotation.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.reasons, slot)
	delete(a.unread, slot)
	delete(a.badRows, slot)
	if o.BadRow != nil {
		a.badRows[slot] = o.BadRow
	}
	if hinders(o.Reason) {
		a.reasons[slot] = o.Reason
	}
	if len(o.Unread) > 0 {
		a.unread[slot] = o.Unread
	}
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
