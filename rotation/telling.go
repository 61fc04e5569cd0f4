package rotation

import (
	"context"
	"maps"
	"sync"
	"time"
)

// maxHooks is how many hooks run at the same time, of all slots.
const maxHooks = 64

// tellings are the runs of hooks of one slot that haven't been noted yet.
type tellings struct {
	mu   sync.Mutex
	runs map[HookRun]*telling
}

// telling is one run; done is closed when it has ended.
type telling struct {
	seen HookSeen
	done chan struct{}
}

// seen is a copy of what is known of the runs; nil for none.
func (t *tellings) seen() map[HookRun]HookSeen {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.runs) == 0 {
		return nil
	}
	all := make(map[HookRun]HookSeen, len(t.runs))
	for run, one := range t.runs {
		all[run] = one.seen
	}
	return all
}

func (t *tellings) begin(run HookRun, one *telling) {
	t.mu.Lock()
	defer t.mu.Unlock()
	makeMap(&t.runs)
	t.runs[run] = one
}

func (t *tellings) end(one *telling, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one.seen.Ended, one.seen.Failed = true, failed
}

// keep forgets the runs that have ended and that nothing is owed for.
func (t *tellings) keep(owed func(HookRun) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.runs, func(run HookRun, one *telling) bool { return one.seen.Ended && !owed(run) })
	dropMap(&t.runs)
}

// forget drops a run that was noted.
func (t *tellings) forget(run HookRun) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.runs, run)
	dropMap(&t.runs)
}

// open are the ends of the runs that go on.
func (t *tellings) open() []<-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []<-chan struct{}
	for _, one := range t.runs {
		if !one.seen.Ended {
			all = append(all, one.done)
		}
	}
	return all
}

// runHook begins with a hook, and doesn't wait for it. That it is owed is
// journaled; a process that ends meanwhile leaves it to the next.
func (w *work) runHook(a RunHook) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all, at := w.rec.owed(a.Run)
	policies, hooks := w.pol.OnDelivery, w.onDelivery
	if a.Run.Target == "" {
		policies, hooks = w.pol.OnRevocation, w.onRevocation
	}
	for i, h := range policies {
		if h.Name == a.Run.Hook {
			one := &telling{seen: HookSeen{Revision: w.rec.Revision + 1, Until: w.e.issuer.Now().Add(h.Timeout)}, done: make(chan struct{})}
			w.mem.tellings.begin(a.Run, one)
			w.e.tell(&w.mem.tellings, one, hooks[i], w.rec.call(a.Run, all[at].Since, w.pol))
		}
	}
}

// tell runs one hook in a goroutine of its own, which Close waits for.
func (e *Engine) tell(t *tellings, one *telling, hook Hook, call HookCall) {
	e.telling.Go(func() {
		defer close(one.done)
		select {
		case e.hookPlaces <- struct{}{}:
			defer func() { <-e.hookPlaces }()
		case <-e.hookLife.Done():
			return
		}
		err := hook.Run(e.hookLife, call)
		if e.hookLife.Err() != nil { // the end of a process is not an attempt
			return
		}
		if err != nil {
			e.log.Warn("hook failed", "slot", call.Slot, "after", string(call.After), "generation", call.Generation,
				"backend", call.Backend, "path", call.Path, "error", err)
		}
		t.end(one, err != nil)
		e.onHook(call.Slot)
	})
}

// told notes how a run has ended, and forgets it once that is journaled.
func (w *work) told(ctx context.Context, a Told, now time.Time) {
	if w.commit(ctx, func(r *Record) Event { return r.told(a, now) }) {
		w.mem.tellings.forget(a.Run)
	}
}

// AwaitHooks waits for the hooks of a slot that run, and reports whether there
// were any. The next pass notes how they ended.
func (e *Engine) AwaitHooks(ctx context.Context, slot string) bool {
	open := e.memoryOf(slot).tellings.open()
	for _, done := range open {
		select {
		case <-done:
		case <-ctx.Done():
			return true
		}
	}
	return len(open) > 0
}

// Close cuts off the hooks that run and waits for them. No pass may be under way
// or follow. They are run again by the next process.
func (e *Engine) Close() {
	e.endHooks()
	e.telling.Wait()
}
