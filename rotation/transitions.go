package rotation

import (
	"maps"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// The named transitions of a Record. Each changes the record it is called on
// and returns the event that tells of it; the engine commits both together.
// They copy what they change, so that a record handed out before stays as it
// was.

// clone copies what the transitions change in place.
func (r Record) clone() Record {
	r.Generations = slices.Clone(r.Generations)
	r.Targets = maps.Clone(r.Targets)
	if r.Targets == nil {
		r.Targets = map[string]TargetRecord{}
	}
	return r
}

// add puts g in its place by number, instead of what metadata alone told of
// that number, and forgets the oldest gone ones.
func (r *Record) add(g Generation) {
	r.High = max(r.High, g.Number)
	r.Generations = slices.DeleteFunc(r.Generations, func(known Generation) bool { return known.Number == g.Number })
	r.Generations = append(r.Generations, g)
	slices.SortFunc(r.Generations, func(a, b Generation) int {
		if a.Number < b.Number {
			return -1
		}
		return 1
	})
	gone := 0
	for _, g := range r.Generations {
		if g.State == Gone {
			gone++
		}
	}
	r.Generations = slices.DeleteFunc(r.Generations, func(g Generation) bool {
		drop := g.State == Gone && gone > keepGone
		if drop {
			gone--
		}
		return drop
	})
}

// discover takes in a token that is listed under our label.
func (r *Record) discover(t Token, number uint64) Event {
	r.add(Generation{Number: number, Label: t.Label, TokenID: t.ID, State: Unclaimed,
		Reason: FoundUnclaimed, IssuedAt: t.Created, Expires: t.Expires})
	r.condemnFound(r.generation(number), t.Created)
	return Event{Act: ActFound, Reason: FoundUnclaimed, Generation: number, TokenID: t.ID}
}

// adoptAsServed makes g the current token, as far as delivering goes; it stays
// unclaimed as to revocation.
func (r *Record) adoptAsServed(g *Generation, s Schedule) {
	if old := r.current(); old != nil {
		old.State = Unclaimed
	}
	g.State, r.Current = Live, g.Number
	r.DueAt = drawDueAt(g.Label, g.IssuedAt, g.Expires, s)
}

// see records what a target serves.
func (r *Record) see(a See, t TargetPolicy, now time.Time) Event {
	old, known := r.Targets[a.Target]
	rec := old.seen(a.Serving, r, t, now)
	if rec.State != old.State || !known {
		rec.Since = now
	}
	rec.SeenAt = now
	event := Event{Act: ActSeen, Reason: rec.Reason, Target: a.Target, Generation: a.Serving.Generation}
	if m := a.Serving.Meta; !m.IsZero() && r.generation(m.Generation) == nil {
		r.add(Generation{Number: m.Generation, TokenID: m.TokenID, Fingerprint: m.Token, State: Gone,
			Reason: FoundUnclaimed, Expires: m.Expires, GoneAt: now})
	}
	if g := r.generation(a.Serving.Generation); g != nil {
		event.TokenID, event.Fingerprint = g.TokenID, g.Fingerprint
		if m := a.Serving.Meta; g.Fingerprint == "" && g.TokenID == m.TokenID {
			g.Fingerprint = m.Token
		}
	}
	if old.State == InStep && rec.State == Behind && rec.Reason != TargetReshaped {
		event.Detail = DetailDrift
	}
	if a.Serving.Other != "" {
		event.Fingerprint = a.Serving.Other
	}
	r.Targets[a.Target] = rec
	return event
}

// forget drops a target that isn't declared any more.
func (r *Record) forget(a Forget) Event {
	serves := r.Targets[a.Target].Serves
	delete(r.Targets, a.Target)
	return Event{Act: ActForgotTarget, Reason: DeclarationChanged, Target: a.Target, Generation: serves}
}

// intend writes down the will to issue; the number is used up from here on.
func (r *Record) intend(a Intend, process string, now time.Time) Event {
	r.Intent = &Intent{Generation: a.Generation, Label: a.Label, Reason: a.Reason,
		At: now, Process: process, Request: a.Request}
	r.High = max(r.High, a.Generation)
	r.Handled = max(r.Handled, a.Request)
	r.Attempts++
	r.RetryAt = now.Add(backOff(r.Attempts, a.Label))
	r.Again, r.Blocked = "", ""
	return Event{Act: ActIntended, Reason: a.Reason, Generation: a.Generation}
}

// burn gives an intended generation up. Its token, if there is one, takes the
// road of all retired ones.
func (r *Record) burn(a Burn) Event {
	intent := r.Intent
	state, reason := Unclaimed, FoundUnclaimed
	if a.Claimed {
		state, reason = Waiting, Ghost
	}
	r.add(Generation{Number: intent.Generation, Label: intent.Label, TokenID: a.TokenID,
		State: state, Claimed: a.Claimed, Reason: reason, IssuedAt: intent.At})
	r.condemnFound(r.generation(intent.Generation), a.Created)
	r.Intent, r.Again = nil, intent.Reason
	return Event{Act: ActBurnt, Reason: reason, Generation: intent.Generation, TokenID: a.TokenID}
}

// issued takes the new token in. Everything before it is superseded.
func (r *Record) issued(token Issued, s Schedule, now time.Time) Event {
	intent := r.Intent
	for i := range r.Generations {
		if g := &r.Generations[i]; g.State == Live {
			g.State = ghostState(g)
			g.Reason, g.Attempts, g.RetryAt = Superseded, 0, time.Time{}
		}
	}
	fp := token.Value.Fingerprint()
	r.add(Generation{Number: intent.Generation, Label: intent.Label, TokenID: token.ID, Fingerprint: fp,
		State: Live, Claimed: true, Reason: intent.Reason, IssuedAt: now, Days: new(s.Days()), Expires: token.Expires})
	r.replaced(r.Current, intent.Generation)
	r.Current, r.Intent, r.Lost, r.Again = intent.Generation, nil, "", ""
	r.DueAt = drawDueAt(intent.Label, now, token.Expires, s)
	for key, t := range r.Targets {
		switch {
		case t.State == InStep, t.State == TargetBlocked:
			t.State, t.Reason, t.Since = Behind, TargetOlder, now
		case t.State == Foreign && t.Reason == TargetHoldsOther: // this issue is what it waited for
			t.State, t.Since = Behind, now
		}
		t.Attempts, t.RetryAt = 0, time.Time{}
		r.Targets[key] = t
	}
	return Event{Act: ActIssued, Reason: intent.Reason, Generation: intent.Generation,
		TokenID: token.ID, Fingerprint: fp}
}

// issueFailed drops the intent of an order that the API won't take, for a
// person to look at. It is tried again some time later all the same: not every
// refusal is meant, and the token that the targets serve ends some day.
func (r *Record) issueFailed(why Reason, again time.Time) Event {
	intent := r.Intent
	r.Intent, r.Blocked, r.Again, r.RetryAt = nil, why, intent.Reason, again
	return Event{Act: ActIssueFailed, Reason: why, Generation: intent.Generation}
}

// postponeIssue keeps the intent and tries later. An API that asks to wait
// costs no attempt.
func (r *Record) postponeIssue(why Reason, after time.Duration, now time.Time) Event {
	intent := *r.Intent
	if after == 0 {
		intent.Attempts++
		after = r.backOff(intent.Attempts, intent.Label)
	}
	intent.RetryAt = now.Add(after)
	r.Intent = &intent
	return Event{Act: ActIssueFailed, Reason: why, Generation: intent.Generation}
}

// proved records our own use of a token, which sets its last_used.
func (r *Record) proved(number uint64, now time.Time) Event {
	g := r.generation(number)
	g.ProvedAt, g.Attempts, g.RetryAt = now, 0, time.Time{}
	return Event{Act: ActProved, Generation: number, TokenID: g.TokenID, Fingerprint: g.Fingerprint}
}

func (r *Record) unprove(a Unprove, now time.Time) Event {
	g := r.generation(a.Generation)
	g.Attempts++
	if r.Emergency.open() { // they come fast: the common count goes on from a few
		g.Attempts = min(g.Attempts, patience)
	}
	g.RetryAt = now.Add(r.backOff(g.Attempts, g.Label))
	return Event{Act: ActNotProved, Reason: NotValidYet, Generation: a.Generation, TokenID: g.TokenID}
}

func (r *Record) lose(a Lose) Event {
	r.Lost = a.Reason
	return Event{Act: ActLost, Reason: a.Reason, Generation: r.Current}
}

func (r *Record) miss(a Miss) Event {
	g := r.generation(a.Generation)
	g.MissingAt = a.At
	return Event{Act: ActMissing, Reason: TokenGone, Generation: a.Generation, TokenID: g.TokenID}
}

// sending records which payload is about to be put at a target, so that it is
// known again whatever happens next.
func (r *Record) sending(key string, payload secret.Fingerprint) Event {
	t := r.Targets[key]
	t.Payloads = slices.DeleteFunc(slices.Clone(t.Payloads), func(p Payload) bool { return p.Fingerprint == payload })
	t.Payloads = append(t.Payloads, Payload{Fingerprint: payload, Generation: r.Current})
	if extra := len(t.Payloads) - keepPayloads; extra > 0 {
		t.Payloads = t.Payloads[extra:]
	}
	r.Targets[key] = t
	return Event{Act: ActSending, Target: key, Generation: r.Current, Fingerprint: r.current().Fingerprint}
}

// keepPayloads is how many payloads of a target are kept for recognising them.
const keepPayloads = 8

// delivered records that a target was read back and serves the current token.
func (r *Record) delivered(key string, now time.Time) Event {
	t := r.Targets[key]
	t.State, t.Reason, t.Since, t.SeenAt = InStep, TargetServes, now, now
	t.Serves, t.Attempts, t.RetryAt = r.Current, 0, time.Time{}
	r.Targets[key] = t
	if r.settled() {
		r.Attempts, r.RetryAt = 0, time.Time{}
	}
	g := r.current()
	return Event{Act: ActDelivered, Target: key, Generation: g.Number, TokenID: g.TokenID, Fingerprint: g.Fingerprint}
}

// serves reports whether every declared target serves the current token.
func (r *Record) serves(pol *Policy) bool {
	for _, t := range pol.Targets {
		if r.Targets[t.Key].State != InStep {
			return false
		}
	}
	return true
}

// atPeace reports whether nothing is left to do for now: the current token is
// served by every declared target.
func (r *Record) atPeace(pol *Policy) bool {
	return r.Intent == nil && r.Current != 0 && r.Lost == "" && r.Blocked == "" && r.serves(pol)
}

// settled reports whether every known target serves the current token.
func (r *Record) settled() bool {
	for _, t := range r.Targets {
		if t.State != InStep {
			return false
		}
	}
	return true
}

// deliverFailed sets the target's back-off. A store that asks to wait costs no
// attempt.
func (r *Record) deliverFailed(key string, why Reason, after time.Duration, now time.Time) Event {
	t := r.Targets[key]
	if after == 0 {
		t.Attempts++
		after = r.backOff(t.Attempts, key)
	}
	t.Reason, t.RetryAt = why, now.Add(after)
	if why == TargetRefused && t.State != TargetBlocked {
		t.State, t.Since = TargetBlocked, now
	}
	r.Targets[key] = t
	return Event{Act: ActDeliverFailed, Reason: why, Target: key, Generation: r.Current}
}

// move changes the state of a retired generation. RevokeAfter only ever grows.
func (r *Record) move(a Move, now time.Time) Event {
	g := r.generation(a.Generation)
	if a.TokenID != 0 {
		g.TokenID = a.TokenID
	}
	g.State, g.Reason = a.To, a.Reason
	g.Attempts, g.RetryAt, g.MissingAt = 0, time.Time{}, time.Time{}
	switch a.Reason {
	case Ghost: // it came to light only now
		r.condemnFound(g, a.Created)
	case RestoredByHand: // a person's word too, and the later one
		g.Condemned = false
	}
	if a.To != Observing {
		g.Restore = 0
	}
	if !g.revoked() { // nobody is to be told of what isn't so any more
		g.Hooks = nil
	}
	if a.RevokeAfter.After(g.RevokeAfter) {
		g.RevokeAfter = a.RevokeAfter
	}
	if !a.HoldUntil.IsZero() {
		g.HoldUntil = a.HoldUntil
	}
	act := ActMoved
	switch a.To {
	case Observing:
		g.RevokedAt = now
	case Gone:
		g.GoneAt = now
	case Revoking:
		act = ActRevoking
	case Deleting:
		act = ActDeleting
	}
	return Event{Act: act, Reason: a.Reason, Generation: g.Number, TokenID: g.TokenID, Detail: string(a.To)}
}

// revoked and deleted tell of a move that the agent made itself.
func (r *Record) revoked(number uint64, why Reason, now time.Time) Event {
	event := r.move(Move{Generation: number, To: Observing, Reason: why}, now)
	event.Act = ActRevoked
	return event
}

func (r *Record) deleted(number uint64, now time.Time) Event {
	event := r.move(Move{Generation: number, To: Gone, Reason: Retired}, now)
	event.Act = ActDeleted
	return event
}

// retireFailed sets the back-off of a revocation or deletion.
func (r *Record) retireFailed(number uint64, act Act, why Reason, now time.Time) Event {
	g := r.generation(number)
	g.Attempts++
	g.RetryAt = now.Add(r.backOff(g.Attempts, g.Label))
	return Event{Act: act, Reason: why, Generation: number, TokenID: g.TokenID}
}

func (r *Record) block(a Block) Event {
	r.Blocked = a.Reason
	return Event{Act: ActBlocked, Reason: a.Reason}
}

// resume applies a person's word that the slot may go on.
func (r *Record) resume(a Resume) Event {
	if r.Blocked == RevokedByOthers {
		r.Lost = RevokedByOthers
	}
	r.Blocked, r.Attempts, r.RetryAt = "", 0, time.Time{}
	r.handle(a.Request, a.Rotate)
	r.retryHooks()
	for key, t := range r.Targets {
		if t.State == TargetBlocked {
			t.State = Behind
		}
		t.Attempts, t.RetryAt = 0, time.Time{}
		r.Targets[key] = t
	}
	why := Reason("")
	if a.Adopt {
		why = Adopted
		for i := range r.Generations {
			g := &r.Generations[i]
			g.Claimed = true
			if g.State == Unclaimed {
				g.State, g.Reason = Waiting, Adopted
			}
		}
	}
	return Event{Act: ActResumed, Reason: why}
}
