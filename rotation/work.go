package rotation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// work is one pass under way. The actions of a set run at the same time; mu
// guards what they share.
type work struct {
	e   *Engine
	pol *Policy
	at  []*backends.Target // those of the policy, in its order
	mem *memory
	// onDelivery and onRevocation are the policy's hooks, in its order.
	onDelivery, onRevocation []Hook
	failed                   error // the first commit that the journal refused
	// soft is the ctx of calls that may be cut off when something urgent is
	// asked for: looks, and what is done at stores.
	soft   context.Context
	cut    context.CancelFunc
	acting acting

	mu  sync.Mutex
	rec Record
	obs Observation
	// last is the latest API's time that anything here was seen at. A time
	// before it says that the clock was put right.
	last time.Time
	// tokens and account say how firm the two of obs are.
	tokens, account ground
	// asked is memory.asked before requests were last read.
	asked uint64
}

func (e *Engine) begin(ctx context.Context, slot *Declared) (*work, error) {
	w := &work{e: e, pol: &slot.Policy, mem: e.memoryOf(slot.Policy.Slot), at: slot.Targets,
		onDelivery: slot.OnDelivery, onRevocation: slot.OnRevocation}
	w.mem.wake()
	w.mem.rested.Store(nil)
	w.asked = w.mem.asked.Load()
	if w.mem.edition != slot.Edition {
		w.mem.edition = slot.Edition
		clear(w.mem.checked)
		clear(w.mem.versions)
	}
	rec, err := e.journal.Slot(ctx, slot.Policy.Slot)
	if errors.Is(err, ErrNoRecord) {
		rec, err = Record{Slot: slot.Policy.Slot}, nil
	}
	if err != nil {
		return nil, err
	}
	w.rec = rec
	w.mem.tellings.keep(func(run HookRun) bool { _, at := rec.owed(run); return at >= 0 })
	for number, at := range w.mem.proved {
		if g := rec.generation(number); g != nil && at.After(g.ProvedAt) {
			g.ProvedAt = at
		}
	}
	requests, err := e.journal.Requests(ctx, slot.Policy.Slot)
	if err != nil {
		return nil, err
	}
	unhanded, err := e.unhanded(ctx, &w.rec, w.pol)
	if err != nil {
		return nil, err
	}
	w.obs = Observation{Process: e.process, Began: e.issuer.Now(), Requests: requests, Unhanded: unhanded,
		Mute:    slot.OnDelivery == nil && slot.OnRevocation == nil,
		Targets: map[string]TargetSeen{}, Checks: map[string]Reason{}, Proofs: map[uint64]Proof{},
		Others: map[secret.Fingerprint]Proof{}, Found: map[uint64]Finding{},
		Posted: w.mem.posted, Checked: w.mem.checked, Versions: w.mem.versions}
	for _, at := range w.mem.checked {
		w.last = later(w.last, at)
	}
	for _, at := range w.mem.posted {
		w.last = later(w.last, at)
	}
	for key, failed := range w.mem.unread {
		w.last = later(w.last, failed.seen.At)
		if w.obs.Began.Before(failed.seen.RetryAt) {
			w.obs.Targets[key] = failed.seen
		}
	}
	if list := e.tokens.cached(time.Time{}, w.mem.seq); list != nil {
		w.listed(list)
	}
	return w, nil
}

// target is where the declared target of that key is reached.
func (w *work) target(key string) *backends.Target {
	return w.at[slices.IndexFunc(w.pol.Targets, func(t TargetPolicy) bool { return t.Key == key })]
}

// next asks what to do now. A look that takes long may bring something in at the
// same time.
func (w *work) next() ([]Action, Reason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.refresh()
	return next(&w.rec, &w.obs, w.pol, now)
}

// refresh brings in what other slots learnt, and returns the time.
func (w *work) refresh() time.Time {
	w.obs.Held, w.obs.Hooks = w.e.Held(), w.mem.tellings.seen()
	now := w.e.issuer.Now()
	if now.Before(w.last) {
		w.rewind(now)
	}
	w.last = now
	return now
}

// clock is the API's time, for what is seen at it. The caller holds mu.
func (w *work) clock() time.Time {
	now := w.e.issuer.Now()
	w.last = later(w.last, now)
	return now
}

// rewind takes back what was seen in a future that isn't: the API's answer put
// right a clock that was ahead, because it was wrong before the first answer, or
// was set.
func (w *work) rewind(now time.Time) {
	w.obs.Began = earlier(w.obs.Began, now)
	if w.obs.Tokens != nil {
		list := *w.obs.Tokens
		list.At = earlier(list.At, now)
		w.obs.Tokens = &list
	}
	if w.obs.Account != nil {
		w.obs.Account.At = earlier(w.obs.Account.At, now)
	}
	if own := w.obs.Own; own != nil {
		w.obs.Own = &OwnSeen{At: earlier(own.At, now), Works: own.Works}
	}
	for key, seen := range w.obs.Targets {
		if seen.At.After(now) && seen.Failed != "" {
			seen.RetryAt = now
		}
		seen.At = earlier(seen.At, now)
		w.obs.Targets[key] = seen
		if failed, ok := w.mem.unread[key]; ok {
			failed.seen = seen
			w.mem.unread[key] = failed
		}
	}
	for number, proof := range w.obs.Proofs {
		proof.At = earlier(proof.At, now)
		w.obs.Proofs[number] = proof
	}
	for key, at := range w.mem.checked {
		w.mem.checked[key] = earlier(at, now)
	}
	for number, at := range w.mem.posted {
		w.mem.posted[number] = earlier(at, now)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// unsee makes the next pass read again what this one read: it ended before the
// journal had taken it in.
func (w *work) unsee() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.obs.Targets {
		delete(w.mem.checked, key)
		delete(w.mem.versions, key)
	}
}

// end forgets the values that nobody needs any more.
func (w *work) end() {
	lossy := true
	for _, t := range w.pol.Targets {
		lossy = lossy && t.Lossy
	}
	maps.DeleteFunc(w.mem.values, func(number uint64, _ secret.Value) bool {
		return number != w.rec.Current || !lossy && w.rec.serves(w.pol)
	})
	maps.DeleteFunc(w.mem.proved, func(number uint64, _ time.Time) bool {
		g := w.rec.generation(number)
		return g == nil || g.State == Gone
	})
	maps.DeleteFunc(w.mem.posted, func(number uint64, _ time.Time) bool {
		return w.rec.Intent == nil || w.rec.Intent.Generation != number
	})
	w.mem.rested.Store(w.rested())
	w.mem.rest()
}

func (w *work) failure(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	return ctx.Err()
}

func (w *work) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
}

// commit applies a transition to a copy of the record and stores it with its
// event. It returns false, and ends the pass, when the journal refuses.
func (w *work) commit(ctx context.Context, change func(*Record) Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return false
	}
	rec := w.rec.clone()
	event := change(&rec)
	event.At, event.Slot = w.e.issuer.Now(), rec.Slot
	if event.Actor == "" {
		event.Actor = actorAgent
	}
	stored, err := w.e.journal.Commit(ctx, rec, event)
	if err != nil {
		w.failed = fmt.Errorf("commit %s of %s: %w", event.Act, rec.Slot, err)
		return false
	}
	w.rec = stored
	w.e.onEvent(event)
	return true
}

func (w *work) act(ctx context.Context, a Action) {
	now := w.e.issuer.Now()
	switch a := a.(type) {
	case LookTokens:
		w.lookTokens(a)
	case EnsureAccount:
		w.ensureAccount(ctx, a)
	case Read:
		w.read(a)
	case Glance:
		w.glance(a)
	case Check:
		w.check(a)
	case Find:
		w.find(a)
	case Prove:
		w.prove(ctx, a)
	case ProveOther:
		w.proveOther(a)
	case TakeUp:
		w.takeUp(w.soft)
	case Issue:
		w.issue(ctx, a)
	case Deliver:
		w.deliver(ctx, a)
	case Revoke:
		w.revoke(ctx, a)
	case Delete:
		w.delete(ctx, a)
	case RemoveOld:
		w.removeOld(ctx, a)
	case RunHook:
		w.runHook(a)
	case Told:
		w.told(ctx, a, now)
	case RevokeForeign:
		w.revokeForeign(ctx)
	case Resume:
		w.resume(ctx, a)
	case Alarm:
		w.alarm(ctx, a)
	case Restore:
		w.restore(ctx, a)
	case Deactivate:
		w.deactivate(ctx, a)
	case Decline:
		w.decline(ctx, a)
	case CloseRequest:
		w.close(ctx, a.Request, a.Outcome)
	case Spare:
		w.spare(ctx, a)
	case Rebuild:
		w.rebuild(ctx, a, now)
	case Intend:
		asked := w.request(a.Request)
		w.commit(ctx, func(r *Record) Event { return asked.tell(r.apply(a, w, now)) })
	default:
		w.commit(ctx, func(r *Record) Event { return r.apply(a, w, now) })
	}
}

// rebuild makes the first record. What was read before is read again: whether it
// has the declared shape can be told of the current token alone.
func (w *work) rebuild(ctx context.Context, a Rebuild, now time.Time) {
	w.commit(ctx, func(r *Record) Event { return r.apply(a, w, now) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rec.current() != nil {
		maps.DeleteFunc(w.obs.Targets, func(_ string, seen TargetSeen) bool { return seen.Failed == "" })
	}
}

// apply carries a note out.
func (r *Record) apply(a Action, w *work, now time.Time) Event {
	switch a := a.(type) {
	case Rebuild:
		*r = Rebuilt(w.obs, *w.pol, now).clone()
		return Event{Act: ActRebuilt, Generation: r.Current}
	case See:
		before := r.Targets[a.Target]
		event := r.see(a, w.pol.target(a.Target), now)
		r.oweDelivery(a.Target, before, w.pol, now)
		return event
	case Forget:
		return r.forget(a)
	case Discover:
		return r.discover(a.Token, a.Generation)
	case Intend:
		return r.intend(a, w.e.process, now)
	case Burn:
		return r.burn(a)
	case Lose:
		return r.lose(a)
	case Unprove:
		return r.unprove(a, now)
	case Miss:
		return r.miss(a)
	case Move:
		event := r.move(a, now)
		w.owe(r, a.Generation, now)
		return event
	case Block:
		return r.block(a)
	case Alarm:
		return r.alarm(a, now)
	case Finish:
		return r.finish(a, now)
	case Reckon:
		return r.reckon(now)
	case Spare:
		return r.spare(a)
	case Deactivate:
		r.handle(a.Request, a.Rotate)
		return Event{Act: ActDeactivating}
	case Decline:
		return r.decline(a)
	case Remember:
		return r.remember(a)
	case Part:
		return r.part(a)
	}
	return Event{}
}

func (p *Policy) target(key string) TargetPolicy {
	for _, t := range p.Targets {
		if t.Key == key {
			return t
		}
	}
	return TargetPolicy{Key: key}
}

func (w *work) closed(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	open := w.obs.Requests[:0:0]
	for _, r := range w.obs.Requests {
		if r.ID != id {
			open = append(open, r)
		}
	}
	w.obs.Requests = open
}

// request is an operator's open request; the agent's own zero Request when
// there is none of that id.
func (w *work) request(id int64) Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.obs.Requests {
		if r.ID == id {
			return r
		}
	}
	return Request{Actor: actorAgent}
}

// tell puts who asked, and the reason given, into an event.
func (q Request) tell(event Event) Event {
	event.Actor = q.Actor
	if q.Reason != "" {
		event.Detail = q.Reason
	}
	return event
}

func (w *work) resume(ctx context.Context, a Resume) {
	asked := w.request(a.Request)
	if err := w.e.resumeAccount(ctx, w.pol, asked); err != nil {
		w.fail(err)
		return
	}
	w.commit(ctx, func(r *Record) Event { return asked.tell(r.resume(a)) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obs.Account = nil
	maps.DeleteFunc(w.obs.Targets, func(_ string, seen TargetSeen) bool { return seen.Failed != "" })
}
