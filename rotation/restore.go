package rotation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// restorable is the token whose revocation can be undone: the one of that number,
// or the newest with 0; nil for none.
func (r *Record) restorable(tokenID int64) *Generation {
	for i := len(r.Generations) - 1; i >= 0; i-- {
		if g := &r.Generations[i]; g.State == Observing && (tokenID == 0 || g.TokenID == tokenID) {
			return g
		}
	}
	return nil
}

// restoredWord begins the outcome of a request to restore that was carried out.
const restoredWord = "restored"

// Restored reports whether a request to restore was carried out.
func (q Request) Restored() bool {
	return q.Kind == RequestRestore && !q.ClosedAt.IsZero() && strings.HasPrefix(q.Outcome, restoredWord+" ")
}

// spares reports whether a token is still to be restored for that request.
func (r *Record) spares(request int64) bool {
	for i := range r.Generations {
		if r.Generations[i].Restore == request {
			return true
		}
	}
	return false
}

// spare journals that a token is to be restored. An emergency that condemned it
// has no more to say.
func (r *Record) spare(a Spare) Event {
	g := r.generation(a.Generation)
	g.Restore, g.Condemned = a.Request, false
	g.Attempts, g.RetryAt = 0, time.Time{}
	r.handle(a.Request, a.Rotate)
	return Event{Act: ActRestoring, Generation: g.Number, TokenID: g.TokenID}
}

// restored takes a token back: into its grace, or as what the targets are meant to
// serve when nothing has come in its place.
func (r *Record) restored(number uint64, grace time.Duration, now time.Time) Event {
	event := r.move(Move{Generation: number, To: Grace, Reason: Restored, RevokeAfter: now.Add(grace)}, now)
	event.Act = ActRestored
	g := r.generation(number)
	if number != r.Current {
		if !g.Claimed { // an emergency revoked what isn't this journal's
			g.State = Unclaimed
		}
		return event
	}
	g.State, r.Lost = Live, ""
	if r.Blocked == RevokedOnRequest {
		r.Blocked = ""
	}
	return event
}

// notRestored ends the attempt: Qualytics won't.
func (r *Record) notRestored(number uint64, why Reason) Event {
	g := r.generation(number)
	g.Restore, g.Attempts, g.RetryAt = 0, 0, time.Time{}
	return Event{Act: ActRestoreFailed, Reason: why, Generation: number, TokenID: g.TokenID}
}

// decline ends a request that can't be carried out.
func (r *Record) decline(a Decline) Event {
	r.handle(a.Request, a.Rotate)
	return Event{Act: ActDeclined, Detail: a.Outcome}
}

// spare takes the request up.
func (w *work) spare(ctx context.Context, a Spare) {
	asked := w.request(a.Request)
	w.commit(ctx, func(r *Record) Event { return asked.tell(r.spare(a)) })
}

// restore undoes a revocation.
func (w *work) restore(ctx context.Context, a Restore) {
	w.mu.Lock()
	g := *w.rec.generation(a.Generation)
	w.mu.Unlock()
	asked := w.request(g.Restore)
	err := w.e.issuer.Restore(ctx, g.TokenID)
	now := w.e.issuer.Now()
	switch {
	case err == nil:
		w.changed(func(mine []Token) []Token {
			for i := range mine {
				mine[i].Active = mine[i].Active || mine[i].ID == g.TokenID
			}
			return mine
		})
		w.e.answered()
		if w.commit(ctx, func(r *Record) Event {
			return asked.tell(r.restored(g.Number, w.pol.Schedule.Grace, now))
		}) {
			w.close(ctx, g.Restore, fmt.Sprintf("%s generation %d, token %d", restoredWord, g.Number, g.TokenID))
		}
	case errors.Is(err, ErrMissing), errors.Is(err, ErrRefused):
		w.changed(nil)
		why, _ := apiReason(err)
		w.e.log.Warn("token not restored", "slot", w.pol.Slot, "generation", g.Number, "token_id", g.TokenID, "error", err)
		if w.commit(ctx, func(r *Record) Event { return r.notRestored(g.Number, why) }) {
			w.close(ctx, g.Restore, "Qualytics didn't restore the token: "+err.Error())
		}
	default:
		w.retireFailed(ctx, g, ActRestoreFailed, err, now)
	}
}

// decline closes a request that can't be carried out.
func (w *work) decline(ctx context.Context, a Decline) {
	asked := w.request(a.Request)
	if w.commit(ctx, func(r *Record) Event {
		event := r.decline(a)
		event.Actor = asked.Actor
		return event
	}) {
		w.close(ctx, a.Request, a.Outcome)
	}
}

// close closes a request; one that is closed already stays as it is.
func (w *work) close(ctx context.Context, id int64, outcome string) {
	if err := w.e.journal.CloseRequest(ctx, id, outcome); err != nil {
		w.fail(err)
		return
	}
	w.closed(id)
}
