package notify

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

const (
	// look is how often it is looked how things stand, rest the least time
	// between two looks that events call for: more where a look takes long, so
	// that looking takes up a twentieth of the time at most.
	look  = time.Minute
	rest  = time.Second
	share = 20
	// maxPassing is how many events wait for the loop.
	maxPassing = 256
)

// Options make a Notifier.
type Options struct {
	// Agent is the agent's id.
	Agent string
	// Status tells how things stand.
	Status func(context.Context) (report.Document, error)
	// Count counts what became of notices, by receiver: "sent", "failed",
	// "dropped". It must not block.
	Count func(to, result string)
	// Log takes what goes wrong.
	Log *slog.Logger
}

// Notifier looks what people should know, and tells the receivers. Event and Use
// never wait; Run does all that may take time.
type Notifier struct {
	o Options

	mu        sync.Mutex
	receivers []Receiver
	changed   bool
	passing   []Notice
	called    bool
	poke      chan struct{}
}

// New makes a Notifier without receivers. It starts nothing.
func New(o Options) *Notifier { return &Notifier{o: o, poke: make(chan struct{}, 1)} }

// Use puts other receivers in the place of those before. What one of the same
// name was told counts as told.
func (n *Notifier) Use(receivers []Receiver) {
	n.mu.Lock()
	n.receivers, n.changed = receivers, true
	n.mu.Unlock()
	n.wake()
}

// Event takes in a committed event.
func (n *Notifier) Event(e rotation.Event) {
	notice, now := passing(n.o.Agent, e)
	later := calls(e)
	if !now && !later {
		return
	}
	n.mu.Lock()
	switch {
	case len(n.receivers) == 0:
	case now && len(n.passing) == maxPassing:
		for _, r := range n.receivers {
			n.o.Count(r.Name, "dropped")
		}
	case now:
		n.passing = append(n.passing, notice)
	}
	n.called = n.called || later
	n.mu.Unlock()
	n.wake()
}

func (n *Notifier) wake() {
	select {
	case n.poke <- struct{}{}:
	default: // it is awake
	}
}

// Run tells the receivers until ctx is done. What is queued then is dropped.
func (n *Notifier) Run(ctx context.Context) {
	var lines []*line
	stop := func() {}
	defer func() { stop() }()
	var looked time.Time
	var took time.Duration
	called := false
	for ctx.Err() == nil {
		receivers, changed, events, calling := n.take()
		called = called || calling || changed
		if changed {
			stop()
			lines = renew(lines, receivers)
			stop = n.begin(ctx, lines)
		}
		for _, l := range lines {
			l.recall(time.Now())
		}
		n.tell(lines, events)
		if len(lines) == 0 {
			n.wait(ctx, nil)
			continue
		}
		if changed || !time.Now().Before(looked.Add(pause(called, took))) {
			began := time.Now()
			n.look(ctx, lines)
			looked, called = time.Now(), false
			took = looked.Sub(began)
		}
		timer := time.NewTimer(time.Until(looked.Add(pause(called, took))))
		n.wait(ctx, timer.C)
		timer.Stop()
	}
}

// pause is the time between two looks; called: an event calls for the next.
func pause(called bool, took time.Duration) time.Duration {
	if called {
		return max(rest, share*took)
	}
	return max(look, share*took)
}

// take brings in what was asked for since.
func (n *Notifier) take() (receivers []Receiver, changed bool, events []Notice, called bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	receivers, changed, events, called = n.receivers, n.changed, n.passing, n.called
	n.changed, n.passing, n.called = false, nil, false
	return receivers, changed, events, called
}

// wait returns when there may be something to do.
func (n *Notifier) wait(ctx context.Context, after <-chan time.Time) {
	select {
	case <-after:
	case <-n.poke:
	case <-ctx.Done():
	}
}

// renew makes the lines of the receivers. One of a name that was there before
// keeps what it was told, and what waits for it.
func renew(old []*line, receivers []Receiver) []*line {
	lines := make([]*line, len(receivers))
	for i, r := range receivers {
		if at := slices.IndexFunc(old, func(l *line) bool { return l.Name == r.Name }); at >= 0 {
			lines[i] = old[at]
			lines[i].Receiver = r
		} else {
			lines[i] = newLine(r)
		}
	}
	return lines
}

// look tells what stands.
func (n *Notifier) look(ctx context.Context, lines []*line) {
	doc, err := n.o.Status(ctx)
	if err != nil {
		if ctx.Err() == nil {
			n.o.Log.Warn("nobody is notified: how the slots stand can't be read", "error", err)
		}
		return
	}
	all := standing(doc)
	n.tell(lines, all)
	for _, l := range lines {
		l.forget(all, time.Now())
	}
}

func (n *Notifier) tell(lines []*line, all []Notice) {
	for _, l := range lines {
		for range l.tell(all, time.Now()) {
			n.o.Count(l.Name, "dropped")
		}
	}
}

// begin starts a sender for each line, so that one that hangs holds up no other.
// end cuts them off and waits for them.
func (n *Notifier) begin(ctx context.Context, lines []*line) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var senders sync.WaitGroup
	for _, l := range lines {
		senders.Go(func() { n.send(ctx, l) })
	}
	return func() {
		cancel()
		senders.Wait()
	}
}

// send tells one receiver what is queued for it.
func (n *Notifier) send(ctx context.Context, l *line) {
	for {
		var p parcel
		select {
		case p = <-l.queue:
		case <-ctx.Done():
			return
		}
		err := l.Send(ctx, p.notice)
		switch {
		case err == nil:
			n.o.Count(l.Name, "sent")
			continue
		case ctx.Err() == nil:
			n.o.Count(l.Name, "failed")
			n.o.Log.Warn("notification not sent", "to", l.Name, "event", string(p.notice.Event), "error", err)
		}
		select {
		case l.undone <- p.about: // so it is told again while it is so
		default:
		}
	}
}
