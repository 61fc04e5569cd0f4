package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/journal"
)

// result is how a pass ended. hurried: it had no place of its own.
type result struct {
	entry   *entry
	hurried bool
	outcome rotation.Outcome
	err     error
}

// loop runs the passes: one goroutine owns the queue, each pass has one of its
// own, and the loop waits for all of them before it ends.
type loop struct {
	a     *Agent
	queue *queue
	// urgent holds the slots of an emergency, as long as it lasts. Their passes
	// have places of their own, so that they wait for no planned work.
	urgent *queue
	ended  chan result
	// only are the slots that it works at; nil is all.
	only             []string
	running, hurried int
	passes           sync.WaitGroup
}

func newLoop(a *Agent) *loop {
	return &loop{a: a, queue: newQueue(), urgent: newQueue(), ended: make(chan result, 2*a.opt.Concurrency)}
}

// Work does what Run does for the named slots alone, without serving anything,
// until ctx is done.
func (a *Agent) Work(ctx context.Context, slots ...string) error {
	for _, slot := range slots {
		if err := a.works(slot); err != nil {
			return err
		}
	}
	return a.drive(ctx, slots)
}

// drive runs passes until ctx is done, then waits for those under way: the act
// that each is at is finished. only nil is all slots. It fails when the journal
// can't be used any more.
func (a *Agent) drive(ctx context.Context, only []string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l := newLoop(a)
	l.only = only
	defer a.pace.Busy()()
	l.adopt()
	a.ready.Store(true)
	defer a.ready.Store(false)
	a.logPauses(ctx)
	if a.opt.OnReady != nil {
		a.opt.OnReady()
	}
	if only == nil {
		if err := a.findParting(ctx); err != nil {
			a.log.Error("slots that left the declaration not found", "error", err)
		}
		a.wake(a.leavingSlots()...)
	}
	for ctx.Err() == nil && a.failure() == nil {
		l.take()
		l.start(ctx)
		if !l.collect(ctx) {
			a.pace.Wait(ctx, l.next(), a.wakeup)
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
	for _, q := range []*queue{l.queue, l.urgent} {
		for slot := range q.bySlot {
			if l.a.works(slot) != nil {
				l.drop(slot)
			}
		}
	}
	now := l.a.client.Now()
	if l.only == nil {
		for slot := range l.a.current().slots {
			l.queue.put(slot, now)
		}
		for _, slot := range l.a.leavingSlots() {
			l.queue.put(slot, now)
		}
	}
	for _, slot := range l.only {
		if l.a.works(slot) == nil {
			l.queue.put(slot, now)
		}
	}
}

// drop forgets a slot that nothing is to be done at any more.
func (l *loop) drop(slot string) {
	l.queue.drop(slot)
	l.urgent.drop(slot)
	l.a.remember(slot, rotation.Outcome{})
}

// has reports whether the slot is one that the loop looks at.
func (l *loop) has(slot string) bool {
	return l.queue.bySlot[slot] != nil || l.only == nil && l.a.works(slot) == nil
}

// take brings in what others asked for.
func (l *loop) take() {
	l.a.mu.Lock()
	wanted, urgent, reload, pulses := l.a.wanted, l.a.urgent, l.a.reload, l.a.pulses
	l.a.wanted, l.a.urgent, l.a.reload, l.a.pulses = nil, nil, false, nil
	l.a.mu.Unlock()
	for _, felt := range pulses {
		close(felt)
	}
	if reload {
		l.adopt()
	}
	now := l.a.client.Now()
	for _, slot := range wanted {
		if l.has(slot) {
			l.queue.put(slot, now)
		}
	}
	for _, slot := range urgent {
		if l.has(slot) {
			l.urgent.put(slot, now)
		}
	}
}

// start starts the passes that are due, as many as may run.
func (l *loop) start(ctx context.Context) {
	for l.hurried < l.a.opt.Concurrency && l.begin(ctx, l.urgent, true) {
	}
	for l.running < l.a.opt.Concurrency && l.begin(ctx, l.queue, false) {
	}
}

// begin takes the first slot that is due in a queue and starts its pass. It returns
// false when none is due.
func (l *loop) begin(ctx context.Context, q *queue, hurried bool) bool {
	e := q.take(l.a.client.Now())
	if e == nil {
		return false
	}
	slot, release, ok := l.a.borrow(e.slot)
	if !ok { // a reload took it out just now
		q.drop(e.slot)
		return true
	}
	if outcome, still := l.a.engine.Still(slot); still {
		release()
		l.a.metrics.Pass(0, outcome.Reason)
		l.settle(ctx, result{entry: e, hurried: hurried, outcome: outcome})
		return true
	}
	l.count(hurried, 1)
	done := l.a.pace.Busy()
	l.passes.Go(func() {
		defer done()
		defer release()
		began := l.a.pace.Now()
		outcome, err := l.a.engine.Pass(ctx, slot)
		l.a.metrics.Pass(l.a.pace.Now().Sub(began), outcome.Reason)
		l.ended <- result{entry: e, hurried: hurried, outcome: outcome, err: err}
		l.a.wake()
	})
	return true
}

// count counts the passes under way.
func (l *loop) count(hurried bool, n int) {
	if hurried {
		l.hurried += n
	} else {
		l.running += n
	}
}

// collect takes in the passes that have ended. It returns whether there were
// any.
func (l *loop) collect(ctx context.Context) bool {
	some := false
	for {
		select {
		case r := <-l.ended:
			l.count(r.hurried, -1)
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
	q := l.queue
	if r.hurried {
		q = l.urgent
	}
	switch {
	case r.err == nil && l.a.left(ctx, r.entry.slot):
		l.drop(r.entry.slot)
		l.a.engine.Forget(r.entry.slot)
		return
	case r.err == nil:
		r.entry.failures = 0
		l.a.remember(r.entry.slot, r.outcome)
		if r.hurried && !r.outcome.Hurried() && !r.entry.again { // the emergency is over
			q.drop(r.entry.slot)
			l.queue.add(r.entry.slot, r.outcome.NextAt)
			return
		}
		q.back(r.entry, r.outcome.NextAt, now)
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
	q.back(r.entry, now.Add(after), now)
}

// next is when the first slot is due for which there is a place, by the machine's
// clock; zero when none is.
func (l *loop) next() time.Time {
	var at time.Time
	if l.running < l.a.opt.Concurrency {
		at = l.queue.next()
	}
	if hurry := l.urgent.next(); l.hurried < l.a.opt.Concurrency && !hurry.IsZero() && (at.IsZero() || hurry.Before(at)) {
		at = hurry
	}
	if at.IsZero() {
		return at
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
