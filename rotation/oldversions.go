package rotation

import (
	"context"
	"fmt"
	"time"

	"github.com/handover-agent/handover/backends"
)

// Stores keep what was replaced. Once a token is revoked, its old versions are
// taken out of reach where the store says so (Properties.RemoveRevoked). The
// token is dead already: nothing waits for this, and a store that is away is
// asked again later (docs/decisions/old-versions.md).

// removes says whether old versions of a generation are taken out of reach at a
// target.
type removes func(key string, g *Generation) bool

// removes is what the stores say; of a token that leaked, each that can.
func (w *work) removes(key string, g *Generation) bool {
	if len(w.at) == 0 || !w.pol.declares(key) {
		return false
	}
	t := w.target(key)
	return t.Removes() && (g.Condemned || t.Backend.Properties().RemoveRevoked)
}

// oweRemoval journals that a generation's old versions have to go, at all
// targets that are known, if it is revoked.
func (r *Record) oweRemoval(number uint64, wanted removes, now time.Time) {
	for key := range r.Targets {
		r.oweRemovalOf(number, key, wanted, now)
	}
}

// oweRemovalOf is oweRemoval for one target.
func (r *Record) oweRemovalOf(number uint64, key string, wanted removes, now time.Time) {
	t, g := r.Targets[key], r.generation(number)
	if g != nil && g.revoked() && wanted(key, g) {
		t.Removal = &Removal{Since: now}
		r.Targets[key] = t
	}
}

// removeOld wants what is owed done. While a target is behind, its current
// version may be one of those that have to go: it is delivered first.
func (n *pass) removeOld() {
	for _, t := range n.pol.Targets {
		rec := n.rec.Targets[t.Key]
		switch {
		case rec.Removal == nil:
		case rec.State == Behind || rec.State == TargetBlocked:
			n.wait(retiring, time.Time{}, OldVersionsLeft)
		case n.now.Before(rec.Removal.RetryAt):
			n.wait(retiring, rec.Removal.RetryAt, OldVersionsLeft)
		case n.rec.Emergency == nil && n.stopped(retiring):
		default:
			n.deed(RemoveOld{Target: t.Key})
		}
	}
}

// removeOld takes out of reach what the record says is revoked, and nothing
// else: a version is known by the token in it, or by what was written of it.
func (w *work) removeOld(ctx context.Context, a RemoveOld) {
	bounded, cancel := context.WithTimeout(w.soft, w.e.timeout)
	defer cancel()
	removed, err := w.target(a.Target).RemoveOld(bounded, func(seen backends.Reading) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		g := w.rec.holds(a.Target, seen)
		return g != nil && g.revoked()
	})
	now := w.e.issuer.Now()
	if err == nil {
		w.commit(ctx, func(r *Record) Event { return r.removedOld(a.Target, removed) })
		return
	}
	if ctx.Err() != nil { // the end of a process is not an attempt
		return
	}
	why, after := targetReason(err), backends.RetryAfter(err)
	w.e.log.Warn("old versions not removed", "slot", w.pol.Slot, "target", a.Target, "reason", string(why), "error", err)
	w.commit(ctx, func(r *Record) Event { return r.removeFailed(a.Target, why, after, now) })
}

// removedOld ends a removal.
func (r *Record) removedOld(key string, removed int) Event {
	t := r.Targets[key]
	t.Removal = nil
	r.Targets[key] = t
	return Event{Act: ActRemovedOld, Target: key, Detail: fmt.Sprintf("%d versions", removed)}
}

// removeFailed sets the back-off of a removal. A store that asks to wait costs
// no attempt.
func (r *Record) removeFailed(key string, why Reason, after time.Duration, now time.Time) Event {
	t := r.Targets[key]
	next := *t.Removal
	if after == 0 {
		next.Attempts++
		after = backOff(next.Attempts, key)
	}
	next.Reason, next.RetryAt = why, now.Add(after)
	t.Removal = &next
	r.Targets[key] = t
	return Event{Act: ActRemoveFailed, Reason: why, Target: key}
}
