package rotation

import (
	"context"
	"errors"
	"maps"
	"time"
)

// What the engine does for an emergency.

// heed reads the requests again when one was stored since they were read.
func (w *work) heed(ctx context.Context) error {
	asked := w.mem.asked.Load()
	if asked == w.asked {
		return nil
	}
	requests, err := w.e.journal.Requests(ctx, w.pol.Slot)
	if err != nil {
		return err
	}
	w.asked, w.obs.Requests = asked, requests
	return nil
}

// interruptible does one set, cut off from what it waits for at stores and in
// looks when something urgent is asked for. A call that mints or revokes is
// never cut off.
func (w *work) interruptible(ctx context.Context, actions []Action) error {
	if w.soft == nil || w.soft.Err() != nil {
		w.endLooks() // they have been cut off too
		soft, cut := context.WithCancel(ctx)
		w.soft, w.cut = soft, cut
		w.mem.interrupt.Store(&cut)
	}
	if w.mem.asked.Load() != w.asked { // it was asked for before it could be cut off
		return nil
	}
	return w.do(ctx, actions)
}

// release ends what of a pass is still under way, and waits for it.
func (w *work) release() {
	w.mem.interrupt.Store(nil)
	if w.cut != nil {
		w.cut()
	}
	w.endLooks()
}

// hurried reports whether an emergency is under way.
func (w *work) hurried() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rec.Emergency.open()
}

// api is the API for what is done now.
func (w *work) api() Issuer {
	if w.hurried() {
		return w.e.urgent
	}
	return w.e.issuer
}

// hurriedLook is how long a look may take in an emergency: the other targets wait
// for one that hangs.
const hurriedLook = 5 * time.Second

func (w *work) lookTime() time.Duration {
	if w.hurried() {
		return min(w.e.timeout, hurriedLook)
	}
	return w.e.timeout
}

// deliverTime is how long a delivery may take: in an emergency until its
// deadline, when what leaked is revoked.
func (w *work) deliverTime() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.rec.Emergency; e.open() {
		left := e.Deadline.Sub(w.e.issuer.Now())
		return min(w.e.timeout, max(left, hurriedLook))
	}
	return w.e.timeout
}

// alarm takes an emergency up, and forgets that targets could not be read: each
// is tried again.
func (w *work) alarm(ctx context.Context, a Alarm) {
	now := w.e.issuer.Now()
	if !w.commit(ctx, func(r *Record) Event { return a.Request.tell(r.alarm(a, now)) }) {
		return
	}
	w.e.log.Warn("emergency", "slot", w.pol.Slot, "request", a.Request.ID, "token_id", a.Request.TokenID,
		"revoke_first", a.Request.RevokeFirst, "actor", a.Request.Actor)
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.mem.unread)
	maps.DeleteFunc(w.obs.Targets, func(_ string, seen TargetSeen) bool { return seen.Failed != "" })
}

// revokeCondemned kills a token of which an emergency said that it may not live.
// One that Qualytics doesn't know any more is dead too.
func (w *work) revokeCondemned(ctx context.Context, number uint64) {
	w.mu.Lock()
	g := *w.rec.generation(number)
	w.mu.Unlock()
	err := w.e.urgent.Revoke(ctx, g.TokenID)
	now, missing := w.e.issuer.Now(), errors.Is(err, ErrMissing)
	if err != nil && !missing {
		w.retireFailed(ctx, g, ActRevokeFailed, err, now)
		return
	}
	w.wasRevoked(g.TokenID)
	w.commit(ctx, func(r *Record) Event {
		event := r.revoked(number, Leaked, now)
		r.tellRevoked(RevokedToken{TokenID: g.TokenID, Generation: number, At: now, Missing: missing})
		w.owe(r, number, now)
		return event
	})
}

// revokeForeign kills the named token that isn't one of the slot's. A target may
// have held it: all are read again.
func (w *work) revokeForeign(ctx context.Context) {
	w.mu.Lock()
	id := w.rec.Emergency.TokenID
	w.mu.Unlock()
	if !w.stillTakenUp() || !w.commit(ctx, func(*Record) Event { return Event{Act: ActRevoking, Reason: Leaked, TokenID: id} }) {
		return
	}
	err := w.e.urgent.Revoke(ctx, id)
	now, missing := w.e.issuer.Now(), errors.Is(err, ErrMissing)
	if err == nil || missing {
		w.wasRevoked(id)
		w.commit(ctx, func(r *Record) Event { return r.revokedForeign(missing, now) })
		w.mu.Lock()
		defer w.mu.Unlock()
		clear(w.obs.Targets)
		clear(w.obs.Others)
		clear(w.mem.checked)
		return
	}
	w.changed(nil)
	if ctx.Err() != nil {
		return
	}
	w.e.hold(err, false)
	why, _ := apiReason(err)
	w.e.log.Warn("token not revoked", "slot", w.pol.Slot, "token_id", id, "error", err)
	w.commit(ctx, func(r *Record) Event { return r.foreignFailed(why, now) })
}
