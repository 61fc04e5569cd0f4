package rotation

import (
	"context"
	"time"
)

// slowLook is how long the other acts of a set wait for a look at a target: one
// that hangs must not hold up what is to be done at the others.
const slowLook = 2 * time.Second

// acting is what a pass has under way. Only the pass itself uses it.
type acting struct {
	last int
	// running are the acts that haven't ended, by number.
	running map[int]Action
	// ended takes the number of each act that has.
	ended chan int
}

// start runs an act beside the pass, which has to wait for it.
func (w *work) start(ctx context.Context, a Action) int {
	if w.acting.running == nil {
		w.acting.running, w.acting.ended = map[int]Action{}, make(chan int)
	}
	w.acting.last++
	number, ended := w.acting.last, w.acting.ended
	w.acting.running[number] = a
	go func() {
		w.act(ctx, a)
		ended <- number
	}()
	return number
}

// do runs the actions of one set at the same time and waits for all, except for
// looks at targets that take long: those are taken for failed meanwhile, and
// lateLook waits for them.
func (w *work) do(ctx context.Context, actions []Action) error {
	if len(actions) == 1 || w.e.inTurn {
		for _, a := range actions {
			w.act(ctx, a)
		}
		return w.failure(ctx)
	}
	open := map[int]bool{}
	for _, a := range actions {
		open[w.start(ctx, a)] = true
	}
	patience := time.NewTicker(slowLook)
	defer patience.Stop()
	for len(open) > 0 {
		select {
		case number := <-w.acting.ended:
			delete(open, number)
			delete(w.acting.running, number)
		case <-patience.C:
			if len(open) < len(actions) && w.leave(open) {
				return w.failure(ctx)
			}
		}
	}
	return w.failure(ctx)
}

// leave goes on without the acts that are open, if all of them are looks at
// targets. What isn't known of a target is the same as if it couldn't be read.
func (w *work) leave(open map[int]bool) bool {
	for number := range open {
		switch w.acting.running[number].(type) {
		case Read, Glance, Check:
		default:
			return false
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.e.issuer.Now()
	missing := TargetSeen{At: now, Failed: TargetUnreachable, RetryAt: now.Add(w.e.timeout)}
	for number := range open {
		switch a := w.acting.running[number].(type) {
		case Read:
			w.obs.Targets[a.Target] = missing
		case Glance:
			w.obs.Targets[a.Target] = missing
		case Check:
			w.obs.Checks[a.Target] = TargetUnreachable
		}
	}
	return true
}

// lateLook waits until one of the looks that were left has ended. It returns
// false when there is none.
func (w *work) lateLook() bool {
	if len(w.acting.running) == 0 {
		return false
	}
	delete(w.acting.running, <-w.acting.ended)
	return true
}

// endLooks waits for all of them.
func (w *work) endLooks() {
	for w.lateLook() {
	}
}
