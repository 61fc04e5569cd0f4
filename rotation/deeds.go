package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// The deeds: each commits its intent, acts, and commits the outcome. Each may
// be done again after a crash anywhere in it.

// issue posts the intended label, which was committed before.
func (w *work) issue(ctx context.Context, a Issue) {
	w.mu.Lock()
	intent := *w.rec.Intent
	before, again := w.mem.posted[intent.Generation]
	w.mem.posted[intent.Generation] = w.clock()
	w.mu.Unlock()

	issued, err := w.api().Issue(ctx, Order{UserID: a.UserID, AccountID: w.pol.AccountID,
		Label: intent.Label, Days: w.pol.Schedule.Days()})
	now := w.e.issuer.Now()
	if err == nil {
		w.changed(func(mine []Token) []Token {
			return append(mine, Token{ID: issued.ID, Label: intent.Label, UserID: a.UserID,
				AccountID: w.pol.AccountID, Active: true, Created: now, Expires: issued.Expires})
		})
		w.e.answered()
		w.mu.Lock()
		w.mem.values[intent.Generation] = issued.Value
		w.obs.Found[intent.Generation] = AtHand
		w.mu.Unlock()
		w.commit(ctx, func(r *Record) Event { return r.issued(issued, w.pol.Schedule, now) })
		return
	}
	w.changed(nil)
	if ctx.Err() != nil {
		return
	}
	w.e.hold(err, false)
	w.e.log.Warn("token not issued", "slot", w.pol.Slot, "label", intent.Label, "error", err)
	claimed := again || intent.Process != w.e.process
	switch {
	case errors.Is(err, ErrDuplicate): // this post made nothing, also if the journal doesn't hear of it
		w.unpost(intent.Generation, before, again)
		w.commit(ctx, func(r *Record) Event { return r.burn(Burn{Claimed: claimed}) })
	case errors.Is(err, ErrUnknownOutcome), errors.Is(err, ErrInvalidAnswer):
		w.postpone(ctx, err, now)
	case errors.Is(err, ErrRefused):
		w.unpost(intent.Generation, before, again)
		w.commit(ctx, func(r *Record) Event { return r.issueFailed(IssueRefused, now.Add(w.pol.DriftCheck)) })
	default: // nothing was minted
		w.unpost(intent.Generation, before, again)
		if errors.Is(err, ErrMissing) { // the account was taken away
			w.e.accountChanged(w.pol.AccountID)
			w.mu.Lock()
			w.obs.Account = nil
			w.mu.Unlock()
		}
		w.postpone(ctx, err, now)
	}
}

func (w *work) postpone(ctx context.Context, err error, now time.Time) {
	why, after := apiReason(err)
	w.commit(ctx, func(r *Record) Event { return r.postponeIssue(why, after, now) })
}

// unpost takes back that the label was posted: the API answered that it did
// nothing.
func (w *work) unpost(number uint64, before time.Time, again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if again {
		w.mem.posted[number] = before
	} else {
		delete(w.mem.posted, number)
	}
}

// deliver puts the current token at a target. What stood there is in the
// record already.
func (w *work) deliver(ctx context.Context, a Deliver) {
	w.mu.Lock()
	g := *w.rec.current()
	value, prev := w.mem.values[g.Number], w.obs.Targets[a.Target].Reading.Version
	w.mu.Unlock()
	target := w.target(a.Target)
	payload, err := target.Payload(w.token(&g, value))
	if err != nil {
		w.deliverFailed(ctx, a.Target, err)
		return
	}
	sent := Payload{Fingerprint: payload.Fingerprint(), Generation: g.Number}
	if !w.sentBefore(a.Target, sent) &&
		!w.commit(ctx, func(r *Record) Event { return r.sending(a.Target, payload.Fingerprint()) }) {
		return
	}
	if !w.provedJustNow(g.Number) {
		return
	}
	bounded, cancel := context.WithTimeout(w.soft, w.deliverTime())
	defer cancel()
	back, err := target.Deliver(bounded, backends.Item{Payload: payload, Meta: backends.Meta{Slot: w.pol.Slot,
		Generation: g.Number, TokenID: g.TokenID, Token: g.Fingerprint, Expires: g.Expires}}, prev)
	if err != nil {
		w.deliverFailed(ctx, a.Target, err)
		return
	}
	w.mu.Lock()
	now := w.clock()
	w.wasRead(a.Target, TargetSeen{At: now, Reading: back})
	w.obs.Own = nil // there is one to take up
	w.mu.Unlock()
	w.commit(ctx, func(r *Record) Event {
		before := r.Targets[a.Target]
		r.oweRemovalOf(before.Serves, a.Target, w.removes, now)
		event := r.delivered(a.Target, now)
		r.oweDelivery(a.Target, before, w.pol, now)
		return event
	})
}

// provedJustNow reports whether the proof still holds as ground for a deed. A
// commit or the deed before may have taken long, or the process stood still: the
// next decision asks for another proof.
func (w *work) provedJustNow(number uint64) bool {
	now := w.e.issuer.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.obs.Proofs[number].At) <= lookValid {
		return true
	}
	delete(w.obs.Proofs, number)
	return false
}

// lookedJustNow is the same for what the gate saw at the targets. If it is too
// long ago, everything is looked at again, the list too.
func (w *work) lookedJustNow() bool {
	now := w.e.issuer.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.pol.Targets {
		if now.Sub(w.obs.Targets[t.Key].At) > lookValid {
			w.obs.Began = now
			return false
		}
	}
	return true
}

// sentBefore reports whether the payload was the last one sent to the target.
func (w *work) sentBefore(key string, sent Payload) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.rec.Targets[key].Payloads
	return len(all) > 0 && all[len(all)-1] == sent
}

func (w *work) token(g *Generation, value secret.Value) backends.Token {
	return backends.Token{Value: value, ID: g.TokenID, Name: g.Label, Account: w.pol.Account.Name,
		AccountID: w.pol.AccountID, Environment: w.pol.Environment, URL: w.pol.URL, Expiration: g.Expires}
}

func (w *work) deliverFailed(ctx context.Context, key string, err error) {
	if ctx.Err() != nil { // the end of a process is not an attempt
		return
	}
	why, after, now := targetReason(err), backends.RetryAfter(err), w.e.issuer.Now()
	w.e.log.Warn("not delivered", "slot", w.pol.Slot, "target", key, "reason", string(why), "error", err)
	w.mu.Lock()
	delete(w.obs.Targets, key)
	w.mu.Unlock()
	w.commit(ctx, func(r *Record) Event { return r.deliverFailed(key, why, after, now) })
}

// revoke kills a retired token, whose gate was found open just now.
func (w *work) revoke(ctx context.Context, a Revoke) {
	if a.Condemned { // that is journaled since the alarm
		if w.stillTakenUp() {
			w.revokeCondemned(ctx, a.Generation)
		}
		return
	}
	g, ok := w.decided(ctx, a.Generation, Revoking)
	if !ok || !a.Expired && !w.lookedJustNow() {
		return
	}
	if !a.Expired && !w.stillTakenUp() {
		return
	}
	err := w.e.issuer.Revoke(ctx, g.TokenID)
	now := w.e.issuer.Now()
	if err == nil {
		w.wasRevoked(g.TokenID)
		w.commit(ctx, func(r *Record) Event {
			event := r.revoked(g.Number, Retired, now)
			w.owe(r, g.Number, now)
			return event
		})
		return
	}
	w.retireFailed(ctx, g, ActRevokeFailed, err, now)
}

// owe journals what follows from a revocation, if the token is revoked as of now.
func (w *work) owe(r *Record, number uint64, now time.Time) {
	r.oweRemoval(number, w.removes, now)
	r.oweRevocation(number, w.pol, now)
}

// wasRevoked brings the list at hand up to date.
func (w *work) wasRevoked(tokenID int64) {
	w.changed(func(mine []Token) []Token {
		for i := range mine {
			mine[i].Active = mine[i].Active && mine[i].ID != tokenID
		}
		return mine
	})
	w.e.answered()
}

// delete removes a revoked token for good. One that is gone already is done.
func (w *work) delete(ctx context.Context, a Delete) {
	g, ok := w.decided(ctx, a.Generation, Deleting)
	if !ok {
		return
	}
	err := w.e.issuer.Delete(ctx, g.TokenID)
	now := w.e.issuer.Now()
	if err == nil || errors.Is(err, ErrMissing) {
		w.changed(func(mine []Token) []Token {
			return slices.DeleteFunc(mine, func(t Token) bool { return t.ID == g.TokenID })
		})
		w.e.answered()
		w.commit(ctx, func(r *Record) Event { return r.deleted(g.Number, now) })
		return
	}
	w.retireFailed(ctx, g, ActDeleteFailed, err, now)
}

// decided commits the decision to revoke or delete, once.
func (w *work) decided(ctx context.Context, number uint64, to State) (Generation, bool) {
	w.mu.Lock()
	g := *w.rec.generation(number)
	w.mu.Unlock()
	if g.State == to {
		return g, true
	}
	now := w.e.issuer.Now()
	ok := w.commit(ctx, func(r *Record) Event {
		return r.move(Move{Generation: number, To: to, Reason: g.Reason}, now)
	})
	return g, ok
}

func (w *work) retireFailed(ctx context.Context, g Generation, act Act, err error, now time.Time) {
	w.changed(nil)
	if ctx.Err() != nil {
		return
	}
	w.e.hold(err, false)
	why, _ := apiReason(err)
	w.e.log.Warn("token not retired", "slot", w.pol.Slot, "generation", g.Number, "token_id", g.TokenID,
		"act", string(act), "error", err)
	w.commit(ctx, func(r *Record) Event { return r.retireFailed(g.Number, act, why, now) })
}
